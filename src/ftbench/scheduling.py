"""`ftbench repro`: DVC's own stages in DVC's own order, several at once.

One process reads the graph, asks DVC which stages are out of date, and hands each to a worker (`workers`: forked here; `ray_engine`: on the
machines of a cluster). It holds the repository's lock for the whole run and alone writes dvc.lock, now and then: DVC by itself reads and
writes all of it at every stage, which takes longer the more stages there are. It also has the slow imports behind it when it forks
(`preload`).
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from ftbench import dvc_files, failures, preload, progress, recovery
from ftbench.workers import FAILED, LOGS, LOST, Answer, Place, log_of

WRITE_EVERY = 60  # seconds between two writes of dvc.lock; what a crash loses of it comes back from the run cache
SHOW_EVERY = 1  # seconds between two looks of the table on a terminal
FEW = 3  # stages per job: for no more than these it is not worth importing anything beforehand
LOSSES = 3  # times that a stage is started again because the machine that ran it went away
INTERRUPTED = 130
HOLDER = Path(".ftbench/repro")  # says who holds the repository's lock
TELL = partial(print, flush=True)


@dataclass
class Plan:
    """What is to be run: the stages in order, by name, and of each the stages among them that must be finished first."""

    stages: dict[str, Any]
    needs: dict[str, set[str]]
    allow_missing: bool = False  # what is not here counts as dvc.lock has it
    done: set[str] = field(default_factory=set)
    failed: dict[str, Answer] = field(default_factory=dict)

    def ready(self, running: Iterable[str]) -> list[str]:
        """The stages that could start now, in order."""
        taken = self.done.union(self.failed, running)
        return [name for name in self.stages if name not in taken and self.needs[name] <= self.done]

    def unfinished(self) -> dict[str, str]:
        """Of each stage that failed, or did not run since it needs one that did not finish, why."""
        found = {}
        for name in self.stages:
            if name in self.failed:
                found[name] = f"failed, exit code {self.failed[name].code}"
            elif name not in self.done:
                found[name] = "not run: needs " + ", ".join(sorted(self.needs[name] - self.done))
        return found


def repro(
    place: Place,
    tell: Callable[[str], None] = TELL,
    show: Callable[[Sequence[str]], None] | None = None,
    allow_missing: bool = False,
    keep_going: bool = False,
    when_partial: Callable[[Plan, Callable[[str], None]], None] | None = None,
) -> int:
    """Run every stage that is out of date and what follows from it, at `place`. Returns the exit code.

    With `allow_missing` a file that is not here counts as dvc.lock has it, so that no stage runs only to make it. With `keep_going` a
    stage that fails stops only what needs it, and `when_partial` is called with what was done in the end. `show` gets the lines of a table.
    0: all is up to date; 1: a stage failed for the machine's faults, or DVC refused; 2: for a user's mistake; 130: interrupted.
    """
    from dvc.exceptions import DvcException
    from dvc.lock import LockError
    from dvc.repo import Repo

    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # stages say `python`
    dvc_files.parse_params_once()
    preload.replace_shell()
    recovery.replace_paths_in_use()
    try:
        repo = Repo()
        with repo.lock, _holder():
            for path in recovery.clear(repo):
                tell(f"{path}: of a stage that is gone, and taken away; DVC's cache keeps it")
            plan = outdated(repo, allow_missing)
            if not plan.stages:
                tell("nothing to do: every stage is up to date")
                return 0
            order = [stage.addressing for stage in repo.index.stages]
            code = _run(plan, place, order, tell, show, keep_going)
            if plan.failed and keep_going and when_partial and code != INTERRUPTED:
                with terminated_is_interrupted():
                    when_partial(plan, tell)
        if code:
            return code
        repo = Repo()  # looks anew at everything, dvc.lock included
        with repo.lock:
            left = list(outdated(repo, allow_missing).stages)
    except LockError:
        tell(_busy())
        return 1
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


def _run(
    plan: Plan,
    place: Place,
    order: list[str],
    tell: Callable[[str], None],
    show: Callable[[Sequence[str]], None] | None,
    keep_going: bool,
) -> int:
    running: dict[str, Any] = {}
    started: dict[str, float] = {}
    losses: dict[str, int] = {}
    preloaded = not place.forks or len(plan.stages) <= FEW * place.forks
    begun = time.monotonic()
    lock_file, written = dvc_files.LockFile(order), begun
    LOGS.mkdir(parents=True, exist_ok=True)
    tell(f"{len(plan.stages)} stages to bring up to date, {place.title}; what each prints is in {LOGS}/")
    with terminated_is_interrupted() as came:
        try:
            while True:
                for name in plan.ready(running) if keep_going or not plan.failed else []:
                    if (worker := place.start(plan.stages[name], plan.allow_missing)) is not None:
                        running[name], started[name] = worker, time.monotonic()
                if not running:
                    break
                if not preloaded:
                    preload.imports()  # while the first stages run
                    preloaded = True
                    if came:
                        raise KeyboardInterrupt
                if show:
                    show(_table(plan, started, running))
                for name in place.ended(running, SHOW_EVERY if show else WRITE_EVERY):
                    answer = place.answer(running.pop(name))
                    seconds = f"{answer.seconds or time.monotonic() - started[name]:.1f} s" + (
                        f", on {answer.where}" if answer.where else ""
                    )
                    if answer.how == LOST and losses.setdefault(name, 0) < LOSSES and (keep_going or not plan.failed):
                        losses[name] += 1
                        tell(f"{name}: lost after {seconds}: {answer.said}; it is started again")
                    elif answer.how in (FAILED, LOST):
                        plan.failed[name] = answer
                        tell(f"{name} failed after {seconds}, exit code {answer.code}; {len(running)} others are still running")
                    else:
                        plan.done.add(name)
                        failures.forget(name)
                        lock_file.waiting |= answer.entry
                        tell(f"[{len(plan.done)}/{len(plan.stages)}] {name}: {answer.how}, {seconds}")
                if time.monotonic() - written > WRITE_EVERY:
                    lock_file.write()
                    written = time.monotonic()
        except KeyboardInterrupt:
            place.stop(running.values())
            _tell_failures(plan, tell)
            tell("interrupted: what was finished is kept, the next run goes on from there")
            return INTERRUPTED
        finally:
            if show:
                show([])
            lock_file.write()
    tell(f"{len(plan.done)} of {len(plan.stages)} stages done in {time.monotonic() - begun:.1f} s")
    _tell_failures(plan, tell)
    if plan.failed and len(plan.unfinished()) > len(plan.failed):
        tell(f"\nnot run: {', '.join(name for name in plan.unfinished() if name not in plan.failed)}")
    codes = {answer.code for answer in plan.failed.values()}
    return 2 if codes == {2} else 1 if codes else 0


def _tell_failures(plan: Plan, tell: Callable[[str], None]) -> None:
    for name, answer in plan.failed.items():
        told = f"\n{name} failed, exit code {answer.code}. {answer.said}"
        tell(told if answer.said else failures.told(name, answer.code, log_of(name)))


def _table(plan: Plan, started: dict[str, float], running: Iterable[str]) -> list[str]:
    now, names = time.monotonic(), list(running)
    failed = f", {len(plan.failed)} failed" if plan.failed else ""
    longest = max(len(name) for name in names)
    head = f"{len(plan.done)} of {len(plan.stages)} stages done, {len(names)} running{failed}"
    return [head, *(f"  {name:<{longest}}  {progress.clock(now - started[name]):>8}" for name in names)]


@contextlib.contextmanager
def _holder() -> Iterator[None]:
    """Say who holds the repository's lock, for another run that finds it held."""
    HOLDER.parent.mkdir(exist_ok=True)
    since = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    HOLDER.write_text(f"process {os.getpid()} on {platform.node()}, since {since}", encoding="utf-8")
    try:
        yield
    finally:
        HOLDER.unlink(missing_ok=True)


def _busy() -> str:
    try:
        known = f": `ftbench repro`, {HOLDER.read_text(encoding='utf-8')}"
    except FileNotFoundError:
        known = ""
    return (
        f"another DVC process is at work in this folder{known}. Nothing was started. Wait until it has ended, then run this again; "
        "a run that was killed holds the lock until the stages that it started have ended"
    )


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
