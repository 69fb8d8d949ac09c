"""Files of sentence pairs that a user brings: checked whole before anything slow, read again in chunks, written with columns added.

JSON lines or CSV with a header, in UTF-8, by the ending of the name. `premise` and `hypothesis` are needed, `label` may be there (a word of
LABELS or its number; -1, "-", empty or null for none), other columns are kept as they are. Memory does not grow with the file.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ftbench import sources_files
from ftbench.cleaning import NO_GOLD
from ftbench.errors import Problem, UserError, nearest
from ftbench.tables import inert
from ftbench.text import LABELS

FORMATS = {".jsonl": "jsonl", ".csv": "csv"}
NEEDED = ("premise", "hypothesis")
ADDED = ("predicted", *(f"probability_{label}" for label in LABELS))
GOLD = {word: number for number, label in enumerate(LABELS) for word in (label, str(number))}
MOST = 20  # mistakes that are named; the others are counted
LONGEST_CHUNK = 2**22  # characters: few rows of very long texts make a chunk too

Fields = dict[str, Any]


@dataclass(frozen=True)
class Checked:
    """A file in which every row is good: its rows, all its columns in order of appearance, and what it was when it was read."""

    path: Path
    num_rows: int
    columns: tuple[str, ...]
    state: tuple[int, ...]


def file_format(path: Path, option: str) -> str:
    """The format of a file by its ending. Raises UserError for an ending that is neither."""
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise UserError(Problem(f"{option} {inert(path)}", f"the ending '{inert(path.suffix)}'", allowed=", ".join(FORMATS)))
    return found


def gold(fields: Mapping[str, Any]) -> int | None:
    """The label of a row as its number in LABELS, None if it has none. Raises ValueError, with a sentence, for what is no label."""
    value = fields.get("label")
    if isinstance(value, bool) or not isinstance(value, (str, int, type(None))):
        raise ValueError(f"'label' is {type(value).__name__}, neither a word nor a whole number")
    word = "" if value is None else str(value).strip()
    if word not in GOLD and word not in NO_GOLD:
        raise ValueError(f"the label '{inert(word[:200], 40)}' is none of {', '.join(GOLD)}, and not -1 or empty for none")
    return GOLD.get(word)


def text_fault(value: Any) -> str:
    """What is wrong with a premise or a hypothesis, in words that follow its name; "" if nothing is."""
    if not isinstance(value, str):
        return "is missing" if value is None else f"is {type(value).__name__}, not text"
    if not value.strip():
        return "is empty"
    return "holds a NUL character" if "\0" in value else ""


def check(path: Path) -> Checked:
    """Read a file whole and keep nothing of it. Raises UserError with every mistake, the first MOST of them each with its line."""
    found: list[Problem] = []
    columns: dict[str, None] = {}
    num_rows = num_bad = 0
    kind = file_format(path, "--file")
    if not path.is_file():
        raise UserError(Problem(f"--file {inert(path)}", "no such file", allowed="a file of sentence pairs"))
    state = _state(path)
    try:
        for place, row in sources_files.read(path, kind, []):
            if num_rows == 0 and kind == "csv":
                columns = _header(path, found)
            num_rows += 1
            known = len(columns)
            faults = (
                [row] if isinstance(row, str) else _faults(row, NEEDED if kind == "jsonl" else [name for name in NEEDED if name in row])
            )
            columns |= dict.fromkeys(row) if isinstance(row, dict) else {}
            faults += [_taken(name) for name in list(columns)[known:] if name in ADDED]
            if faults and (num_bad := num_bad + 1) <= MOST:
                found.append(Problem(place, "; ".join(faults)))
    except UserError as error:  # what makes the rest of the file unreadable
        found += error.problems
    if num_bad > MOST:
        found.append(Problem(str(path), f"{num_bad - MOST} more rows with mistakes"))
    if not num_rows and not found:
        found.append(Problem(str(path), "no rows", allowed="at least one pair"))
    if found:
        raise UserError([harmless(problem) for problem in found])
    return Checked(path, num_rows, tuple(columns), state)


def harmless(problem: Problem) -> Problem:
    """A problem that may quote a file, without what a terminal would obey."""
    return Problem(*(inert(part) for part in (problem.where, problem.found, problem.allowed, problem.mend)))


def _header(path: Path, found: list[Problem]) -> dict[str, None]:
    """The columns of a CSV file that the reader could read; what is wrong with them is added to `found`."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        names = next(row for row in csv.reader(stream, strict=True) if row)
    where = f"{path}: header"
    lacking = [name for name in NEEDED if name not in names]
    found += [Problem(where, f"no column '{name}'", ", ".join(names), nearest(name, names)) for name in lacking]
    found += [Problem(where, _taken(name)) for name in ADDED if name in names]
    found += [Problem(where, f"the column '{name}' more than once") for name in dict.fromkeys(names) if names.count(name) > 1]
    return dict.fromkeys(names)


def _taken(name: str) -> str:
    return f"a column '{name}', which is one that the scores are written to: rename it"


def _faults(fields: Fields, needed: Sequence[str]) -> list[str]:
    found = [f"'{name}' {fault}" for name in needed if (fault := text_fault(fields.get(name)))]
    try:
        gold(fields)
    except ValueError as error:
        found.append(str(error))
    try:  # what cannot be written at the end is refused at the start
        json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        found.append("bytes that are not UTF-8, or half of a surrogate pair")
    except (ValueError, RecursionError):
        found.append("NaN or Infinity, which are not JSON, or values nested too deeply")
    return found


def _state(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def chunks(checked: Checked, num_rows: int) -> Iterator[list[Fields]]:
    """The rows of a checked file in order, at most `num_rows` at a time. Raises UserError if the file was changed since it was checked."""
    chunk: list[Fields] = []
    size = 0
    for _, row in sources_files.read(checked.path, file_format(checked.path, "--file"), []):
        if isinstance(row, str) or _faults(row, NEEDED):
            raise _changed(checked)
        chunk.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(chunk) == num_rows or size >= LONGEST_CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
    if _state(checked.path) != checked.state:
        raise _changed(checked)


def _changed(checked: Checked) -> UserError:
    return UserError(harmless(Problem(str(checked.path), "changed while it was scored", mend="run the command again")))


def writer(stream: IO[str], kind: str, columns: Sequence[str]) -> Callable[[Fields], None]:
    """Writes rows to `stream`, opened with newline="", as JSON lines, or as CSV under a header of `columns` (absent and null are empty)."""
    if kind == "jsonl":

        def write_line(fields: Fields) -> None:
            stream.write(json.dumps(fields, ensure_ascii=False, allow_nan=False) + "\n")

        return write_line
    # All texts in quotes: left to itself, Python 3.11 writes a carriage return without them, and the file would not read back.
    table = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    table.writerow(columns)
    return lambda fields: table.writerow([_cell(fields.get(name)) for name in columns])


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    is_plain = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    return value if is_plain else json.dumps(value, ensure_ascii=False)
