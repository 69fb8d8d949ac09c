"""The lock gate: fails where dvc.lock is not that of this tree, and names the stages that would run.

Needs neither DVC's cache nor a network: what lies nowhere here counts as dvc.lock has it. `dvc repro --dry --allow-missing` exits with 0
either way, so what it says is read.
Example: python .ci/lock_gate.py
"""

from __future__ import annotations

import re
import subprocess
import sys

MEND = "Run `make repro` and commit dvc.lock and reports/, or `dvc commit` where no result can differ (CONTRIBUTING.md)."


def main() -> None:
    """Exit with 0 if no stage would run, with 1 if one would or DVC fails."""
    command = [sys.executable, "-m", "dvc", "repro", "--dry", "--allow-missing"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    stale = re.findall(r"^Running stage '(.+)':$", done.stdout, re.MULTILINE)
    kept = re.findall(r"^Stage '.+' didn't change, skipping$", done.stdout, re.MULTILINE)
    if done.returncode or not stale + kept:  # a gate that understands nothing of what it reads stays shut
        sys.exit(f"{done.stdout}lock gate: DVC did not say of a single stage whether it would run (exit code {done.returncode})")
    if stale:
        named = "\n".join(f"  {name}" for name in stale)
        sys.exit(f"lock gate: dvc.lock is not that of this tree. {len(stale)} would run, and what follows from them:\n{named}\n{MEND}")
    print(f"lock gate: none of {len(kept)} stages would run")


if __name__ == "__main__":
    main()
