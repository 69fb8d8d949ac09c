"""How two ways of doing one piece of work are compared: the same output first, then alternating runs, their median and their spread."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Work = Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """One line of the benchmarks: `work` done our way and `against` a named alternative, which must take `bar` times as long at least.

    Without a bar a row is shown beside the others and not judged. `ours` and `alternative` prepare and return the work to be timed, which
    returns its output. `difference` says in words how two outputs differ, or "" where they are the same. `figures` are read off two
    outputs; those named in `at_most` may not be larger than it says. Ours may take `most_extra_seconds` longer, between the medians.
    Without `warm_up` the first run of both is timed as well. `num_repeats` is the most that a row whose runs are long is repeated.
    """

    work: str
    against: str
    bar: float | None
    ours: Callable[[], Work]
    alternative: Callable[[], Work]
    difference: Callable[[Any, Any], str]
    sizes: Mapping[str, Any]
    figures: Callable[[Any, Any], Mapping[str, float]] = lambda ours, other: {}
    at_most: Mapping[str, float] = field(default_factory=dict)
    warm_up: bool = True
    most_extra_seconds: float | None = None
    num_repeats: int | None = None


class NotRunError(Exception):
    """A row cannot be run here; the message says why."""


def measure(row: Row, num_repeats: int, clock: Callable[[], float] = time.perf_counter) -> dict[str, Any]:
    """The record of a row: no time counts before outputs have been compared, and a first run of both, which warms up, is not timed.

    The two take turns at going first, so that a machine that gets slower or faster favours neither. Where outputs differ, in any run,
    `difference` says how, no time is kept, and the row does not pass.
    """
    num_repeats = min(num_repeats, row.num_repeats or num_repeats)
    described = {"work": row.work, "against": row.against, "bar": row.bar, "sizes": dict(row.sizes), "at_most": dict(row.at_most)}
    described |= {"most_extra_seconds": row.most_extra_seconds}
    seconds: dict[str, list[float]] = {"ours": [], "alternative": []}
    figures: dict[str, float] = {}
    for repeat in range(0 if row.warm_up else 1, num_repeats + 1):  # 0 is not timed
        outputs = {}
        for side in ("ours", "alternative") if repeat % 2 else ("alternative", "ours"):
            work = getattr(row, side)()
            gc.collect()
            started = clock()
            outputs[side] = work()
            if repeat:
                seconds[side].append(clock() - started)
        if difference := row.difference(outputs["ours"], outputs["alternative"]):
            return {**described, "num_repeats": num_repeats, "difference": difference, "passed": False}
        for name, value in row.figures(outputs["ours"], outputs["alternative"]).items():
            figures[name] = max(value, figures.get(name, value))
    return {**described, "num_repeats": num_repeats, "difference": "", "figures": figures, **judged(row, seconds, figures)}


def tables_differ(ours: Any, other: Any, tolerance: float, labels: str, value: str, unit: str = "") -> str:
    """In what two tables [n, labels] of numbers differ, if in anything: the best of a row, then any number by more than the tolerance."""
    changed = int((ours.argmax(axis=1) != other.argmax(axis=1)).sum())
    if changed:
        return f"{changed} of {len(ours)} {labels} differ"
    largest = float(abs(ours - other).max())
    return f"{value} differs by {largest:.2g}{unit}" if largest > tolerance else ""


def judged(row: Row, seconds: Mapping[str, list[float]], figures: Mapping[str, float]) -> dict[str, Any]:
    """Medians, their ratio, the smallest and largest ratio within a repeat, what is `missed` in words, and whether the row passes."""
    medians = {side: statistics.median(values) for side, values in seconds.items()}
    ratio = medians["alternative"] / medians["ours"]
    ratios = [other / ours for ours, other in zip(seconds["ours"], seconds["alternative"], strict=True)]
    missed = [f"{name} {figures[name]:.4g}, above {most:.4g}" for name, most in row.at_most.items() if figures[name] > most]
    if row.bar is not None and ratio < row.bar:
        missed.insert(0, f"{ratio:.2f} times, below {row.bar:g}")
    extra = medians["ours"] - medians["alternative"]
    if row.most_extra_seconds is not None and extra > row.most_extra_seconds:
        missed.append(f"{extra:.2f} s more, above {row.most_extra_seconds:g}")
    return {
        "seconds": seconds["ours"],
        "alternative_seconds": seconds["alternative"],
        "median_seconds": medians["ours"],
        "alternative_median_seconds": medians["alternative"],
        "ratio": ratio,
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "missed": missed,
        "passed": not missed,
    }
