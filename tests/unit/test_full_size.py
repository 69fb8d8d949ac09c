"""The benchmark of full-size cost, run on miniatures: the code is the same, only the shapes differ."""

from __future__ import annotations

import importlib.util
import json
import runpy
import subprocess
import sys
import types
from pathlib import Path

import described
import pytest

from ftbench import schema

ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "benchmarks/full_size.py")
ARMS = {  # inputs per step and 4-bit layers
    ("snli", "qkv-nf4"): (16, 3 * 6),
    ("multinli", "p_tuning-own"): (16, 0),
    ("alpaca", "falcon_rw_1b-study"): (None, 3 * 4),
}
RUN = """
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print("beside:", *sorted({"dvc", "datasets"} & set(sys.modules)))
"""


@pytest.mark.parametrize(("study", "arm"), sorted(ARMS))
def test_an_arm_is_built_trained_and_evaluated_and_its_record_is_whole(tmp_path, study, arm):
    out = tmp_path / "deep/record.json"
    words = ["--study", study, "--arm", arm, "--scale", "offline", "--steps", "3", "--batches", "2", "--length", "24", "--out", str(out)]
    done = subprocess.run([sys.executable, "-c", RUN, SCRIPT, *words], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "beside:"  # neither DVC nor datasets
    record = json.loads(out.read_text())
    inputs, num_4bit_layers = ARMS[study, arm]
    assert record["num_4bit_layers"] == num_4bit_layers
    assert inputs is None or record["inputs_per_step"] == inputs
    assert len(record["step_seconds"]) == 3
    assert record["tokens_per_second"] == pytest.approx(record["inputs_per_step"] * 24 / record["median_step_seconds"])
    assert 0 < record["model_flops_utilisation"] < 1
    assert record["evaluation_batch_seconds"] > 0
    assert record["predicted_peak_bytes"] > 0
    assert record["projected_training_seconds"] > record["median_step_seconds"]
    # without a GPU nothing is said of one
    assert record["device"] == "cpu"
    assert record["peak_allocated_bytes"] is record["peak_reserved_bytes"] is record["predicted_over_seen"] is None
    assert record["against"] == {}
    assert record.keys() - described.fields("reports/full_size/<study>-<arm>.json") == set()


def full_size(*words):
    given = [sys.executable, SCRIPT, "--scale", "offline", "--steps", "3", "--batches", "1", "--length", "24", *words]
    return subprocess.run(given, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.parametrize(("study", "arm"), [("snli", "qkv-nf4"), ("multinli", "p_tuning-own"), ("multinli_llm", "qlora_head-last_token")])
def test_the_same_steps_by_a_plain_trainer_stand_beside_ours(tmp_path, study, arm):
    out = tmp_path / "record.json"
    done = full_size("--study", study, "--arm", arm, "--against", "trainer", "--out", str(out))
    assert done.returncode == 0, done.stderr
    record = json.loads(out.read_text())
    [(name, found)] = record["against"].items()
    assert name == "trainer"
    assert found["version"] == record["versions"]["transformers"]
    assert len(found["step_seconds"]) == 3
    assert found["median_step_seconds"] == pytest.approx(sum(found["step_seconds"][1:]) / 2)
    assert found["seconds_ratio"] == pytest.approx(found["median_step_seconds"] / record["median_step_seconds"])
    assert found["peak_allocated_bytes"] is found["peak_bytes_ratio"] is found["not_run"] is None
    assert found.keys() - described.fields("reports/full_size/<study>-<arm>.json") == set()
    assert f"trainer {found['version']}: {found['median_step_seconds']:.3f} s a step" in done.stdout


@pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="TRL is of the group `bench`")
def test_and_by_trl_where_it_is_installed(tmp_path):
    out = tmp_path / "record.json"
    done = full_size("--study", "snli", "--arm", "qkv-nf4", "--against", "trl", "--out", str(out))
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())["against"]["trl"]
    assert len(found["step_seconds"]) == 3
    assert found["seconds_ratio"] > 0


def test_trl_is_refused_for_an_arm_with_a_head_before_anything_is_measured(tmp_path):
    done = full_size("--study", "multinli", "--arm", "full-own", "--against", "trainer", "trl", "--out", str(tmp_path / "record.json"))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "TRL's SFTTrainer trains on tokens, and the arm has a head on labels"
    assert not (tmp_path / "record.json").exists()


@pytest.fixture
def against(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("full_size_against")


def test_what_is_trained_is_the_same_after_the_base_was_prepared_as_documented_and_the_rest_is_in_float32(against):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 20}
    model = get_peft_model(LlamaForCausalLM(LlamaConfig(**sizes)).to(torch.bfloat16), LoraConfig(r=2, target_modules=["q_proj"]))
    before = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert len(before) == 2  # the two matrices of the one adapter
    training = schema.Training(max_steps=1, per_device_train_batch_size=1, gradient_checkpointing=True)
    against.prepare_4_bit(model, schema.Arm(training=training, learning_rate=1e-3))
    assert {name for name, weight in model.named_parameters() if weight.requires_grad} == before
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert model.get_base_model().is_gradient_checkpointing


def test_inputs_are_as_many_as_the_steps_take_and_only_the_last_tokens_have_labels(against):
    training = schema.Training(max_steps=1, per_device_train_batch_size=2, gradient_accumulation_steps=3)
    settings = schema.Arm(training=training, learning_rate=1e-3)
    model = types.SimpleNamespace(config=types.SimpleNamespace(vocab_size=50))
    rows = against.inputs(model, settings, per_token=True, length=5, num_kept=2, num_steps=4)
    assert len(rows) == 4 * 2 * 3
    assert all(row["labels"] == [-100, -100, -100, *row["input_ids"][3:]] for row in rows)
    rows = against.inputs(model, settings, per_token=False, length=5, num_kept=1, num_steps=1)
    assert {row["labels"] for row in rows} <= {0, 1, 2}
    assert against.collate(rows)["labels"].shape == (6,)


def test_the_time_that_the_study_took_stands_beside_ours():
    seconds = runpy.run_path(SCRIPT, run_name="read")["STUDIES_SECONDS"]
    assert seconds == {
        "multinli.full-shared": 1 * 3600 + 16 * 60 + 22,
        "multinli.lora-shared": 32 * 60 + 2,
        "multinli.p_tuning_with_backbone-shared": 1 * 3600 + 24 * 60 + 51,
    }


@pytest.mark.parametrize("words", [["--steps", "1"], ["--batches", "0"]])
def test_too_few_steps_or_batches_are_refused(words):
    given = ["--study", "snli", "--arm", "qkv-nf4", "--out", "record.json", *words]
    done = subprocess.run([sys.executable, SCRIPT, *given], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "--steps at least 2" in done.stderr
