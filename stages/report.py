"""Write the report and the ledger from the files that git keeps.

Reads params.yaml and, under --out, accounting.json, coverage.json and each study's metrics.json, comparison.json, cost.json, curves/ and
answers.json.
Writes README.md, index.html, ledger.json, figures/overview.svg, and each study's README.md and figures/. The same files give the same
bytes.
Parameters: `scale` and `studies`.
Example: python stages/report.py --out reports
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ftbench import params, report, stage


def main(arguments: argparse.Namespace) -> None:
    """Write the report."""
    raw = params.read()
    report.write(arguments.out, report.read(arguments.out, raw))


def outs(out: Path) -> list[Path]:
    """What a failed run must not leave half made: pages, the ledger and figures, and nothing that it reads."""
    pages = [out / "README.md", out / "index.html", out / "ledger.json", out / "figures"]
    studies = [path.parent for path in out.glob("*/metrics.json")]
    return pages + [study / name for study in studies for name in ("README.md", "figures")]


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder of the report, which also holds what it is made from")
    arguments = parser.parse_args()
    stage.run(main, arguments, outs=outs(arguments.out))
