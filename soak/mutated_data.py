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
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from data_formats import NUMBERS, Format, csv_table, formats, json_lines, parquet_table, plain_rows
from judging import ACCEPTED, NAMED, REFUSED, Case, WronglyAcceptedError
from spoilt_data import ANY, OK, Spoilt, of_bytes, of_rows

from ftbench import files, pair_files

ROOT = Path(__file__).parents[1]


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
        own = formats(split)[name]
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
        _put(path, spoilt[0] if split == "train" else form.write(plain_rows(split)))
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


def hub_cases(seed: int, folder: Path, only: int | None = None) -> Iterator[Case]:
    """Mutants of a file of a data set of the hub, in three formats."""
    for name, write in {"jsonl": json_lines, "csv": csv_table, "parquet": parquet_table}.items():
        form = Format(name, "nli", {"labels": NUMBERS}, plain_rows("train"), write, "premise", "label")
        rng = random.Random(f"{seed}-hub-{name}")
        spoilt = {**of_bytes(write(form.rows), form, rng), **of_rows(form, rng)}
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
    for name, form in formats("train").items():
        rng = random.Random(f"{seed}-{name}")
        spoilt = {**of_bytes(form.write(form.rows), form, rng), **of_rows(form, rng)}
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
