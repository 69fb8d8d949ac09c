"""Answers by group of instructions: each entry's scores, and what an arm gains over its untouched base, on the same instructions.

The groups: by kind, where the data name kinds; the kinds of knowledge pooled; and for any data, with or without an input, and by the length
of the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbench import statistics
from ftbench.instruction_kinds import KNOWLEDGE_KINDS
from ftbench.predictions import Predictions

Table = NDArray[np.float64]
SHORT, MEDIUM = 5, 50  # words of a reference, between white space: the longest that is short, and that is medium
LENGTHS = ("short", "medium", "long")


def _bits_per_byte(one: Predictions, rows: NDArray[np.bool_]) -> Table | None:
    nll, num_bytes = (one.by_seed[name][:, rows].astype(np.float64) for name in ("nll", "bytes"))
    return statistics.ratio_scores(nll / np.log(2), num_bytes) if num_bytes.sum(axis=1).all() else None


def _share(name: str) -> Callable[[Predictions, NDArray[np.bool_]], Table | None]:
    return lambda one, rows: one.by_seed[name][:, rows].astype(np.float64)


METRICS: dict[str, Callable[[Predictions, NDArray[np.bool_]], Table | None]] = {  # scores [seeds, items] of some of the items
    "exact_match": _share("exact_match"),
    "token_f1": _share("token_f1"),
    "bits_per_byte": _bits_per_byte,
    "stopped": _share("stopped"),
}
COMPARED = ("exact_match", "token_f1", "bits_per_byte")


def groups(columns: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """By what instructions are grouped: of each group that has any, which of them [items] are in it."""
    kinds = [None if kind is None else str(kind) for kind in columns["kind"]]
    inputs = ["with_input" if str(text).strip() else "without_input" for text in columns["input"]]
    lengths = [length(str(reference)) for reference in columns["reference"]]
    named = sorted({kind for kind in kinds if kind is not None})
    return {
        "by_kind": {kind: np.array([one == kind for one in kinds]) for kind in named},
        "by_pool": {"knowledge": np.array([one in KNOWLEDGE_KINDS for one in kinds])} if set(named) & set(KNOWLEDGE_KINDS) else {},
        "by_input": {group: np.array([one == group for one in inputs]) for group in ("with_input", "without_input") if group in inputs},
        "by_length": {group: np.array([one == group for one in lengths]) for group in LENGTHS if group in lengths},
    }


def length(reference: str) -> str:
    """Whether a reference is short (at most 5 words), medium (at most 50) or long."""
    num_words = len(reference.split())
    return "short" if num_words <= SHORT else "medium" if num_words <= MEDIUM else "long"


def of(others: Mapping[str, Sequence[str]], held_out: Mapping[str, Predictions]) -> dict[str, Any]:
    """What comparison.json says of groups: `by_kind` and its like per metric, group and entry, and `gains`.

    `others` holds, per arm, the entries that it is set beside; `held_out` every entry's answers to the same instructions. `gains` are the
    arm's score less the other's, per grouping, metric, group, arm and other.
    """
    grouped = groups(next(iter(held_out.values())).columns)
    found: dict[str, Any] = {by: {metric: {} for metric in METRICS} for by in grouped}
    gains: dict[str, Any] = {by: {metric: {} for metric in COMPARED} for by in grouped}
    for by, members in grouped.items():
        for group, rows in members.items():
            for metric, score in METRICS.items():
                tables = {name: table for name, one in held_out.items() if (table := score(one, rows)) is not None}
                found[by][metric][group] = {name: _limits(table) for name, table in tables.items()}
                if metric in COMPARED:
                    bounded = metric != "bits_per_byte"
                    gains[by][metric][group] = {
                        arm: {other: gain(tables[arm], tables[other], bounded) for other in beside if arm in tables and other in tables}
                        for arm, beside in others.items()
                    }
    return {**found, "gains": gains}


def _limits(table: Table) -> dict[str, Any]:
    found = statistics.interval(table)
    return {"mean": found.mean, "low": found.low, "high": found.high, "n": found.num_items}


def gain(after: Table, before: Table, bounded: bool = False) -> dict[str, float | None]:
    """The paired difference of two score tables [seeds, items] with its 95 % interval.

    Where every item differs by the same, its spread is no interval: a gain on 30 of 30 is not certain to be one on all. For scores of 0
    and 1 the two sides' own intervals then make it (Newcombe's, of unpaired shares: the wider one); other scores have none, null.
    Scores that are `bounded` by 0 and 1 cannot gain more than 1, so no limit lies beyond.
    """
    found = statistics.difference(after, before)
    low, high = found.low, found.high
    shares = bool(np.isin(after, (0.0, 1.0)).all() and np.isin(before, (0.0, 1.0)).all())
    if low == high and not shares:
        return {"difference": found.difference, "low": None, "high": None}
    if low == high:
        a, b = statistics.interval(after), statistics.interval(before)
        low = found.difference - float(np.hypot(a.mean - a.low, b.high - b.mean))
        high = found.difference + float(np.hypot(a.high - a.mean, b.mean - b.low))
    if shares or bounded:
        low, high = max(low, -1.0), min(high, 1.0)
    return {"difference": found.difference, "low": low, "high": high}
