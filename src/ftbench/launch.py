"""One arm on several devices: its train script runs again in several processes, the ranks, under PyTorch's elastic launcher.

The process that DVC started trains nothing then. It starts the ranks as new processes, which find each other over loopback, waits, and
ends as it would have ended had it trained alone: with one message, one exit code, and nothing half-made left behind.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ftbench import files, schema
from ftbench.errors import Problem, UserError

FOLDER = "FTBENCH_RANKS"  # the variable that tells a rank that it is one, and where to write how it failed
PATIENCE = 5  # seconds that the ranks have to end after Ctrl-C or another's failure; less than `scheduling` gives a whole stage


class RankError(Exception):
    """One of an arm's processes failed, and it was no mistake of a user's."""


def is_rank() -> bool:
    """Whether this process is one of several that train an arm together."""
    return FOLDER in os.environ


def rank() -> int:
    """The place of this process among those of its arm. The first, 0, alone writes anything; so does one that is by itself."""
    return int(os.environ["RANK"]) if is_rank() else 0


def run(main: Callable[[], None], launch: schema.Launch | None, where: str) -> None:
    """Call `main`, or where an arm asks for several processes run this whole script again in each of them.

    Raises UserError for what this machine cannot do, naming the arm `where`, and for a user's mistake in a rank; RankError for any other
    failure of one; KeyboardInterrupt when interrupted.
    """
    if launch is None or launch.num_processes == 1:
        main()
        return
    _refuse(launch, where)
    with tempfile.TemporaryDirectory(prefix="ftbench-ranks-") as folder, _environment(folder, launch.num_processes):
        _start(launch.num_processes, Path(folder))


def as_rank(main: Callable[[], None]) -> None:
    """Call `main` in a rank; how it fails is written down for the process that started it."""
    import torch

    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    try:
        main()
    except BaseException as error:
        code = 1
        try:
            mistakes = [asdict(problem) for problem in error.problems] if isinstance(error, UserError) else None
            code = 2 if mistakes else 1
            said, trace = f"{type(error).__name__}: {error}", traceback.format_exc()
            report = json.dumps({"at": time.time_ns(), "mistakes": mistakes, "said": said, "trace": trace})
            with files.written_atomically(Path(os.environ[FOLDER]) / f"{rank()}.json") as report_file:  # it may be stopped while it writes
                report_file.write_text(report, encoding="utf-8")
        except BaseException:  # no disk or no memory is left: what it prints is all there is
            traceback.print_exception(error)
            sys.stderr.flush()
        finally:
            os._exit(code)  # at once: an orderly end waits for ranks that wait for this one
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _refuse(launch: schema.Launch, where: str) -> None:
    import torch

    num_gpus = torch.cuda.device_count() if torch.cuda.is_available() else None
    problems = []
    if launch.strategy == "fsdp" and num_gpus is None:
        problems.append(Problem(f"{where}: launch.strategy", "fsdp, on a machine without a GPU", allowed="ddp"))
    if num_gpus is not None and launch.num_processes > num_gpus:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        found = f"{launch.num_processes}, where {num_gpus} GPUs are to be seen" + (f" (CUDA_VISIBLE_DEVICES={visible})" if visible else "")
        problems.append(Problem(f"{where}: launch.num_processes", found, allowed=f"1 to {num_gpus}: a GPU for each"))
    if problems:
        raise UserError(problems)


@contextmanager
def _environment(folder: str, num_processes: int) -> Iterator[None]:
    """What the ranks are to find in their environment: this one's, where to report, a share of the threads, loopback."""
    before = dict(os.environ)
    os.environ[FOLDER] = folder
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        if (asked := os.environ.get(name, "")).isdecimal():
            os.environ[name] = str(max(1, int(asked) // num_processes))
    loopback = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    if loopback:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback[0])
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _start(num_processes: int, folder: Path) -> None:
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=num_processes,
        run_id="ranks",
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",  # any free port, so that arms run side by side
        local_addr="127.0.0.1",
        max_restarts=0,
        shutdown_timeout=PATIENCE,
        logs_specs=DefaultLogsSpecs(log_dir=str(folder), redirects=Std.ALL),
    )
    logging.disable()  # how it ended is said once, by who called
    try:
        elastic_launch(config, sys.executable)(*sys.argv)
    except ChildFailedError as error:
        raise _failure(error.failures, num_processes, folder) from None
    except SignalException as error:
        if error.sigval == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise
    finally:
        logging.disable(logging.NOTSET)
    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        stream.write(_printed(folder, 0, name))


def _failure(failures: dict[int, Any], num_processes: int, folder: Path) -> Exception:
    """The failure that the others, of ranks that then could not reach it or were stopped by the launcher, follow from."""
    reports = {int(path.stem): json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
    # one that failed and could not write why came before those that it left alone; the launcher stops others, by SIGTERM
    unreported = [number for number, failure in sorted(failures.items()) if failure.exitcode > 0 and number not in reports]
    number = unreported[0] if unreported else min(reports, key=lambda number: reports[number]["at"], default=min(failures))
    first = reports.get(number)
    if first and first["mistakes"]:
        return UserError([Problem(**problem) for problem in first["mistakes"]])
    for killed, failure in sorted(failures.items()):
        if failure.exitcode < 0 and failure.exitcode != -signal.SIGTERM:
            name, why = signal.Signals(-failure.exitcode).name, ", as when out of memory" * (failure.exitcode == -signal.SIGKILL)
            return RankError(f"rank {killed} of {num_processes} was ended by {name}{why}")
    if first is None:  # it did not come so far as to write one
        return RankError(f"rank {number} of {num_processes} exited with {failures[number].exitcode}\n{_printed(folder, number, 'stderr')}")
    error = RankError(f"rank {number} of {num_processes}: {first['said']}")
    error.add_note(f"\nIn rank {number}:\n{first['trace']}\n{_printed(folder, number, 'stderr')}")
    return error


def _printed(folder: Path, number: int, name: str) -> str:
    return "".join(path.read_text(encoding="utf-8", errors="replace") for path in folder.glob(f"*/attempt_0/{number}/{name}.log"))


def _end_with(parent: int) -> None:
    # a launcher that is killed cannot stop its ranks, which are sessions of their own
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
