"""Stage scripts in processes that have the slow imports behind them.

Importing torch, transformers and PEFT takes longer than many a stage works, and over all stages as much as all evaluation. `ftbench repro`
imports them once and forks; in the fork a stage's script runs as `python script` would run it. What is shared is other people's code
only: ftbench's own modules are imported anew, so that what runs is the source that DVC has just hashed.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MODULES = ("ftbench.models", "ftbench.training", "peft", "bitsandbytes", "sklearn.linear_model")  # ours first: they say how to import
GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
FOR_A_SHELL = set("|&;<>()$`\\\"'*?[]#~!{}\n")
FORK = multiprocessing.get_context("fork")
PARENT_DEATH_SIGNAL = 1  # prctl's name for it
importing = False  # in the midst of it


def imports() -> None:
    """Import what most stages need; not beside a GPU, since a driver that an import has woken does not survive a fork."""
    if any(map(os.path.exists, GPU_DEVICES)):
        return
    global importing
    importing = True
    try:
        for name in MODULES:
            importlib.import_module(name)
    finally:
        importing = False


def replace_shell() -> None:
    """From here on DVC, in this process and those it forks, runs a stage that is a Python script in a fork and not in a new Python."""
    from dvc.stage import run as dvc_run
    from dvc.stage.exceptions import StageCmdFailedError

    in_shell = dvc_run._run

    def run(executable: str | None, command: str, **options: Any) -> None:
        words = script_and_arguments(command)
        if words is None:
            in_shell(executable, command, **options)
        elif code := run_script(words, options["cwd"], options["env"]):
            raise StageCmdFailedError(command, code)

    dvc_run._run = run


def script_and_arguments(command: str) -> list[str] | None:
    """The words after `python` if a command is `python SCRIPT.py ARGUMENTS` and needs no shell, or None."""
    words = command.split()
    plain = len(words) > 1 and words[0] == "python" and words[1].endswith(".py") and not FOR_A_SHELL & set(command)
    return words[1:] if plain else None


def run_script(words: list[str], folder: str, environment: Mapping[str, str]) -> int:
    """Run a script with its arguments in a fork of this process, as `python` would in `folder`. Returns the exit code, as a shell does."""
    process = FORK.Process(target=_as_main, args=(os.getpid(), words, folder, dict(environment)))
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the script's, which then cleans up
    try:
        process.start()
        process.join()
    finally:
        signal.signal(signal.SIGINT, handler)
    code = process.exitcode or 0
    return code if code >= 0 else 128 - code


def end_with(parent: int) -> None:
    """From here on this process is killed when its parent ends, however that ends: or it would go on writing beside the next run.

    Only Linux can do so. Elsewhere DVC's lock, which a fork holds too, keeps the next run out until the last fork has ended.
    """
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the call
        os.kill(os.getpid(), signal.SIGKILL)


def _as_main(parent: int, words: list[str], folder: str, environment: Mapping[str, str]) -> None:
    end_with(parent)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for name in [name for name in sys.modules if name.partition(".")[0] == "ftbench"]:
        del sys.modules[name]
    sys.argv = list(words)
    sys.path[0] = str(Path(words[0]).resolve().parent)
    runpy.run_path(words[0], run_name="__main__")
