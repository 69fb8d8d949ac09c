"""Where stages run, as `ftbench repro` sees it, and the first such place: forked processes of this machine.

A worker runs one stage as `dvc repro` would: the run cache, the outputs' cache and the locks on paths are DVC's. It writes no dvc.lock: its
entries go back to the process that started it, which alone holds the repository's lock.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing.connection
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftbench import preload, recovery, resources

LOGS = Path(".ftbench/logs")
PATIENCE = 10  # seconds that a stage has to clean up after Ctrl-C
FAILED, LOST = "failed", "lost"


@dataclass(frozen=True)
class Answer:
    """How a stage ended: "ran", "restored", "unchanged", "failed" with its exit code, or "lost" with the machine that ran it.

    `entry` is for dvc.lock. Of another machine: `where` names it, `seconds` is what the stage took there, 0 where nobody knows, and `said`
    stands for a log that is not there.
    """

    how: str
    entry: dict[str, Any] = field(default_factory=dict)
    code: int = 0
    where: str = ""
    seconds: float = 0.0
    said: str = ""


@dataclass(frozen=True)
class Place:
    """Where stages run. `start` takes a stage and `allow_missing` and returns a handle of it, or None while there is no room for it.

    `ended` waits at most some seconds for handles, by name, and returns the names of those that have ended; `answer` is asked once, after
    that. `stop` ends handles, letting them clean up. `forks`: at once, of this process, which share what it imports; 0 elsewhere.
    """

    title: str
    start: Callable[[Any, bool], Any]
    ended: Callable[[Mapping[str, Any], float], list[str]]
    answer: Callable[[Any], Answer]
    stop: Callable[[Iterable[Any]], None]
    forks: int = 0


@dataclass
class Worker:
    """A forked process that runs one stage, the end of the pipe on which it answers, and the GPUs that it has taken."""

    process: Any
    answer: Any
    gpus: tuple[str, ...] = ()


def here(jobs: int, gpus: Sequence[str] = (), per_gpu: int = 1, processes: Callable[[str], int] = lambda stage: 1) -> Place:
    """This machine: `jobs` stages at once. Where it has `gpus`, a stage that uses one takes one, and no more than `per_gpu` the same.

    `processes` says of a stage how many it trains with: it takes a GPU for each, as far as there are so many.
    """
    free = [gpu for _ in range(per_gpu) for gpu in gpus]
    working: list[Worker] = []

    def start(stage: Any, allow_missing: bool) -> Worker | None:
        wanted = min(processes(stage.addressing), len(gpus)) if resources.uses_gpu(stage.addressing) else 0
        taken = sorted(dict.fromkeys(free), key=free.count, reverse=True)[:wanted]  # those that fewest others use
        if len(working) == jobs or len(taken) < wanted:
            return None
        for gpu in taken:
            free.remove(gpu)
        worker = _forked(stage, allow_missing, tuple(taken))
        working.append(worker)
        return worker

    def answer(worker: Worker) -> Answer:
        working.remove(worker)
        free.extend(worker.gpus)
        return _answer(worker)

    title = f"{jobs} at once" + (f", {len(gpus)} GPUs, {per_gpu} at once on each" if gpus else "")
    return Place(title, start, _ended, answer, _stop, forks=jobs)


def log_of(name: str) -> Path:
    """The file that keeps what a stage printed when it last ran."""
    return LOGS / f"{name}.log"


def work(stage: Any, allow_missing: bool) -> Answer:
    """Run a stage in this process, whose output goes to the stage's log from here on. Raises nothing but what ends a process."""
    log = log_of(stage.addressing)
    with log.open("wb") as stream, open(os.devnull, "rb") as nothing:
        for source, target in ((nothing, 0), (stream, 1), (stream, 2)):
            os.dup2(source.fileno(), target)
    logging.getLogger("dvc").setLevel(logging.INFO)  # says what ran and what came from the cache
    stage.repo.lock = _held()
    try:
        ran, anew = recovery.reproduce(stage, allow_missing)
        from dvc.stage.serialize import to_lockfile

        entry = to_lockfile(stage) if ran else {}
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        exit_code = re.search(r"exited with (\d+)$", str(error))
        return Answer(FAILED, code=int(exit_code[1]) if exit_code else 1)
    restored = ran and not anew and b"is cached - skipping run" in log.read_bytes()
    return Answer("restored" if restored else "ran" if ran else "unchanged", entry)


def signals_by_default() -> None:
    """Take the signals that end a process as a new Python does, whatever the process that started this one does with them."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})


def _forked(stage: Any, allow_missing: bool, gpus: tuple[str, ...]) -> Worker:
    ours, theirs = preload.FORK.Pipe(duplex=False)
    process = preload.FORK.Process(target=_in_fork, args=(os.getpid(), stage, allow_missing, gpus, theirs), daemon=False)
    sys.stdout.flush()
    process.start()
    theirs.close()
    return Worker(process, ours, gpus)


def _in_fork(parent: int, stage: Any, allow_missing: bool, gpus: tuple[str, ...], answer: Any) -> None:
    preload.end_with(parent)
    os.setsid()  # so that Ctrl-C reaches the stage once, through the parent
    signals_by_default()
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    found = work(stage, allow_missing)
    answer.send(found)
    if found.how == FAILED:
        raise SystemExit(1)


def _ended(running: Mapping[str, Worker], seconds: float) -> list[str]:
    ready = set(multiprocessing.connection.wait([worker.answer for worker in running.values()], timeout=seconds))
    return [name for name, worker in running.items() if worker.answer in ready]


def _answer(worker: Worker) -> Answer:
    try:
        found: Answer = worker.answer.recv()
    except EOFError:  # killed, as by a machine that is out of memory
        found = Answer(FAILED, code=1)
    worker.process.join()
    worker.answer.close()
    return found


def _stop(workers: Iterable[Worker]) -> None:
    workers = list(workers)
    deadline = time.monotonic() + PATIENCE
    for last, number in ((False, signal.SIGINT), (True, signal.SIGKILL)):
        for worker in workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.process.pid, number)
        for worker in workers:
            worker.process.join(None if last else max(0.0, deadline - time.monotonic()))


def _held() -> Any:
    # who started this holds the repository's lock for the whole run
    from dvc.lock import LockNoop

    lock = LockNoop()
    lock.lock()
    return lock
