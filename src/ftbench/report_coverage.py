"""What the report says of its own intervals and tests: how they did in simulated studies, where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftbench.evidence import SIGNIFICANCE
from ftbench.tables import Block, Heading, Paragraph, Table, count, number, percent

TITLE = "How far the intervals can be trusted"


def trust(coverage: Mapping[str, Any], digest: str = "") -> list[Block]:
    """reports/coverage.json, whose SHA-256 begins with `digest`, as a table with a sentence; nothing where the file is not there."""
    if not coverage:
        return []
    cells, bars = coverage["cells"], coverage["bars"]
    promise = percent(1 - SIGNIFICANCE, 0)
    text = (
        f"In {count(sum(one['num_studies'] for one in cells))} simulated studies of {coverage['num_arms']} equally good arms, which get "
        f"their intervals and tests from the same code as the arms here: how often an interval of {promise} holds the true score, how wide "
        f"it is, and how often any two arms of a study are told apart though none is better. In every row the coverage must reach "
        f"{percent(bars['coverage'], 0)} and the false alarms stay within {percent(bars['false_alarms'], 2)}, which is "
        f"{percent(SIGNIFICANCE, 0)} and two Monte-Carlo standard errors; widths must shrink with examples and with seeds"
    )
    said = f". Missed: {'; '.join(coverage['missed'])}." if coverage["missed"] else ": every bar is met."
    source = f" Read from `coverage.json`, SHA-256 `{digest}`…" if digest else ""
    headers = ["seeds", "examples", "spread of seeds (points)", "coverage", "width (points)", "studies with a false alarm"]
    rows = [_row(one) for one in cells]
    caption = "Simulated studies; in brackets the Monte-Carlo standard error. Scale of no model: nothing is trained."
    return [Heading(TITLE, 2), Paragraph(text + said + source), Table(caption, headers, rows, frozenset())]


def _row(one: Mapping[str, Any]) -> list[str]:
    shares = [f"{percent(one[name])} ({number(100 * one[f'{name}_se'], 1)})" for name in ("coverage", "false_alarms")]
    spread, width = (number(100 * one[name], 1) for name in ("spread", "width"))
    return [str(one["num_seeds"]), count(one["num_items"]), spread, shares[0], width, shares[1]]
