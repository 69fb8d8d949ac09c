"""Does a pretraining text hold a test example? Exact, at word boundaries, blind to case and spacing, in one pass over the documents."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ftbench import files
from ftbench.errors import Problem, UserError

KEY = 16  # characters of an example's first part by which documents are searched
_SPACES = re.compile(r"\s+")
_WORD_START = re.compile(r"(?<!\w)\S")
_PARTS = (("premise", "hypothesis"), ("instruction", "input", "output"))

Example = tuple[str, ...]


def test_examples(folder: Path) -> Iterator[tuple[str, Example]]:
    """Every example of a data set's test splits as (`snli/test/<id>`, its parts). Raises UserError if there is no test split."""
    paths = sorted(folder.glob("test*.parquet"))
    if not paths:
        mend = f"run `dvc repro prepare@{folder.name}`, which writes it"
        raise UserError(Problem(str(folder), "no test split (test*.parquet)", mend=mend))
    for path in paths:
        table = files.read_parquet(path)
        columns = next((parts for parts in _PARTS if set(parts) <= set(table.column_names)), None)
        if columns is None:
            allowed = "premise and hypothesis, or instruction, input and output"
            raise UserError(Problem(str(path), "columns " + ", ".join(table.column_names), allowed=allowed))
        for row in table.select(["id", *columns]).to_pylist():
            yield f"{folder.name}/{path.stem}/{row['id']}", tuple(row[column] or "" for column in columns)


def shared(documents: Iterable[str], examples: Mapping[str, Example] | Iterable[tuple[str, Example]]) -> list[tuple[str, int]]:
    """The examples all of whose parts stand in one document, as (name, number of the first such document), in order of discovery."""
    pairs = examples.items() if isinstance(examples, Mapping) else examples
    by_key: dict[str, dict[str, list[tuple[str, Sequence[str]]]]] = defaultdict(lambda: defaultdict(list))
    for name, parts in pairs:
        plain = [text for text in map(_plain, parts) if text]
        if plain:
            by_key[plain[0][:KEY]][plain[0]].append((name, plain[1:]))
    sizes = sorted({len(key) for key in by_key})
    found: dict[str, int] = {}
    for number, document in enumerate(documents):
        text = _plain(document)
        for match in _WORD_START.finditer(text):
            for size in sizes:
                for first, candidates in by_key.get(text[match.start() : match.start() + size], {}).items():
                    if not text.startswith(first, match.start()) or not _ends_word(text, match.start() + len(first)):
                        continue
                    for name, others in candidates:
                        if name not in found and all(_holds(text, other) for other in others):
                            found[name] = number
    return list(found.items())


def _plain(text: str) -> str:
    return _SPACES.sub(" ", text).strip().casefold()


def _ends_word(text: str, end: int) -> bool:
    return end >= len(text) or not (text[end].isalnum() and text[end - 1].isalnum())


def _holds(text: str, part: str) -> bool:
    start = text.find(part)
    while start >= 0:
        begins = start == 0 or not (text[start - 1].isalnum() and part[0].isalnum())
        if begins and _ends_word(text, start + len(part)):
            return True
        start = text.find(part, start + 1)
    return False
