"""`ftbench repro`: DVC's own stages in DVC's own order, several at once.

One process reads the graph, asks DVC which stages are out of date, and forks a worker per stage that runs it as `dvc repro` would: the
run cache, the outputs' cache and the locks on paths are DVC's. The process holds the repository's lock for the whole run and alone writes
dvc.lock, now and then: DVC by itself reads and writes all of it at every stage, which takes longer the more stages there are. It also has
the slow imports behind it when it forks (`preload`).
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing.connection
import os
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from ftbench import dvc_files, failures, preload, recovery

LOGS = Path(".ftbench/logs")
WRITE_EVERY = 60  # seconds between two writes of dvc.lock; what a crash loses of it comes back from the run cache
FEW = 3  # stages per job: for no more than these it is not worth importing anything beforehand
PATIENCE = 10  # seconds that a stage has to clean up after Ctrl-C
INTERRUPTED = 130
TELL = partial(print, flush=True)


@dataclass
class Plan:
    """What is to be run: the stages in order, by name, and of each the stages among them that must be finished first."""

    stages: dict[str, Any]
    needs: dict[str, set[str]]
    allow_missing: bool = False  # what is not here counts as dvc.lock has it
    done: set[str] = field(default_factory=set)

    def ready(self, running: Iterable[str]) -> list[str]:
        """The stages that could start now, in order."""
        taken = self.done.union(running)
        return [name for name in self.stages if name not in taken and self.needs[name] <= self.done]


@dataclass
class Worker:
    """A forked process that runs one stage, and the end of the pipe on which it answers (how it ended, its entries of dvc.lock, code)."""

    process: Any
    answer: Any
    started: float


def repro(jobs: int, tell: Callable[[str], None] = TELL, allow_missing: bool = False) -> int:
    """Run every stage that is out of date and what follows from it, `jobs` at once. Returns the exit code.

    With `allow_missing` a file that is not here counts as dvc.lock has it, so that no stage runs only to make it.
    0: all is up to date; 1: a stage failed for the machine's faults, or DVC refused; 2: for a user's mistake; 130: interrupted.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # stages say `python`
    dvc_files.parse_params_once()
    preload.replace_shell()
    try:
        repo = Repo()
        with repo.lock:
            for path in recovery.clear(repo):
                tell(f"{path}: of a stage that is gone, and taken away; DVC's cache keeps it")
            plan = outdated(repo, allow_missing)
            if not plan.stages:
                tell("nothing to do: every stage is up to date")
                return 0
            order = [stage.addressing for stage in repo.index.stages]
            code = _run(plan, jobs, order, tell)
        if code:
            return code
        repo = Repo()  # looks anew at everything, dvc.lock included
        with repo.lock:
            left = list(outdated(repo, allow_missing).stages)
    except DvcException as error:
        tell(f"DVC: {error}")
        return 1
    except sqlite3.Error as error:
        tell(f"DVC cannot write its notes: {error}. Is the disk full?")
        return 1
    if left:
        tell(f"out of date again after the run, because something changed meanwhile: {', '.join(left)}")
        return 1
    return 0


def outdated(repo: Any, allow_missing: bool = False) -> Plan:
    """The stages that DVC finds changed, and all that depend on them, in an order in which each stage follows what it needs."""
    import networkx as nx  # type: ignore[import-untyped]

    graph = repo.index.graph  # an edge leads from a stage to one whose output it reads
    changed = [stage for stage in graph if (stage.changed(allow_missing=True) if allow_missing else stage.status())]
    todo = set(changed).union(*(nx.ancestors(graph, stage) for stage in changed))
    sub = graph.subgraph(todo)
    place = {stage: index for index, stage in enumerate(repo.index.stages)}
    ordered = list(nx.lexicographical_topological_sort(sub.reverse(copy=False), key=place.__getitem__))
    return Plan(
        {stage.addressing: stage for stage in ordered},
        {stage.addressing: {other.addressing for other in sub.successors(stage)} for stage in ordered},
        allow_missing,
    )


def _run(plan: Plan, jobs: int, order: list[str], tell: Callable[[str], None]) -> int:
    running: dict[str, Worker] = {}
    failed: dict[str, int] = {}
    preloaded = False
    lock_file, written = dvc_files.LockFile(order), time.monotonic()
    LOGS.mkdir(parents=True, exist_ok=True)
    tell(f"{len(plan.stages)} stages to bring up to date, {jobs} at once; what each prints is in {LOGS}/")
    with terminated_is_interrupted() as came:
        try:
            while True:
                for name in [] if failed else plan.ready(running)[: jobs - len(running)]:
                    running[name] = _start(plan.stages[name], plan.allow_missing)
                if not running:
                    break
                if not preloaded and len(plan.stages) > FEW * jobs:
                    preload.imports()  # while the first stages run
                    preloaded = True
                    if came:
                        raise KeyboardInterrupt
                for name in _answered(running):
                    worker = running.pop(name)
                    how, entry, code = _answer(worker)
                    if code:
                        failed[name] = code
                        tell(f"{name} failed; {len(running)} others are still finishing")
                        continue
                    plan.done.add(name)
                    failures.forget(name)
                    lock_file.waiting |= entry
                    tell(f"[{len(plan.done)}/{len(plan.stages)}] {name}: {how}, {time.monotonic() - worker.started:.1f} s")
                if time.monotonic() - written > WRITE_EVERY:
                    lock_file.write()
                    written = time.monotonic()
        except KeyboardInterrupt:
            _stop(running.values())
            tell("interrupted: what was finished is kept, the next run goes on from there")
            return INTERRUPTED
        finally:
            lock_file.write()
    for name, code in failed.items():
        tell(failures.told(name, code, log_of(name)))
    return 2 if failed and all(code == 2 for code in failed.values()) else 1 if failed else 0


def log_of(name: str) -> Path:
    """The file that keeps what a stage printed when it last ran."""
    return LOGS / f"{name}.log"


def _start(stage: Any, allow_missing: bool) -> Worker:
    ours, theirs = preload.FORK.Pipe(duplex=False)
    process = preload.FORK.Process(target=_work, args=(os.getpid(), stage, allow_missing, theirs), daemon=False)
    sys.stdout.flush()
    process.start()
    theirs.close()
    return Worker(process, ours, time.monotonic())


def _work(parent: int, stage: Any, allow_missing: bool, answer: Any) -> None:
    preload.end_with(parent)
    # in the worker: a session of its own, so that Ctrl-C reaches the stage once, through the parent
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
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
        restored = ran and not anew and b"is cached - skipping run" in log.read_bytes()
        answer.send(("restored" if restored else "ran" if ran else "unchanged", entry, 0))
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        exit_code = re.search(r"exited with (\d+)$", str(error))
        answer.send(("failed", {}, int(exit_code[1]) if exit_code else 1))
        raise SystemExit(1) from None


def _answered(running: Mapping[str, Worker]) -> list[str]:
    ready = set(multiprocessing.connection.wait([worker.answer for worker in running.values()], timeout=WRITE_EVERY))
    return [name for name, worker in running.items() if worker.answer in ready]


def _answer(worker: Worker) -> tuple[str, dict[str, Any], int]:
    try:
        found: tuple[str, dict[str, Any], int] = worker.answer.recv()
    except EOFError:  # killed, as by a machine that is out of memory
        found = ("failed", {}, 1)
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


@contextlib.contextmanager
def terminated_is_interrupted() -> Iterator[list[int]]:
    """Ctrl-C and the signal that ends a process both raise KeyboardInterrupt in this block; yields those that came.

    Not in the midst of slow imports, where an exception may be lost: there who imports looks at what came.
    """
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if not preload.importing:
            raise KeyboardInterrupt

    # both, since a shell that starts this in the background has it ignore Ctrl-C
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _held() -> Any:
    # the parent holds the repository's lock for the whole run
    from dvc.lock import LockNoop

    lock = LockNoop()
    lock.lock()
    return lock
