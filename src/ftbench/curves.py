"""Learning curves: one CSV per arm with all its seeds, and what is read off it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from ftbench.errors import Problem, UserError

LOGGED = ("step", "epoch", "loss", "learning_rate", "grad_norm", "eval_loss", "eval_accuracy")  # as a train script writes them
COLUMNS = ("seed", *LOGGED)

Row = dict[str, float | None]
Curve = list[Row]


def read(path: Path, columns: Sequence[str] = COLUMNS) -> Curve:
    """The rows of a curve; an empty cell is None. Raises UserError for a missing file, other columns, or a cell that is not finite."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(Problem(str(path), "no such file", mend="run `dvc repro`, which writes it")) from None
    except UnicodeDecodeError as error:
        raise UserError(Problem(str(path), f"not UTF-8: {error}", mend="delete it and run `dvc repro`")) from None
    reader = csv.DictReader(io.StringIO(text))
    if tuple(reader.fieldnames or ()) != tuple(columns):
        found = ", ".join(reader.fieldnames or ()) or "an empty file"
        raise UserError(Problem(str(path), found, allowed=f"the columns {', '.join(columns)}", mend="delete it and run `dvc repro`"))
    return [{name: _number(path, reader.line_num, name, row[name]) for name in columns} for row in reader]


def _number(path: Path, line: int, name: str, cell: str | None) -> float | None:
    if cell == "":
        return None
    try:
        value = float(cell or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(
            Problem(f"{path}, line {line}", f"{name} is {cell!r}", allowed="a finite number or an empty cell", mend="train this arm again")
        )
    return value


def merged(report: Path, stems: Mapping[int, str]) -> str:
    """The learning curves of an arm's seeds ({seed: file stem}) as one CSV, with the seed in front."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for seed, stem in stems.items():
        path = report / "learning" / f"{stem}.csv"
        read(path, LOGGED)  # refuses what is not a curve; the cells themselves are kept as they were written
        with path.open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                writer.writerow([seed, *(row[name] for name in LOGGED)])
    return out.getvalue()


def by_seed(curve: Curve) -> dict[int, Curve]:
    """The rows of each seed, in the order of their steps."""
    found: dict[int, Curve] = {}
    for row in curve:
        assert row["seed"] is not None
        found.setdefault(int(row["seed"]), []).append(row)
    return {seed: sorted(rows, key=lambda row: row["step"] or 0.0) for seed, rows in found.items()}


def series(curve: Curve, name: str, against: str = "epoch") -> list[tuple[float, float]]:
    """The points (`against`, `name`) of a curve where both were logged."""
    return [(x, y) for row in curve if (x := row[against]) is not None and (y := row[name]) is not None]


def mean_series(curve: Curve, name: str, against: str = "epoch") -> list[tuple[float, float]]:
    """`series` averaged over the seeds, at the places that every seed logged."""
    seeds = [dict(series(rows, name, against)) for rows in by_seed(curve).values()]
    if not seeds:
        return []
    shared = sorted(set(seeds[0]).intersection(*seeds[1:]))
    return [(x, sum(points[x] for points in seeds) / len(seeds)) for x in shared]
