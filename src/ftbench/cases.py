"""What a model gets wrong, by rule: errors that fine-tuning corrected, that it introduced, and that persist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbench import statistics
from ftbench.text import LABELS

KINDS = ("corrected", "introduced", "persistent")
RULE = "the same kind of case at every seed, then the smallest hash of the example; an example counts once"

Right = NDArray[np.bool_]
Predicted = NDArray[np.integer[Any]]


def paired(before: NDArray[Any], after: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two tables [seeds, items] with as many seeds each: seed by seed, or against the one model that the other side has."""
    if len(before) == len(after):
        return before, after
    if len(before) == 1:
        return np.repeat(before, len(after), axis=0), after
    if len(after) == 1:
        return before, np.repeat(after, len(before), axis=0)
    raise ValueError(f"{len(before)} seeds against {len(after)}: seeds are paired one to one, or with a single model")


def kinds(before: Right, after: Right) -> dict[str, Right]:
    """Which cells [seeds, items] are corrected, introduced and persistent errors, from what was right before and after."""
    return {"corrected": ~before & after, "introduced": before & ~after, "persistent": ~before & ~after}


def tally(cells: Mapping[str, Right], breakdowns: Mapping[str, Sequence[str | None]]) -> dict[str, Any]:
    """Counts of each kind, their share with its interval, how many recur at every seed, and the counts per value of each breakdown.

    Counts are means over seeds.
    """
    found: dict[str, Any] = {"counts": {}, "by": {}}
    for kind, table in cells.items():
        share = statistics.interval(table)
        found["counts"][kind] = {
            "count": float(table.sum(axis=1).mean()),
            "at_every_seed": int(table.all(axis=0).sum()),
            "share": share.mean,
            "share_low": share.low,
            "share_high": share.high,
        }
    for name, values in breakdowns.items():
        column = np.array([value if value is not None else "" for value in values], dtype=object)
        present = sorted({str(value) for value in column} - {""})
        if present:
            found["by"][name] = {
                value: {"n": int((column == value).sum())}
                | {kind: float(table[:, column == value].sum(axis=1).mean()) for kind, table in cells.items()}
                for value in present
            }
    return found


def agreement(said: Predicted, right: Right) -> dict[str, Any]:
    """How far an entry's seeds agree, as shares of the items: that all say the same of one, that all are right, that all are wrong.

    `num_labels` is, by seed, how many different labels it says at all.
    """
    return {
        "same_label": float((said == said[0]).all(axis=0).mean()),
        "all_right": float(right.all(axis=0).mean()),
        "all_wrong": float((~right).all(axis=0).mean()),
        "num_labels": [len(np.unique(one)) for one in said],
    }


def chosen(cells: Right, hashes: Sequence[str], at_most: int) -> list[int]:
    """Which examples to show: those whose case is the same at most seeds (all, where there are such), then by the smallest hash."""
    agreeing = cells.sum(axis=0)
    order = sorted(
        (index for index in range(cells.shape[1]) if agreeing[index]), key=lambda index: (-int(agreeing[index]), hashes[index], index)
    )
    kept: list[int] = []
    seen: set[str] = set()
    for index in order:
        if len(kept) == at_most:
            break
        if hashes[index] not in seen:
            seen.add(hashes[index])
            kept.append(index)
    return kept


def most_frequent(predicted: Predicted, index: int) -> int:
    """The label that most seeds gave to an example; of equals the first in the order of LABELS."""
    return int(np.bincount(predicted[:, index].astype(int), minlength=len(LABELS)).argmax())


def confusion_shift(gold: Predicted, before: Predicted, after: Predicted) -> dict[str, Any]:
    """The confusions before and after (mean over seeds; rows gold, columns predicted) and each label's share of gold and of predictions."""

    def matrix(predicted: Predicted) -> list[list[float]]:
        return [
            [float(((gold == row) & (predicted == column)).sum(axis=1).mean()) for column in range(len(LABELS))]
            for row in range(len(LABELS))
        ]

    def shares(labels: Predicted) -> dict[str, float]:
        return {label: float((labels == index).mean()) for index, label in enumerate(LABELS)}

    return {
        "before": matrix(before),
        "after": matrix(after),
        "gold": shares(gold),
        "predicted_before": shares(before),
        "predicted_after": shares(after),
    }


def readings(gold: Predicted, before: Predicted, after: Predicted) -> dict[str, Any]:
    """Numbers that the reports' readings of failures come down to, each with its interval; null where there is nothing to divide by.

    `recall_change.<label>` is the change of accuracy within a class. The others are shares: `neutral_as_entailment_before` of neutral pairs
    mistaken before, `contradiction_as_neutral_after` of contradictions mistaken after, `persistent_neutral_flips` of neutral pairs mistaken
    both times that went from entailment to contradiction, `neutral_share_after` of all pairs.
    """
    before, after = paired(before, after)
    entailment, neutral, contradiction = range(len(LABELS))

    def share(part: NDArray[Any], whole: NDArray[Any]) -> dict[str, float] | None:
        if not (whole.sum(axis=1) > 0).all():
            return None
        found = statistics.interval(statistics.ratio_scores(part & whole, whole))
        return {"value": found.mean, "low": max(found.low, 0.0), "high": min(found.high, 1.0), "n": float(whole.sum(axis=1).mean())}

    found: dict[str, Any] = {
        "neutral_as_entailment_before": share(before == entailment, (gold == neutral) & (before != neutral)),
        "contradiction_as_neutral_after": share(after == neutral, (gold == contradiction) & (after != contradiction)),
        "neutral_share_after": share(after == neutral, np.ones_like(after, dtype=bool)),
        "persistent_neutral_flips": share(
            (before == entailment) & (after == contradiction), (gold == neutral) & (before != neutral) & (after != neutral)
        ),
        "recall_change": {},
    }
    for index, label in enumerate(LABELS):
        rows = gold == index
        if rows.any():
            change = statistics.difference(after[:, rows] == index, before[:, rows] == index)
            found["recall_change"][label] = {"value": change.difference, "low": change.low, "high": change.high, "n": int(rows.sum())}
    return found
