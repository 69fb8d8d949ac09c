"""The whole pipeline on a small grid: stages side by side against one at a time; and what a run costs that has nothing to do.

The small grid is the tests' own cut of the repository. What has nothing to do is measured on the DAG of this checkout, and on made up ones
of so many stages, each with as many dependencies as ours have.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import made
import timing

DVC, FTBENCH = ["-m", "dvc"], ["-m", "ftbench.cli"]
MOST_EXTRA = 0.5  # seconds that our command may take longer than DVC's
DEPENDENCIES = 20  # of a made up stage, as of most of ours
REPEATS = 3  # a run takes most of a minute


def parallel_stages(options: made.Options) -> timing.Row:
    """Every stage of the small grid from an empty cache, two at once against one at a time."""
    if made.num_cores() < 2:
        raise timing.NotRunError("one core: nothing can run side by side")
    shrunken = helper()

    def prepared(folder: Path) -> Path:
        copied = shrunken.copy(folder)
        if options.quick:
            only(copied, "prepare")
        return copied

    def work(jobs: int) -> timing.Work:
        scratch = tempfile.TemporaryDirectory(prefix=f"bench-jobs-{jobs}-")
        folder = prepared(Path(scratch.name))

        def run() -> dict[str, bytes]:
            command(folder, [*FTBENCH, "repro", "--jobs", str(jobs)], shrunken.environment(folder))
            found: dict[str, bytes] = shrunken.results(folder)
            scratch.cleanup()
            return found

        return run

    with tempfile.TemporaryDirectory(prefix="bench-stages-") as counted:
        folder = prepared(Path(counted))
        num_stages = len(stages(folder, shrunken.environment(folder)))
    return timing.Row(
        work="ftbench repro --jobs 2 of a small grid, from an empty cache",
        against="the same with --jobs 1",
        bar=1.25,
        ours=functools.partial(work, 2),
        alternative=functools.partial(work, 1),
        difference=difference,
        sizes={"num_stages": num_stages},
        warm_up=False,
        num_repeats=REPEATS,
    )


def nothing_to_do(options: made.Options) -> timing.Row:
    """On this checkout, once a run has left everything up to date."""
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    if not (made.ROOT / "data").is_dir() or not (made.ROOT / "models").is_dir():
        raise timing.NotRunError("no data/ and models/ here: run `make repro` first")
    status = subprocess.run([sys.executable, *DVC, "status", "--quiet"], cwd=made.ROOT, env=environment, capture_output=True, check=False)
    if status.returncode:  # or both commands would begin to train
        raise timing.NotRunError("stages are out of date here: run `make repro` first")
    return nothing(lambda: made.ROOT, "of this checkout", len(stages(made.ROOT, environment)), environment)


def nothing_to_do_50(options: made.Options) -> timing.Row:
    """On a small made up DAG."""
    return made_up(10 if options.quick else 50)


def nothing_to_do_200(options: made.Options) -> timing.Row:
    """On one of about as many stages as the offline scale has."""
    return made_up(20 if options.quick else 200)


def made_up(number: int) -> timing.Row:
    """Stages in pairs, the second of which reads what the first writes; they copy a file, and have run already."""
    shrunken = helper()
    scratch = tempfile.TemporaryDirectory(prefix="bench-nothing-")
    folder = shrunken.copy(Path(scratch.name))
    modules = sorted(path.relative_to(folder).as_posix() for path in (folder / "src/ftbench").glob("*.py"))[:DEPENDENCIES]
    lines = ["stages:"]
    for n in range(number):
        read = f"out/{n - 1}.txt" if n % 2 else "params.yaml"
        lines += [f"  copy_{n}:", f"    cmd: cp {read} out/{n}.txt", "    params: [scale]", "    deps:"]
        lines += [f"      - {path}" for path in ([read] if n % 2 else []) + modules]
        lines += ["    outs:", f"      - out/{n}.txt"]
    (folder / "dvc.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "out").mkdir()
    environment = shrunken.environment(folder)
    command(folder, [*FTBENCH, "repro", "--jobs", "1"], environment)
    return nothing(lambda: Path(scratch.name), "made up", number, environment)


def nothing(at: Callable[[], Path], said: str, number: int, environment: Mapping[str, str]) -> timing.Row:
    """A row of two commands that both find everything up to date in the folder `at()`, which lives as long as the row."""
    return timing.Row(
        work=f"ftbench repro with nothing to do, {number} stages {said}",
        against="a bare dvc repro",
        bar=None,
        ours=lambda: lambda: command(at(), [*FTBENCH, "repro"], environment),
        alternative=lambda: lambda: command(at(), [*DVC, "repro"], environment),
        difference=idle,
        sizes={"num_stages": number},
        most_extra_seconds=MOST_EXTRA,
    )


def idle(ours: str, other: str) -> str:
    """Whether either command did anything, in words."""
    found = [] if "nothing to do" in ours else ["ftbench repro had something to do"]
    return ", ".join(found + (["dvc repro had something to do"] if "Running stage" in other else []))


def difference(ours: dict[str, bytes], other: dict[str, bytes]) -> str:
    """Which result files differ between two runs, if any."""
    differing = sorted(name for name in ours.keys() | other.keys() if ours.get(name) != other.get(name))
    if not ours:
        return "no result file"
    return f"{len(differing)} of {len(ours)} result files differ, {differing[0]} among them" if differing else ""


def stages(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """The names of all stages of a folder."""
    return command(folder, [*DVC, "stage", "list", "--name-only"], environment).split()


def command(folder: Path, words: list[str], environment: Mapping[str, str]) -> str:
    """What a Python command in `folder` prints. Raises NotRunError if it fails."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise timing.NotRunError(f"{' '.join(words)} failed: {done.stdout.strip()[-500:]}")
    return done.stdout


def helper() -> Any:
    """What cuts the repository down, which the tests of the pipeline share."""
    if shutil.which("git") is None:
        raise timing.NotRunError("no git")
    sys.path.insert(0, str(made.ROOT / "tests/pipeline"))
    try:
        import shrunken
    finally:
        sys.path.pop(0)
    return shrunken


def only(folder: Path, group: str) -> None:
    """Leave of a copy's dvc.yaml one group of stages alone."""
    from ruamel.yaml import YAML

    yaml, path = YAML(), folder / "dvc.yaml"
    yaml.dump({"stages": {group: yaml.load(path)["stages"][group]}}, path)
