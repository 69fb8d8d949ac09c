"""What a stage takes of a machine, told from its name, and what this machine has."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftbench import grid

OF_AN_ARM = re.compile(r"(train|evaluate)_(\w+)@(.+)-(\d+)")  # a stage's kind, study, arm and seed
ON_A_GPU = ("checkpoint", "train", "evaluate", "baseline")  # groups of stages that use one where there is one
PROCESS_BYTES = 2**30  # allowance for Python, torch, transformers and PEFT before any weight
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # one each unless the user says otherwise: ftbench/__init__.py


@dataclass(frozen=True)
class Resources:
    """Threads that compute, GPUs used where there are any, and bytes of the host's memory, None where nothing predicts them."""

    cpus: int
    gpus: int
    host_bytes: int | None


def of(stage: str, arms: Mapping[str, Any], gpu: bool, processes: int = 1) -> Resources:
    """What a stage takes. `arms`: of a scale in accounting.json, by study; `gpu`: whether there are any where it will run.

    An arm needs what loading its base takes, and, without a GPU, the peak of a training step; of several `processes`, each of them.
    """
    on_gpu = gpu and uses_gpu(stage)
    cpus, num_gpus = max(threads(), processes), processes if on_gpu else 0
    found = OF_AN_ARM.fullmatch(stage)
    record = arms.get(found[2], {}).get(found[3]) if found else None
    if record is None:
        return Resources(cpus, num_gpus, None)
    step = 0 if on_gpu else record["step_bytes"]["peak"]
    return Resources(cpus, num_gpus, processes * (PROCESS_BYTES + record["host_bytes"]["predicted"] + step))


def processes(raw: Any, stage: str) -> int:
    """How many processes train the arm of a stage together, as params.yaml says; 1 for a stage that trains none."""
    found = OF_AN_ARM.fullmatch(stage)
    return grid.arm(raw, found[2], found[3]).num_processes if found and found[1] == "train" else 1


def uses_gpu(stage: str) -> bool:
    """Whether a stage computes on a GPU where there is one."""
    return re.split("[_@]", stage)[0] in ON_A_GPU


def threads() -> int:
    """Threads that one stage computes with."""
    asked = os.environ.get(THREADS[0], "").split(",")[0]  # one number per level of nesting
    return int(asked) if asked.isdecimal() and int(asked) else 1


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def jobs() -> int:
    """Stages that run at once without fighting over cores."""
    return max(1, cores() // threads())


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [one.strip() for one in visible.split(",") if one.strip() and one.strip() != "-1"]
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver
        return []
    try:  # names, since CUDA and the driver may count in different orders
        return [pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(index)) for index in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()
