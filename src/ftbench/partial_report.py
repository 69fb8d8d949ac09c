"""The report of a run that went on past a failure: of what finished, naming what did not, in a folder of its own.

Studies whose comparison finished come as they are. Of the others, the arms and baselines that finished are compared again; files of those
that did not, which an earlier run may have left, are not read.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from ftbench import files, params, stage
from ftbench.report import UNFINISHED
from ftbench.scheduling import Plan
from ftbench.workers import LOGS

REPORTS = Path("reports")
OUT = Path(".ftbench/partial")
READ = ("predictions", "scores", "costs", "learning", "resources")  # of a study, by its comparison


def after(plan: Plan, tell: Callable[[str], None]) -> None:
    """Write the report to OUT if a run could not: of what is there beside the outs of the stages that did not finish."""
    unfinished = plan.unfinished()
    if "report" not in unfinished:
        return
    stale = {Path(out.fs_path).resolve() for name in unfinished for out in plan.stages[name].outs}
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    _copy([REPORTS / name for name in ("accounting.json", "coverage.json")], OUT, stale)
    for study in params.find(params.read(), "studies"):
        if {f"compare@{study}", f"compare_{study}"} & unfinished.keys():
            _compare(study, stale, tell)
        elif (REPORTS / study).is_dir():
            shutil.copytree(REPORTS / study, OUT / study, ignore=shutil.ignore_patterns(*READ))
    files.write_json(OUT / UNFINISHED, {"stages": unfinished})
    if _stage("report", "--out", str(OUT)):
        tell(f"\npartial report, of what finished: {OUT}/README.md; {REPORTS}/ is as it was but for what finished")
    else:
        tell(f"\nno partial report could be written: see {LOGS}/partial-report.log")


def _compare(study: str, stale: set[Path], tell: Callable[[str], None]) -> None:
    for folder in READ:
        (OUT / study / folder).mkdir(parents=True)
        _copy((REPORTS / study / folder).glob("*"), OUT / study / folder, stale)
    if (REPORTS / study / "sweeps").is_dir():  # which no stage writes
        shutil.copytree(REPORTS / study / "sweeps", OUT / study / "sweeps")
    if not _stage("compare", "--study", study, "--out", str(OUT / study), "--partial"):
        tell(f"{study} could not be compared: see {LOGS}/partial-compare.log; the partial report goes without it")
        shutil.rmtree(OUT / study)


def _copy(sources: Iterable[Path], folder: Path, stale: set[Path]) -> None:
    for source in sources:
        if source.is_file() and source.resolve() not in stale:
            shutil.copyfile(source, folder / source.name)


def _stage(name: str, *options: str) -> bool:
    """Whether a stage script that is run by hand succeeded. Its log says how it failed: no success would ever take its record away."""
    records = set(stage.FAILURES.glob("*"))
    with (LOGS / f"partial-{name}.log").open("ab") as log:
        words = [sys.executable, f"stages/{name}.py", *options]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False)
    for record in set(stage.FAILURES.glob("*")) - records:
        record.unlink()
    return done.returncode == 0
