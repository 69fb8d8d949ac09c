"""What is said and kept of a stage that failed: the end of what it printed, and where memory ran out, what was predicted and what helps."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftbench import files, grid, params, resources
from ftbench import stage as stage_script
from ftbench.errors import UserError
from ftbench.tables import gigabytes, inert

ACCOUNTING = Path("reports/accounting.json")
SHOWN_LINES = 60  # of what it printed
KILLED = 128 + 9  # by a signal that no process sees coming
OUT_OF_MEMORY = re.compile(r"OutOfMemoryError|MemoryError|out of memory|(?:can't|cannot) allocate memory", re.IGNORECASE)
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
        files.write_json(stage_script.FAILURES / f"{stage}.json", record)
    except OSError as error:  # a full disk must not hide the first fault
        text += f"\nno record could be written to {stage_script.FAILURES}: {error}"
    return text


def forget(stage: str) -> None:
    """Remove the record of a stage that has succeeded."""
    (stage_script.FAILURES / f"{stage}.json").unlink(missing_ok=True)


def predicted(stage: str) -> dict[str, int] | None:
    """The bytes that `account` predicts for the arm of a stage at the selected scale; None for what is no arm, or not accounted."""
    found = resources.OF_AN_ARM.fullmatch(stage)
    try:
        arm = files.read_json(ACCOUNTING)["scales"][grid.scale(params.read())][found[2]][found[3]] if found else None
        return None if arm is None else {name: int(arm["step_bytes"][name]) for name in ("peak", "peak_with_recomputation")}
    except (UserError, KeyError, TypeError):
        return None


def _advice(stage: str, record: Mapping[str, Any]) -> str:
    arm = resources.OF_AN_ARM.fullmatch(stage)
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
