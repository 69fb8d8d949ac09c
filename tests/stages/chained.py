"""Scripts as a user runs them, one after the other in one process: what is slow to import is imported once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

CHAIN = """\
import json, runpy, sys
from pathlib import Path
for command in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
    sys.argv = command
    runpy.run_path(command[0], run_name="__main__")
"""


def run(root: Path, commands: Iterable[Sequence[str]], lines: str = "") -> subprocess.CompletedProcess[str]:
    """Run scripts with their arguments in a folder; `lines` are typed to those that read any. The first that fails ends the chain."""
    chain = root / "chain.json"
    chain.write_text(json.dumps([list(map(str, command)) for command in commands]), encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-c", CHAIN, str(chain)]
    return subprocess.run(command, input=lines, cwd=root, env=environment, capture_output=True, encoding="utf-8", check=False)
