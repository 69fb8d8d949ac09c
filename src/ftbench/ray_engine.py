"""Stages on the machines of a Ray cluster: `ftbench repro --engine ray`.

Each stage is a task of Ray's with what it needs of a machine. All machines see the workspace under the same path. The task starts a fresh
Python there, which does what a worker of this machine does (`workers.work`) and ends with the task, also when the machine's part of Ray
dies alone: no stage is run twice at a time. The driver holds the repository's lock, writes dvc.lock, and starts a stage again whose
machine has died.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing.connection
import os
import platform
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ftbench import recovery, resources, workers
from ftbench.errors import Problem, UserError
from ftbench.workers import FAILED, LOST, PATIENCE, Answer, Place

SEEN = ".ftbench/workspace-{}"  # with a token: tells whether a machine sees this workspace, or another folder of the same path
SEEN_WITHIN = 30  # seconds that a network's file system may take to show a new file
LOOK_EVERY = 0.5  # seconds between two looks at whether a task is to end
ANSWERS_WITHIN = 10  # seconds
FAREWELL = 5  # seconds that Ray gets beyond the patience of the stages


@contextlib.contextmanager
def cluster(
    address: str | None,
    jobs: int | None,
    arms: Mapping[str, Any],
    per_gpu: int,
    processes: Callable[[str], int],
    tell: Callable[[str], None],
) -> Iterator[Place]:
    """The cluster at `address`, `jobs` stages at once, or as many as it has cores for; without it and RAY_ADDRESS, Ray here alone.

    `arms`: of this scale in accounting.json, by study; `processes`: of a stage, how many it trains with.

    Raises UserError where Ray is not installed or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anyone
    try:
        import ray
    except ImportError:
        mend = "python -m pip install --constraint constraints.txt --editable '.[ray]'"
        raise UserError(Problem("--engine", "ray, which is not installed here", mend=mend)) from None
    where = address or os.environ.get("RAY_ADDRESS")
    try:
        if where not in (None, "auto", "local"):
            host, _, port = where.rpartition(":")
            socket.create_connection((host, int(port)), timeout=ANSWERS_WITHIN).close()  # Ray itself tries for minutes
        ray.init(address=address, include_dashboard=None if where else False, log_to_driver=False, logging_level="CRITICAL")
        ray._private.worker.print_to_stdstream = _to_a_log  # what Ray tells of a machine that dies is long, and we tell it ourselves
    except (OSError, RuntimeError, ValueError) as error:
        mend = "`ray start --head` on one machine and `ray start --address=HEAD:6379` on the others; see docs/cluster.md"
        raise UserError(Problem("--address", f"{where}: {error}", "a cluster of Ray that runs", mend)) from None
    token = secrets.token_hex(16)  # of this run alone: another may come and go before it finds the repository locked
    seen = Path(SEEN.format(token))
    try:
        workers.LOGS.mkdir(parents=True, exist_ok=True)
        seen.touch()
        yield _place(ray, token, jobs, functools.partial(resources.of, arms=arms), per_gpu, processes, tell)
    finally:
        seen.unlink(missing_ok=True)
        ray.shutdown()


def _to_a_log(data: Mapping[str, Any], ignore_prefix: bool) -> None:
    with (workers.LOGS / "ray.log").open("a", encoding="utf-8") as log:
        log.writelines(f"{line}\n" for line in data["lines"])


def _place(
    ray: Any,
    token: str,
    jobs: int | None,
    needs: Callable[..., resources.Resources],
    per_gpu: int,
    processes: Callable[[str], int],
    tell: Callable[[str], None],
) -> Place:
    task = ray.remote(max_retries=0)(on_node)  # the driver starts it again itself, and says so
    given = (os.getcwd(), token, {name: str(resources.threads()) for name in resources.THREADS})
    working: set[Any] = set()
    waiting_for: set[str] = set()

    def start(stage: Any, allow_missing: bool) -> Any:
        there = ray.cluster_resources()
        if len(working) >= (jobs or max(1, int(there.get("CPU", 0)) // resources.threads())):
            return None
        name = stage.addressing
        asked = _asked(needs(name, gpu=bool(there.get("GPU")), processes=processes(name)), per_gpu)
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if name not in waiting_for and not any(_fits(asked, machine) for machine in machines):
            waiting_for.add(name)
            tell(f"{name} waits for a machine with {_words(asked)}: none of the {len(machines)} in the cluster has that")
        options = {"num_cpus": asked["CPU"], "num_gpus": asked.get("GPU", 0), "memory": asked.get("memory")}
        handle = task.options(**options, scheduling_strategy="SPREAD").remote(*given, name, allow_missing)
        working.add(handle)
        return handle

    def ended(running: Mapping[str, Any], seconds: float) -> list[str]:
        handles = list(running.values())
        ready, _ = ray.wait(handles, num_returns=1, timeout=seconds)
        if ready:
            ready, _ = ray.wait(handles, num_returns=len(handles), timeout=0)
        return [name for name, handle in running.items() if handle in ready]

    def answer(handle: Any) -> Answer:
        working.discard(handle)
        try:
            return Answer(**ray.get(handle))
        except ray.exceptions.RayTaskError as error:  # a fault of ours
            return Answer(FAILED, code=1, said=str(error))
        except ray.exceptions.RayError as error:
            return Answer(LOST, code=1, said=(str(error).strip() or type(error).__name__).splitlines()[0])

    def stop(handles: Iterable[Any]) -> None:
        handles = list(handles)
        for handle in handles:
            ray.cancel(handle)
        if handles:
            ray.wait(handles, num_returns=len(handles), timeout=PATIENCE + FAREWELL)

    found = ray.cluster_resources()
    num_machines = sum(node["Alive"] for node in ray.nodes())
    title = f"on Ray: {num_machines} machines, {found.get('CPU', 0):g} cores, {found.get('GPU', 0):g} GPUs"
    return Place(title + (f", {jobs} at once" if jobs else ""), start, ended, answer, stop)


def _asked(needs: resources.Resources, per_gpu: int) -> dict[str, float]:
    """What a stage asks of Ray, in Ray's names."""
    gpu = {"GPU": needs.gpus if needs.gpus > 1 else 1 / per_gpu} if needs.gpus else {}
    return {"CPU": needs.cpus, **gpu, **({"memory": needs.host_bytes} if needs.host_bytes else {})}


def _fits(asked: Mapping[str, float], machine: Mapping[str, float]) -> bool:
    return all(machine.get(name, 0) >= amount for name, amount in asked.items())


def _words(asked: Mapping[str, float]) -> str:
    units = {"CPU": "{:g} cores", "GPU": "{:g} GPU", "memory": "{:,.0f} bytes of memory"}
    return ", ".join(units[name].format(amount) for name, amount in asked.items())


def on_node(workspace: str, token: str, threads: Mapping[str, str], name: str, allow_missing: bool) -> dict[str, Any]:
    """The task, on any machine of the cluster: run a stage in a process of its own. Returns the fields of an Answer.

    Ctrl-C reaches the stage, and when this process ends, so does the stage's.
    """
    where = platform.node()
    if threading.current_thread() is threading.main_thread():  # a cluster that a shell started in the background ignores Ctrl-C
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not _sees(Path(workspace) / SEEN.format(token)):
        said = f"{where} does not see the workspace {workspace} of the machine that started this: it must be shared, see docs/cluster.md"
        return {"how": FAILED, "code": 2, "where": where, "said": said}
    ours, theirs = multiprocessing.connection.Pipe(duplex=False)
    ends_with_us, held_by_us = os.pipe()  # the stage's process reads the one until nobody holds the other
    words = [sys.executable, "-m", "ftbench.ray_engine", name, str(int(allow_missing)), str(theirs.fileno()), str(ends_with_us)]
    process = subprocess.Popen(
        words, cwd=workspace, env={**os.environ, **threads}, pass_fds=(theirs.fileno(), ends_with_us), start_new_session=True
    )
    theirs.close()
    os.close(ends_with_us)
    raylet, started = os.getppid(), time.monotonic()
    try:
        while not ours.poll(LOOK_EVERY):  # returns often, since only between two calls can Ray interrupt
            if os.getppid() != raylet:  # this machine's part of Ray died, and the stage is started elsewhere
                raise SystemExit(1)
        found = {**ours.recv(), "where": where, "seconds": time.monotonic() - started}
        ours.poll(PATIENCE)  # it ends
    except EOFError:
        found = {"how": FAILED, "code": 1, "where": where}
    except KeyboardInterrupt:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
            ours.poll(PATIENCE)
        raise
    finally:
        os.close(held_by_us)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return found


def _sees(path: Path) -> bool:
    deadline = time.monotonic() + SEEN_WITHIN
    while time.monotonic() < deadline:
        if path.exists():
            return True
        time.sleep(LOOK_EVERY)
    return False


def main(words: list[str]) -> None:
    """In a fresh process of a machine: run the stage named, and answer on a pipe."""
    name, allow_missing, answers, ends_with_task = words[0], words[1] == "1", int(words[2]), int(words[3])
    if os.fork():  # a dying worker of Ray's kills its children, and then nobody would end theirs; its grandchildren it leaves alone
        os._exit(0)
    workers.signals_by_default()
    for inherited in (answers, ends_with_task):
        os.set_inheritable(inherited, False)
    threading.Thread(target=_end_when_alone, args=(ends_with_task,), daemon=True).start()
    from dvc.repo import Repo

    from ftbench import preload

    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])  # stages say `python`
    preload.replace_shell()
    recovery.replace_paths_in_use()
    sys.argv = ["ftbench", "repro", name]  # by which DVC's locks on paths name their holder
    repo = Repo()
    forget_locks(repo, name)
    stage = next(stage for stage in repo.index.stages if stage.addressing == name)
    found = workers.work(stage, allow_missing)
    answer = multiprocessing.connection.Connection(answers, readable=False)
    answer.send({"how": found.how, "entry": found.entry, "code": found.code})


def _end_when_alone(descriptor: int) -> None:
    os.read(descriptor, 1)
    os.killpg(0, signal.SIGKILL)


def forget_locks(repo: Any, name: str) -> None:
    """Remove locks on paths that an earlier run of this stage left when its machine died.

    DVC asks whether their process is alive, but of this machine, where another may have its number. No stage runs twice at a time.
    """
    from dvc import rwlock
    from dvc.fs import localfs

    command = " ".join(["ftbench", "repro", name])
    with rwlock._edit_rwlock(repo.tmp_dir, localfs, repo.config["core"].get("hardlink_lock", False)) as held:
        for path in [path for path, info in held["write"].items() if info["cmd"] == command]:
            del held["write"][path]
        for path, infos in list(held["read"].items()):
            held["read"][path] = [info for info in infos if info["cmd"] != command]
            if not held["read"][path]:
                del held["read"][path]


if __name__ == "__main__":
    main(sys.argv[1:])
