"""The claims of the studies as tables: what each stated, what we found, and the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftbench.evidence import CONTRADICTED, HOLDS, UNDECIDED
from ftbench.tables import Block, Heading, Table


def claims(book: Mapping[str, Any]) -> list[Block]:
    """Every claim with what the study stated, what we found, and the verdict, study by study."""
    by_study: dict[str, list[tuple[str, Any]]] = {}
    for name, entry in book["claims"].items():
        by_study.setdefault(entry["study"], []).append((name, entry))
    order = [HOLDS, CONTRADICTED, UNDECIDED]
    blocks: list[Block] = []
    for study, entries in by_study.items():
        entries.sort(key=lambda item: (order.index(item[1]["verdict"]) if item[1]["verdict"] in order else len(order), item[0]))
        rows = []
        for name, entry in entries:
            stated = "" if entry["stated"] is None else f"{entry['stated']:,} {_plain(entry['unit'])}"
            rows.append(
                [
                    name,
                    entry["says"],
                    stated,
                    _ours(entry),
                    entry["verdict"],
                    entry["because"].replace("`", ""),
                    entry["rule"],
                    entry["scale"],
                ]
            )
        headers = [
            "claim",
            "the study says",
            "its figure",
            "ours (95 % interval, or low to high)",
            "verdict",
            "because",
            "rule",
            "scale",
        ]
        blocks.append(Heading(f"Claims about {study}", 3))
        blocks.append(
            Table(
                f"Claims about {study}. Scale {book['scale']}, unless the last column says full size.",
                headers,
                rows,
                frozenset({0, 6}),
                frozenset({"verdict"}),
            )
        )
    return blocks


def _plain(unit: str | None) -> str:
    return (unit or "").replace("_", " ")


def _ours(entry: Mapping[str, Any]) -> str:
    if entry.get("miniature"):
        return f"the miniature's {_value(entry['miniature'])} decides nothing"
    return "" if entry["ours"] is None else _value(entry)


def _value(found: Mapping[str, Any]) -> str:
    if isinstance(found["ours"], str):
        return found["ours"]
    if found["low"] is None or found["low"] == found["high"]:
        return _number(found["ours"])
    return f"{_number(found['ours'])} ({_number(found['low'])} to {_number(found['high'])})"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
