"""The table of the benchmarks: as a person reads it in a terminal, and in the README, where a marked block is rewritten from the record.

Example: python benchmarks/page.py
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import blocks

from ftbench import files
from ftbench.errors import UserError

RECORD, README = Path("reports/benchmarks.json"), Path("README.md")
START, END = blocks.start("benchmarks/page.py", "reports/benchmarks.json"), blocks.END
HEADER = ["row", "work", "against", "ours", "theirs", "ratio (from, to)", "bar", "found"]
NOTHING = "No row has been measured yet: `make bench` does."
Record = Mapping[str, Any]


def cells(name: str, record: Record) -> list[str]:
    """One row of the table, as HEADER names its columns."""
    if "not_run" in record:
        return [name, "", "", "", "", "", "", f"not run: {record['not_run']}"]
    times = ["", "", ""]
    if not record["difference"]:
        times = [f"{record[key]:.2f} s" for key in ("median_seconds", "alternative_median_seconds")]
        times.append(f"{record['ratio']:.2f} ({record['ratio_low']:.2f}, {record['ratio_high']:.2f})")
    return [name, record["work"], record["against"], *times, bar(record), verdict(record)]


def bar(record: Record) -> str:
    """What a row must reach."""
    bars = [] if record["bar"] is None else [f"{record['bar']:g}"]
    if record["most_extra_seconds"] is not None:
        bars.append(f"at most {record['most_extra_seconds']:g} s more")
    return "; ".join([*bars, *(f"{name} at most {most:.4g}" for name, most in record["at_most"].items())]) or "none"


def verdict(record: Record) -> str:
    """Whether it does, with the figures that have a limit, or in what its two outputs differ."""
    if record["difference"]:
        return f"MISSED: {record['difference']}"
    if record["missed"]:
        return f"MISSED: {'; '.join(record['missed'])}"
    return "; ".join(["passes", *(f"{name} {record['figures'][name]:.4g}" for name in record["at_most"])])


def table(records: Mapping[str, Record]) -> str:
    """The rows for a terminal, which has no room for what the work is."""
    from tabulate import tabulate

    rows = [cells(name, record) for name, record in records.items()]
    return tabulate([[first, *others] for first, _, *others in rows], [HEADER[0], *HEADER[2:]], disable_numparse=True)


def beside_before(records: Mapping[str, Record]) -> str:
    """Whether the run before, of the same work, found of each row what this one did: that it passes, or not."""
    again = {name: record for name, record in records.items() if "passed" in record and record.get("before")}
    if not again:
        return "No row was measured so before."
    others = {name: record["before"] for name, record in again.items() if record["passed"] != record["before"]["passed"]}
    turned = [f"{name} ({_found(before)} before)" for name, before in others.items()]
    unlike = f"all but {len(turned)} as the run before found them: {', '.join(turned)}" if turned else "as the run before found them"
    return f"{len(again)} of {len(records)} rows were measured so before, {unlike}."


def _found(before: Mapping[str, Any]) -> str:
    return f"{'passed' if before['passed'] else 'missed'}{', at {:.2f}'.format(before['ratio']) if 'ratio' in before else ''}"


def block(records: Mapping[str, Record]) -> str:
    """What stands between the marks of the README."""
    if not records:
        return NOTHING
    lines = [" | ".join(map(_escaped, cells(name, record))) for name, record in records.items()]
    machines = sorted({_machine(record["environment"]) for record in records.values()})
    rows = "\n".join(f"| {line} |" for line in [" | ".join(HEADER), " | ".join(["---"] * len(HEADER)), *lines])
    return f"{rows}\n\nMeasured on: {'; '.join(machines)}. {beside_before(records)}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _machine(environment: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {environment['versions'][name]}" for name in ("torch", "transformers"))
    cores = f"{environment['num_cores']} cores, {environment['num_threads']} threads"
    return f"{environment['processor']}, {cores}, Python {environment['python']}, {versions}"


def rewritten(text: str, records: Mapping[str, Record]) -> str:
    """A page with its block as `records` have it. Raises UserError for a page without the two marks."""
    return blocks.rewritten(text, START, block(records), "README.md")


def write(readme: Path = README, record: Path = RECORD) -> None:
    """Bring the README's block in step with the record."""
    records = files.read_json(record)["rows"] if record.exists() else {}
    files.write_text(readme, rewritten(readme.read_text(encoding="utf-8"), records))


if __name__ == "__main__":
    try:
        write()
    except UserError as error:
        print(f"page: to mend:\n{error}", file=sys.stderr)
        sys.exit(2)
