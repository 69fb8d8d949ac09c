"""Mutants of data files: each format that publishers use, spoilt, and read by the stage that prepares data.

A spoilt file is pinned as it is, so that no hash saves the reader. What is let in is compared with what was in the file before: a row that
comes out must be one that went in (or the one that the mutant put there on purpose), and every row must be accounted for: written, dropped
by a rule, or counted as malformed and named.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import runpy
import shutil
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from judging import ACCEPTED, NAMED, REFUSED, Case, WronglyAcceptedError

from ftbench import files, pair_files

ROOT = Path(__file__).parents[1]
ROWS = 12
LABELS = ("entailment", "neutral", "contradiction")
WORDS = {label: label for label in LABELS}
NUMBERS = {label: number for number, label in enumerate(LABELS)}
LONG = 10 * 2**20  # characters of a line that is only long, and of a file that is no text at all
OK, NO = frozenset({ACCEPTED}), frozenset({REFUSED})
ANY = frozenset({ACCEPTED, NAMED, REFUSED})
BAD_ROW = frozenset({NAMED, REFUSED})


@dataclass(frozen=True)
class Format:
    """A publisher's file: its format in params.yaml, task, and settings beside; the rows that it holds, and how it writes them."""

    file_format: str
    task: str
    block: dict[str, Any]
    rows: list[dict[str, Any]]
    write: Callable[[list[dict[str, Any]]], bytes]
    text: str  # the column that mutants spoil
    label: str = ""


# ---- the files, good -----------------------------------------------------------------------------------------------------------------


def _json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8", "surrogatepass")


def _tsv(rows: list[dict[str, Any]]) -> bytes:
    return "".join("\t".join(map(str, line)) + "\n" for line in (rows[0], *(row.values() for row in rows))).encode()


def _csv(rows: list[dict[str, Any]]) -> bytes:
    lines = (rows[0], *(row.values() for row in rows))
    return "".join(",".join('"' + str(value).replace('"', '""') + '"' for value in line) + "\r\n" for line in lines).encode()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream)
    return stream.getvalue()


def _official(number: int, split: str, genre: bool) -> dict[str, Any]:
    label = LABELS[number % 3]
    first, second = f'{split}: a man says "no" to {number} dogs, é', f"the man's {number} dogs, \u201cyes\u201d"
    row: dict[str, Any] = {"annotator_labels": [label], "gold_label": label, "pairID": f"{split}{number}", "sentence1": first}
    row |= {"sentence1_parse": f"(ROOT {first})", "sentence2": second}
    return row | ({"genre": "fiction", "promptID": str(number)} if genre else {})


def _flat(number: int, split: str) -> dict[str, Any]:
    row = _official(number, split, genre=True)
    return {
        "gold_label": row["gold_label"],
        "sentence1_parse": "( x )",
        **{k: row[k] for k in ("sentence1", "sentence2", "pairID", "genre")},
    }


def _plain(number: int, split: str) -> dict[str, Any]:
    return {"premise": f"{split} premise {number}, é", "hypothesis": f'hypothesis "{number}"', "label": number % 3}


def _asked(number: int, split: str) -> dict[str, Any]:
    return {"instruction": f"{split}: name {number} things", "input": "" if number % 2 else f"é {number}", "output": f"Things: {number}."}


def _formats(split: str) -> dict[str, Format]:
    def rows(make: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
        return [make(number) for number in range(ROWS)]

    nli = {"labels": WORDS}
    flat = rows(lambda number: _flat(number, split))
    plain = rows(lambda number: _plain(number, split))
    document = {"columns": ["text"], "kind": "prose"}
    texts = rows(lambda number: {"text": f"{split}: sentence {number}, é."})

    def as_list(rows: list[dict[str, Any]]) -> bytes:
        return json.dumps(rows, indent=4, ensure_ascii=False).encode()

    def as_text(rows: list[dict[str, Any]]) -> bytes:
        return "".join(f"{row['text']}\n" for row in rows).encode()

    official = [rows(lambda number, genre=genre: _official(number, split, genre)) for genre in (False, True)]
    asked = rows(lambda number: _asked(number, split))
    return {
        "snli_jsonl": Format("jsonl", "nli", nli, official[0], _json_lines, "sentence1", "gold_label"),
        "multinli_jsonl": Format("jsonl", "nli", nli, official[1], _json_lines, "sentence2", "gold_label"),
        "multinli_tsv": Format("tsv", "nli", nli, flat, _tsv, "sentence1", "gold_label"),
        "pairs_csv": Format("csv", "nli", {"labels": NUMBERS}, plain, _csv, "premise", "label"),
        "hub_parquet": Format("parquet", "nli", {"labels": NUMBERS}, plain, _parquet, "premise", "label"),
        "alpaca_json": Format("json", "instructions", {}, asked, as_list, "output"),
        "pretraining_txt": Format("txt", "pretraining", document, texts, as_text, "text"),
        "pretraining_jsonl": Format("jsonl", "pretraining", document, texts, _json_lines, "text"),
    }


# ---- mutants ---------------------------------------------------------------------------------------------------------------------------

# (the file, or what to put in its place; the outcomes that are right; whether other rows than the good ones may come out)
Spoilt = tuple[bytes | str, frozenset[str], bool]


def _lines(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


def _of_bytes(good: bytes, form: Format, rng: random.Random) -> dict[str, Spoilt]:
    """Damage that knows nothing of the format."""
    place = rng.randrange(1, len(good))
    text = form.file_format != "parquet"
    lines = _lines(good)
    index = rng.randrange(1, len(lines)) if len(lines) > 1 else 0
    inside = good.find("é".encode())
    odd = good[: inside + 2] if inside > 0 else good[:place]
    rest = good[len(odd) :]
    readable = ANY if form.file_format == "txt" else NO
    return {
        "truncated": (good[:place], ANY, True),
        "truncated in a character": (good[: inside + 1] if inside > 0 else good[:5], BAD_ROW, True),
        "a byte changed": (good[:place] + bytes([rng.randrange(256)]) + good[place + 1 :], ANY, True),
        "bytes lost": (good[:place] + good[place + rng.randint(1, 30) :], ANY, True),
        "empty": (b"", NO, False),
        "one line end": (b"\n", NO, False),
        "blanks": (b" \t\n\r\n \n", NO, False),
        "byte order mark": (b"\xef\xbb\xbf" + good, OK if text else NO, False),
        "crlf": (good.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if text else good[:-8], OK if text else NO, False),
        "mixed line ends": (b"".join(line.rstrip(b"\r\n") + rng.choice([b"\n", b"\r\n", b"\r\n"]) for line in lines), ANY, not text),
        "cr alone": (good.replace(b"\r\n", b"\n").replace(b"\n", b"\r"), ANY, form.file_format in ("txt", "csv", "tsv")),
        "latin-1": (odd[:-2] + b"\xe9" + rest if inside > 0 else good[:10], BAD_ROW, True),
        "utf-16": (good.decode("utf-8", "replace").encode("utf-16"), NO, False),
        "utf-16 without a mark": (good.decode("utf-8", "replace").encode("utf-16-le"), NO, False),
        "utf-32": (good.decode("utf-8", "replace").encode("utf-32"), NO, False),
        "nul": (odd + b"\0" + rest if text else good[:place] + b"\0" + good[place:], BAD_ROW if text else ANY, True),
        "nul bytes alone": (bytes(5000), NO, False),
        "noise": (rng.randbytes(5000), frozenset({REFUSED, NAMED}), True),
        "a long line of noise": (good + b"x" * LONG, ANY, True),
        "longer than a row may be": (good + b"y" * (17 * 2**20), NO, False),
        "a page of html": (b"<!DOCTYPE html>\n<html><title>404</title></html>\n", readable, True),
        "a pointer of git lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", readable, True),
        "gzip": (b"\x1f\x8b\x08\x00" + rng.randbytes(800), BAD_ROW, True),
        "a zip": (b"PK\x03\x04" + rng.randbytes(800), BAD_ROW, True),
        "a line lost": (b"".join(lines[:index] + lines[index + 1 :]), ANY, not text),
        "a line twice": (b"".join([*lines[: index + 1], *lines[index:]]), ANY, not text),
        "half a line": (b"".join([*lines[:index], lines[index][: len(lines[index]) // 2] + b"\n", *lines[index + 1 :]]), ANY, True),
        "escapes of a terminal": (good.replace(b"premise", b"pre\x1b[31mmise").replace(b"sentence", b"\x1b]0;x\x07sentence"), ANY, True),
        "a folder": ("folder", NO, False),
        "a pipe": ("fifo", NO, False),
        "no file": ("nothing", NO, False),
        "a link to itself": ("loop", NO, False),
        "a device": ("device", NO, False),
    }


def _of_rows(form: Format, rng: random.Random) -> dict[str, Spoilt]:
    """Rows that are written well and mean something else, or nothing."""
    index = rng.randrange(ROWS)

    def with_value(column: str, value: Any) -> bytes:
        rows = [dict(row) for row in form.rows]
        rows[index][column] = value
        return form.write(rows)

    def without(column: str, everywhere: bool) -> bytes:
        return form.write(
            [{k: v for k, v in row.items() if k != column or not (everywhere or n == index)} for n, row in enumerate(form.rows)]
        )

    made: dict[str, Spoilt] = {
        "an empty text": (with_value(form.text, ""), ANY, False),
        "a blank text": (with_value(form.text, " \u00a0 "), ANY, False),
        "10 MB of text": (with_value(form.text, "z" * LONG), OK, True),
    }
    if form.file_format != "txt":
        renamed = [{k + ("x" if k == form.text else ""): v for k, v in row.items()} for row in form.rows]
        made["a column renamed"] = (form.write(renamed), NO, False)
        made["a column everywhere gone"] = (without(form.text, True), NO, False)
    if form.label:
        for name, label in {
            "wrong": "entails",
            "upper case": "ENTAILMENT",
            "a number too large": "7",
            "several": "neutral,neutral",
        }.items():
            if form.file_format != "parquet":
                made[f"a label {name}"] = (with_value(form.label, label), BAD_ROW, False)
        if form.file_format == "parquet":
            made["a label 7"] = (with_value(form.label, 7), BAD_ROW, False)
            made["a label 2**40"] = (with_value(form.label, 2**40), BAD_ROW, False)
        every = [{**row, form.label: "yes" if form.file_format != "parquet" else 9} for row in form.rows]
        made["other labels everywhere"] = (form.write(every), NO, False)
    if form.file_format in ("json", "jsonl"):
        for name, value in {"null": None, "a number": 3, "a list": ["a"], "an object": {"a": "b"}, "true": True, "a float": 1.5}.items():
            made[f"{name} for text"] = (with_value(form.text, value), BAD_ROW, False)
            if form.label:
                made[f"{name} for a label"] = (with_value(form.label, value), ANY if value is None else BAD_ROW, False)
        made["a column gone"] = (without(form.text, False), BAD_ROW, False)
        made |= _of_json(form, index)
    if form.file_format == "tsv":
        made |= _of_tables(form, index, "\t")
        made["quotes"] = (form.write([{**row, form.text: f'"{row[form.text]}'} for row in form.rows]), OK, True)
    if form.file_format == "csv":
        made |= _of_tables(form, index, ",")
        made["a quote left open"] = (form.write(form.rows) + b'"never closed,1,2\r\n', NO, False)
    if form.file_format == "parquet":
        made |= _of_parquet(form)
    return made


def _of_json(form: Format, index: int) -> dict[str, Spoilt]:
    good = form.write(form.rows)
    row = json.dumps(form.rows[index], ensure_ascii=False)
    text = json.dumps(form.rows[index][form.text], ensure_ascii=False)
    is_list = form.file_format == "json"

    def put(item: str) -> bytes:
        rows = [json.dumps(one, ensure_ascii=False) for one in form.rows]
        rows[index] = item
        return ("[" + ",\n".join(rows) + "]" if is_list else "\n".join(rows) + "\n").encode("utf-8", "surrogatepass")

    def field(value: str) -> bytes:
        return put(row.replace(text, value))

    twice = row[:-1] + f', "{form.text}": "another"}}'
    return {
        "nested a hundred thousand deep": (field("[" * 100_000 + "]" * 100_000), BAD_ROW, False),
        "nested and open": (put('{"a":' * 50_000), NO if is_list else BAD_ROW, is_list),
        "nan": (field("NaN"), BAD_ROW, False),
        "infinity": (field("-Infinity"), BAD_ROW, False),
        "an integer of 5000 digits": (field("9" * 5000), BAD_ROW, False),
        "a number 1e400": (field("1e400"), BAD_ROW, False),
        "half of a surrogate pair": (field('"\\ud800"'), BAD_ROW, False),
        "an escaped nul": (field('"a\\u0000b"'), BAD_ROW, False),
        "a key twice": (put(twice), BAD_ROW, False),
        "a list for a row": (put("[1, 2]"), BAD_ROW, False),
        "a word for a row": (put('"word"'), BAD_ROW, False),
        "null for a row": (put("null"), BAD_ROW, False),
        "single quotes": (put(row.replace('"', "'")), NO if is_list else BAD_ROW, False),
        "a comma too many": (put(row[:-1] + ",}"), NO if is_list else BAD_ROW, False),
        "a comment": (put("// " + row), NO if is_list else BAD_ROW, False),
        "the other json": (("\n".join(map(json.dumps, form.rows)) if is_list else json.dumps(form.rows)).encode(), NO, False),
        "an object around": (json.dumps({"data": form.rows}).encode(), NO, False),
        "two files in one": (good + good, NO if is_list else ANY, False),
    }


def _of_tables(form: Format, index: int, separator: str) -> dict[str, Spoilt]:
    lines = _lines(form.write(form.rows))
    end = b"\r\n" if separator == "," else b"\n"
    mark = separator.encode()
    one = lines[index + 1].rstrip(b"\r\n")
    column = f'"{form.text}"' if separator == "," else form.text
    other = '"hypothesis"' if separator == "," else "sentence2"
    return {
        "a column too many": (b"".join([*lines[: index + 1], one + mark + b"more" + end, *lines[index + 2 :]]), BAD_ROW, False),
        "half of the columns": (b"".join([*lines[: index + 1], mark.join(one.split(mark)[:2]) + end, *lines[index + 2 :]]), BAD_ROW, False),
        "no header": (b"".join(lines[1:]), NO, False),
        "the header alone": (lines[0], NO, False),
        "the header again": (b"".join([*lines[: index + 1], lines[0], *lines[index + 1 :]]), BAD_ROW, False),
        "another separator": (b"".join(lines).replace(mark, b";"), NO, False),
        "a column of the header twice": (b"".join([lines[0].replace(other.encode(), column.encode()), *lines[1:]]), NO, False),
    }


def _of_parquet(form: Format) -> dict[str, Spoilt]:
    good = pa.Table.from_pylist(form.rows)
    place = good.column_names.index(form.text)

    def of(table: pa.Table) -> bytes:
        stream = io.BytesIO()
        pq.write_table(table, stream)
        return stream.getvalue()

    def column(values: pa.Array, name: str = form.text) -> bytes:
        return of(good.set_column(good.column_names.index(name), name, values))

    n = len(good)
    texts = good[form.text].combine_chunks()
    whole = of(good)
    return {
        "numbers for text": (column(pa.array(range(n))), NO, False),
        "bytes for text": (column(texts.cast(pa.binary())), NO, False),
        "large strings": (column(texts.cast(pa.large_string())), OK, False),
        "a dictionary for text": (column(texts.dictionary_encode()), OK, False),
        "nulls for text": (column(pa.nulls(n, pa.string())), NO, False),
        "structs for text": (column(pa.array([{"a": "b"}] * n)), NO, False),
        "lists for text": (column(pa.array([["a"]] * n)), NO, False),
        "times beyond the calendar for a label": (column(pa.array([2**62] * n, pa.timestamp("us")), form.label), NO, False),
        "times for a label": (column(pa.array([0] * n, pa.timestamp("ns")), form.label), NO, False),
        "durations for a label": (column(pa.array([2**62] * n, pa.duration("ms")), form.label), NO, False),
        "floats for a label": (column(pa.array([0.0] * n), form.label), NO, False),
        "nan for a label": (column(pa.array([float("nan")] * n), form.label), NO, False),
        "decimals for a label": (column(pa.array(range(n), pa.int64()).cast(pa.decimal128(20, 0)), form.label), NO, False),
        "a column twice": (of(good.append_column(form.text, texts.take(pa.array(range(n - 1, -1, -1))))), NO, False),
        "bytes that are no text": (column(pa.array([b"\xff\xfe"] * n, pa.binary()).view(pa.string())), NO, False),
        "no rows": (of(good.slice(0, 0)), NO, False),
        "no columns": (of(good.select([])), NO, False),
        "a column gone": (of(good.remove_column(place)), NO, False),
        "a footer too long": (whole[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1", NO, False),
        "another magic": (whole[:-4] + b"PARE", NO, False),
        "the magic alone": (b"PAR1PAR1", NO, False),
    }


# ---- through the pipeline ------------------------------------------------------------------------------------------------------------


def _settings(name: str, form: Format, block: dict[str, Any], share: float) -> dict[str, Any]:
    dataset = {
        "source": "file", "task": form.task, "licence": "CC0-1.0", "seed": 0,
        "splits": dict.fromkeys(block), "files": block, "max_malformed_share": share,
    }  # fmt: skip
    if form.task == "nli":
        dataset["labels"] = form.block["labels"]
    return {"scale": "s", "s": {"datasets": {name: dataset}}}


def prepared(folder: Path, name: str, form: Format, spoilt: Spoilt, share: float) -> str:
    """Prepare a data set whose train file is spoilt, in `folder`, and say how its rows came out. Raises what the stage raises."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    block: dict[str, Any] = {}
    for split in ("train", "validation", *(["test"] if form.task != "pretraining" else [])):
        path = folder / f"{split}.{form.file_format}"
        own = _formats(split)[name]
        _put(path, spoilt[0] if split == "train" else own.write(own.rows))
        sha256 = files.sha256_file(path) if path.is_file() else "0" * 64
        more = {key: form.block[key] for key in ("columns", "kind") if key in form.block}
        block[split] = [{"path": path.name, "format": form.file_format, "sha256": sha256, **more}]
    (folder / "params.yaml").write_text(json.dumps(_settings("d", form, block, share)), encoding="utf-8")
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        _stage()(Namespace(dataset="d", out=Path("data/d")))
    card = files.read_json(folder / "data/d/card.json")
    return _accounted(folder, card, form, loose=spoilt[2])


_LOADED: dict[str, Any] = {}


def _stage() -> Callable[[Namespace], None]:
    if not _LOADED:
        _LOADED.update(runpy.run_path(str(ROOT / "stages/prepare.py"), run_name="read"))
    return _LOADED["main"]


def _put(path: Path, content: bytes | str) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "folder":
        path.mkdir()
    elif content == "fifo":
        os.mkfifo(path)
    elif content == "loop":
        path.symlink_to(path.name)
    elif content == "device":
        path.symlink_to("/dev/zero")


def _accounted(folder: Path, card: dict[str, Any], form: Format, loose: bool) -> str:
    """The outcome of rows that were read. Raises WronglyAcceptedError for a row from nowhere, or one that is not accounted for."""
    read = card["read"]["train"]
    num_malformed, num_dropped = read["malformed"]["num_rows"], sum(read["dropped"].values())
    rows = pq.read_table(folder / "data/d/train.parquet").to_pylist()
    columns = {"nli": ("premise", "hypothesis"), "instructions": ("instruction", "output"), "pretraining": ("text",)}[form.task]
    for row in rows:
        for column in columns:
            if not row[column].strip() or "\0" in row[column]:
                raise WronglyAcceptedError(f"{column} {row[column][:80]!r}")
        if form.task == "nli" and row["label"] not in (0, 1, 2):
            raise WronglyAcceptedError(f"label {row['label']}")
    known = {_key(row, form) for row in form.rows}
    if strange := [row for row in rows if not loose and _key(row, form) not in known]:
        raise WronglyAcceptedError(f"a row from nowhere: {str(strange[0])[:300]}")
    if len(rows) + num_malformed + num_dropped != read["num_rows"]:
        raise WronglyAcceptedError(f"{read['num_rows']} read, {len(rows)} written, {num_malformed} malformed, {num_dropped} dropped")
    if num_malformed and not read["malformed"]["first"]:
        raise WronglyAcceptedError("malformed rows are counted, and none is named")
    return NAMED if num_malformed else ACCEPTED


def _key(row: dict[str, Any], form: Format) -> tuple[str, ...]:
    names = {"nli": (("premise", "sentence1"), ("hypothesis", "sentence2")), "instructions": (("instruction",), ("output",))}
    wanted = names.get(form.task, (("text",),))
    return tuple(str(next(row[name] for name in usual if name in row)) for usual in wanted)


def _pairs(folder: Path, form: Format, spoilt: Spoilt) -> None:
    """The same file as `ftbench predict --file` checks it."""
    path = folder / f"pairs.{form.file_format}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _put(path, spoilt[0])
    pair_files.check(path)


def _of_the_hub(folder: Path, form: Format, spoilt: Spoilt) -> str:
    """The same file as a data set of the hub: `datasets` takes a folder of its name for the repository."""
    import datasets

    shutil.rmtree(folder, ignore_errors=True)
    repository = folder / "someone/pairs"
    repository.mkdir(parents=True)
    block = {}
    for split in ("train", "validation", "test"):
        path = repository / f"{split}.{form.file_format}"
        _put(path, spoilt[0] if split == "train" else form.write(_plain_rows(split)))
        block[split] = [path.name]
    dataset = _settings("d", form, block, 0.5)
    dataset["s"]["datasets"]["d"] |= {"source": "hub", "repository": "someone/pairs", "revision": "0" * 40}
    (folder / "params.yaml").write_text(json.dumps(dataset), encoding="utf-8")
    before = datasets.config.HF_DATASETS_CACHE
    datasets.config.HF_DATASETS_CACHE = folder / "cache"
    try:
        with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
            _stage()(Namespace(dataset="d", out=Path("data/d")))
    finally:
        datasets.config.HF_DATASETS_CACHE = before
    return _accounted(folder, files.read_json(folder / "data/d/card.json"), form, loose=True)


def _plain_rows(split: str) -> list[dict[str, Any]]:
    return [_plain(number, split) for number in range(ROWS)]


def hub_cases(seed: int, folder: Path, only: int | None = None) -> Iterator[Case]:
    """Mutants of a file of a data set of the hub, in three formats."""
    for name, write in {"jsonl": _json_lines, "csv": _csv, "parquet": _parquet}.items():
        form = Format(name, "nli", {"labels": NUMBERS}, _plain_rows("train"), write, "premise", "label")
        rng = random.Random(f"{seed}-hub-{name}")
        spoilt = {**_of_bytes(write(form.rows), form, rng), **_of_rows(form, rng)}
        slow = {"longer than a row may be", "a long line of noise", "a device", "a pipe"}  # a hub holds no devices
        names = [what for what in sorted(spoilt) if what not in slow]
        yield Case("data: hub", f"{name}: as published", _hubbing(folder, form, (write(form.rows), OK, False)), OK)
        for what in names if only is None else rng.sample(names, only):
            yield Case("data: hub", f"{name}: {what}", _hubbing(folder, form, spoilt[what]), ANY, ("someone/pairs", "split train"))


def _hubbing(folder: Path, form: Format, spoilt: Spoilt) -> Callable[[], str]:
    return lambda: _of_the_hub(folder / "hub", form, spoilt)


def cases(seed: int, folder: Path, shares: tuple[float, ...] = (0.0, 0.5), only: int | None = None) -> Iterator[Case]:
    """Every mutant of every format, at each share of malformed rows that is let through; `only` some of each format, drawn by the seed."""
    yield from hub_cases(seed, folder, None if only is None else 2)
    for name, form in _formats("train").items():
        rng = random.Random(f"{seed}-{name}")
        spoilt = {**_of_bytes(form.write(form.rows), form, rng), **_of_rows(form, rng)}
        chosen = sorted(spoilt) if only is None else rng.sample(sorted(spoilt), min(only, len(spoilt)))
        yield Case(f"data: {name}", "as published", _preparing(folder / "case", name, form, (form.write(form.rows), OK, False), 0.0), OK)
        for what in chosen:
            for share in shares:
                act = _preparing(folder / "case", name, form, spoilt[what], share)
                expected = spoilt[what][1] - ({NAMED} if share == 0 else set())
                yield Case(f"data: {name}", f"{what}, share {share:g}", act, frozenset(expected), ("train.", "split train"))
            if form.file_format in ("jsonl", "csv") and name in ("pairs_csv", "snli_jsonl"):
                yield Case(
                    "data: file for predict",
                    f"{name}: {what}",
                    _checking(folder / "case", form, spoilt[what]),
                    frozenset({ACCEPTED, REFUSED}),
                )


def _preparing(folder: Path, name: str, form: Format, spoilt: Spoilt, share: float) -> Callable[[], str]:
    return lambda: prepared(folder, name, form, spoilt, share)


def _checking(folder: Path, form: Format, spoilt: Spoilt) -> Callable[[], None]:
    return lambda: _pairs(folder, form, spoilt)
