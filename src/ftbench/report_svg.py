"""What is done to the text of a drawing: series named, decimals cut, and whether a page in the dark knows its colours."""

from __future__ import annotations

import html
import itertools
import re
from typing import Any

from ftbench import unseen

# The house colours, which report.css has a dark twin of. A drawing with any other stays on white paper.
COLOURS = frozenset(["none", "#000000", "#ffffff", "#e4e4e4", "#767676", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"])


def mark(artist: Any, series: str, title: str = "") -> None:
    """Say which series something drawn by matplotlib belongs to, and what is shown when a pointer rests on it."""
    artist.set_gid(f"series-{series.encode().hex()}-{title.encode().hex()}")  # in hex nothing is taken for markup or a decimal


def finished(svg: str) -> str:
    """Matplotlib's SVG as we keep it: compact, no control or bidirectional character, every marked group with its series and its title."""
    numbers = itertools.count(1)

    def group(found: re.Match[str]) -> str:
        series, title = (html.escape(unseen.removed(bytes.fromhex(text).decode())) for text in found.groups())
        return f'<g id="series_{next(numbers)}" data-series="{series}">{f"<title>{title}</title>" if title else ""}'

    return re.sub(r'<g id="series-([0-9a-f]*)-([0-9a-f]*)">', group, compact(unseen.removed(svg, kept="\n")))


def compact(svg: str) -> str:
    """An SVG without white space around its lines and with two decimals in attributes: a hundredth of a point is not seen. Texts stay."""
    svg = re.sub(r"[ \t]*\n[ \t]*", "\n", svg)
    return re.sub(r"<[^!>]+>", lambda tag: re.sub(r"(\d\.\d\d)\d+", r"\1", tag[0]), svg)


def follows_the_theme(drawing: str) -> bool:
    """Whether an inline drawing uses only colours that the page knows a dark twin of."""
    return set(re.findall(r'(?:fill|stroke)="([^"]+)"', drawing)) <= COLOURS and "<image" not in drawing
