"""The benchmark of full-size cost, run on miniatures: the code is the same, only the shapes differ."""

from __future__ import annotations

import argparse
import importlib.util
import json
import runpy
import subprocess
import sys
from pathlib import Path

import described
import pytest

from ftbench import params, schema

ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "benchmarks/full_size.py")
ARMS = {  # inputs per step and 4-bit layers
    ("snli", "qkv-nf4"): (16, 3 * 6),
    ("multinli", "p_tuning-own"): (16, 0),
    ("alpaca", "falcon_rw_1b-study"): (None, 3 * 4),
}
RUN = """
import pathlib, runpy, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, str(pathlib.Path(sys.argv[0]).parent))
runpy.run_path(sys.argv[0], run_name="__main__")
print("beside:", *sorted({"dvc", "datasets"} & set(sys.modules)))
"""


@pytest.fixture(autouse=True)
def _benchmarks_are_found(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


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


@pytest.mark.parametrize(("study", "arm"), [("snli", "qkv-nf4"), ("prompting", "soft_prompt"), ("multinli_llm", "qlora_head-last_token")])
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


def test_and_by_trl_or_it_is_said_how_to_install_it(tmp_path):
    out = tmp_path / "record.json"
    done = full_size("--study", "snli", "--arm", "qkv-nf4", "--against", "trl", "--out", str(out))
    if importlib.util.find_spec("trl") is None:
        assert done.returncode == 1
        assert "not installed; pip install --constraint constraints.txt '.[bench]'" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())["against"]["trl"]
    assert found["not_run"] is None
    assert len(found["step_seconds"]) == 3


@pytest.mark.parametrize(
    ("study", "arm", "said"), [("multinli", "full-own", "has a head on labels"), ("snli", "attention_head-nf4", "adapts lm_head")]
)
def test_what_trl_cannot_train_is_refused_before_anything_is_measured(tmp_path, monkeypatch, study, arm, said):
    script = runpy.run_path(SCRIPT, run_name="read")
    monkeypatch.setitem(script["main"].__globals__, "train", lambda *_: pytest.fail("measured"))
    monkeypatch.chdir(ROOT)
    given = {"study": study, "arm": arm, "scale": "offline", "params": params.PATH, "length": 8, "steps": 2, "batches": 1}
    with pytest.raises(SystemExit, match=f"--against trl: {arm} {said}.*leave trl out"):
        script["main"](argparse.Namespace(**given, against=["trainer", "trl"], out=tmp_path / "record.json"))


@pytest.fixture
def against():
    return importlib.import_module("full_size_against")


def arm(**training):
    how = schema.Training(max_steps=1, **{"per_device_train_batch_size": 1, **training})
    return schema.Arm(training=how, learning_rate=1e-3)


def test_a_4_bit_base_is_prepared_as_documented_and_what_is_trained_is_what_was(against):
    import bitsandbytes
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 20}
    base = LlamaForCausalLM(LlamaConfig(**sizes)).to(torch.bfloat16)
    packed = bitsandbytes.nn.Linear4bit(64, 64, bias=False, quant_type="nf4")
    packed.weight = bitsandbytes.nn.Params4bit(torch.randn(64, 64), requires_grad=False, quant_type="nf4").to("cpu")
    base.model.layers[0].mlp.down_proj = packed
    model = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"]))
    before = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert len(before) == 2  # the two matrices of the one adapter
    bits = packed.weight.data.clone()
    against.prepare_4_bit(model)
    assert {name for name, weight in model.named_parameters() if weight.requires_grad} == before
    assert {weight.dtype for weight in model.parameters() if weight is not packed.weight} == {torch.float32}
    assert torch.equal(packed.weight.data, bits)


@pytest.mark.parametrize("prefix", ["activation", "gradient"])
def test_activations_are_recomputed_where_the_arm_does(against, prefix):
    names = f"{prefix}_checkpointing", f"{prefix}_checkpointing_kwargs"
    assert against.recomputation(prefix, arm()) == dict(zip(names, (False, None), strict=True))
    wanted = against.recomputation(prefix, arm(gradient_checkpointing=True))
    assert wanted == dict(zip(names, (True, {"use_reentrant": False}), strict=True))


def test_a_plain_trainer_recomputes_a_head_on_a_decoder_too(against):
    """Its class has no `gradient_checkpointing_enable`, by which PEFT's function would ask for it."""
    from transformers import LlamaConfig, LlamaModel

    from ftbench import heads

    sizes = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 20,
        "pad_token_id": 0,
    }
    model = heads.DecoderHead(LlamaModel(LlamaConfig(**sizes)), 3, "last")
    against.prepare_4_bit(model)
    for weight in model.parameters():
        weight.requires_grad_(True)
    settings = arm(gradient_checkpointing=True)
    seconds = against.train("trainer", model, settings, against.Steps(per_token=False, length=6, num_kept=1, num_steps=2))
    assert len(seconds) == 2
    assert model.backbone.is_gradient_checkpointing


def test_what_stops_an_alternative_is_said_and_ours_is_kept(against):
    def built():
        raise MemoryError("no room\nfor more")

    found = against.beside("trainer", built, arm(), against.Steps(True, 4, 1, 2), 1.0, None)
    assert found.pop("version")
    assert found.pop("not_run") == "MemoryError: no room"
    assert set(found.values()) == {None}
    assert len(found) == 5


def test_ratios_say_how_much_longer_it_takes_and_what_share_of_its_memory_ours_is(against, monkeypatch):
    import torch

    monkeypatch.setattr(against, "train", lambda *_: [9.0, 3.0, 5.0])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 400)
    found = against.beside("trainer", lambda: None, arm(), against.Steps(True, 4, 1, 3), 2.0, 100)
    assert (found["median_step_seconds"], found["seconds_ratio"]) == (4.0, 2.0)  # of 3 and 5: the first sets up
    assert (found["peak_allocated_bytes"], found["peak_bytes_ratio"]) == (400, 0.25)


def test_a_second_from_one_steps_end_to_the_next_ones_is_that_steps(against, monkeypatch):
    times = iter([10.0, 11.0, 13.5])
    monkeypatch.setattr(against.time, "perf_counter", lambda: next(times))
    watch = against.Watch()
    for event in (watch.on_train_begin, watch.on_step_end, watch.on_step_end):
        event(None, None, None)
    assert watch.seconds == [1.0, 2.5]


def test_inputs_are_as_many_as_the_steps_take_and_only_the_last_tokens_have_labels(against):
    settings = arm(per_device_train_batch_size=2, gradient_accumulation_steps=3)
    rows = against.inputs(50, settings, against.Steps(per_token=True, length=5, num_kept=2, num_steps=4))
    assert len(rows) == 4 * 2 * 3
    assert all(row["labels"] == [-100, -100, -100, *row["input_ids"][3:]] for row in rows)
    rows = against.inputs(50, settings, against.Steps(per_token=False, length=5, num_kept=1, num_steps=1))
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
