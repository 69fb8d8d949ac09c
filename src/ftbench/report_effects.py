"""What a study page says of its factors: what a level changes over all arms, and whether it changes as much under every other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftbench.report_data import Study
from ftbench.tables import PERCENTAGES, Block, Heading, Paragraph, Table, number, points, probability

READING = (
    "A main effect is what a level changes against the reference arm's level of the same factor, averaged over the levels of the other "
    "factors. An interaction is what it changes under a level of another factor, less what it changes under that factor's level in the "
    "reference arm: where it is told apart from zero, the main effect averages over changes that differ. p is corrected "
    "(Holm) over the rows."
)
LOWER = " Lower is better here: a negative main effect is a gain."
ONE_SEED = " Every arm has one seed: the rows are about these trained models, and how far other seeds would differ is in no interval."


def effects(study: Study) -> list[Block]:
    """Main effects and interactions, in points or in the primary metric's own unit; nothing for a study with one factor."""
    found = study.comparison.get("effects", [])
    if not found:
        return []
    shares = study.metric in PERCENTAGES
    unit = "points" if shares else study.metric.replace("_", " ")
    text = READING + (LOWER if study.comparison["lower_is_better"] else "") + (ONE_SEED if _of_one_seed(found) else "")
    headers = ["effect", "of", "against", f"difference ({unit})", "95 % interval", "p (Holm)", "told apart", "seed part", "item part"]
    caption = study.caption(f"Effects of the factors on {study.metric.replace('_', ' ')}{', in points' if shares else ''}")
    rows = [_row(row, shares) for row in found]
    return [Heading("Effects of the factors", 2), Paragraph(text), Table(caption, headers, rows, frozenset({1, 2}))]


def _of_one_seed(found: Any) -> bool:
    return all(row["seed_se"] is None for row in found)


def _row(row: Mapping[str, Any], shares: bool) -> list[str]:
    shown, factor, digits = (points, 100, 2) if shares else (number, 1, 4)
    difference = [shown(row[key]) for key in ("difference", "low", "high")]
    parts = ["–" if row[key] is None else number(factor * row[key], digits) for key in ("seed_se", "item_se")]
    named = [" × ".join(row[key]) for key in ("factors", "levels", "against")]
    what = row["kind"] if row["kind"] == "interaction" else "main effect"
    told = "yes" if row["told_apart"] else "no"
    return [
        f"{what}: {named[0]}",
        *named[1:],
        difference[0],
        f"{difference[1]} to {difference[2]}",
        probability(row["p_holm"]),
        told,
        *parts,
    ]
