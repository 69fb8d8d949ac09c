"""`report_to`: off by default, refused in words where its package is missing, and without a trace in anything that is a result."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from ftbench import grid, schema, tracking
from ftbench.errors import UserError

TRAINING = {"num_train_epochs": 1, "per_device_train_batch_size": 8}
VARIABLES = ("TENSORBOARD_LOGGING_DIR", "WANDB_DIR", *tracking.QUIET)


@pytest.fixture(autouse=True)
def _in_an_environment_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that it is put back in the end
        monkeypatch.delenv(name)


def test_nothing_is_tracked_unless_it_is_asked_for(tmp_path: Path) -> None:
    assert schema.Training(**TRAINING).report_to == "none"
    assert tracking.arguments("none", "alpaca", "bloom_3b-equal", 0, resumed=False) == {"report_to": "none"}
    tracking.refuse_missing("none", "alpaca.bloom_3b-equal")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["tensorboard", "wandb"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError) as raised:
        tracking.refuse_missing(package, "alpaca.bloom_3b-equal")
    [problem] = raised.value.problems
    assert problem.where == "alpaca.bloom_3b-equal: training.report_to"
    assert problem.found == f"{package}, a package that is not installed"
    assert f"`pip install {package}`" in problem.mend
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    tracking.refuse_missing(package, "alpaca.bloom_3b-equal")


@pytest.mark.parametrize("given", ["all", "mlflow", "Tensorboard", None, ["wandb"]])
def test_another_tracker_is_refused(given: Any) -> None:
    raw = {"scale": "s", "s": {"one": {"full": {"adapter": None, "learning_rate": 0.1, "training": {**TRAINING, "report_to": given}}}}}
    with pytest.raises(UserError, match=r"s\.one\.full\.training\.report_to(.|\n)*tensorboard"):
        grid.arm(raw, "one", "full")


def test_a_run_is_named_by_study_arm_and_seed_and_so_is_its_folder(tmp_path: Path) -> None:
    import os

    given = tracking.arguments("tensorboard", "alpaca", "bloom_3b-equal", 2, resumed=False)
    assert given == {"report_to": "tensorboard", "run_name": "alpaca/bloom_3b-equal-2"}
    assert os.environ["TENSORBOARD_LOGGING_DIR"] == ".ftbench/tracking/alpaca/bloom_3b-equal-2"
    os.environ["WANDB_PROJECT"] = "mine"
    assert tracking.arguments("wandb", "snli", "qkv-nf4", 0, resumed=False)["run_name"] == "snli/qkv-nf4-0"
    assert os.environ["WANDB_DIR"] == ".ftbench/tracking/snli/qkv-nf4-0"
    assert (tmp_path / ".ftbench/tracking/snli/qkv-nf4-0").is_dir()
    assert {name: os.environ[name] for name in tracking.QUIET} == {**tracking.QUIET, "WANDB_PROJECT": "mine"}


def test_a_training_that_starts_again_replaces_its_lines_and_one_that_is_resumed_goes_on_with_them(tmp_path: Path) -> None:
    left = tmp_path / ".ftbench/tracking/one/full-0/events"
    left.parent.mkdir(parents=True)
    left.touch()
    tracking.arguments("tensorboard", "one", "full", 0, resumed=True)
    assert left.exists()
    tracking.arguments("tensorboard", "one", "full", 1, resumed=False)
    assert left.exists(), "of another seed"
    tracking.arguments("tensorboard", "one", "full", 0, resumed=False)
    assert not left.exists()


def test_a_tracker_names_no_arm_and_is_not_recorded() -> None:
    plain, tracked = (
        schema.Arm(training=schema.Training(**TRAINING, **given), learning_rate=0.1) for given in ({}, {"report_to": "wandb"})
    )
    assert tracked.training.report_to == "wandb"
    assert plain.model_dump_json() == tracked.model_dump_json()
    assert "report_to" not in tracked.model_dump()["training"]
    assert schema.Arm.model_validate(tracked.model_dump()) == plain
