"""The ten train scripts, each run as a command on tiny inputs, and run again in this process to compare bytes."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from train_cases import CASES, STAGES, command, write_root

from ftbench import files

COLUMNS = "step,epoch,loss,learning_rate,grad_norm,eval_loss,eval_accuracy"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with params.yaml, one study per method, and data."""
    root = tmp_path_factory.mktemp("root")
    write_root(root)
    return root


@pytest.fixture(scope="module")
def trained(root: Path, tiny_base: Callable[[str], Path]) -> Callable[[str], Path]:
    """`trained("lora")` is the folder that `python stages/train_lora.py` left, run as a command once."""
    done: dict[str, Path] = {}

    def run(method: str) -> Path:
        if method not in done:
            base = tiny_base(CASES[method].architecture)
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
            ran = subprocess.run(
                [sys.executable, *command(method, base, f"first/{method}")], cwd=root, env=environment, capture_output=True, text=True
            )
            assert ran.returncode == 0, ran.stderr
            assert (ran.stdout + ran.stderr).strip() == "", "a script that has nothing to say says nothing"
            done[method] = root / "first" / method
        return done[method]

    return run


@pytest.fixture
def run_here(root: Path, tiny_base: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Run a train script in this process, in the folder of its inputs; returns the folder that it left."""

    def run(method: str, out: str, seed: int = 0) -> Path:
        arguments = command(method, tiny_base(CASES[method].architecture), out, seed)
        monkeypatch.chdir(root)
        monkeypatch.setattr(sys, "argv", arguments)
        runpy.run_path(arguments[0], run_name="__main__")
        return root / out

    return run


def results(folder: Path) -> dict[str, bytes]:
    """The bytes of every file that is a result: all but the measurements."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("cost.json", "resources.csv")
    }


def test_there_are_ten_train_scripts() -> None:
    assert sorted(path.stem for path in STAGES.glob("train_*.py")) == sorted(f"train_{method}" for method in CASES)
    assert len(CASES) == 10


@pytest.mark.parametrize("method", CASES)
def test_a_train_script_leaves_an_arm_its_curve_and_its_cost(method: str, trained: Callable[[str], Path]) -> None:
    left = trained(method)
    arm = files.read_json(left / "arm" / "arm.json")
    assert (arm["study"], arm["arm"], arm["seed"], arm["model"]) == (f"s_{method}", method, 0, f"tiny_{CASES[method].architecture}")
    lines = (left / "curve.csv").read_text().splitlines()
    assert lines[0] == COLUMNS
    assert [line.split(",")[0] for line in lines[1:]] == ["2", "3", "4", "6"], "logged every 2 steps, validated every 3"
    cells = dict(zip(COLUMNS.split(","), lines[-1].split(","), strict=True))
    assert all(cells[name] for name in ("epoch", "loss", "learning_rate", "grad_norm", "eval_loss"))
    assert (cells["eval_accuracy"] == "") == (method == "sft")
    cost = files.read_json(left / "cost.json")
    assert cost["num_steps"] == 6
    # 23 rows in micro-batches of 4: an epoch is 6 of them, the last of 3 rows, which is 3 steps of two; 6 steps are two epochs.
    assert (cost["num_examples"], cost["num_epochs"], cost["examples_per_step"]) == (46, 2, 8)
    assert 0 < cost["seconds"]["training_without_evaluation"] < cost["seconds"]["training"] < cost["seconds"]["total"]
    assert cost["memory"]["peak_resident_bytes"] > 50_000_000
    assert (left / "resources.csv").read_text().startswith("seconds,cpu_percent,resident_bytes,gpu_percent,gpu_bytes\n0")
    assert cost["bytes_on_disk"] == sum(path.stat().st_size for path in (left / "arm").iterdir())
    four_bit = (CASES[method].block.get("quantization") is not None) * {"phi": 12, "llama": 14, "falcon": 8}.get(
        CASES[method].architecture, 0
    )
    assert cost["num_4bit_layers"] == four_bit
    assert (cost["parameters"]["packed"] < cost["parameters"]["total"]) == (four_bit > 0)


@pytest.mark.parametrize("method", CASES)
def test_no_output_of_a_train_script_is_a_pickle(method: str, trained: Callable[[str], Path]) -> None:
    allowed = {".json", ".safetensors", ".csv", ".jinja"}
    assert {name for name in results(trained(method)) if Path(name).suffix not in allowed} == set()
    assert not (trained(method).parents[1] / ".ftbench" / "scratch").exists() or not list(
        (trained(method).parents[1] / ".ftbench" / "scratch").iterdir()
    )


@pytest.mark.parametrize("method", CASES)
def test_the_same_seed_gives_the_same_bytes(method: str, trained: Callable[[str], Path], run_here: Callable[..., Path]) -> None:
    first, again = results(trained(method)), results(run_here(method, f"again/{method}"))
    assert first.keys() == again.keys()
    assert [name for name in first if first[name] != again[name]] == []


@pytest.mark.parametrize("method", CASES)
def test_another_seed_gives_other_weights_and_another_curve(
    method: str, trained: Callable[[str], Path], run_here: Callable[..., Path]
) -> None:
    first, other = results(trained(method)), results(run_here(method, f"other/{method}", seed=1))
    weights = [name for name in first if name.endswith(".safetensors")]
    assert weights
    assert [name for name in [*weights, "curve.csv"] if first[name] == other[name]] == []


@pytest.mark.parametrize("method", CASES)
def test_a_reloaded_arm_has_the_validation_loss_that_it_ended_training_with(
    method: str, root: Path, trained: Callable[[str], Path], tiny_base: Callable[[str], Path]
) -> None:
    from ftbench import arms, models, schema, training

    case, left = CASES[method], trained(method)
    model, tokenizer = models.load_arm(left / "arm", tiny_base(case.architecture))
    text = schema.Text.model_validate(case.text)
    path = root / "data" / case.data / "validation.parquet"
    if method == "sft":
        validate = training.validate_answers(tokenizer, arms.encode_instructions(tokenizer, text, arms.read_instructions(path)).features, 4)
    else:
        pairs = arms.read_pairs(path)
        if case.architecture == "roberta":
            validate = training.validate_head(tokenizer, arms.encode_for_head(tokenizer, text, pairs).features, pairs["label"], 4)
        elif "token" in case.block:
            validate = training.validate_head(tokenizer, arms.encode_for_label(tokenizer, text, pairs).features, pairs["label"], 4)
        else:
            features = arms.encode_for_label(tokenizer, text, pairs).features
            validate = training.validate_labels(tokenizer, features, arms.label_answers(text), pairs["label"], 4)
    ended = (left / "curve.csv").read_text().splitlines()[-1].split(",")
    assert validate(model)["loss"] == pytest.approx(float(ended[5]), abs=2e-5)
    assert validate(models_untrained(method, tiny_base))["loss"] != pytest.approx(float(ended[5]), abs=1e-4)


def models_untrained(method: str, tiny_base: Callable[[str], Path]) -> Any:
    """The base of an arm under an untrained head: what a reload that lost its weights would give."""
    from ftbench import models, schema

    case = CASES[method]
    quantization = case.block.get("quantization")
    quantization = quantization and schema.Quantization.model_validate(quantization)
    if case.architecture == "roberta":
        return models.load_encoder(tiny_base("roberta"), seed=0)
    if "token" in case.block:
        return models.load_decoder_head(tiny_base(case.architecture), quantization, "last", seed=0)
    return models.load_decoder(tiny_base(case.architecture), quantization)


def test_a_script_refuses_an_arm_of_another_method(
    root: Path, tiny_base: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = command("lora", tiny_base("roberta"), "wrong")
    arguments[0] = str(STAGES / "train_top_layers.py")
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(arguments[0], run_name="__main__")
    assert stopped.value.code == 2
    assert "train_top_layers.py: the adapter of s_lora.lora" in capsys.readouterr().err
    assert not (root / "wrong" / "arm").exists()


@pytest.fixture
def tracked(root: Path) -> Iterator[Callable[[str, str], None]]:
    """`tracked("lora", "wandb")` sets `report_to` in params.yaml, until the test ends."""
    path = root / "params.yaml"
    before = path.read_bytes()

    def set_tracker(method: str, report_to: str) -> None:
        raw = json.loads(before)
        raw["tiny"][f"s_{method}"][method]["training"]["report_to"] = report_to
        path.write_text(json.dumps(raw, indent=1), encoding="utf-8")

    yield set_tracker
    path.write_bytes(before)


def test_a_tracked_arm_has_the_bytes_of_one_that_is_not(
    tracked: Callable[[str, str], None],
    trained: Callable[[str], Path],
    run_here: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    from transformers import TrainerCallback
    from transformers.integrations import integration_utils

    seen: list[str] = []

    class Noting(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            seen.append(args.run_name)

    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "tensorboard/__init__.py").touch()  # as if it were installed
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "tensorboard", Noting)
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "")
    plain = results(trained("lora"))
    tracked("lora", "tensorboard")
    assert results(run_here("lora", "tracked/lora")) == plain
    assert {"arm/arm.json", "arm/adapter_model.safetensors", "curve.csv"} <= set(plain)
    assert set(seen) == {"s_lora/lora-0"}


def test_a_tracker_that_is_not_installed_is_refused_before_anything_is_read(
    root: Path, tracked: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tracked("lora", "wandb")
    arguments = command("lora", Path("no/base"), "untracked")
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", arguments)
    monkeypatch.setitem(sys.modules, "wandb", None)  # type: ignore[arg-type]  # not installed, wherever this runs
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(arguments[0], run_name="__main__")
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "s_lora.lora: training.report_to" in said
    assert "pip install wandb" in said
    assert "no/base" not in said
    assert not (root / "untracked").exists()


def test_a_split_with_a_label_that_is_none_or_without_rows_is_refused_by_name(tmp_path: Path) -> None:
    import pyarrow as pa

    from ftbench import arms
    from ftbench.errors import UserError

    path = tmp_path / "train.parquet"
    files.write_parquet(path, pa.table({"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": pa.array([0, 7], pa.int8())}))
    with pytest.raises(UserError, match=r"train\.parquet: label\n  found:   7\n  allowed: 0, 1, 2"):
        arms.read_pairs(path)
    files.write_parquet(path, pa.table({"premise": [], "hypothesis": [], "label": []}))
    with pytest.raises(UserError, match="no rows"):
        arms.read_pairs(path)
