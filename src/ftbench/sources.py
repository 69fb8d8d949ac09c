"""The three kinds of source behind one schema: `generated`, `file` and `hub`, each as a stream of rows under our column names.

A row is yielded with its place (file and line, so that a person can look) and is either its fields, still as published, or a sentence
that says why it cannot be read. What the fields must hold is checked in `cleaning`.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftbench import files, sources_files, sources_parquet
from ftbench.errors import Problem, UserError, nearest
from ftbench.schema_datasets import DataFile, Dataset, FileDataset, GeneratedDataset, HubDataset
from ftbench.sources_files import Row

# our name -> what publishers call it, the first that a file has; official files hold single annotators' labels beside the gold label
PUBLISHED: dict[str, dict[str, tuple[str, ...]]] = {
    "nli": {
        "premise": ("premise", "sentence1"),
        "hypothesis": ("hypothesis", "sentence2"),
        "label": ("gold_label", "label"),
        "id": ("pairID", "id"),
        "genre": ("genre",),
        "phenomenon": ("phenomenon",),
    },
    "instructions": {"instruction": ("instruction",), "output": ("output",), "input": ("input",), "id": ("id",), "kind": ("kind",)},
}
REQUIRED = {"nli": ("premise", "hypothesis", "label"), "instructions": ("instruction", "output")}


def rows(dataset: Dataset, split: str) -> Iterator[tuple[str, Row]]:
    """Stream the rows of a split as (place, fields under our names or what is wrong). Raises UserError for a source that cannot be read."""
    if isinstance(dataset, GeneratedDataset):
        yield from _generated(dataset, split)
    elif isinstance(dataset, FileDataset):
        for file in dataset.files[split]:  # type: ignore[index]
            yield from _from_file(dataset, file)
    else:
        yield from _from_hub(dataset, split)


def own_splits(dataset: Dataset) -> list[str]:
    """The splits that the source holds itself; the others are cut from train."""
    return [split for split in dataset.splits.sizes() if isinstance(dataset, GeneratedDataset) or split in dataset.files]


def verify(dataset: Dataset) -> list[Problem]:
    """Every problem with the files of a `file` source: missing, not a file, changed since it was pinned, or given to two splits."""
    problems: list[Problem] = []
    if not isinstance(dataset, FileDataset):
        return problems
    known: list[tuple[str, str, DataFile]] = []
    for split, split_files in dataset.files.items():
        for file in split_files:
            path = Path(file.path)
            if not path.is_file():
                found = "a folder, not a file" if path.is_dir() else "no such file"
                problems.append(Problem(file.path, found, mend="give the path of a file, from the repository's root or absolute"))
                continue
            found = files.sha256_file(path)
            if found != file.sha256:
                mend = "fetch the file that was meant, or run `ftbench pin` if the change is meant"
                problems.append(Problem(file.path, f"sha256 {found}: the file has changed", allowed=f"sha256 {file.sha256}", mend=mend))
            for owner, sha256, other in known:
                if owner != split and sha256 == found and _rows_meet(file, other):
                    mend = "give each split its own file, or its own rows with first_row and last_row"
                    problems.append(Problem(file.path, f"the same rows for the splits {owner} and {split}", mend=mend))
            known.append((split, found, file))
    return problems


def _rows_meet(first: DataFile, second: DataFile) -> bool:
    ends = [file.last_row or sys.maxsize for file in (first, second)]
    return max(first.first_row, second.first_row) <= min(ends)


def inputs(dataset: Dataset) -> list[dict[str, Any]]:
    """What went in, for the card: generator, or each file with its hash and size, or repository, revision and files."""
    if isinstance(dataset, GeneratedDataset):
        return [{"generator": generator, "description": description} for generator, description in _generators(dataset).items()]
    if isinstance(dataset, FileDataset):
        return [
            {"split": split, "num_bytes": Path(file.path).stat().st_size, **file.model_dump(exclude_unset=True)}
            for split, split_files in dataset.files.items()
            for file in split_files
        ]
    return [
        {"split": split, "repository": dataset.repository, "revision": dataset.revision, "files": list(patterns)}
        for split, patterns in dataset.files.items()
    ]


def _generators(dataset: GeneratedDataset) -> dict[str, str]:
    from ftbench import corpus, instructions, pairs

    modules = {"nli": [pairs], "instructions": [instructions], "pretraining": [corpus, instructions]}[dataset.task]
    return {module.__name__: " ".join((module.__doc__ or "").split()) for module in modules}


def _generated(dataset: GeneratedDataset, split: str) -> Iterator[tuple[str, Row]]:
    from ftbench import corpus, instructions, pairs

    size = dataset.splits.sizes()[split] or 0
    made: Iterator[dict[str, Any]]
    if dataset.task == "nli":
        genres = dataset.mismatched_genres if split == "test_mismatched" else dataset.genres
        # matched and mismatched tests draw from the same share of the premises: their genres already tell them apart
        made = pairs.generate(split.partition("_")[0], size, dataset.seed, genres or [])
    elif dataset.task == "instructions":
        made = instructions.generate(split, size, dataset.seed)
    else:
        num_instructions = round(size * (dataset.instruction_share or 0.0))
        worlds = corpus.documents(split, size - num_instructions, dataset.seed)
        made = interleave(worlds, size - num_instructions, instructions.documents(split, num_instructions, dataset.seed), num_instructions)
    for number, fields in enumerate(made, start=1):
        yield f"generated {split}, row {number}", {**fields, "id": None}


def interleave(first: Iterator[Any], num_first: int, second: Iterator[Any], num_second: int) -> Iterator[Any]:
    """Two streams of known lengths as one, each spread evenly over the whole."""
    due = 0
    for _ in range(num_first + num_second):
        due += num_second
        if due >= num_first + num_second:
            due -= num_first + num_second
            yield from itertools.islice(second, 1)
        else:
            yield from itertools.islice(first, 1)


def _from_file(dataset: FileDataset, file: DataFile) -> Iterator[tuple[str, Row]]:
    path = Path(file.path)
    if file.columns is not None:
        for place, row in _range(sources_files.read(path, file.format, file.columns), file):
            yield place, row if isinstance(row, str) else _joined(row, file)
        return
    found = sources_files.names(path, file.format)
    if not found:  # nothing readable: let the reader say what, if there is anything to say
        yield from _range(sources_files.read(path, file.format, []), file)
        return
    columns = resolve(dataset.task, dataset.columns or {}, found, f"{path}:1")
    for place, row in _range(sources_files.read(path, file.format, list(columns.values())), file):
        yield place, row if isinstance(row, str) else _renamed(row, columns)


def _range(placed: Iterator[tuple[str, Row]], file: DataFile) -> Iterator[tuple[str, Row]]:
    return itertools.islice(placed, file.first_row - 1, file.last_row)


def _joined(row: Mapping[str, Any], file: DataFile) -> Row:
    """A document: the text columns that are not empty, a line each."""
    texts = []
    for column in file.columns or []:
        text = row.get(column, "" if column in row else 0)
        if text is not None and not isinstance(text, str):
            return f"'{column}' is {type(text).__name__}, not text" if column in row else f"no column '{column}'"
        if text and not text.isspace():
            texts.append(text)
    return {"text": "\n".join(texts), "kind": file.kind}


def _renamed(row: Mapping[str, Any], columns: Mapping[str, str]) -> Row:
    return {ours: row[theirs] for ours, theirs in columns.items() if theirs in row}


def resolve(task: str, given: Mapping[str, str], found: Sequence[str], where: str) -> dict[str, str]:
    """Our column names -> a file's: as `given`, else the publishers' usual names. Raises UserError for every column that is not there."""
    columns: dict[str, str] = {}
    problems = []
    shown = sources_parquet.printable(found)
    for ours, usual in PUBLISHED[task].items():
        candidates = (given[ours],) if ours in given else usual
        name = next((name for name in candidates if name in found), None)
        if name is not None:
            columns[ours] = name
        elif ours in given or ours in REQUIRED[task]:
            mend = nearest(candidates[0], shown) or f"name the file's column for '{ours}' under `columns`"
            problems.append(Problem(where, f"no column '{candidates[0]}' for '{ours}'", allowed=", ".join(shown), mend=mend))
    for ours in given:
        if ours not in PUBLISHED[task]:
            mend = nearest(ours, PUBLISHED[task])
            problems.append(Problem(f"columns.{ours}", "not a column of ours", allowed=", ".join(PUBLISHED[task]), mend=mend))
    if problems:
        raise UserError(problems)
    return columns


def _from_hub(dataset: HubDataset, split: str) -> Iterator[tuple[str, Row]]:
    """Rows of a repository at its pinned commit. Only data files are read: `datasets` 4 and later run no code of a repository."""
    import datasets

    datasets.disable_progress_bars()
    where = f"{dataset.repository}@{dataset.revision[:12]} {split}"
    patterns = {split: list(dataset.files[split])}  # type: ignore[index]
    try:
        table = datasets.load_dataset(dataset.repository, data_files=patterns, revision=dataset.revision, split=split)
    except (datasets.exceptions.DatasetNotFoundError, FileNotFoundError) as error:
        mend = "check repository, revision and files; log in with `hf auth login` if it is gated"
        raise UserError(Problem(where, f"not found: {error}", mend=mend)) from None
    except Exception as error:
        raise _unreadable(where, error) from None
    columns = resolve(dataset.task, dataset.columns or {}, table.column_names, where)
    problem = _label_order(dataset, table.features.get(columns.get("label", "")), where)
    if problem:
        raise UserError(problem)
    try:
        for number, row in enumerate(table, start=1):
            yield f"{where}, row {number}", _renamed(row, columns)
    except Exception as error:
        raise _unreadable(where, error) from None


def _unreadable(where: str, error: Exception) -> Exception:
    """What to raise for what a repository's files made `datasets` raise: whatever it is, it is about them, unless the machine or the
    network is at fault."""
    cause = error.__cause__ or error
    network = {"huggingface_hub", "httpx", "httpx2", "requests", "aiohttp"}
    for one in (error, cause):
        at_fault = isinstance(one, (ConnectionError, TimeoutError, MemoryError)) or type(one).__module__.split(".")[0] in network
        if at_fault or getattr(one, "errno", None) is not None:
            return error
    reason = str(cause).strip().splitlines()[0][:500] if str(cause).strip() else type(cause).__name__
    return UserError(Problem(where, f"not readable: {reason}", mend="take a revision whose files are whole, or mend `files`"))


def _label_order(dataset: HubDataset, feature: Any, where: str) -> Problem | None:
    """A publisher's own names for its label numbers must agree with `labels`: the order differs between distributions."""
    published = {name.lower(): number for number, name in enumerate(getattr(feature, "names", None) or [])}
    wanted = dataset.labels.model_dump() if dataset.labels else {}
    wrong = {name: published[name] for name, value in wanted.items() if isinstance(value, int) and published.get(name, value) != value}
    if not wrong:
        return None
    said = ", ".join(f"{name}: {number}" for name, number in wrong.items())
    return Problem(f"{where} labels", f"the publisher's numbers are {said}", mend="write the publisher's numbers under `labels`")
