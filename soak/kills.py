"""Pull the plug on `ftbench repro` again and again, and compare what it ends with to a run that nobody disturbed.

On a small project: SIGKILL, SIGTERM or Ctrl-C, for all its processes, for the scheduler or for one stage, at random moments and in every
kind of stage; and a disk that fills, a place that cannot be written, and memory that runs out. After each, the run is started again, until
it ends; a new project follows until the asked number of kills is reached. Writes its counts to reports/reliability.json.
Example: python soak/kills.py --kills 100
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import hardships
import psutil
import small
import table

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT")
TARGETS = ("everything", "scheduler", "stage")
KINDS = ("prepare", "checkpoint", "train", "evaluate", "baseline", "compare", "account", "report")
SOONEST, LATEST = 0.0, 2.5  # seconds after a stage has started
AFTER_A_CHECKPOINT = 0.7  # the share of the kills of a training that come while it writes checkpoints
CHECKPOINTING = 0.4  # seconds that it does so at least
KEY = "kills"


@dataclass
class Counts:
    """What was done and what came of it."""

    kills: int = 0
    by_signal: Counter[str] = field(default_factory=Counter)
    by_target: Counter[str] = field(default_factory=Counter)
    by_stage: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    runs: int = 0
    rounds: int = 0
    outputs_compared: int = 0
    faults: list[str] = field(default_factory=list)


def kind_of(stage: str) -> str:
    """The kind of a stage: what its name begins with."""
    return stage.partition("@")[0].partition("_")[0]


def stages_at_work(scheduler: psutil.Process, folder: Path) -> dict[str, list[psutil.Process]]:
    """{stage: the processes that run it} of a scheduler: a worker, whose output goes to the stage's log, and below it the script."""
    found = {}
    logs = {str(path): path.stem for path in (folder / ".ftbench/logs").glob("*.log")}
    with contextlib.suppress(psutil.NoSuchProcess):  # the scheduler
        for worker in scheduler.children():
            with contextlib.suppress(OSError, psutil.NoSuchProcess):  # a worker that has ended, or has not got that far
                printed_to = os.readlink(f"/proc/{worker.pid}/fd/1")
                if printed_to in logs:
                    found[logs[printed_to]] = [worker, *worker.children(recursive=True)]
    return found


def disturb(process: subprocess.Popen[str], folder: Path, rng: random.Random, wanted: set[str], counts: Counts) -> None:
    """Wait until a stage of a wanted kind is at work, or else any, and then a random while, and kill."""
    scheduler = psutil.Process(process.pid)
    name, target = rng.choice(SIGNALS), rng.choice(TARGETS)
    number = getattr(signal, name)
    while process.poll() is None:
        at_work = stages_at_work(scheduler, folder)
        found = sorted(stage for stage in at_work if not wanted or kind_of(stage) in wanted)
        if found:
            break
        time.sleep(0.01)
    else:
        return  # it ended before anything wanted was at work
    stage = rng.choice(found)
    if kind_of(stage) == "train" and rng.random() < AFTER_A_CHECKPOINT:
        while stage in stages_at_work(scheduler, folder) and not list(folder.glob(".ftbench/scratch/*/checkpoint-*")):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, CHECKPOINTING))
    else:
        time.sleep(rng.uniform(SOONEST, LATEST) * rng.random())  # mostly soon: many stages are short
    if process.poll() is not None:
        return
    try:
        processes = stages_at_work(scheduler, folder).get(stage, at_work[stage])
        if target == "everything":
            everything = [scheduler, *scheduler.children(recursive=True)]
            for one in everything:
                _send(one, number)
        else:
            _send(scheduler if target == "scheduler" else rng.choice(processes), number)
    except psutil.NoSuchProcess:
        return
    counts.kills += 1
    counts.by_signal[name] += 1
    counts.by_target[target] += 1
    counts.by_stage[kind_of(stage)] += 1


def _send(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def until_done(folder: Path, rng: random.Random, at_most: int, counts: Counts) -> None:
    """Start, kill and start again, until `at_most` kills were made or a run ends well; then one run that nobody disturbs."""
    while counts.kills < at_most:
        before, process = counts.kills, small.start(folder, "--jobs", "2")
        counts.runs += 1
        least = min(counts.by_stage[kind] for kind in KINDS)
        disturb(process, folder, rng, {kind for kind in KINDS if counts.by_stage[kind] <= least + 1}, counts)
        told = _ended(process, counts)
        if counts.kills == before and process.returncode != 0:
            counts.faults.append(f"a run that nobody disturbed ended with {process.returncode}: {told[-2000:]}")
            return
        if process.returncode == 0:
            break
    process = small.start(folder, "--jobs", "2")
    told = _ended(process, counts)
    if process.returncode != 0:
        counts.faults.append(f"the last run ended with {process.returncode}: {told[-2000:]}")


def _ended(process: subprocess.Popen[str], counts: Counts) -> str:
    try:
        told, _ = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        counts.faults.append("a run did not end")
        os.killpg(process.pid, signal.SIGKILL)
        told, _ = process.communicate()
    if "Traceback" in told.partition("The end of ")[0]:
        counts.faults.append(f"a traceback: {told[-2000:]}")
    return told


def rounds(
    place: Path, studies: Sequence[str], expected: dict[str, str], kills: int, rng: random.Random, per_round: int, seconds: float
) -> Counts:
    """Projects that are disturbed and compared to what was expected, one after the other, until the number of kills or the time is up."""
    counts, started = Counts(), time.monotonic()
    while counts.kills < kills and time.monotonic() - started < seconds and not counts.faults:
        folder = small.make(place / f"round-{counts.rounds}", studies)
        until_done(folder, rng, min(kills, counts.kills + per_round), counts)
        counts.rounds += 1
        print(f"{counts.kills} kills, {counts.rounds} projects", flush=True)
        if not counts.faults:
            number, faults = small.check(folder, expected)
            counts.outputs_compared += number
            counts.faults += faults
        for path in (folder / "reports").glob("*/costs/*-train.json"):
            counts.resumed += json.loads(path.read_text(encoding="utf-8"))["resumed"]
        if not counts.faults:
            shutil.rmtree(folder)
    return counts


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--kills", type=int, default=100, metavar="N")
    parser.add_argument("--seed", type=int, default=0, help="of the moments, signals and targets")
    parser.add_argument("--per-round", type=int, default=34, metavar="N", help="kills at most before a project is brought to its end")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further project after these")
    parser.add_argument("--studies", nargs="+", choices=list(small.STUDIES), default=list(small.STUDIES))
    parser.add_argument("--no-hardships", action="store_true", help="kills alone")
    parser.add_argument("--out", type=Path, default=table.RELIABILITY)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        place = Path(name)
        undisturbed = small.make(place / "undisturbed", arguments.studies)
        small.repro(undisturbed)
        expected = small.results(undisturbed)
        found = rounds(
            place, arguments.studies, expected, arguments.kills, random.Random(arguments.seed), arguments.per_round, arguments.seconds
        )
        suffered = {} if arguments.no_hardships else hardships.suffer(place, arguments.studies, expected)
        found.faults += [f"{what}: {said}" for what, said in suffered.items() if said != "mended"]
    content = {
        "kills": found.kills, "runs": found.runs, "projects": found.rounds, "resumed_trainings": found.resumed, "seed": arguments.seed,
        "by_signal": found.by_signal, "by_target": found.by_target, "by_stage": found.by_stage,
        "outputs_compared": found.outputs_compared, "hardships": sorted(set(suffered) - {"after_all"}),
    }  # fmt: skip
    table.finish(KEY, content, found.faults, arguments.out)


if __name__ == "__main__":
    main()
