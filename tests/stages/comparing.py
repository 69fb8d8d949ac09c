"""The compare stage, run on made-up results, and the files that it wrote, read."""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def compare(root, study="snli", **options):
    command = [sys.executable, REPOSITORY / "stages/compare.py", "--study", study, "--out", f"reports/{study}"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, **options)


def read(root, name, study="snli"):
    return json.loads((root / "reports" / study / name).read_text(encoding="utf-8"))
