"""What training used over time: an arm's resource samples thinned to a few points per seed, which git keeps. Costs, never results."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from ftbench import curves
from ftbench.errors import Problem, UserError

SAMPLED = ("seconds", "cpu_percent", "resident_bytes", "gpu_percent", "gpu_bytes")  # as a train stage samples them
COLUMNS = ("seed", *SAMPLED)
NUM_BINS = 50  # a page's width shows no more, and git keeps every version of these files


def merged(report: Path, stems: Mapping[int, str]) -> str:
    """The samples of an arm's seeds ({seed: file stem}), thinned, as one CSV with the seed in front. Raises UserError for a broken file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for seed, stem in stems.items():
        for row in thinned(samples(report / "resources" / f"{stem}.csv")):
            writer.writerow([seed, *(_cell(name, row[name]) for name in SAMPLED)])
    return out.getvalue()


def samples(path: Path) -> curves.Curve:
    """The samples of one training, in the order of time. Raises UserError for a broken file, no sample, or one without a time."""
    rows = curves.read(path, SAMPLED)
    if not rows:
        raise UserError(Problem(str(path), "no samples", allowed="at least one row", mend="train this arm again"))
    for line, row in enumerate(rows, start=2):
        for name in SAMPLED:
            value = row[name]
            if value is None and name == "seconds":
                raise UserError(Problem(f"{path}, line {line}", "no seconds", allowed="when it was sampled", mend="train this arm again"))
            if value is not None and value < 0:
                raise UserError(Problem(f"{path}, line {line}", f"{name} is {value:g}", allowed="0 or more", mend="train this arm again"))
    return sorted(rows, key=lambda row: row["seconds"] or 0.0)


def thinned(rows: curves.Curve) -> curves.Curve:
    """At most NUM_BINS rows, one per bin of equal time that holds a sample, at its last sample's second.

    Of bytes the most in the bin, so that a peak stays what it was; of percentages the mean, each sample weighing as long as it stands
    for: the time since the one before. The very first stands for none, and alone in its bin it gives no percentage.
    """
    width = (rows[-1]["seconds"] or 0.0) / NUM_BINS
    bins: dict[int, curves.Curve] = {}
    before = rows[0]["seconds"] or 0.0
    for row in rows:
        seconds = row["seconds"] or 0.0
        place = min(int(seconds / width), NUM_BINS - 1) if width else 0
        bins.setdefault(place, []).append({**row, "weight": seconds - before})
        before = seconds
    return [
        {
            "seconds": held[-1]["seconds"],
            **{name: (most if name.endswith("_bytes") else _mean)(held, name) for name in SAMPLED if name != "seconds"},
        }
        for held in bins.values()
    ]


def read(path: Path) -> curves.Curve:
    """An arm's usage as git keeps it. Raises UserError for a file that is missing or broken."""
    return curves.read(path, COLUMNS)


def series(rows: curves.Curve, name: str) -> list[tuple[float, float]]:
    """The points (seconds, `name`) of an arm's first seed; none where it was not measured."""
    return curves.series([row for row in rows if row["seed"] == rows[0]["seed"]], name, "seconds")


def quantities(arms: Mapping[str, curves.Curve]) -> tuple[str, str]:
    """The columns to show of memory and of utilisation: the GPU's where every arm has them, else the processor's, which all have."""
    on_gpu = bool(arms) and all(series(rows, "gpu_bytes") and series(rows, "gpu_percent") for rows in arms.values())
    return ("gpu_bytes", "gpu_percent") if on_gpu else ("resident_bytes", "cpu_percent")


def most(rows: Sequence[curves.Row], name: str) -> float | None:
    """The most of `name` in any row, or None where it was not measured."""
    return max((value for row in rows if (value := row[name]) is not None), default=None)


def _mean(rows: Sequence[curves.Row], name: str) -> float | None:
    known = [(value, row["weight"] or 0.0) for row in rows if (value := row[name]) is not None]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if name.endswith("_bytes") else f"{value:.2f}" if name == "seconds" else f"{value:.1f}"
