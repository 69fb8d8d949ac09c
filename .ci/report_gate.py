"""The report gate: builds the report anew from the files that git keeps, and fails where that changes one of them.

Example: python .ci/report_gate.py
"""

from __future__ import annotations

import subprocess
import sys

MEND = "Run `make report` and commit reports/."


def main() -> None:
    """Exit with 0 if git sees no change under reports/, with 1 if it does or the report cannot be built."""
    if subprocess.run([sys.executable, "stages/report.py", "--out", "reports"], check=False).returncode:
        sys.exit("report gate: the report cannot be built")
    status = ["git", "status", "--porcelain", "--untracked-files=all", "--", "reports"]
    changed = subprocess.run(status, stdout=subprocess.PIPE, text=True, check=True).stdout
    if changed:
        sys.exit(f"report gate: reports/ in git is not what its own numbers give. git sees:\n{changed}{MEND}")
    print("report gate: the report is what its own numbers give, byte for byte")


if __name__ == "__main__":
    main()
