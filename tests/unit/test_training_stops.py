"""Trainings that stop: broken losses and weights, and crashed runs that go on from their checkpoint."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from training_jobs import LORA, NF4, Base, job, nothing, pair_rows

from ftbench import adapters, bases, models, training
from ftbench.errors import UserError


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


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


def test_a_checkpoint_whose_state_was_cut_off_is_not_gone_on_from(tmp_path: Path) -> None:
    for step, state in ((4, '{"global_step": 4}'), (10, '{"global_step": 1'), (12, "")):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}/trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-14").mkdir()
    assert training._last_checkpoint(tmp_path) == tmp_path / "checkpoint-4"


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
