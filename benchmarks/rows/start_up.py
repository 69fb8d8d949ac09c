"""The start of stages that train, in forks of a process that has the slow imports behind it, against a Python of its own for each."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import timing
from made import Options

from ftbench import preload

STARTS, QUICK_STARTS = 2, 1
SCRIPT = """\
import sys
from ftbench import models, training
import peft, bitsandbytes
with open(sys.argv[1], "a", encoding="utf-8") as stream:
    print(models.__name__, training.__name__, peft.__name__, bitsandbytes.__name__, file=stream)
"""


def row(options: Options) -> timing.Row:
    """Every start imports what a stage that trains imports."""
    if any(map(os.path.exists, preload.GPU_DEVICES)):
        raise timing.NotRunError("beside a GPU nothing is imported beforehand: a driver that an import has woken does not survive a fork")
    num_starts = QUICK_STARTS if options.quick else STARTS
    scratch = tempfile.TemporaryDirectory(prefix="bench-start-")
    folder = Path(scratch.name)
    (folder / "script.py").write_text(SCRIPT, encoding="utf-8")
    preload.imports()

    def work(start: Callable[[list[str]], int]) -> timing.Work:
        out = folder / "out.txt"

        def run() -> str:
            out.unlink(missing_ok=True)
            for _ in range(num_starts):
                if code := start(["script.py", str(out)]):
                    raise timing.NotRunError(f"the script ended with exit code {code}")
            return out.read_text(encoding="utf-8")

        return run

    environment = dict(os.environ)
    return timing.Row(
        work=f"{num_starts} starts of a stage that trains, forked from a process with its imports",
        against="a Python of its own for each",
        bar=5.0,
        ours=lambda: work(lambda words: preload.run_script(words, scratch.name, environment)),
        alternative=lambda: work(lambda words: subprocess.run([sys.executable, *words], cwd=scratch.name, check=False).returncode),
        difference=lambda ours, other: "" if ours == other and ours else "the two imported other modules, or none",
        sizes={"num_starts": num_starts},
    )
