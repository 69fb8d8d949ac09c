"""The mechanics of training: accumulation, padding, frozen weights and what is recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from training_jobs import HYPOTHESES, LORA, PREMISES, PROMPT, Base, job, nothing, pair_rows, without_dropout

from ftbench import adapters, arms, bases, flags, inference, models, movement, schema, training
from ftbench.text import encode_answers


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


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
