"""The lock gate: fails where dvc.lock is not that of this tree, and names the stages that would run.

Needs neither DVC's cache nor a network: what lies nowhere here counts as dvc.lock has it, as for `dvc repro --dry --allow-missing`. That
command itself is no gate: it exits with 0 although stages would run or, where their data are missing, stops at the first of them.
Example: python .ci/lock_gate.py
"""

from __future__ import annotations

import sys

from dvc.exceptions import DvcException
from dvc.repo import Repo

from ftbench import dvc_files, scheduling

MEND = "Run `make repro` and commit dvc.lock and reports/, or `dvc commit` where no result can differ (CONTRIBUTING.md)."


def main() -> None:
    """Exit with 0 if no stage would run, with 1 if one would, or if DVC finds no stage or cannot read them."""
    dvc_files.parse_params_once()
    try:
        repo = Repo()
        with repo.lock:
            stages = repo.index.stages
            stale = scheduling.outdated(repo, allow_missing=True).stages
    except DvcException as error:
        sys.exit(f"lock gate: DVC: {error}")
    if not stages:
        sys.exit("lock gate: dvc.yaml holds no stage")
    if stale:
        named = "\n".join(f"  {name}" for name in stale)
        sys.exit(f"lock gate: dvc.lock is not that of this tree. {len(stale)} of {len(stages)} stages would run:\n{named}\n{MEND}")
    print(f"lock gate: none of {len(stages)} stages would run")


if __name__ == "__main__":
    main()
