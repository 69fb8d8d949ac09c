"""What `dvc plots` draws besides curves: a study's scores, alone and against cost, and of pairs each entry's confusion and calibration.

The numbers are those of comparison.json and cost.json, which DVC cannot draw from: its templates want a list of points per file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ftbench.text import LABELS

CONFUSION = ("gold", "predicted", "count", "share")
CALIBRATION = ("probabilities", "confidence", "accuracy", "share")
PROBABILITIES = {"raw": "reliability_before", "scaled": "reliability_after"}  # sorted, as a figure places them
AGAINST_COST = ("arm", "measure", "cost", "score", "low", "high")
COSTS = {  # what an arm costs, in words, and where cost.json says it
    "peak GPU memory": "train_peak_gpu_allocated_bytes",
    "peak memory": "train_peak_resident_bytes",
    "trained parameters": "parameters_trained",
    "training time": "train_seconds",
}
UNITS = {"peak GPU memory": " (bytes)", "peak memory": " (bytes)", "training time": " (seconds)"}
SCORES = ("entry", "kind", "score", "low", "high")
DIGITS = 6  # as in metrics.json


def of_pairs(content: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """{folder of the study's report: {arm or baseline: CSV}} from what comparison.json holds of a study of pairs."""
    return {
        "confusion": {name: confusion(counts) for name, counts in content["confusion"].items()},
        "calibration": {name: calibration(one) for name, one in content["calibration"].items()},
    }


def confusion(counts: Sequence[Sequence[float]]) -> str:
    """A row per gold and predicted label of counts [gold][predicted]; `share` is of the gold label's pairs, empty where it has none."""
    rows = []
    for gold, line in zip(LABELS, counts, strict=True):
        total = sum(line)
        rows += [
            (gold, said, round(count, DIGITS), round(count / total, DIGITS) if total else "")
            for said, count in zip(LABELS, line, strict=True)
        ]
    return _csv(CONFUSION, rows)


def calibration(one: Mapping[str, Any]) -> str:
    """The bins of confidence that hold any pair, by `raw` probabilities and by `scaled` ones, after temperature scaling.

    `share` is of all pairs, `confidence` and `accuracy` are the means in the bin.
    """
    rows = [(name, *(round(bin[column], DIGITS) for column in CALIBRATION[1:])) for name, key in PROBABILITIES.items() for bin in one[key]]
    return _csv(CALIBRATION, rows)


def against_cost(entries: Mapping[str, Mapping[str, Any]], costs: Mapping[str, Mapping[str, Any]]) -> str:
    """A row per arm and kind of cost: its mean over seeds beside the arm's score with its interval; a cost of null or 0 is left out.

    `entries` are those of comparison.json, `costs` those of cost.json.
    """
    rows = []
    for name, one in entries.items():
        for measure, key in COSTS.items():
            if one["trained"] and (cost := costs[name][key]):
                rows.append(
                    (
                        name,
                        measure + UNITS.get(measure, ""),
                        round(cost, DIGITS),
                        *(round(one[part], DIGITS) for part in ("mean", "low", "high")),
                    )
                )
    return _csv(AGAINST_COST, rows)


def scores(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """A row per arm and baseline of comparison.json's `entries`: its score with its 95 % interval."""
    rows = []
    for name, one in entries.items():
        rows.append((name, "arm" if one["trained"] else "baseline", *(round(one[part], DIGITS) for part in ("mean", "low", "high"))))
    return _csv(SCORES, rows)


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()
