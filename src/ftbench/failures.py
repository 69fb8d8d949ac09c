"""What is said and kept of a stage that failed: the end of what it printed, and where memory ran out, what was predicted and what helps.

With `ftbench repro --keep-going` what could be made is put together in a report of its own, which names what failed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ftbench import files, grid, params, tables
from ftbench.errors import UserError
from ftbench.tables import gigabytes, inert

FAILURES = Path(".ftbench/failures")
PARTIAL = Path(".ftbench/partial")
REPORTS = Path("reports")
ACCOUNTING = REPORTS / "accounting.json"
SHOWN_LINES = 60  # of what it printed
KILLED = 128 + 9  # by a signal that no process sees coming
OUT_OF_MEMORY = re.compile(r"OutOfMemoryError|MemoryError|out of memory|(?:can't|cannot) allocate memory", re.IGNORECASE)
OF_AN_ARM = re.compile(r"(train|evaluate)_(\w+)@(.+)-(\d+)")
OF_A_BASELINE = re.compile(r"baseline_(\w+?)(_three_shot)?@(.+)")
HELP = (
    "per_device_train_batch_size (half of it, with twice the gradient_accumulation_steps, gives the same updates)",
    "gradient_checkpointing: true",
    "a shorter text.max_length",
    "4-bit quantization",
    "fewer stages at once (--jobs 1)",
)
HELP_EVALUATING = ("per_device_eval_batch_size", "max_new_tokens", "fewer stages at once (--jobs 1)")


def told(stage: str, code: int, log: Path) -> str:
    """What a user reads about a stage that failed with an exit code; a record of it is kept until the stage succeeds."""
    printed = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    lines = printed.splitlines()
    said = next((line.strip() for line in reversed(lines) if OUT_OF_MEMORY.search(line)), None)
    killed = code in (KILLED, -9) or (said is None and f"exited with {KILLED}" in printed)
    record: dict[str, Any] = {"stage": stage, "exit_code": code, "out_of_memory": said is not None, "killed": killed}
    record["when"] = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    text = f"\n{stage} failed, exit code {code}. The end of {log}:\n" + "\n".join(lines[-SHOWN_LINES:])
    if said or killed:
        record["said"] = inert(said) if said else "killed by signal 9, as the kernel does where memory runs out"
        record["predicted"] = predicted(stage)
        text += f"\n\n{_advice(stage, record)}"
    else:
        record["said"] = inert(lines[-1].strip()) if lines else "it printed nothing"
    try:
        files.write_json(FAILURES / f"{stage}.json", record)
    except OSError as error:  # a full disk must not hide the first fault
        text += f"\nno record could be written to {FAILURES}: {error}"
    return text


def forget(stage: str) -> None:
    """Remove the record of a stage that has succeeded."""
    (FAILURES / f"{stage}.json").unlink(missing_ok=True)


def predicted(stage: str) -> dict[str, int] | None:
    """The bytes that `account` predicts for the arm of a stage at the selected scale; None for what is no arm, or not accounted."""
    found = OF_AN_ARM.fullmatch(stage)
    try:
        arm = files.read_json(ACCOUNTING)["scales"][grid.scale(params.read())][found[2]][found[3]] if found else None
        return None if arm is None else {name: int(arm["step_bytes"][name]) for name in ("peak", "peak_with_recomputation")}
    except (UserError, KeyError, TypeError):
        return None


def _advice(stage: str, record: Mapping[str, Any]) -> str:
    arm = OF_AN_ARM.fullmatch(stage)
    name = f"{arm[2]}.{arm[3]}, seed {arm[4]}" if arm else stage
    sizes = record["predicted"]
    if sizes is None:
        expected = "nothing is accounted for it" + (f" in {ACCOUNTING}" if arm else "")
    else:
        expected = f"{gigabytes(sizes['peak'])} on the GPU at the peak of a training step, every input as long as it may be"
        expected += f"; {gigabytes(sizes['peak_with_recomputation'])} with gradient_checkpointing ({ACCOUNTING})"
    helps = HELP if stage.startswith("train_") else HELP_EVALUATING
    lines = [f"{name}: out of memory", f"  found:     {record['said']}", f"  predicted: {expected}"]
    return "\n".join([*lines, f"  change:    {'; or '.join(helps)}"])


# ---- The report of what did not fail ----------------------------------------------------------------------------------------------


def left_out(stages: Iterable[str]) -> dict[str, list[str]]:
    """{study: its arms and baselines that have no results, since a stage of theirs failed or waits for one that did}."""
    found: dict[str, dict[str, None]] = {}
    for stage in stages:
        if arm := OF_AN_ARM.fullmatch(stage):
            found.setdefault(arm[2], {})[arm[3]] = None
        elif baseline := OF_A_BASELINE.fullmatch(stage):
            found.setdefault(baseline[1], {})[baseline[3] + (baseline[2] or "")] = None
    return {study: list(names) for study, names in found.items()}


def partial_report(failed: Mapping[str, int], waiting: Iterable[str]) -> str:
    """Write a report of all that has results to a folder of its own, and say where it is; what failed stands in it by name.

    A study of which an arm failed is compared without that arm. What cannot be compared is among what did not run.
    """
    shutil.rmtree(PARTIAL, ignore_errors=True)
    blocked = [*failed, *waiting]
    without = left_out(blocked)
    for folder in sorted(path for path in REPORTS.iterdir() if path.is_dir()):
        compared = f"compare@{folder.name}" not in blocked and f"compare_{folder.name}" not in blocked
        if not compared and not without.get(folder.name):
            continue
        shutil.copytree(folder, PARTIAL / folder.name, ignore=shutil.ignore_patterns("figures", "README.md"))
        if not compared and not _compared_without(folder.name, without[folder.name]):
            shutil.rmtree(PARTIAL / folder.name)
    for name in ("accounting.json", "coverage.json"):
        if (REPORTS / name).exists():
            shutil.copy(REPORTS / name, PARTIAL / name)
    records = {stage: files.read_json(FAILURES / f"{stage}.json") for stage in failed if (FAILURES / f"{stage}.json").exists()}
    page = PARTIAL / "README.md"
    if not _run("stages/report.py"):
        return f"\nno report of the rest could be written; {FAILURES}/ says what failed"
    rows = [[stage, record["said"]] for stage, record in records.items()]
    first = [tables.Heading("What failed", 1), tables.Table("Stages that failed, and what they said.", ["stage", "what it said"], rows)]
    files.write_text(page, tables.markdown(first) + "\n" + page.read_text(encoding="utf-8"))
    return f"\na report of what did not fail, with what did by name: {page}"


def _compared_without(study: str, names: list[str]) -> bool:
    # an arm at least has to be left
    done = _run("stages/compare.py", "--study", study, "--without", *names)
    return done and bool(files.read_json(PARTIAL / study / "comparison.json")["ranked"])


def _run(script: str, *words: str) -> bool:
    out = PARTIAL / words[1] if words else PARTIAL
    command = [sys.executable, script, "--out", str(out), *words]
    return subprocess.run(command, env=os.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0
