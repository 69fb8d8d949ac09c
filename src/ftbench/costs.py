"""What a stage cost: seconds, memory, utilisation over time, and on what it ran. Measurements, never mixed with results."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from ftbench import files

PACKAGES = ("accelerate", "bitsandbytes", "numpy", "peft", "scikit-learn", "tokenizers", "torch", "transformers")
INTERVAL = 0.25  # seconds between two samples
RESOURCES = ("seconds", "cpu_percent", "resident_bytes", "gpu_percent", "gpu_bytes")


@contextmanager
def measure(resources: Path | None = None) -> Iterator[dict[str, Any]]:
    """A cost record that is complete when the block has ended; the block adds what only it knows. Also writes the samples to `resources`.

    `seconds.total` is the block's; `memory.peak_resident_bytes` the process's own peak so far. GPU figures are null without one.
    """
    record: dict[str, Any] = {}
    sampler = _Sampler()
    started = time.perf_counter()
    sampler.start()
    try:
        yield record
    finally:
        sampler.stop()
    seconds = time.perf_counter() - started
    record["seconds"] = {"total": seconds, **record.get("seconds", {})}
    record["memory"] = _memory(sampler.rows)
    record["environment"] = environment()
    if resources is not None:
        lines = [",".join("" if cell is None else f"{cell:.12g}" for cell in row) for row in sampler.rows]
        files.write_text(resources, "\n".join([",".join(RESOURCES), *lines]) + "\n")


def environment() -> dict[str, Any]:
    """Versions of Python and packages, processor, GPU if there is one, threads, and whether deterministic algorithms were asked for."""
    torch = _torch()
    gpu = torch.cuda.get_device_properties(0) if _has_gpu() else None
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {name: _version(name) for name in PACKAGES},
        "processor": _processor(),
        "num_cores": os.cpu_count(),
        "num_threads": _num_threads_asked_for() if torch is None else torch.get_num_threads(),
        "gpu": None if gpu is None else {"name": gpu.name, "bytes": gpu.total_memory, "cuda": torch.version.cuda},
        "deterministic_algorithms": None if torch is None else torch.are_deterministic_algorithms_enabled(),
    }


def on_disk(folder: Path) -> dict[str, int]:
    """`bytes` of all files in a folder, and `saved_parameters`: the elements of its safetensors files, as their headers state them."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    elements = 0
    for path in paths:
        if path.suffix == ".safetensors":
            with path.open("rb") as stream:
                header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
            elements += sum(int(np.prod(entry["shape"])) for name, entry in header.items() if name != "__metadata__")
    return {"bytes": sum(path.stat().st_size for path in paths), "saved_parameters": elements}


class _Sampler:
    """A thread that notes memory and utilisation every quarter of a second, and once at either end."""

    def __init__(self) -> None:
        self.rows: list[tuple[float | int | None, ...]] = []
        self._process = psutil.Process()
        self._gpu = _gpu_handle()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def start(self) -> None:
        self._started = time.perf_counter()
        self._process.cpu_percent()  # the first reading is always 0: it only sets the clock
        self._note()
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()
        self._note()

    def _sample(self) -> None:
        while not self._done.wait(INTERVAL):
            self._note()

    def _note(self) -> None:
        with self._process.oneshot():
            processor, resident = self._process.cpu_percent(), self._process.memory_info().rss
        self.rows.append((time.perf_counter() - self._started, processor, resident, *_gpu_reading(self._gpu)))


def _torch() -> Any:
    """torch if the process runs with it: a stage that does without, such as the majority baseline, need not load it for its record."""
    return sys.modules.get("torch")


def _num_threads_asked_for() -> int | None:
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]  # one number per level of nesting
    return int(first) if first.isdecimal() else None


def _has_gpu() -> bool:
    torch = _torch()
    return torch is not None and torch.cuda.is_available()


def _gpu_handle() -> Any:
    if not _has_gpu():
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{_torch().cuda.get_device_properties(0).uuid}")
    except Exception:  # a GPU without NVML has no utilisation to show; the run itself is none the worse
        return None


def _gpu_reading(handle: Any) -> tuple[int | None, int | None]:
    if handle is None:
        return None, None
    import pynvml

    return pynvml.nvmlDeviceGetUtilizationRates(handle).gpu, pynvml.nvmlDeviceGetMemoryInfo(handle).used


def _memory(rows: list[tuple[float | int | None, ...]]) -> dict[str, int | None]:
    resident = [int(row[2]) for row in rows if row[2] is not None]
    gpu = _has_gpu()
    # Linux counts in kibibytes, macOS in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)
    return {
        "peak_resident_bytes": max(peak, *resident),  # the kernel's own figure may lag behind by some pages
        "mean_resident_bytes": int(np.mean(resident)),
        "p99_resident_bytes": int(np.percentile(resident, 99)),
        "peak_gpu_allocated_bytes": _torch().cuda.max_memory_allocated() if gpu else None,
        "peak_gpu_reserved_bytes": _torch().cuda.max_memory_reserved() if gpu else None,
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
