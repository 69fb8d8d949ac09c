"""The report as one self-contained HTML page: styles, script and drawings inside, everything else escaped, nothing else allowed to run."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from ftbench import report_inline, report_svg, tables
from ftbench.evidence import CONTRADICTED, HOLDS
from ftbench.tables import Block, Figure, Heading, Links, Paragraph, Quote, Table

TITLE = "Fine-tuning methods, compared"
TEMPLATE, STYLE, SCRIPT = (Path(__file__).with_name(f"report.{ending}") for ending in ("html", "css", "js"))
LONG = 40  # rows of tables from which on a part of a section starts folded where a script can unfold it
LONGEST = 20_000  # characters of our own words that stand together
LONG_TEXT = 24  # characters from which on a cell wraps: no number is as long
VERDICTS_IN_COLOUR = (HOLDS, CONTRADICTED)
MOST_BYTES = 1 << 20  # of the page: what opens at once on a phone, well below the 5 MB promised


@dataclass(frozen=True)
class Card:
    """What the first screen says of a study: its section's id, its question (foreign text) and its answer (ours)."""

    id: str
    question: str
    answer: str


def html_page(sections: Sequence[tuple[str, str, Sequence[Block]]], cards: Sequence[Card] = ()) -> str:
    """One page of (id, title, blocks). The first section stays open and shows the cards after its first block; the others fold."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    style, script = (path.read_text(encoding="utf-8") for path in (STYLE, SCRIPT))
    return (
        template.render(
            title=TITLE,
            policy=policy(style, script),
            style=Markup(style),  # noqa: S704  a file of ours
            script=Markup(script),  # noqa: S704  a file of ours
            cards=[{"id": card.id, "question": tables.inert(card.question, 2000), "answer": _words(card.answer)} for card in cards],
            sections=[_section(name, title, blocks, f"d{place}") for place, (name, title, blocks) in enumerate(sections)],
        )
        + "\n"
    )


def policy(style: str, script: str) -> str:
    """A Content-Security-Policy under which this style and this script work and nothing else does: no request, no other script."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    return f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; base-uri 'none'; form-action 'none'"


def _section(name: str, title: str, blocks: Sequence[Block], short: str) -> dict[str, Any]:
    """A section as the template shows it: what stands before its first heading, and its parts, one for each of its highest headings.

    The ids inside its drawings begin with `short`: there are hundreds, and nobody reads them.
    """
    highest = min((block.level for block in blocks if isinstance(block, Heading)), default=0)
    lead: list[Mapping[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for number, block in enumerate(blocks):
        if isinstance(block, Heading) and block.level == highest:
            part: dict[str, Any] = {
                "id": _anchor(f"{name}-{block.text}", [one["id"] for one in parts]),
                "title": tables.inert(block.text),
                "blocks": [],
                "rows": 0,
            }
            parts.append(part)
        elif shown := _shown(block, f"{short}-{number}"):
            (parts[-1]["blocks"] if parts else lead).append(shown)
            if parts:
                parts[-1]["rows"] += len(block.rows) if isinstance(block, Table) else 0
    for part in parts:
        part["long"] = int(part["rows"]) > LONG
    return {"id": name, "title": tables.inert(title), "lead": lead, "parts": parts}


def _anchor(text: str, taken: Sequence[str]) -> str:
    """A text as an id: letters, digits and dashes, with a number behind it where it is taken."""
    plain = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")
    same = sum(one == plain or re.fullmatch(rf"{re.escape(plain)}-\d+", one) is not None for one in taken)
    return f"{plain}-{same + 1}" if same else plain


def _words(text: str) -> Markup:
    """Our own words; only what stood between backticks becomes markup, after escaping."""
    marked = re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(tables.inert(text, LONGEST))))
    return Markup(re.sub(r"(?<=\d) %", "\u00a0%", marked))  # noqa: S704  escaped above; a percentage stays on one line


def _cell(text: str, code: bool) -> dict[str, Any]:
    """A cell with how it looks: what the ledger found in colour, long texts with room."""
    shown = tables.inert(text)
    wraps = len(shown) > LONG_TEXT and not code
    return {"text": shown, "code": code, "look": shown if shown in VERDICTS_IN_COLOUR else "long" if wraps else ""}


def _shown(block: Block, prefix: str) -> dict[str, Any] | None:
    match block:
        case Heading(text):
            return {"kind": "heading", "text": tables.inert(text)}
        case Paragraph(text):
            return {"kind": "paragraph", "text": _words(text)}
        case Quote(text):
            return {"kind": "quote", "text": tables.inert(text, 2000)}
        case Figure(_, alt, svg):
            alt = tables.inert(alt, 2000)
            drawing = Markup(report_inline.inline(svg, prefix, alt))  # noqa: S704  drawn by us; its texts are escaped by matplotlib
            return {"kind": "figure", "svg": drawing, "alt": alt, "follows": report_svg.follows_the_theme(drawing)}
        case Table(caption, headers, rows, code, filters):
            cells = [[_cell(cell, index in code) for index, cell in enumerate(row)] for row in rows]
            caption = tables.inert(caption.replace("`", ""), 2000)
            named = [{"text": tables.inert(one), "filters": one in filters} for one in headers]
            return {"kind": "table", "caption": caption, "headers": named, "rows": cells}
        case Links():
            return None  # the page holds what they lead to
