"""A decoder trained on instructions as an arm is trained, against TRL's SFTTrainer: the same tokens, settings of the run and precision.

TRL's own defaults stay as they are (activation checkpointing, batches in random order, its collator and its loss); so do ours (batches of
like lengths, logits at answers alone). Every example's loss is the same before training; afterwards both must have learnt the same, which
is looked at halfway and at the end on examples that neither has seen.
"""

from __future__ import annotations

import copy
import importlib.metadata
import importlib.util
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import made
import numpy as np
import timing
import torch
import transformers

from ftbench import arms, bases, grid, inference, models, schema, text, training

STEPS, QUICK_STEPS = 8, 4
BATCH, LEARNING_RATE = 8, 1e-3  # TRL's batch
HELD_OUT = 32  # examples
BEFORE = 0.02  # nats by which an example's loss may differ before training, computed in bfloat16
NOISE = 0.1  # of what the loss has fallen by, which is how far orders of the batches move it
INSTALL = "pip install --constraint constraints.txt '.[bench]'"

Outcome = dict[str, Any]


def row(options: made.Options) -> timing.Row:
    """Full fine-tuning in mixed precision, one epoch."""
    if importlib.util.find_spec("trl") is None:
        raise timing.NotRunError(f"TRL is not installed: {INSTALL}")
    made.refuse_without_bfloat16()
    num_steps = QUICK_STEPS if options.quick else STEPS
    settings = grid.text(made.settings(), "alpaca")
    rows, held_out = made.instructions(options, "train", BATCH * num_steps), made.instructions(options, "test", HELD_OUT)
    prompts = [[text.instruction_prompt(settings, one["instruction"], one["input"]) for one in part] for part in (rows, held_out)]
    model, tokenizer = made.decoder([prompt + one["output"] for prompt, one in zip(prompts[0], rows, strict=True)])
    features, unseen = (
        text.encode_answers(tokenizer, said, [one["output"] for one in part], settings.max_length).features
        for said, part in zip(prompts, (rows, held_out), strict=True)
    )
    scratch = tempfile.TemporaryDirectory(prefix="bench-sft-")
    bases.save_miniature(Path(scratch.name), "bench", "llama", model, tokenizer, {})
    num_tokens = [sum(label != text.IGNORED for label in feature["labels"]) for feature in unseen]

    def judged(model: Any) -> float:
        """The mean loss per token of an answer that was not trained on."""
        return float(inference.answer_loss(model, tokenizer, unseen, BATCH).sum() / sum(num_tokens))

    start = judged(model)

    def ours() -> timing.Work:
        own = models.load_decoder(Path(scratch.name), None)
        collate = training.collator(tokenizer, "left")
        before = losses(own, [collate([feature]) for feature in features[:BATCH]])

        def work() -> Outcome:
            kept: list[Any] = []
            training.train(
                job(Path(scratch.name), settings, num_steps), own, tokenizer, features, lambda one: kept.append(weights(one)) or {}
            )
            return {"before": before, "weights": kept, "num_tokens": trained_tokens(features)}

        return work

    def theirs() -> timing.Work:
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer

        own, kept = copy.deepcopy(model), []
        padder = copy.copy(tokenizer)
        padder.padding_side = "right"
        examples = Dataset.from_list([{name: list(feature[name]) for name in ("input_ids", "labels")} for feature in features])
        arguments = SFTConfig(**made.trainer_settings(scratch.name, BATCH, LEARNING_RATE), use_cpu=not torch.cuda.is_available())
        trainer = SFTTrainer(model=own, args=arguments, train_dataset=examples, processing_class=padder)
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.add_callback(Snapshots(own, kept, num_steps // 2))
        made.as_torch_starts()
        prepared = list(trainer.train_dataset)
        before = losses(own, [trainer.data_collator([one]) for one in prepared[:BATCH]])

        def work() -> Outcome:
            trainer.train()
            return {"before": before, "weights": kept, "num_tokens": trained_tokens(prepared)}

        return work

    def with_curve(outcome: Outcome) -> Outcome:
        """The held-out loss for every set of weights that was kept on the way: untimed."""
        judge, curve = copy.deepcopy(model), []
        for kept in outcome["weights"]:
            judge.load_state_dict(kept)
            curve.append(judged(judge))
        return {**outcome, "curve": [start, *curve]}

    found: dict[str, float] = {}

    def compared(one: Outcome, other: Outcome) -> str:
        first, second = with_curve(one), with_curve(other)
        found.update(held_out_loss_before=start, held_out_loss_after=first["curve"][-1], alternative_loss_after=second["curve"][-1])
        return difference(first, second)

    lengths = [len(feature["input_ids"]) for feature in features]
    return timing.Row(
        work=f"{num_steps} steps of {BATCH} instructions, {model.num_parameters() / 1e6:.1f} M parameters, bfloat16",
        against=f"SFTTrainer of TRL {importlib.metadata.version('trl')}, its defaults",
        bar=1.2,
        ours=ours,
        alternative=theirs,
        difference=compared,
        sizes={
            "num_steps": num_steps,
            "batch_size": BATCH,
            "num_parameters": model.num_parameters(),
            "mean_tokens": sum(lengths) / len(lengths),
            "num_trained_tokens": trained_tokens(features),
        },
        figures=lambda *_: found,
        warm_up=False,
        num_repeats=3,
    )


class Snapshots(transformers.TrainerCallback):
    """Keeps a model's weights every so many steps."""

    def __init__(self, model: Any, kept: list[Any], every: int) -> None:
        self.model, self.kept, self.every = model, kept, every

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """As the Trainer calls it."""
        if state.global_step % self.every == 0:
            self.kept.append(weights(self.model))


def job(folder: Path, settings: schema.Text, num_steps: int) -> arms.Job:
    """What an arm is told; its validation falls where the other side's weights are kept."""
    how = schema.Training(
        num_train_epochs=1.0,
        per_device_train_batch_size=BATCH,
        optim="adamw_torch_fused",
        bf16=True,
        eval_strategy="steps",
        eval_steps=num_steps // 2,
        train_sampling_strategy="group_by_length",
    )
    nowhere = dict.fromkeys(("data", "base", "out", "curve", "cost", "resources"), folder)
    given = {"study": "bench", "arm": "sft", "seed": 0, "text": settings, "base_model": "bench"}
    return arms.Job(settings=schema.Arm(training=how, learning_rate=LEARNING_RATE), **given, **nowhere)


def weights(model: Any) -> dict[str, torch.Tensor]:
    """A copy of a model's weights."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def losses(model: Any, batches: Sequence[Any]) -> np.ndarray:
    """The mean loss per token of each example, each padded as one side pads it."""
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        return np.array([float(model(**dict(batch)).loss) for batch in batches])


def trained_tokens(rows: Sequence[Any]) -> int:
    """How many tokens of some examples enter the loss."""
    return sum(label != text.IGNORED for one in rows for label in list(one["labels"])[1:])


def difference(ours: Outcome, other: Outcome) -> str:
    """In what two trainings differ beyond rounding and the noise of the order, if in anything."""
    found = []
    if ours["num_tokens"] != other["num_tokens"]:
        found.append(f"{ours['num_tokens']} trained tokens, or other {other['num_tokens']}")
    if (largest := float(np.abs(ours["before"] - other["before"]).max())) > BEFORE:
        found.append(f"the loss of an example differs by {largest:.2g} before training")
    first, second = ours["curve"], other["curve"]
    allowed = NOISE * (first[0] - first[-1])
    if len(first) != len(second) or allowed <= 0:
        return ", ".join([*found, f"no two curves of a falling loss: {first}, {second}"])
    if (apart := max(abs(one - two) for one, two in zip(first, second, strict=True))) > allowed:
        found.append(f"the held-out loss differs by {apart:.2g}, more than {allowed:.2g}")
    return ", ".join(found)
