"""What a report is made of (headings, paragraphs, tables, figures), how numbers are worded, and how foreign text is made harmless.

Text of our own may name things in backticks; text from data, models or params goes only into cells and quotes, and is escaped there.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tabulate import tabulate

from ftbench import unseen

LONGEST_CELL = 300  # characters of a foreign text that a table shows
MINUS = "−"
PERCENTAGES = ("accuracy", "macro_f1", "exact_match", "token_f1", "stopped", "looping", "repetition")  # scores that are shares


@dataclass(frozen=True)
class Heading:
    """A heading of level 1 to 4."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Paragraph:
    """Text of our own; names in backticks are set as code."""

    text: str


@dataclass(frozen=True)
class Quote:
    """Text from elsewhere (params, data, a model)."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows of cells with a caption that says what they are, and at which scale. Cells are foreign text; in `code` columns names.

    By the values of the columns named in `filters` a page with a script lets its reader choose rows.
    """

    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    code: frozenset[int] = frozenset({0})
    filters: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Figure:
    """A drawing: its file relative to the page, and what it shows in words."""

    path: str
    alt: str
    svg: str = field(default="", repr=False)


@dataclass(frozen=True)
class Links:
    """A list of (text, relative path)."""

    items: Sequence[tuple[str, str]]


Block = Heading | Paragraph | Quote | Table | Figure | Links


# ---- Foreign text ---------------------------------------------------------------------------------------------------------------


def inert(text: Any, longest: int = LONGEST_CELL) -> str:
    """Text on one line without control, formatting or bidirectional characters, cut to a readable length."""
    kept = "".join(" " if character in "\r\n\t\v\f\x85\u2028\u2029" else character for character in str(text))
    kept = re.sub(r" {2,}", " ", unseen.removed(kept)).strip()
    return kept if len(kept) <= longest else kept[: longest - 1].rstrip() + "…"


def escaped(text: Any, longest: int = LONGEST_CELL) -> str:
    """Foreign text that Markdown shows as it is, in a table cell too: nothing of it is markup, a link, a mention or HTML."""
    safe = html.escape(inert(text, longest), quote=False)
    safe = re.sub(r"([\\`*\[\]~$])", r"\\\1", safe)
    safe = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", safe)  # inside a word an underscore is only that
    safe = re.sub(r"#(?=\d)", "&#35;", safe)  # a number of an issue
    safe = re.sub(r"\b(gh)-(?=\d)", r"\1&#45;", safe, flags=re.IGNORECASE)
    safe = safe.replace("|", "&#124;").replace("@", "&#64;").replace("://", "&#58;//").replace("www.", "www&#46;")
    return re.sub(r"^(?=(#{1,6}|[+=-]+|\d+[.)])(\s|$))", "&#8203;", safe)  # what would open a heading, a list or a rule


# ---- Numbers --------------------------------------------------------------------------------------------------------------------


def percent(value: float, digits: int = 1) -> str:
    """A share as a percentage: `0.763` is `76.3 %`."""
    return f"{_signless(100 * value, digits)} %"


def points(value: float, digits: int = 1) -> str:
    """A difference of shares in percentage points, with its sign: `+12.3`."""
    return f"{'+' if round(value * 100, digits) > 0 else ''}{_signless(100 * value, digits)}"


def number(value: float | None, digits: int = 3) -> str:
    """A number with a fixed number of decimals; a dash for None."""
    return "–" if value is None else _signless(value, digits)


def count(value: float) -> str:
    """A whole number with its thousands apart: `1,552,849,920`."""
    return f"{round(value):,}".replace("-", MINUS)


def gigabytes(value: float | None) -> str:
    """Bytes as GB of 1e9 bytes; small ones as MB or kB."""
    if value is None:
        return "–"
    unit, size = next(((unit, size) for unit, size in (("GB", 1e9), ("MB", 1e6)) if value >= size), ("kB", 1e3))
    return f"{value / size:.{2 if unit == 'GB' else 1}f} {unit}"


def seconds(value: float | None) -> str:
    """A duration: `12.3 s`, `4 min 05 s`, `1 h 16 min`."""
    if value is None:
        return "–"
    if value < 100:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def probability(value: float) -> str:
    """A p-value: `0.034`, `< 0.001`."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _signless(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = f"{0:.{digits}f}"
    return text.replace("-", MINUS)


def metric(name: str, value: float | None) -> str:
    """A score in the way its metric is read: shares as percentages, losses as numbers."""
    if value is None:
        return "–"
    return percent(value) if name in PERCENTAGES else number(value)


def with_interval(name: str, found: Mapping[str, Any]) -> str:
    """A mean with its 95 % interval: `76.3 % (74.1–78.5)`."""
    value = metric(name, found["mean"])
    low, high = (metric(name, found[key]).removesuffix(" %") for key in ("low", "high"))
    return f"{value} ({low}–{high})"


# ---- Markdown -------------------------------------------------------------------------------------------------------------------


def markdown(blocks: Iterable[Block]) -> str:
    """A page of blocks as Markdown that a code host shows."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {text}"
        case Paragraph(text):
            return text
        case Quote(text):
            return f"> {escaped(text, 2000)}"
        case Figure(path, alt):
            return f"![{escaped(alt, 2000)}]({path})"
        case Links(items):
            return "\n".join(f"- [{escaped(text)}]({path})" for text, path in items)
        case Table(caption, headers, rows, code):
            cells = [[_cell(value, index in code) for index, value in enumerate(row)] for row in rows]
            body = tabulate(cells, [escaped(header) for header in headers], tablefmt="pipe", disable_numparse=True)
            return f"*{caption.replace('`', '')}*\n\n{body}"


def _cell(value: str, code: bool) -> str:
    safe = escaped(value)
    return f"`{value}`" if code and len(value) <= LONGEST_CELL and re.fullmatch(r"[\w.+-]+", value) else safe
