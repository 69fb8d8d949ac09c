"""`ftbench sweep`: one setting at several values, each value a DVC experiment that trains every arm of the sweep at every seed.

`dvc exp run --queue -S …` queues them and DVC's workers run them in copies of the workspace, so the workspace stays as it is, and what
was trained before comes from the run cache. What is read are learning curves: the validation split, never the test split.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ftbench import checks, experiments, files, grid, params, report_sweeps, sweep_results, sweep_settings, tables
from ftbench.scheduling import INTERRUPTED, LOGS, TELL, terminated_is_interrupted
from ftbench.sweep_settings import Sweep, Value

SHOWN_LINES = 30  # of what a failed experiment printed


def run(name: str, jobs: int, keep: bool = False, tell: Callable[[str], None] = TELL) -> int:
    """Run the sweep `name` of the selected scale, `jobs` values at once, and write `reports/<study>/sweeps/<name>.json`.

    Returns the exit code: 1 if a value failed or DVC refused, 130 if interrupted. Raises UserError before anything runs.
    """
    raw = params.read()
    checks.everything(raw)
    sweep = sweep_settings.find(raw, name)
    values = {f"sweep-{name}-{number}": value for number, value in enumerate(sweep.values, 1)}
    try:
        with terminated_is_interrupted():
            experiments.refuse_others(list(values))
            experiments.remove(list(values))  # what --keep or a crash left
            try:
                ends = _ends(raw, name, sweep, values, jobs, tell)
            finally:
                if not keep:
                    experiments.remove(list(values))
    except experiments.DvcError as error:
        tell(f"DVC: {error}")
        return 1
    except KeyboardInterrupt:
        tell("interrupted: what was trained is in DVC's run cache, and the next sweep goes on from there")
        return INTERRUPTED
    if not ends:
        tell("no value was tried to the end: nothing is written")
        return 1
    keys = sweep_settings.keys(raw, name, sweep)
    current = {arm: params.find(raw, *key.split(".")) for arm, key in keys.items()}
    found = sweep_results.payload(grid.scale(raw), sweep, keys, current, ends)
    out = Path("reports") / sweep.study / "sweeps" / f"{name}.json"
    files.write_json(out, found)
    tell("\n" + tables.markdown([report_sweeps.table(name, found)]))
    for line in [*sweep_results.advice(found), f"written: {out}"]:
        tell(line)
    return 1 if found["failed"] else 0


def queued(raw: Mapping[str, Any], name: str, sweep: Sweep, experiment: str, value: Value) -> list[str]:
    """The arguments of the `dvc` that queues one value: the key of every arm set to it, and what is to be trained."""
    keys = dict.fromkeys(sweep_settings.keys(raw, name, sweep).values())
    stages = [f"train_{sweep.study}@{arm}-{seed}" for arm in sweep.arms for seed in sweep.seeds]
    return ["exp", "run", "--queue", "--name", experiment, *(word for key in keys for word in ("-S", f"{key}={value}")), *stages]


def _ends(
    raw: Mapping[str, Any], name: str, sweep: Sweep, values: Mapping[str, Value], jobs: int, tell: Callable[[str], None]
) -> dict[Value, sweep_results.Ends]:
    num_values, num_arms, num_seeds = len(values), len(sweep.arms), len(sweep.seeds)
    total = num_values * num_arms * num_seeds
    tell(f"{sweep.parameter}: {num_values} values x {num_arms} arms x {num_seeds} seeds = {total} trainings, {jobs} values at once")
    log = LOGS / f"sweep-{name}.log"
    try:
        for experiment, value in values.items():
            experiments.dvc(*queued(raw, name, sweep, experiment, value))
        if not experiments.run_all(list(values), min(jobs, num_values), log, partial(_progress, values, tell)):
            tell("DVC's queue left values undone: they count as failed")
    finally:
        experiments.stop(list(values))
    commits = experiments.commits(list(values))
    ends = {}
    for experiment, value in values.items():
        if experiment in commits:
            ends[value] = _read(sweep, commits[experiment])
        else:
            tell(f"\n{sweep.parameter} = {value} failed. The end of what it printed ({log}):\n{_end_of(log, experiment)}")
    return ends


def _progress(values: Mapping[str, Value], tell: Callable[[str], None], line: str) -> None:
    if (started := re.match(r"Reproducing experiment '(.+)'", line)) and started[1] in values:
        tell(f"[{list(values).index(started[1]) + 1}/{len(values)}] {values[started[1]]}")
    elif stage := re.match(r"(?:Running stage|Stage) '(train_[^']+)'(.*)", line):
        how = "from the run cache" if "is cached" in stage[2] else "unchanged" if "didn't change" in stage[2] else "runs"
        tell(f"  {stage[1]}: {how}")


def _read(sweep: Sweep, commit: str) -> sweep_results.Ends:
    from dvc.api import DVCFileSystem

    content = DVCFileSystem(rev=commit)
    found: dict[str, dict[int, dict[str, float | None]]] = {arm: {} for arm in sweep.arms}
    with tempfile.TemporaryDirectory() as folder:
        for arm in sweep.arms:
            for seed in sweep.seeds:
                path = Path(folder) / f"{arm}-{seed}.csv"
                content.get_file(f"reports/{sweep.study}/learning/{path.name}", str(path))
                found[arm][seed] = sweep_results.end(path)
    return found


def _end_of(log: Path, experiment: str) -> str:
    parts = re.split(r"^Reproducing experiment '(.+)'$", log.read_text(encoding="utf-8", errors="replace"), flags=re.MULTILINE)
    own = dict(zip(parts[1::2], parts[2::2], strict=True)).get(experiment, parts[0])
    return "\n".join(own.splitlines()[-SHOWN_LINES:])
