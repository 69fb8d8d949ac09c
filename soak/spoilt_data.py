"""Ways to spoil a data file: damage to its bytes, and rows that are written well and mean something else, or nothing."""

from __future__ import annotations

import io
import json
import random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from data_formats import ROWS, Format
from judging import ACCEPTED, NAMED, REFUSED

LONG = 10 * 2**20  # characters of a line that is only long, and of a file that is no text at all
OK, NO = frozenset({ACCEPTED}), frozenset({REFUSED})
ANY = frozenset({ACCEPTED, NAMED, REFUSED})
BAD_ROW = frozenset({NAMED, REFUSED})
# (the file, or what to put in its place; the outcomes that are right; whether other rows than the good ones may come out)
Spoilt = tuple[bytes | str, frozenset[str], bool]


def _lines(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


def of_bytes(good: bytes, form: Format, rng: random.Random) -> dict[str, Spoilt]:
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


def of_rows(form: Format, rng: random.Random) -> dict[str, Spoilt]:
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
