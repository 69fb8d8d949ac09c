"""What a reader and a reviewer wait for: the report stage and `ftbench diff` on the results that git keeps, held to seconds.

There is no other way to make the same pages, so each is put beside itself, run again: the two must give the same bytes, no ratio is judged,
and the slowest run of all may take no longer than what was promised. Every run is a process of its own, start included.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import made
import timing

from ftbench import files

REPORT_SECONDS, DIFF_SECONDS = 20.0, 5.0
AGAIN = "itself, run again"
MOVED = 0.05  # what every score of the changed results moved by

Outcome = Mapping[str, Any]  # seconds, and pages: name to bytes


def report(options: made.Options) -> timing.Row:
    """The stage `report`: every page and figure."""
    scratch = copied()

    def work() -> Outcome:
        seconds = run(Path(scratch.name), made.ROOT / "stages/report.py", "--out", "reports")
        folder = Path(scratch.name) / "reports"
        pages = [path for path in folder.rglob("*") if path.suffix in (".md", ".html", ".svg") or path.name == "ledger.json"]
        return {"seconds": seconds, "pages": {path.relative_to(folder).as_posix(): path.read_bytes() for path in pages}}

    return row("the report stage on the results in git", work, REPORT_SECONDS, {"num_files": num_files(scratch)})


def diff(options: made.Options) -> timing.Row:
    """`ftbench diff HEAD`, where every score of every arm moved since that commit."""
    scratch = copied()
    root = Path(scratch.name)
    for words in (
        ("init", "--quiet"),
        ("add", "--all"),
        ("-c", "user.name=bench", "-c", "user.email=", "commit", "--quiet", "-m", "before"),
    ):
        subprocess.run(["git", *words], cwd=root, check=True)
    for path in root.glob("reports/*/comparison.json"):
        move(path)

    def work() -> Outcome:
        folder = Path(scratch.name)  # which is deleted once nothing holds it
        out = folder / "page.md"
        code = "import sys; from ftbench.cli import main; sys.exit(main())"
        with out.open("wb") as stream:
            seconds = run(folder, "-c", code, "diff", "HEAD", stdout=stream)
        return {"seconds": seconds, "pages": {"page": out.read_bytes()}}

    return row("ftbench diff of results whose every score moved", work, DIFF_SECONDS, {"num_files": num_files(scratch)})


def row(what: str, work: Callable[[], Outcome], most: float, sizes: Mapping[str, Any]) -> timing.Row:
    """A piece of work beside itself, with the most seconds that a run may take."""
    return timing.Row(
        work=what,
        against=AGAIN,
        bar=None,
        ours=lambda: work,
        alternative=lambda: work,
        difference=difference,
        sizes=sizes,
        figures=lambda ours, other: {"slowest_seconds": max(ours["seconds"], other["seconds"])},
        at_most={"slowest_seconds": most},
        warm_up=False,
    )


def difference(ours: Outcome, other: Outcome) -> str:
    """Which pages two runs wrote with other bytes, if any, or that there are none."""
    names = sorted({*ours["pages"], *other["pages"]})
    if not any(ours["pages"].values()):
        return "nothing was written"
    return ", ".join(f"{name} differs" for name in names if ours["pages"].get(name) != other["pages"].get(name))


def copied() -> tempfile.TemporaryDirectory[str]:
    """A folder with the settings and the results that git keeps. Raises timing.NotRunError where there are none."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", "params.yaml", "dvc.lock", "reports"],
        cwd=made.ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    kept = [path for path in listed.stdout.split("\0") if path and (made.ROOT / path).is_file()]
    if not any(path.endswith("/comparison.json") for path in kept):
        raise timing.NotRunError("no results in git")
    scratch = tempfile.TemporaryDirectory(prefix="bench-reports-")
    for path in kept:
        there = Path(scratch.name) / path
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made.ROOT / path, there)
    return scratch


def num_files(scratch: tempfile.TemporaryDirectory[str]) -> int:
    """How many results are read."""
    return sum(path.suffix in (".json", ".csv") for path in Path(scratch.name).rglob("reports/**/*"))


def move(path: Path) -> None:
    """Move the mean of every entry of a comparison.json, and its interval with it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    for entry in content["entries"].values():
        entry |= {name: entry[name] + MOVED for name in ("mean", "low", "high")}
    files.write_json(path, {name: value for name, value in content.items() if name != "schema_version"})


def run(folder: Path, *words: Any, stdout: Any = subprocess.DEVNULL) -> float:
    """Seconds that a Python process took, from its start to its end. Raises CalledProcessError if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(made.ROOT / "src")}
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=folder, check=True, stdout=stdout, env=environment)
    return time.perf_counter() - started
