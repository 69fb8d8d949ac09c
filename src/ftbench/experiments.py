"""DVC's queue of experiments, through DVC's own commands: fill it, run it, find what it left, and leave no worker behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import psutil

from ftbench.errors import Problem, UserError

WORKERS = Path(".dvc/tmp/exps/celery")  # where DVC notes the processes that work through its queue
PATIENCE = 30  # seconds that workers have to start, and to end


class DvcError(Exception):
    """What a command of DVC or git printed that did not end well."""


def dvc(*words: str) -> str:
    """What a DVC command prints. Raises DvcError; Ctrl-C is raised when the command has ended."""
    process = _started(words, subprocess.PIPE)
    interrupted = False
    while True:
        try:
            printed = process.communicate()[0]
            break
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        raise KeyboardInterrupt
    if process.returncode:
        raise DvcError(f"`dvc {' '.join(words[:3])} …` gave {process.returncode}:\n{printed.strip()}")
    return printed


def _started(words: Sequence[str], out: IO[str] | int) -> subprocess.Popen[str]:
    # In a session of its own: Ctrl-C while DVC has the workspace in its stash would leave it there. Stages say `python`, workers say
    # `dvc`, and each experiment imports the code of its own copy of the repository.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    code = os.pathsep.join(["src", *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-m", "dvc", *words],
        env={**os.environ, "PATH": path, "PYTHONPATH": code, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def states() -> dict[str, str]:
    """{experiment: Queued, Running, Success or Failed} of all that DVC's queue knows."""
    rows = [line.split() for line in dvc("queue", "status").splitlines()]
    return {words[1]: words[-1] for words in rows if len(words) > 2 and words[-1] in ("Queued", "Running", "Success", "Failed")}


def commits(names: Sequence[str]) -> dict[str, str]:
    """{experiment: commit} of those among `names` that ended well."""
    words = ["git", "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps"]
    listed = subprocess.run(words, capture_output=True, text=True, check=False)
    if listed.returncode:
        raise DvcError(listed.stderr.strip())
    found = {line.rsplit("/", 1)[-1]: line.split()[0] for line in listed.stdout.splitlines()}
    return {name: found[name] for name in names if name in found}


def refuse_others(names: Sequence[str]) -> None:
    """Raise UserError if DVC's queue holds other experiments than `names`: running the queue would run them too."""
    waiting = [name for name, state in states().items() if state in ("Queued", "Running") and name not in names]
    allowed = "an empty queue: what runs it runs all of it"
    if waiting:
        mend = "run them by `dvc queue start`, or take them out by `dvc queue remove --queued`"
        raise UserError(Problem("DVC's queue", f"experiments that wait or run: {', '.join(waiting)}", allowed, mend))
    if workers():
        raise UserError(Problem("DVC's queue", "a worker that runs", allowed, "wait for it, or end it by `dvc queue stop`"))


def remove(names: Sequence[str]) -> None:
    """Remove experiments, wherever they are: queued, failed or done. Names that are nowhere are passed over."""
    there = {*commits(names), *states()}
    if ours := [name for name in names if name in there]:
        dvc("exp", "remove", *ours)


def run_all(names: Sequence[str], jobs: int, log: Path, heard: Callable[[str], None]) -> bool:
    """Run the queue, `jobs` experiments at once. What they print goes to `log`, and to `heard` line by line.

    Where the workers end before the queue does, as after an experiment that failed they may, others are started for what waits. False if
    even so some of `names` were not taken up.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("", encoding="utf-8")
    for _ in names:
        if _run_all(jobs, log, heard):
            return True
        stop([])
        now = states()
        if not any(now.get(name) == "Queued" for name in names):
            return True
    return False


def _run_all(jobs: int, log: Path, heard: Callable[[str], None]) -> bool:
    """Run the queue to its end. False if no worker ran for PATIENCE seconds while DVC still waited for one."""
    with log.open("a", encoding="utf-8") as out, log.open(encoding="utf-8", errors="replace") as printed:
        printed.seek(0, os.SEEK_END)
        process = _started(("exp", "run", "--run-all", "--jobs", str(jobs)), out)
        alive, part = time.monotonic(), ""
        try:
            while True:
                ended = process.poll() is not None
                *lines, part = (part + printed.read()).split("\n")
                for line in lines:
                    heard(line)
                alive = time.monotonic() if workers() else alive
                if ended:
                    return True
                if time.monotonic() - alive > PATIENCE:  # DVC waits for ever for an experiment whose worker died
                    return False
                time.sleep(0.3)
        finally:
            process.terminate()  # it only follows the workers
            process.wait()


def workers() -> list[psutil.Process]:
    """DVC's workers that run in this repository."""
    found = []
    for path in WORKERS.glob("dvc-exp-worker-*.pid"):
        with contextlib.suppress(psutil.Error, ValueError, OSError):
            process = psutil.Process(int(path.read_text()))
            if "queue-worker" in process.cmdline():  # and not another process that has the number by now
                found.append(process)
    return found


def stop(names: Sequence[str]) -> None:
    """End the workers: nothing more starts, what runs is interrupted as by Ctrl-C, and what does not end in time is killed."""
    now = states()
    if queued := [name for name in names if now.get(name) == "Queued"]:
        dvc("queue", "remove", *queued)
    there = workers()
    if not there:
        return
    for name in (name for name in names if now.get(name) == "Running"):
        with contextlib.suppress(DvcError):  # it ended meanwhile
            dvc("queue", "kill", name)
    dvc("queue", "stop")
    psutil.wait_procs(there, timeout=PATIENCE)
    for worker in there:
        with contextlib.suppress(psutil.Error):
            for process in [*worker.children(recursive=True), worker]:
                process.kill()
