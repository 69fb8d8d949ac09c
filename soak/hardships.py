"""What a machine does besides dying: a disk fills, an output cannot be written, memory runs out."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import small

from ftbench import stage


def suffer(place: Path, studies: Sequence[str], expected: dict[str, str]) -> dict[str, Any]:
    """One project on which a disk fills, memory runs out and an output cannot be written, one after the other, and then a run on a machine
    that is well.

    {hardship: "mended" if it was told in the right words, or what went wrong}; `after_all` is what became of the project in the end.
    """
    found = {}
    folder = small.make(place / "hardships", studies)
    for name, (arrange, clear, options, words) in HARDSHIPS.items():
        arrange(folder)
        try:
            found[name] = _run(folder, options, words)
        finally:
            clear(folder)
    small.repro(folder)
    shutil.rmtree(folder / stage.SCRATCH, ignore_errors=True)  # of code that is gone: a week later it would go by itself
    found["after_all"] = "; ".join(small.check(folder, expected)[1]) or "mended"
    return found


def _run(folder: Path, options: Sequence[str], words: Sequence[str]) -> str:
    process = small.start(folder, "--jobs", "2", *options)
    try:
        told, _ = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return "the run did not end"
    if process.returncode != 1:
        return f"exit code {process.returncode}: {told[-2000:]}"
    if "Traceback" in told:
        return f"a traceback: {told[-2000:]}"
    missing = [word for word in words if word not in told]
    return f"does not say {missing}: {told[-2000:]}" if missing else "mended"


WELL = "    try:\n        main(arguments)\n"
FULL = """    try:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))  # a file that grows beyond is refused, as on a disk that is full
        main(arguments)
"""


def _fill(folder: Path) -> None:
    _replace(folder / "src/ftbench/stage.py", WELL, FULL)


def _empty(folder: Path) -> None:
    _replace(folder / "src/ftbench/stage.py", FULL, WELL)


BLOCKED = "reports/snli/scores"


def _block(folder: Path) -> None:
    target = folder / BLOCKED
    if target.is_dir():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("a file where a folder has to be", encoding="utf-8")


def _unblock(folder: Path) -> None:
    (folder / BLOCKED).unlink()


STARTED = "    started = time.perf_counter()\n    try:\n"
EXHAUSTED = f"""    if job.study == "snli":
        import resource

        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + 2**24,) * 2)  # what this process may have, and the allocator's own refusal
        torch.zeros(2**24)
{STARTED}"""
EXHAUSTED_ON_A_GPU = f"""    if job.study == "snli":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")  # as a GPU's allocator says it
{STARTED}"""


def _exhaust(folder: Path) -> None:
    _replace(folder / "src/ftbench/training.py", STARTED, EXHAUSTED)


def _relieve(folder: Path) -> None:
    _replace(folder / "src/ftbench/training.py", EXHAUSTED, STARTED)


def _exhaust_a_gpu(folder: Path) -> None:
    _replace(folder / "src/ftbench/training.py", STARTED, EXHAUSTED_ON_A_GPU)


def _relieve_a_gpu(folder: Path) -> None:
    _replace(folder / "src/ftbench/training.py", EXHAUSTED_ON_A_GPU, STARTED)


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


OUT_OF_MEMORY = ("qkv-nf4, seed 0: out of memory", "predicted:", "change:")
# what makes it hard, what ends that, the options of the run, and what has to be said
HARDSHIPS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None], Sequence[str], Sequence[str]]] = {
    "full_disk": (_fill, _empty, [], ["File too large"]),
    "out_of_memory": (_exhaust, _relieve, [], OUT_OF_MEMORY),
    "out_of_memory_on_a_gpu": (_exhaust_a_gpu, _relieve_a_gpu, [], OUT_OF_MEMORY),
    "out_of_memory_keep_going": (_exhaust, _relieve, ["--keep-going"], [*OUT_OF_MEMORY, "partial report, of what finished"]),
    "output_that_cannot_be_written": (_block, _unblock, [], [BLOCKED]),
}
