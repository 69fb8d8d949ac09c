"""The commands of dvc.yaml at the scale `paper`, each run in a fork of one warm process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paper_stand_ins import SEEDS, shipped

from ftbench import preload

ROOT = Path(__file__).resolve().parents[2]
Ran = tuple[int, str]
WARM = """\
import json, os, sys
from ftbench import preload
preload.imports()
replies = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for line in sys.stdin:
    words, folder = json.loads(line)
    print(preload.run_script(words, folder, os.environ), file=replies, flush=True)
"""


@contextmanager
def warm_process(log: Path) -> Iterator[Callable[[str, Path], Ran]]:
    """A function that runs a command in a folder, in a fork of one process that writes to `log`; its exit code and what it said."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    with log.open("w") as said, subprocess.Popen([sys.executable, "-c", WARM], stderr=said, **pipes) as warm:

        def run(command: str, folder: Path) -> Ran:
            before = log.stat().st_size
            print(json.dumps([preload.script_and_arguments(command), str(folder)]), file=warm.stdin, flush=True)
            code = warm.stdout.readline()
            text = log.read_bytes()[before:].decode()
            assert code, f"the process ended: {text}"
            return int(code), text

        yield run


def project(folder: Path, raw: dict[str, Any]) -> Path:
    """A folder in which dvc.yaml's commands run, with these params."""
    (folder / "params.yaml").write_text(json.dumps(raw, indent=1), encoding="utf-8")
    (folder / "stages").symlink_to(ROOT / "stages")
    return folder


def by_name(folder: Path) -> dict[str, str]:
    """The commands of all stages of dvc.yaml at the scale `paper`, one seed each, in their order and by name; the folder is empty."""
    from dvc.repo import Repo

    studies = {name: {**study, "seeds": SEEDS} for name, study in shipped()["studies"].items()}
    project(folder, {**shipped(), "studies": studies})
    shutil.copy(ROOT / "dvc.yaml", folder)
    with Repo.init(str(folder), no_scm=True) as repo:
        return {found.name: found.cmd for found in repo.index.stages}
