"""`ftbench sweep` on the shrunken pipeline: two values of one setting, one arm, one seed, through DVC's queue."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import described
import psutil
import pytest
import shrunken

from ftbench import curves, params

OUT = Path("reports/multinli/sweeps/learning_rate.json")
CURVE = Path("reports/multinli/learning/lora-own-0.csv")


def workspace(folder: Path) -> dict[str, object]:
    """What a sweep must not change: what git sees, and the files of params.yaml, dvc.lock and an arm."""
    kept = [folder / "params.yaml", folder / "dvc.lock", folder / CURVE, *sorted((folder / "models/multinli/lora-own-0").iterdir())]
    status = shrunken.run(folder, "git", "status", "--short", "--", ".", f":!{OUT}")
    stash = shrunken.run(folder, "git", "stash", "list")
    return {"status": status, "stash": stash, **{str(path): path.read_bytes() for path in kept}}


def left_behind(folder: Path) -> list[str]:
    """Experiments and workers that are still there."""
    refs = shrunken.run(folder, "git", "for-each-ref", "refs/exps").splitlines()
    here = [" ".join(process.cmdline()) for process in psutil.process_iter() if _in(process, folder)]
    return refs + [line for line in here if "queue-worker" in line or "train_" in line]


def _in(process: psutil.Process, folder: Path) -> bool:
    with contextlib.suppress(psutil.Error):
        return Path(process.cwd()).is_relative_to(folder)
    return False


def half(folder: Path) -> float:
    """The first value of the shrunken sweep: half of the one that params.yaml has, which is the second."""
    return float(params.read(folder / "params.yaml")["offline"]["sweeps"]["learning_rate"]["values"][0])


@pytest.fixture
def edited(pipeline: Path) -> Iterator[Path]:
    """The pipeline with uncommitted edits, one of them staged, that makes the training with one value fail; then as it was."""
    script, notes = pipeline / "stages/train_lora.py", pipeline / "README.md"
    before = {path: path.read_bytes() for path in (script, notes)}
    first = "    train, validation = "
    text = script.read_text().replace(
        first, f'    if job.settings.learning_rate == {half(pipeline)}:\n        raise SystemExit("no memory left")\n{first}'
    )
    assert text != script.read_text()
    script.write_text(text)
    notes.write_text("edited\n")
    shrunken.run(pipeline, "git", "add", "README.md")
    yield pipeline
    shrunken.run(pipeline, "git", "reset", "--quiet")
    for path, content in before.items():
        path.write_bytes(content)
    (pipeline / OUT).unlink(missing_ok=True)


@pytest.fixture
def swept(pipeline: Path) -> Iterator[tuple[Path, str, dict[str, object]]]:
    """The pipeline after a sweep, what that printed, and the workspace before it."""
    before = workspace(pipeline)
    yield pipeline, shrunken.run(pipeline, "ftbench", "sweep", "learning_rate", "--jobs", "1"), before
    (pipeline / OUT).unlink(missing_ok=True)


def test_a_sweep_writes_what_the_curves_say_and_leaves_the_workspace_as_it_was_and_a_second_one_trains_nothing(swept):
    folder, printed, before = swept
    own = params.read(folder / "params.yaml")["offline"]["multinli"]["lora"]["learning_rate"]["own"]
    found = json.loads((folder / OUT).read_text())
    assert (found["scale"], found["study"], found["parameter"], found["metric"]) == (
        "offline",
        "multinli",
        "learning_rate.own",
        "eval_loss",
    )
    assert (found["seeds"], found["values"], found["failed"]) == ([0], [own / 2, own], [])
    arm = found["arms"]["lora-own"]
    assert (arm["key"], arm["current"]) == ("offline.multinli.lora.learning_rate.own", own)
    assert [trial["num_steps"] for trial in arm["trials"]] == [2, 2]
    end = curves.read(folder / CURVE, curves.LOGGED)[-1]  # the second value is the pipeline's own
    assert arm["trials"][1]["eval_loss_by_seed"] == [end["eval_loss"]]
    assert arm["trials"][1]["eval_accuracy"] == end["eval_accuracy"]
    assert arm["trials"][0]["eval_loss"] != end["eval_loss"]
    assert arm["best"] == min(arm["trials"], key=lambda trial: trial["eval_loss"])["value"]
    assert arm["best_at_edge"]
    assert arm["best_is_current"] == (arm["best"] == own)
    assert re.findall(r"train_multinli@lora-own-0: (.+)", printed) == ["runs", "unchanged"]
    assert "| `lora-own` |" in printed
    assert workspace(folder) == before
    assert left_behind(folder) == []
    assert fields(found) - described.fields("reports/<study>/sweeps/<name>.json") == set()

    content = (folder / OUT).read_bytes()
    again = shrunken.run(folder, "ftbench", "sweep", "learning_rate", "--jobs", "2", "--keep")
    assert re.findall(r"train_multinli@lora-own-0: (.+)", again) == ["from the run cache", "unchanged"]
    assert (folder / OUT).read_bytes() == content
    assert re.findall(r"sweep-learning_rate-\d", shrunken.run(folder, "git", "for-each-ref", "refs/exps")) == [
        "sweep-learning_rate-1",
        "sweep-learning_rate-2",
    ]
    shrunken.run(folder, "dvc", "exp", "remove", "sweep-learning_rate-1", "sweep-learning_rate-2")
    assert left_behind(folder) == []


def fields(found) -> set[str]:
    """The keys of a sweep's file, arms excepted."""
    [arm] = found["arms"].values()
    return {*found, *arm, *arm["trials"][0]}


def test_a_value_that_fails_is_named_and_loses_no_other_and_uncommitted_edits_take_part(edited):
    before = workspace(edited)
    printed = shrunken.run(edited, "ftbench", "sweep", "learning_rate", "--jobs", "1", expected=1)
    assert f"learning_rate.own = {half(edited)} failed" in printed
    assert "no memory left" in printed
    found = json.loads((edited / OUT).read_text())
    assert found["failed"] == [half(edited)]
    assert [trial["value"] for trial in found["arms"]["lora-own"]["trials"]] == found["values"][1:]
    assert workspace(edited) == before
    assert "M  README.md" in before["status"]
    assert left_behind(edited) == []


def test_ctrl_c_stops_the_training_and_leaves_nothing_behind(edited):
    script = edited / "stages/train_lora.py"
    script.write_text(script.read_text().replace('raise SystemExit("no memory left")', '__import__("time").sleep(600)'))
    before = workspace(edited)
    command = [sys.executable, "-m", "ftbench.cli", "sweep", "learning_rate", "--jobs", "1"]
    process = subprocess.Popen(command, cwd=edited, env=shrunken.environment(edited), stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if line.strip().endswith("lora-own-0: runs"):
                break
        time.sleep(1)  # into the sleep of the script
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=100)[0]
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted" in told
    assert left_behind(edited) == []
    assert workspace(edited) == before
    assert not (edited / OUT).exists()


def test_a_sweep_that_does_not_exist_is_refused_with_the_nearest_name(pipeline):
    printed = shrunken.run(pipeline, "ftbench", "sweep", "lerning_rate", expected=2)
    assert "did you mean 'learning_rate'?" in printed


def test_a_queue_that_holds_other_experiments_is_not_run(pipeline):
    shrunken.run(pipeline, "dvc", "exp", "run", "--queue", "--name", "another", "-S", "offline.multinli.lora.learning_rate.own=0.0021")
    try:
        printed = shrunken.run(pipeline, "ftbench", "sweep", "learning_rate", expected=2)
        assert "another" in printed
    finally:
        shrunken.run(pipeline, "dvc", "queue", "remove", "another")
    assert left_behind(pipeline) == []
    assert os.listdir(pipeline / "reports/multinli/sweeps") == [".gitkeep"]
