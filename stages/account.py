"""Count the parameters and bytes of every arm of every scale at its own size, and solve what the studies' printed figures imply.

Reads params.yaml (every scale, not only the selected one); writes one JSON file. Models are built on the meta device: nothing is
downloaded, and a model of eight billion parameters takes no memory.
Example: python stages/account.py --out reports/accounting.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ftbench import accounting, files, params, printed, stage


def main(arguments: argparse.Namespace) -> None:
    """Write the accounts."""
    raw = params.read()
    files.write_json(
        arguments.out,
        {
            "scales": accounting.every_arm(raw),
            "printed_by_the_studies": printed.counts(),
            "solved": printed.sizes(),
        },
    )


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    arguments = parser.parse_args()
    stage.run(main, arguments, outs=[arguments.out])
