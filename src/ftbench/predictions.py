"""The predictions of a study's grid, read for comparison: enumerated from params, checked against each other and against their scores."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbench import files
from ftbench.errors import Problem, UserError
from ftbench.text import LABELS

TOLERANCE = 1e-6  # between a score and the same score worked out again: sums in another order
FIRST_SPLITS = ("test", "test_matched")
TESTS = (*FIRST_SPLITS, "test_mismatched")  # of a study's own data set; those of another are named `<data set>/<split>`
VALIDATION = "validation"
Rows = NDArray[Any]


@dataclass(frozen=True)
class Entry:
    """One row of a study: an arm, or a baseline, and the seeds it ran at. `levels` is empty for a baseline."""

    name: str
    trained: bool
    seeds: tuple[int, ...]
    levels: dict[str, str] = field(default_factory=dict)

    def stems(self) -> list[str]:
        """The names of its files, without suffix: one per seed."""
        return [f"{self.name}-{seed}" for seed in self.seeds]


@dataclass(frozen=True)
class Predictions:
    """What an entry said to one split, in the order of its examples: `columns` [items], and `by_seed` [seeds, items]."""

    columns: dict[str, Rows]
    by_seed: dict[str, Rows]

    def __len__(self) -> int:
        return len(self.columns["example_hash"])


def entries(arms: Iterable[str], factors: dict[str, list[str]], baselines: Iterable[str], seeds: Sequence[int]) -> list[Entry]:
    """The rows of a study from its design: each arm at every seed, then each baseline, which is scored once, at seed 0."""
    trained = [Entry(arm, True, tuple(seeds), dict(zip(factors, arm.split("-"), strict=True))) for arm in arms]
    return trained + [Entry(baseline, False, (0,)) for baseline in baselines]


def expected_files(report: Path, rows: Iterable[Entry]) -> dict[str, list[Path]]:
    """The files that a study's comparison reads, by folder: predictions, scores, learning curves, costs and resources of all."""
    found: dict[str, list[Path]] = {"predictions": [], "scores": [], "learning": [], "costs": [], "resources": []}
    for entry in rows:
        for stem in entry.stems():
            found["predictions"].append(report / "predictions" / f"{stem}.parquet")
            found["scores"].append(report / "scores" / f"{stem}.json")
            found["costs"].append(report / "costs" / f"{stem}-evaluate.json")
            if entry.trained:
                found["learning"].append(report / "learning" / f"{stem}.csv")
                found["costs"].append(report / "costs" / f"{stem}-train.json")
                found["resources"].append(report / "resources" / f"{stem}.csv")
    return found


def refuse_missing(expected: dict[str, list[Path]]) -> None:
    """Raises UserError naming every file of the grid that is not there."""
    missing = [path for paths in expected.values() for path in paths if not path.is_file()]
    if missing:
        mend = "run `dvc repro`, which writes it, or take its arm, seed or baseline out of params.yaml"
        raise UserError(
            [Problem(str(path), "no such file", allowed="a file for every arm, seed and baseline", mend=mend) for path in missing]
        )


def orphans(report: Path, expected: dict[str, list[Path]]) -> list[str]:
    """Files in the study's folders that belong to no arm, seed or baseline: read by nothing, named so that they do not mislead."""
    return sorted(
        path.relative_to(report).as_posix()
        for folder, paths in expected.items()
        for path in (report / folder).glob("*")
        if path not in set(paths) and not path.name.startswith(".")
    )


def are_of_pairs(path: Path) -> bool:
    """Whether a predictions file is about sentence pairs, which have a gold label, and not about instructions."""
    return "gold" in files.read_parquet(path).column_names


def _column(table: Any, name: str) -> Rows:
    column = table.column(name)
    if column.type in ("string", "large_string"):  # the same in every file of a study, and interned kept once
        return np.array([value if value is None else sys.intern(value) for value in column.to_pylist()], dtype=object)
    return np.array(column.to_pylist(), dtype=object) if column.null_count else np.asarray(column.to_numpy(zero_copy_only=False))


def read(report: Path, entry: Entry, shared: Sequence[str], per_seed: Sequence[str]) -> dict[str, Predictions]:
    """The predictions of an entry by split. Raises UserError for a broken file, a missing column, or seeds that saw different examples."""
    tables = []
    for stem in entry.stems():
        path = report / "predictions" / f"{stem}.parquet"
        table = files.read_parquet(path)
        lacking = [name for name in (*shared, *per_seed) if name not in table.column_names]
        if lacking:
            raise UserError(Problem(str(path), f"no column {', '.join(lacking)}", mend="delete it and run `dvc repro`"))
        tables.append({name: _column(table, name) for name in (*shared, *per_seed)})
    first = tables[0]
    for stem, other in zip(entry.stems()[1:], tables[1:], strict=True):
        for name in ("split", "example_hash", "prompt_hash"):
            refuse_unequal(
                f"{report}/predictions/{entry.stems()[0]}.parquet", first[name], f"{report}/predictions/{stem}.parquet", other[name], name
            )
    splits = first["split"]
    found = {}
    for split in dict.fromkeys(splits.tolist()):
        rows = splits == split
        found[str(split)] = Predictions(
            {name: first[name][rows] for name in shared},
            {name: np.stack([table[name][rows] for table in tables]) for name in per_seed},
        )
    return found


def refuse_unequal(where: str, ours: Rows, other: str, theirs: Rows, what: str) -> None:
    """Raises UserError where two files' rows differ in `what`: their scores cannot be paired."""
    if len(ours) != len(theirs):
        found = f"{len(theirs)} rows, against {len(ours)} in {where}"
    else:
        unequal = np.flatnonzero(ours != theirs)
        if not len(unequal):
            return
        found = f"{len(unequal)} of {len(ours)} rows differ in {what} from {where}, first in row {unequal[0]}"
    mend = "evaluate both again, on the same data and with the same prompt"
    raise UserError(Problem(other, found, allowed=f"the same {what} in the same order", mend=mend))


def first_split(splits: Iterable[str]) -> str:
    """The split that comparisons are made on: the test, or the matched one."""
    return next(split for split in splits if split in FIRST_SPLITS)


def nli_scores(gold: Rows, predicted: Rows, log_probabilities: Rows) -> dict[str, float]:
    """Accuracy, NLL and Brier score, and the confusion's cells, from predictions [items] and log-probabilities [items, 3]."""
    items = np.arange(len(gold))
    probabilities = np.exp(log_probabilities.astype(np.float64))
    target = np.zeros_like(probabilities)
    target[items, gold.astype(int)] = 1
    found = {
        "n": float(len(gold)),
        "accuracy": float((gold == predicted).mean()),
        "nll": float(-log_probabilities[items, gold.astype(int)].astype(np.float64).mean()),
        "brier": float(((probabilities - target) ** 2).sum(axis=1).mean()),
    }
    for row, cells in enumerate(confusion(gold, predicted)):
        found |= {f"confusion.{LABELS[row]}.{LABELS[column]}": float(cell) for column, cell in enumerate(cells)}
    return found


def confusion(gold: Rows, predicted: Rows) -> list[list[int]]:
    """How often each label (row, in the order of LABELS) was taken for each label (column)."""
    size = len(LABELS)
    return np.bincount(gold.astype(int) * size + predicted.astype(int), minlength=size * size).reshape(size, size).tolist()


def refuse_edited(path: Path, split: str, scores: dict[str, Any], again: dict[str, float]) -> None:
    """Raises UserError where a scores file does not say what its predictions give: one of the two was changed by hand."""
    if split not in scores:
        raise UserError(Problem(str(path), f"no scores for the split {split}", mend="delete it and run `dvc repro`"))
    stated = dict(scores[split])
    if "confusion" in stated:
        for row, cells in enumerate(stated.pop("confusion")):
            stated |= {f"confusion.{LABELS[row]}.{LABELS[column]}": cell for column, cell in enumerate(cells)}
    problems = []
    for name, value in again.items():
        found = stated.get(name)
        if found is None or not math.isclose(found, value, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            problems.append(
                Problem(
                    f"{path}: {split}.{name}",
                    f"{found}",
                    allowed=f"{value:.6g}, which the predictions beside it give",
                    mend="evaluate this arm again",
                )
            )
    if problems:
        raise UserError(problems)
