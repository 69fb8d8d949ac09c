"""What has no results here, by name: studies that did not run, and of every other scale what it would train and score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from ftbench.report_data import Study, names
from ftbench.tables import LONGEST_CELL, Block, Heading, Paragraph, Table

TITLE = "What did not run"


def absent(
    scale: str,
    designs: Mapping[str, Any],
    studies: Mapping[str, Study],
    counted: Mapping[str, Mapping[str, Mapping[str, Any]]],
    unfinished: Mapping[str, str] = MappingProxyType({}),
) -> list[Block]:
    """The stages that did not finish, the studies without results, then arms and baselines scale by scale.

    `counted` has the arms, as accounting.json: {scale: {study: {arm}}}; baselines are those that the study has here. `unfinished` has,
    in a partial report, why each stage did not finish.
    """
    blocks: list[Block] = []
    if unfinished:
        stages = [[name, why] for name, why in unfinished.items()]
        blocks.append(Table(f"Stages that did not finish. Scale {scale}.", ["stage", "why"], stages, frozenset({0, 1})))
    if missing := [name for name in designs if name not in studies]:
        rows = [[name, str(designs[name].get("question", ""))] for name in missing]
        blocks.append(Table(f"Studies without results. Scale {scale}.", ["study", "question"], rows))
    rows = []
    for other, arms in counted.items():
        for study in designs:
            done = set(studies[study].entries) if study in studies and studies[study].scale == other else set()
            trained = [arm for arm in arms.get(study, {}) if arm not in done]
            scored = [name for name in _baselines(studies[study]) if name not in done] if study in studies else []
            rows += [[other, study, what, part] for what, found in (("arm", trained), ("baseline", scored)) for part in _parts(found)]
    if rows:
        others = [name for name in counted if name != scale]
        text = (
            f"A report holds one scale. Of {names(others)} nothing was run here."
            if others
            else "Named in params.yaml, and without results."
        )
        blocks += [
            Paragraph(text),
            Table(
                f"Arms and baselines without results. Scale {scale} is what this report shows.", ["scale", "study", "kind", "names"], rows
            ),
        ]
    return [Heading(TITLE, 2), *blocks] if blocks else []


def _baselines(study: Study) -> list[str]:
    return [name for name, one in study.entries.items() if not one["trained"]]


def _parts(listed: Sequence[str]) -> list[str]:
    """Names in a row, in several where a cell would be cut."""
    parts: list[str] = []
    for name in listed:
        if parts and len(parts[-1]) + len(name) + 2 <= LONGEST_CELL:
            parts[-1] += f", {name}"
        else:
            parts.append(name)
    return parts
