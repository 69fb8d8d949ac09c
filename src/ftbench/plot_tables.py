"""What `dvc plots` draws of a study of sentence pairs besides curves: the confusion and the calibration of each entry, as small CSV files.

The numbers are those of comparison.json, which DVC cannot draw from: its templates want a list of points per file.
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


def _csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()
