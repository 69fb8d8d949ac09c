"""Training an encoder of 22 M parameters on pairs, as an arm is trained, with batches of like lengths: against what people run instead.

What two ways train on is the same when their batches come to the same loss: before any step, every example's loss is the same whatever it
is padded to, and a loop on the very batches of an arm has the loss of its steps too. No dropout, so that this can be seen.

An arm's sampler puts like lengths together over many batches, of which a benchmark can train on a few. So the few are drawn evenly from
the order that the sampler gives to a whole epoch, and every way trains on their examples: an arm in this order, the others in their own.
"""

from __future__ import annotations

import copy
import dataclasses
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import made
import numpy as np
import timing
import torch
import transformers

from ftbench import arms, inference, schema, text, training

STEPS, QUICK_STEPS = 12, 3  # fewer miss the longest examples, for which everything in a random batch is padded
EPOCH, GROUP = 200, 50  # batches that the sampler puts in order, and how many of them it sorts together
BATCH, LIMIT, LEARNING_RATE = 32, 128, 5e-5
TOLERANCE = 1e-4  # of a loss in nats
HALF_TOLERANCE = 0.03  # of the mean loss of the steps, where one side computes in bfloat16
HELD_OUT, QUICK_HELD_OUT = 256, 64  # pairs on which two trained models are compared

Outcome = dict[str, Any]


class Setting:
    """The examples, the model that every run starts from, and what an arm is told."""

    def __init__(self, options: made.Options) -> None:
        self.num_steps = QUICK_STEPS if options.quick else STEPS
        epoch = made.pairs(options, "train", BATCH * EPOCH)
        self.model, self.tokenizer = made.encoder(epoch["premise"] + epoch["hypothesis"], options.checkpoint)
        whole = text.encode_pairs(self.tokenizer, epoch["premise"], epoch["hypothesis"], LIMIT)
        drawn = some_batches([len(feature["input_ids"]) for feature in whole.features], self.num_steps)
        self.pairs = {name: [values[index] for index in drawn] for name, values in epoch.items()}
        self.encoded = text.encode_pairs(self.tokenizer, self.pairs["premise"], self.pairs["hypothesis"], LIMIT)
        self.rows = arms.with_labels(self.encoded, self.pairs["label"])
        self.scratch = tempfile.TemporaryDirectory(prefix="bench-training-")
        self.job = job(Path(self.scratch.name), logging_steps=self.num_steps)

    def ours(self, bf16: bool = False) -> timing.Work:
        """An arm's training: `training.train`, as the train stages call it."""
        model = copy.deepcopy(self.model)
        how = self.job.settings.training.model_copy(update={"bf16": bf16})
        job = dataclasses.replace(self.job, settings=self.job.settings.model_copy(update={"training": how}))

        def work() -> Outcome:
            run = training.train(job, model, self.tokenizer, self.rows, lambda _: {})
            return {"steps": run.curve[-1]["loss"], "model": model}

        return self.seen_before(work, training.collator(self.tokenizer, "right"))

    def seen_before(self, work: timing.Work, collate: Callable[[Sequence[Any]], Any]) -> timing.Work:
        """`work` whose outcome holds the losses before training too; they are computed once for each way, before it is timed."""
        before = self.losses(collate)
        return lambda: {"before": before, **work()}

    def losses(self, collate: Callable[[Sequence[Any]], Any]) -> np.ndarray:
        """The untrained model's loss on each of the first examples, as a collator pads them."""
        rows = self.rows[:BATCH]
        batch = {name: values for name, values in collate(rows).items() if name != "labels"}
        with torch.inference_mode():
            logits = self.model.eval()(**batch).logits
        gold = torch.tensor([row["labels"] for row in rows])
        return torch.nn.functional.cross_entropy(logits, gold, reduction="none").double().numpy()

    def with_trainer(self, padding: str) -> timing.Work:
        """The script that most people copy: Trainer with its defaults, and the examples padded by the tokenizer or by its collator."""
        model = copy.deepcopy(self.model)
        whole = padding == "max_length"
        settings = made.trainer_settings(self.scratch.name, BATCH, LEARNING_RATE)
        arguments = transformers.TrainingArguments(**settings, use_cpu=True, logging_steps=self.num_steps)
        sides = self.pairs["premise"], self.pairs["hypothesis"]
        tokens = self.tokenizer(*sides, truncation=True, max_length=LIMIT, padding="max_length" if whole else False)
        rows = [
            {**{name: values[index] for name, values in tokens.items()}, "label": label} for index, label in enumerate(self.pairs["label"])
        ]
        collator = transformers.default_data_collator if whole else transformers.DataCollatorWithPadding(self.tokenizer)
        trainer = transformers.Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collator)
        trainer.remove_callback(transformers.PrinterCallback)

        made.as_torch_starts()

        def work() -> Outcome:
            trainer.train()
            return {}

        return self.seen_before(work, lambda _: dict(collator(rows[:BATCH])))

    def loop(self) -> timing.Work:
        """PyTorch alone: the batches of our Trainer, in its order, the same optimiser, schedule and clipping."""
        model = copy.deepcopy(self.model)
        made.as_torch_starts()
        collate = training.collator(self.tokenizer, "right")
        batches = [self.rows[start : start + BATCH] for start in range(0, len(self.rows), BATCH)]

        def work() -> Outcome:
            model.train()
            optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0, fused=True)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / len(batches))
            losses = []
            for batch in batches:
                loss = model(**collate(batch)).loss
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                optimiser.zero_grad()
                losses.append(loss.item())
            return {"steps": float(np.mean(losses))}

        return self.seen_before(work, collate)

    def row(self, against: str, bar: float, alternative: Callable[[], timing.Work], **changed: Any) -> timing.Row:
        """A row of which everything but the alternative, and what is `changed`, is the same."""
        lengths = [len(feature["input_ids"]) for feature in self.encoded.features]
        num_parameters = self.model.num_parameters()
        given: dict[str, Any] = {
            "work": f"{self.num_steps} steps of {BATCH} pairs, {num_parameters / 1e6:.1f} M parameters, float32",
            "against": against,
            "bar": bar,
            "ours": self.ours,
            "alternative": alternative,
            "difference": difference,
            "warm_up": False,  # every run is long, and has a model of its own
            "sizes": {
                "num_steps": self.num_steps,
                "batch_size": BATCH,
                "num_parameters": num_parameters,
                "mean_tokens": sum(lengths) / len(lengths),
                "longest_tokens": max(lengths),
            },
        }
        return timing.Row(**{**given, **changed})


def padded_to_the_limit(options: made.Options) -> timing.Row:
    """Against every example padded to the longest input allowed."""
    setting = Setting(options)
    return setting.row(f"Trainer, padded to {LIMIT}", 4.0, lambda: setting.with_trainer("max_length"), num_repeats=3)


def dynamic_padding(options: made.Options) -> timing.Row:
    """Against batches in random order, each padded to its longest example."""
    setting = Setting(options)
    return setting.row("Trainer with dynamic padding, defaults", 1.4, lambda: setting.with_trainer("longest"))


def bare_loop(options: made.Options) -> timing.Row:
    """Against a loop without a Trainer on the same batches."""
    setting = Setting(options)
    return setting.row("a bare PyTorch loop on the same batches", 0.95, setting.loop)


def in_bfloat16(options: made.Options) -> timing.Row:
    """In mixed precision against float32, the same training: as good on held-out pairs as their number can tell."""
    made.refuse_without_bfloat16()
    setting = Setting(options)
    pairs = made.pairs(options, "test", QUICK_HELD_OUT if options.quick else HELD_OUT)
    encoded = text.encode_pairs(setting.tokenizer, pairs["premise"], pairs["hypothesis"], LIMIT)
    gold = np.array(pairs["label"])

    def right(outcome: Outcome) -> np.ndarray:
        scored = inference.classify(outcome["model"], setting.tokenizer, encoded.features, BATCH)
        return (scored.argmax(axis=1) == gold).astype(float)

    def unlike(ours: Outcome, other: Outcome) -> str:
        found = [difference({"before": ours["before"]}, {"before": other["before"]})]
        if (apart := abs(ours["steps"] - other["steps"])) > HALF_TOLERANCE:
            found.append(f"the mean loss of the steps differs by {apart:.2g}")
        return ", ".join(filter(None, [*found, worse(right(ours), right(other))]))

    work = f"{setting.num_steps} steps of {BATCH} pairs, {setting.model.num_parameters() / 1e6:.1f} M parameters, bfloat16"
    return setting.row("the same in float32", 1.5, setting.ours, work=work, ours=lambda: setting.ours(bf16=True), difference=unlike)


def job(folder: Path, batch_size: int = BATCH, **changed: Any) -> arms.Job:
    """What an arm is told that trains for one epoch on rows in their order and leaves nothing but scratch, which goes again."""
    how = schema.Training(
        num_train_epochs=1.0,
        per_device_train_batch_size=batch_size,
        optim="adamw_torch_fused",
        train_sampling_strategy="sequential",  # the rows stand in the order of `group_by_length` already
        **changed,
    )
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    settings = schema.Arm(training=how, learning_rate=LEARNING_RATE)
    nowhere = dict.fromkeys(("data", "base", "out", "curve", "cost", "resources"), folder)
    given = {"study": "bench", "arm": "bench", "seed": 0, "text": schema.Text(max_length=LIMIT), "base_model": "bench"}
    return arms.Job(settings=settings, **given, **nowhere)


def some_batches(lengths: Sequence[int], num_batches: int) -> list[int]:
    """The examples of a few batches, spread evenly over the order in which an arm that groups by length sees so many examples."""
    from transformers.trainer_pt_utils import get_length_grouped_indices

    order = get_length_grouped_indices(list(lengths), BATCH, GROUP, generator=torch.Generator().manual_seed(made.SEED))
    num_groups = max(1, len(lengths) // (BATCH * GROUP))
    size = min(GROUP, len(lengths) // BATCH)
    starts = [BATCH * (size * (k % num_groups) + int((k + 0.5) * size / num_batches)) for k in range(num_batches)]
    return [index for start in starts for index in order[start : start + BATCH]]


def worse(ours: np.ndarray, other: np.ndarray) -> str:
    """Whether the shares of right answers (1 or 0 per example) differ by more than the paired 95 % interval, in words."""
    apart = ours - other
    if abs(apart.mean()) > (margin := 1.96 * apart.std() / np.sqrt(len(apart))):
        return f"the accuracy differs by {abs(apart.mean()):.3f}, more than {margin:.3f}"
    return ""


def difference(ours: Outcome, other: Outcome) -> str:
    """In which losses two ways differ, if in any: of single examples before training, and where both have it the mean of all steps."""
    found = []
    if (largest := float(np.abs(ours["before"] - other["before"]).max())) > TOLERANCE:
        found.append(f"the loss of an example differs by {largest:.2g} before training")
    if "steps" in other and (apart := abs(ours["steps"] - other["steps"])) > TOLERANCE:
        found.append(f"the mean loss of the steps differs by {apart:.2g}")
    return ", ".join(found)
