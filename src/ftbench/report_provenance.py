"""Where a study's numbers are from: its base models, seeds and machines, the files that were read and those that were not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftbench.report_data import Study, names
from ftbench.tables import Block, Heading, Paragraph, Table, inert

FILES = (
    "A report cannot name the commit that holds it; these are the files that this page was made from, by the start of their SHA-256; "
    "those of a folder are one entry. `sha256sum` of a file of a checkout, or `cat FOLDER/* | sha256sum`, says whether it holds the "
    "same, and `git log` of a file which commit it is from."
)


def provenance(study: Study) -> list[Block]:
    """Which base models these are, the seeds of each arm, on what the costs were measured, and which files were read and which not."""
    blocks: list[Block] = []
    if bases := (study.comparison.get("made_of") or {}).get("bases"):
        said = [f"`{name}` is {_published(one)}, architecture `{one['architecture']}`" for name, one in bases.items()]
        blocks.append(Paragraph(f"Base models: {'; '.join(said)}."))
    if seeds := _seeds(study):
        blocks.append(Paragraph(f"Seeds: {seeds}."))
    if machines := _machines(study):
        headers = ["processor", "GPU", "threads", "deterministic algorithms", "versions"]
        blocks.append(Table(study.caption("Machines that ran it"), headers, machines, frozenset()))
    if study.digests:
        rows = [[name, digest] for name, digest in study.digests.items()]
        blocks += [
            Paragraph(FILES),
            Table(study.caption("Files that this page was made from"), ["file", "SHA-256"], rows, frozenset({0, 1})),
        ]
    if left_over := study.comparison["orphans"]:
        caption = study.caption("Files that belong to no arm, seed or baseline, and were not read")
        blocks.append(Table(caption, ["file"], [[path] for path in left_over], frozenset()))
    return [Heading("Provenance", 2), *blocks] if blocks else []


def _published(base: Mapping[str, Any]) -> str:
    name = base["published_as"]
    return "a miniature" if name is None else f"`{inert(name).replace('`', '')}`"


def _seeds(study: Study) -> str:
    """The arms by their seeds: `0, 1 and 2 of every arm`, or each list with the arms that have it."""
    by_seeds: dict[str, list[str]] = {}
    for arm in study.comparison["ranked"]:
        listed = [str(seed) for seed in study.entries[arm].get("seeds", [])]
        if listed:
            by_seeds.setdefault(" and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed), []).append(arm)
    if len(by_seeds) == 1:
        return f"{next(iter(by_seeds))} of every arm"
    return "; ".join(f"{seeds} of {names(arms)}" for seeds, arms in by_seeds.items())


def _machines(study: Study) -> list[list[str]]:
    rows: list[list[str]] = []
    for one in study.cost["environments"]:
        gpu = one.get("gpu") or {}
        versions = ", ".join(f"{name} {version}" for name, version in sorted((one.get("versions") or {}).items()) if version)
        machine = f"{one.get('processor')}, {one.get('num_cores')} cores"
        deterministic = {True: "yes", False: "no"}.get(one.get("deterministic_algorithms"), "–")
        threads = str(one.get("num_threads"))
        row = [machine, str(gpu.get("name", "none")), threads, deterministic, f"Python {one.get('python')}, {versions}"]
        if row not in rows:  # they may differ in what is not shown
            rows.append(row)
    return rows
