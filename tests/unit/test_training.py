"""The mechanics of training: accumulation, padding, frozen weights, broken losses and crashed runs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback
from transformers.integrations import integration_utils

from ftbench import adapters, arms, bases, costs, flags, inference, models, movement, schema, training
from ftbench.errors import UserError
from ftbench.text import encode_answers, encode_pairs

Base = Callable[[str], Path]
LORA = schema.LoraAdapter(r=4, lora_alpha=8, lora_dropout=0.1, target_modules=["query", "value"])
PROMPT = schema.PromptAdapter(num_virtual_tokens=3, encoder_reparameterization_type="MLP", encoder_hidden_size=16)
NF4 = schema.Quantization(bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=False, bnb_4bit_compute_dtype="float32")
PREMISES = ["A man is sleeping.", "Two dogs", "A woman in a red shirt is riding a bike in the park.", "No dog is eating."] * 2
HYPOTHESES = ["A person is asleep.", "The dogs are not running in the house.", "She is outdoors.", "A boy"] * 2


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def job(base: Path, **settings: Any) -> arms.Job:
    rate = settings.pop("learning_rate", 0.01)
    settings = {"max_steps": 1, "per_device_train_batch_size": 8, "logging_steps": 1, "train_sampling_strategy": "sequential", **settings}
    return arms.Job(
        study="study", arm="arm", seed=0, settings=schema.Arm(training=schema.Training(**settings), learning_rate=rate),
        text=schema.Text(max_length=64), base_model="tiny", data=Path("data"), base=base, out=Path("out"),
        curve=Path("curve.csv"), cost=Path("cost.json"), resources=Path("resources.csv"),
    )  # fmt: skip


def pair_rows(tokenizer: Any) -> list[dict[str, Any]]:
    return arms.with_labels(encode_pairs(tokenizer, PREMISES, HYPOTHESES, 64), [0, 1, 2, 0, 1, 2, 0, 1])


def without_dropout(model: Any) -> Any:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name in ("attention_dropout", "hidden_dropout"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return model


def nothing(model: Any) -> dict[str, float]:
    return {"loss": 0.0}


@pytest.mark.parametrize("kind", ["roberta head", "llama head", "phi", "llama", "bloom", "falcon"])
def test_a_batch_cut_up_for_accumulation_gives_the_same_loss_and_gradient(kind: str, tiny_base: Base) -> None:
    base = tiny_base(kind.split()[0])
    tokenizer = bases.load_tokenizer(base)
    if kind.endswith("head"):
        rows = pair_rows(tokenizer)
    else:  # answers of different lengths: a mean of means is not the mean over tokens
        rows = encode_answers(tokenizer, PREMISES, [text * (1 + index % 3) for index, text in enumerate(HYPOTHESES)], 64).features
    seen = []
    for batch, accumulation in ((8, 1), (2, 4), (1, 8)):
        if kind == "roberta head":
            model = models.load_encoder(base, seed=1)
        else:
            model = models.load_decoder_head(base, None, "last", seed=1) if kind == "llama head" else models.load_decoder(base, None)
        settings = {"per_device_train_batch_size": batch, "gradient_accumulation_steps": accumulation}
        run = training.train(job(base, **settings), without_dropout(model), tokenizer, rows, nothing)
        seen.append((run.curve[0]["loss"], run.curve[0]["grad_norm"]))
    assert seen[1] == pytest.approx(seen[0], rel=1e-5)
    assert seen[2] == pytest.approx(seen[0], rel=1e-5)


def base_weights(model: Any) -> dict[str, torch.Tensor]:
    """Copies of the weights of the model under an adapter, by their names in the base."""
    weights = {}
    for name, parameter in model.named_parameters():
        if "lora_" in name or "prompt_encoder" in name or "classifier" in name:
            continue
        name = name.replace(".base_layer", "").removeprefix("base_model.model.").removeprefix("base_model.")
        weights[name] = parameter.detach().clone()
    return weights


def test_weights_that_are_frozen_stay_bit_identical_and_all_others_change(tiny_base: Base) -> None:
    base = tiny_base("roberta")
    tokenizer = bases.load_tokenizer(base)
    layers = schema.TopLayers(num_top_layers=1)
    for method, trained in (
        (lambda model: adapters.lora(model, LORA, 0, "SEQ_CLS", "classifier"), ""),
        (lambda model: adapters.prompt_encoder(model, PROMPT, 0, "SEQ_CLS"), ""),
        (lambda model: adapters.top_layers(model, layers), "roberta.encoder.layer.1."),
    ):
        model = models.load_encoder(base, seed=0)
        before = base_weights(model)
        model = method(model)
        added = {name: parameter.detach().clone() for name, parameter in models.trained_parameters(model)}
        training.train(job(base, max_steps=3, weight_decay=0.1), model, tokenizer, pair_rows(tokenizer), nothing)
        after = base_weights(model)
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        assert changed == {name for name in before if trained and name.startswith(trained)}
        now = dict(model.named_parameters())
        # The queries of a prompt encoder's virtual tokens are drawn once; whatever else is trained has moved.
        assert [name for name in added if torch.equal(added[name], now[name])] == []


def stopped_by(spoil: Callable[[Any], object], base: Path, **settings: Any) -> Any:
    """The one problem with which the training of an encoder ends whose head was spoilt."""
    tokenizer, model = bases.load_tokenizer(base), models.load_encoder(base, seed=0)
    spoil(model.classifier.out_proj)
    with pytest.raises(UserError) as stopped:
        training.train(job(base, **settings), model, tokenizer, pair_rows(tokenizer), nothing)
    [problem] = stopped.value.problems
    assert not list(Path(".ftbench/scratch").glob("*"))
    return problem


def test_a_loss_that_is_no_number_stops_the_arm_with_its_step_rate_and_gradient_norm(tiny_base: Base) -> None:
    problem = stopped_by(lambda head: head.weight.data.fill_(float("nan")), tiny_base("roberta"), learning_rate=0.02)
    assert problem.where == "study.arm, seed 0: step 1"
    assert problem.found == "the loss is nan at learning rate 0.02, gradient norm nan"


def test_a_loss_that_diverges_stops_the_arm_long_before_it_is_infinite(tiny_base: Base) -> None:
    # every example of another label costs about a thousand nats
    problem = stopped_by(lambda head: head.bias.data[0].fill_(1000.0), tiny_base("roberta"), learning_rate=0.02)
    found = re.fullmatch(r"the loss is ([\d.]+) at learning rate 0\.02, gradient norm ([\d.]+)", problem.found)
    assert found is not None, problem.found
    assert 100 < float(found[1]) < 1001
    assert float(found[2]) > 0
    assert problem.where == "study.arm, seed 0: step 1"
    assert problem.allowed == "a finite loss, of at most 100"
    assert "lower learning_rate" in problem.mend


def test_a_last_update_that_leaves_no_finite_weights_stops_the_arm(tiny_base: Base) -> None:
    # after the loss, before the update
    problem = stopped_by(lambda head: head.bias.register_hook(lambda gradient: gradient * float("inf")), tiny_base("roberta"), max_steps=1)
    assert problem.where == "study.arm, seed 0: step 1, the last"
    assert problem.found == "weights that are no finite numbers"


def test_how_far_the_trained_weights_moved_is_recorded(tiny_base: Base) -> None:
    base = tiny_base("roberta")
    tokenizer = bases.load_tokenizer(base)
    moved = []
    for rate in (1e-2, 1e-12):
        run = training.train(job(base, learning_rate=rate), models.load_encoder(base, seed=0), tokenizer, pair_rows(tokenizer), nothing)
        moved.append(run.cost["moved"])
    assert moved[0] > 1e-3
    assert moved[1] < flags.LEAST_MOVE
    before = {"a": torch.tensor([3.0, 0.0]), "b": torch.tensor([[4.0]])}
    after = {"a": torch.tensor([3.0, 0.5]), "b": torch.tensor([[4.0]])}
    assert movement.moved(before, after) == 0.1  # 0.5 of a length of 5


def test_a_checkpoint_whose_state_was_cut_off_is_not_gone_on_from(tmp_path: Path) -> None:
    for step, state in ((4, '{"global_step": 4}'), (10, '{"global_step": 1'), (12, "")):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}/trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-14").mkdir()
    assert training._last_checkpoint(tmp_path) == tmp_path / "checkpoint-4"


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


def test_a_run_that_crashed_goes_on_from_its_checkpoint_and_gives_the_same_bytes(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tiny_base("llama")
    tokenizer = bases.load_tokenizer(base)
    rows = pair_rows(tokenizer)
    adapter = LORA.model_copy(update={"target_modules": ["q_proj", "v_proj"]})
    crashing = {"at": 0}

    def start(**changed: Any) -> tuple[bytes, training.Run]:
        model = models.load_decoder_head(base, NF4, "last", seed=0)
        model = adapters.lora(model, adapter, 0, None, "score")
        settings = {
            "max_steps": 8, "per_device_train_batch_size": 2, "gradient_accumulation_steps": 2, "eval_strategy": "steps", "eval_steps": 3,
            "train_sampling_strategy": "random", **changed,
        }  # fmt: skip
        calls = {"n": 0}

        features = [{"input_ids": row["input_ids"]} for row in rows]
        labels = [row["labels"] for row in rows]

        def validate(model: Any) -> Mapping[str, float]:
            calls["n"] += 1
            if calls["n"] == crashing["at"]:
                raise MemoryError("no memory")
            return training.validate_head(tokenizer, features, labels, 4)(model)

        run = training.train(job(base, **settings), model, tokenizer, rows, validate)
        models.save_weights(model, Path("weights.safetensors"))
        return Path("weights.safetensors").read_bytes(), run

    whole, run = start()
    assert run.cost["resumed"] is False
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", 0.0)  # after every step
    crashing["at"] = 2
    with pytest.raises(MemoryError):
        start()
    [scratch] = Path(".ftbench/scratch").iterdir()
    assert [path.name for path in scratch.glob("checkpoint-*")] == ["checkpoint-5"], "only the last is kept; step 6 crashed before its own"
    assert not list(scratch.rglob("training_args.bin"))
    crashing["at"] = 0
    other = start(weight_decay=0.3)[1]
    assert other.cost["resumed"] is False, "another setting never resumes this checkpoint"
    resumed, again = start()
    assert again.cost["resumed"] is True
    assert resumed == whole
    assert again.curve == run.curve
    assert [row["step"] for row in run.curve] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert not list(Path(".ftbench/scratch").iterdir())


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


def test_a_soft_prompt_is_trained_with_padding_on_the_right_since_on_the_left_it_would_change_the_loss(tiny_base: Base) -> None:
    base = tiny_base("llama")
    tokenizer = bases.load_tokenizer(base)
    torch.manual_seed(0)
    model = adapters.prompt_encoder(models.load_decoder(base, None), PROMPT, 0, "CAUSAL_LM").eval()
    rows = encode_answers(tokenizer, PREMISES[1:3], ["neutral", "neutral"], 64).features
    with torch.no_grad():
        alone = [model(**training.collator(tokenizer, "right")([row])).loss.item() for row in rows]
        batches = {"left": inference.pad(rows, tokenizer, "cpu"), "right": training.collator(tokenizer, "right")(rows)}
        together = {side: model(**batch).loss.item() for side, batch in batches.items()}
    assert together["right"] == pytest.approx(sum(alone) / 2, abs=1e-6)
    assert together["left"] != pytest.approx(sum(alone) / 2, abs=1e-6)


@pytest.mark.parametrize("architecture", ["phi", "llama", "bloom", "falcon"])
def test_the_loss_and_its_gradient_need_only_the_logits_of_answers(architecture: str, tiny_base: Base) -> None:
    base = tiny_base(architecture)
    tokenizer = bases.load_tokenizer(base)
    rows = encode_answers(tokenizer, PREMISES[:4], ["No.", "A man is asleep.", "Yes", "Not one dog"], 64).features
    longest = max(sum(label != -100 for label in row["labels"]) for row in rows)
    whole, kept = inference.pad(rows, tokenizer, "cpu"), training.collator(tokenizer, "left")(rows)
    assert kept["logits_to_keep"] == kept["labels"].shape[1] == longest + 1 < whole["labels"].shape[1]
    seen = []
    for batch in (whole, kept):
        model = models.load_decoder(base, None)
        output = model(**batch)
        output.loss.backward()
        seen.append((output.loss.item(), torch.nn.utils.get_total_norm(parameter.grad for parameter in model.parameters()).item()))
        assert output.logits.shape[1] == batch["labels"].shape[1]
    assert seen[1] == pytest.approx(seen[0], rel=1e-5)


def test_the_collator_pads_on_the_side_it_is_told(tiny_base: Base) -> None:
    tokenizer = bases.load_tokenizer(tiny_base("llama"))
    pad = tokenizer.pad_token_id
    rows = [{"input_ids": [7, 8, 9], "labels": [-100, 8, 9]}, {"input_ids": [5], "labels": [5]}]
    left = training.collator(tokenizer, "left")(rows)
    assert left.pop("logits_to_keep") == 3
    assert {name: value.tolist() for name, value in left.items()} == {
        "input_ids": [[7, 8, 9], [pad, pad, 5]],
        "attention_mask": [[1, 1, 1], [0, 0, 1]],
        "labels": [[-100, 8, 9], [-100, -100, 5]],
    }
    right = training.collator(tokenizer, "right")([{"input_ids": [7, 8], "labels": 2}, {"input_ids": [5], "labels": 0}])
    assert {name: value.tolist() for name, value in right.items()} == {
        "input_ids": [[7, 8], [5, pad]],
        "attention_mask": [[1, 1], [1, 0]],
        "labels": [2, 0],
    }
    assert tokenizer.padding_side == "left", "the tokenizer itself stays as it was"


def test_a_learning_curve_has_one_row_per_step_and_leaves_out_the_trainers_timings(tmp_path: Path) -> None:
    history = [
        {"step": 2, "epoch": 0.5, "loss": 1.25, "grad_norm": 3.0, "learning_rate": 1e-05},
        {"step": 4, "epoch": 1.0, "loss": 1.0, "grad_norm": 2.0, "learning_rate": 0.0},
        {"step": 4, "epoch": 1.0, "eval_loss": 1.125, "eval_accuracy": 0.5},
        {"step": 4, "epoch": 1.0, "train_runtime": 7.0, "total_flos": 0.0, "train_loss": 1.1},
    ]
    arms.write_curve(tmp_path / "curve.csv", training.curve(history))
    assert (tmp_path / "curve.csv").read_text() == (
        "step,epoch,loss,learning_rate,grad_norm,eval_loss,eval_accuracy\n2,0.5,1.25,1e-05,3,,\n4,1,1,0,2,1.125,0.5\n"
    )


def test_validation_is_the_mean_likelihood_of_the_gold_label_and_the_share_that_is_right() -> None:
    import numpy as np

    log_probabilities = np.log([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]])
    scored = training._scored(log_probabilities, [0, 2])
    assert scored == {"loss": pytest.approx((np.log(2) + np.log(8)) / 2), "accuracy": 0.5}


def test_the_seed_of_a_stream_is_shared_by_the_arms_of_a_study_and_by_no_other_seed_or_stream(tiny_base: Base) -> None:
    from dataclasses import replace

    one = job(tiny_base("roberta"))
    assert one.derived_seed("head") == replace(one, arm="other").derived_seed("head")
    others = {one.derived_seed("adapter"), replace(one, seed=1).derived_seed("head"), replace(one, study="other").derived_seed("head")}
    assert len(others | {one.derived_seed("head")}) == 4


@pytest.mark.parametrize(
    ("quantization", "mixed", "expected"), [(NF4, {}, "float32"), (None, {"bf16": True}, "bfloat16"), (None, {}, "float32")]
)
def test_what_is_frozen_is_in_the_compute_dtype_or_that_of_mixed_precision(
    quantization: Any, mixed: dict[str, bool], expected: str
) -> None:
    settings = schema.Training(max_steps=1, per_device_train_batch_size=1, **mixed)  # type: ignore[arg-type]
    assert arms.dtype(schema.Arm(training=settings, learning_rate=0.1, quantization=quantization)) == expected
