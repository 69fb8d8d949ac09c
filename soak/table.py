"""Writes the counts of reports/reliability.json into docs/reliability.md, between its two marker comments; with --check it only compares.

Each script of this folder puts its counts under a key of its own. Example: python soak/table.py
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftbench import files

ROOT = Path(__file__).parents[1]
RELIABILITY = ROOT / "reports/reliability.json"
PAGE = ROOT / "docs/reliability.md"
BEGIN, END = "<!-- counts: written by soak/table.py -->", "<!-- end of counts -->"


def put(key: str, content: Mapping[str, Any], path: Path = RELIABILITY) -> None:
    """Replace what the record holds under `key`, and leave the other keys alone."""
    before = files.read_json(path) if path.exists() else {}
    files.write_json(path, {**before, key: dict(content)})


def finish(key: str, content: Mapping[str, Any], faults: Sequence[str], path: Path) -> None:
    """Print what a script found, and put it under `key` if there were no faults. Raises SystemExit if there were."""
    content = {**content, "faults": len(faults)}
    print(json.dumps(content, indent=1))
    for fault in faults:
        print(fault)
    if faults:
        raise SystemExit(1)
    put(key, content, path)


def rendered(record: Mapping[str, Any]) -> str:
    """The counts as Markdown: a section per key, its numbers in one table, each mapping of counts in one more."""
    return "\n\n".join(part for key in sorted(record) for part in [f"### `{key}`", *_section(record[key])])


def _section(content: Mapping[str, Any]) -> list[str]:
    plain = {name: value for name, value in content.items() if not isinstance(value, Mapping)}
    parts = [_table(["what", "count"], [[_said(name), _shown(value)] for name, value in plain.items()])] if plain else []
    for name, counts in content.items():
        if isinstance(counts, Mapping) and counts:
            parts.append(_nested(name, counts))
    return parts


def _nested(name: str, counts: Mapping[str, Any]) -> str:
    if not all(isinstance(value, Mapping) for value in counts.values()):
        return _table([_said(name), "count"], [[_said(key), _shown(value)] for key, value in counts.items()])
    columns = sorted({column for row in counts.values() for column in row})
    rows = [[_said(key), *(_shown(row.get(column, 0)) for column in columns)] for key, row in counts.items()]
    total = ["all", *(_shown(sum(row.get(column, 0) for row in counts.values())) for column in columns)]
    return _table([_said(name), *map(_said, columns)], [*rows, total])


def _table(headers: list[str], rows: list[list[str]]) -> str:
    lines = [headers, ["---"] + ["---:"] * (len(headers) - 1), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _said(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def page(text: str, record: Mapping[str, Any]) -> str:
    """The page with the counts of the record between its markers. Raises ValueError where they do not stand once each, in order."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise ValueError(f"{PAGE.name} must hold {BEGIN} and after it {END}, once each")
    return f"{before}{BEGIN}\n\n{rendered(record)}\n\n{END}{after}"


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 where the page is not in step")
    arguments = parser.parse_args()
    old = PAGE.read_text(encoding="utf-8")
    new = page(old, files.read_json(RELIABILITY))
    if arguments.check:
        if old != new:
            raise SystemExit(f"{PAGE.name} is not in step with {RELIABILITY.name}: run python soak/table.py")
    else:
        files.write_text(PAGE, new)


if __name__ == "__main__":
    main()
