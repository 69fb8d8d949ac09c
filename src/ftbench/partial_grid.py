"""A study without the arms and baselines that did not finish, for a comparison of the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ftbench import grid, predictions
from ftbench.errors import Problem, UserError
from ftbench.predictions import Entry
from ftbench.schema import Study

TRACKED = Path("reports")


def present(report: Path, rows: Iterable[Entry]) -> tuple[list[Entry], list[str]]:
    """The rows whose every file is there, and the names of the others."""
    rows = list(rows)
    found = [row for row in rows if all(path.is_file() for paths in predictions.expected_files(report, [row]).values() for path in paths)]
    return found, [row.name for row in rows if row not in found]


def without(study: Study, absent: Sequence[str], report: Path) -> Study:
    """The study without what is absent: baselines, and its reference arm where that is. Raises UserError where no arm is left."""
    if not set(grid.arms(study)) - set(absent):
        raise UserError(Problem(str(report), "no arm of the study has all its files", "one at least", "run `ftbench repro`"))
    kept = {"baselines": [name for name in study.baselines if name not in absent]}
    kept["three_shot"] = [name for name in study.three_shot if grid.with_examples(name) not in absent]
    return study.model_copy(update={**kept, "reference": None if study.reference in absent else study.reference})


def refuse_tracked(out: Path) -> None:
    """Raises UserError for a folder of the report that git keeps: a partial comparison never stands there."""
    if out.resolve().is_relative_to(TRACKED.resolve()):
        raise UserError(Problem("--out", str(out), f"with --partial a folder elsewhere than under {TRACKED}/"))
