"""The six pairs that the first SNLI report shows as its failure cases: a fixed probe set, put to every arm and baseline.

A handful of pairs says nothing about accuracy; it lets a reader see whether the cases that were found by hand come back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ftbench.text import LABELS

SPLIT = "probes"


@dataclass(frozen=True, slots=True)
class Probe:
    """A pair with its gold label, and what the report says of it: the kind of case, and the labels before and after fine-tuning."""

    premise: str
    hypothesis: str
    gold: str
    case: str
    before: str | None
    after: str


PROBES = (
    Probe("A man is renovating a room.", "A man is using a hammer in a room.", "neutral", "corrected", "entailment", "neutral"),
    Probe(
        "A shirt booth with a man printing a shirt.",
        "The shirt is blue with black lettering.",
        "neutral",
        "corrected",
        "entailment",
        "neutral",
    ),
    Probe(
        "City street crowded with sports fans wearing orange.",
        "The sports fans are wearing yellow.",
        "contradiction",
        "introduced",
        None,
        "neutral",
    ),
    Probe(
        "People are all standing together in front of a statue of an animal, and they are all wearing cool-weather clothing.",
        "A beautiful statue of a man.",
        "contradiction",
        "introduced",
        None,
        "neutral",
    ),
    Probe(
        "Two women are observing something together.",
        "Two women are looking at a flower together.",
        "neutral",
        "persistent",
        "entailment",
        "contradiction",
    ),
    Probe(
        "A boy drags his sled through the snow.", "A boy drags a sled up the hill.", "neutral", "persistent", "entailment", "contradiction"
    ),
)


def columns() -> dict[str, list[Any]]:
    """The probes as the columns of a split."""
    size = len(PROBES)
    return {
        "id": [f"probe-{number}" for number in range(1, size + 1)],
        "premise": [probe.premise for probe in PROBES],
        "hypothesis": [probe.hypothesis for probe in PROBES],
        "label": [LABELS.index(probe.gold) for probe in PROBES],
        "genre": [None] * size,
        "phenomenon": [None] * size,
    }
