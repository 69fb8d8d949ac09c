"""The settings of a training: how each reaches the trainer, determinism, optimisers, precision and trackers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from training_jobs import NF4, Base, job, nothing, pair_rows, without_dropout
from transformers import TrainerCallback
from transformers.integrations import integration_utils

from ftbench import arms, bases, costs, models, schema, training
from ftbench.errors import UserError


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("asked", [True, False])
def test_whether_algorithms_are_deterministic_is_a_setting_and_recorded(tiny_base: Base, asked: bool) -> None:
    base = tiny_base("roberta")
    tokenizer = bases.load_tokenizer(base)
    training.train(job(base, full_determinism=asked), models.load_encoder(base, seed=0), tokenizer, pair_rows(tokenizer), nothing)
    assert torch.are_deterministic_algorithms_enabled() == asked
    assert costs.environment()["deterministic_algorithms"] == asked


@pytest.mark.parametrize("optim", ["paged_adamw_8bit", "paged_adamw_32bit", "adamw_bnb_8bit", "adamw_torch_fused", "adafactor"])
def test_every_optimiser_that_a_processor_has_takes_a_step(tiny_base: Base, optim: str) -> None:
    base = tiny_base("roberta")
    tokenizer = bases.load_tokenizer(base)
    model = models.load_encoder(base, seed=0)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    training.train(job(base, optim=optim), model, tokenizer, pair_rows(tokenizer), nothing)
    assert any(not torch.equal(before[name], parameter) for name, parameter in model.named_parameters())


def test_half_precision_without_a_gpu_is_refused_by_its_key(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"study\.arm: training\.fp16\n  found:   true, on a machine without a GPU"):
        training._arguments(job(tiny_base("roberta"), fp16=True), Path("scratch"))


def test_mixed_precision_in_bf16_runs_on_a_processor_and_keeps_weights_in_float32(tiny_base: Base) -> None:
    base = tiny_base("roberta")
    tokenizer = bases.load_tokenizer(base)
    losses = []
    for mixed in (False, True):
        model = without_dropout(models.load_encoder(base, seed=0))
        losses.append(training.train(job(base, bf16=mixed), model, tokenizer, pair_rows(tokenizer), nothing).curve[0]["loss"])
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert losses[1] != losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


@pytest.mark.parametrize("mixed", [False, True])
def test_a_step_in_bf16_on_a_processor_is_without_fused_attention_and_validation_with_it(tiny_base: Base, monkeypatch, mixed: bool) -> None:
    monkeypatch.setattr(models, "device", lambda: torch.device("cpu"))
    base, fused = tiny_base("roberta"), {"step": [], "validation": []}
    tokenizer, model = bases.load_tokenizer(base), models.load_encoder(base, seed=0)
    model.register_forward_pre_hook(lambda *_: fused["step"].append(torch.backends.cuda.flash_sdp_enabled()))

    def validate(_: Any) -> dict[str, float]:
        fused["validation"].append(torch.backends.cuda.flash_sdp_enabled())
        return {"loss": 0.0}

    training.train(job(base, bf16=mixed, eval_strategy="steps", eval_steps=1), model, tokenizer, pair_rows(tokenizer), validate)
    assert fused == {"step": [not mixed], "validation": [True]}


def test_every_setting_reaches_the_trainer_under_its_own_name(tiny_base: Base) -> None:
    given = {
        "max_steps": 7, "per_device_train_batch_size": 3, "per_device_eval_batch_size": 6, "gradient_accumulation_steps": 5,
        "weight_decay": 0.25, "warmup_steps": 0.1, "lr_scheduler_type": "cosine", "optim": "adamw_torch_fused",
        "max_grad_norm": 0.5, "eval_strategy": "steps", "eval_steps": 11, "logging_steps": 13,
        "gradient_checkpointing": True, "train_sampling_strategy": "group_by_length",
    }  # fmt: skip
    arguments = training._arguments(job(tiny_base("roberta"), learning_rate=0.125, **given), Path("scratch"))
    expected = {**given, "learning_rate": 0.125, "activation_checkpointing": True}
    expected.pop("gradient_checkpointing")
    assert {name: getattr(arguments, name) for name in expected} == expected
    assert (arguments.num_train_epochs, arguments.bf16, arguments.fp16) == (3.0, False, False)
    assert arguments.full_determinism == torch.cuda.is_available()
    assert arguments.report_to == []
    left = {"num_train_epochs", "bf16", "fp16", "full_determinism", "report_to"}
    assert set(schema.Training.model_fields) - set(given) == left, "a setting that this test does not know"


class Written:
    """A tracker that notes what it is told, in place of one that is not installed."""

    def __init__(self) -> None:
        self.run_name, self.folder, self.names, self.arguments = None, None, set(), ""

    def callback(self) -> type:
        class Noting(TrainerCallback):
            def on_train_begin(_, args: Any, state: Any, control: Any, **__: Any) -> None:  # noqa: N805
                self.run_name, self.folder = args.run_name, os.environ.get("TENSORBOARD_LOGGING_DIR")
                self.arguments = args.to_json_string()

            def on_log(_, args: Any, state: Any, control: Any, logs: Any = None, **__: Any) -> None:  # noqa: N805
                self.names |= set(logs)

        return Noting


def test_a_tracked_training_gives_the_same_bytes_and_tells_the_tracker_its_name_and_no_secret(
    tiny_base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny_base("roberta")
    tokenizer = bases.load_tokenizer(base)
    told = Written()
    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "tensorboard", told.callback())
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "")
    monkeypatch.setenv("A_SECRET", "hunter2-hunter2")
    left = []
    for report_to in ("none", "tensorboard"):
        model = models.load_encoder(base, 0)
        one = job(base, max_steps=3, report_to=report_to, eval_strategy="steps", eval_steps=2, train_sampling_strategy="random")
        run = training.train(one, model, tokenizer, pair_rows(tokenizer), nothing)
        left.append((run.curve, {name: value.clone() for name, value in model.state_dict().items()}, training._fingerprint(one)))
        assert (told.run_name is None) == (report_to == "none")
    (curve, weights, fingerprint), (other_curve, other_weights, other_fingerprint) = left
    assert curve == other_curve
    assert all(torch.equal(weights[name], other_weights[name]) for name in weights)
    assert fingerprint == other_fingerprint, "so that a run that crashed is resumed with or without a tracker"
    assert (told.run_name, told.folder) == ("study/arm-0", ".ftbench/tracking/study/arm-0")
    assert {"loss", "learning_rate", "grad_norm", "eval_loss"} <= told.names
    assert "hunter2" not in told.arguments


@pytest.mark.parametrize(
    ("quantization", "mixed", "expected"), [(NF4, {}, "float32"), (None, {"bf16": True}, "bfloat16"), (None, {}, "float32")]
)
def test_what_is_frozen_is_in_the_compute_dtype_or_that_of_mixed_precision(
    quantization: Any, mixed: dict[str, bool], expected: str
) -> None:
    settings = schema.Training(max_steps=1, per_device_train_batch_size=1, **mixed)  # type: ignore[arg-type]
    assert arms.dtype(schema.Arm(training=settings, learning_rate=0.1, quantization=quantization)) == expected
