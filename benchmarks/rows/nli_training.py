"""Training an encoder of 22 M parameters on pairs, as an arm is trained, with batches of like lengths: against what people run instead.

What two ways train on is the same when their batches come to the same loss: before any step, every example's loss is the same whatever it
is padded to, and a loop on the very batches of an arm has the loss of its steps too. No dropout, so that this can be seen.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import made
import numpy as np
import timing
import torch
import transformers

from ftbench import arms, schema, text, training

STEPS, QUICK_STEPS = 10, 3
BATCH, LIMIT, LEARNING_RATE = 32, 128, 5e-5
TOLERANCE = 1e-4  # of a loss in nats

Outcome = dict[str, Any]


class Setting:
    """The examples, the model that every run starts from, and what an arm is told."""

    def __init__(self, options: made.Options) -> None:
        self.num_steps = QUICK_STEPS if options.quick else STEPS
        self.pairs = made.pairs(options, "train", BATCH * self.num_steps)
        self.model, self.tokenizer = made.encoder(self.pairs["premise"] + self.pairs["hypothesis"])
        self.encoded = text.encode_pairs(self.tokenizer, self.pairs["premise"], self.pairs["hypothesis"], LIMIT)
        self.rows = arms.with_labels(self.encoded, self.pairs["label"])
        self.scratch = tempfile.TemporaryDirectory(prefix="bench-training-")
        how = schema.Training(
            num_train_epochs=1.0,
            per_device_train_batch_size=BATCH,
            optim="adamw_torch_fused",
            logging_steps=self.num_steps,
            train_sampling_strategy="group_by_length",
        )
        nowhere = dict.fromkeys(("data", "base", "out", "curve", "cost", "resources"), Path(self.scratch.name))
        settings = schema.Arm(training=how, learning_rate=LEARNING_RATE)
        given = {"study": "bench", "arm": "bench", "seed": 0, "text": schema.Text(max_length=LIMIT), "base_model": "bench"}
        (Path(self.scratch.name) / "manifest.json").write_text("{}", encoding="utf-8")
        self.job = arms.Job(settings=settings, **given, **nowhere)

    def ours(self) -> timing.Work:
        """An arm's training: `training.train`, as the train stages call it."""
        model = copy.deepcopy(self.model)

        def work() -> Outcome:
            run = training.train(self.job, model, self.tokenizer, self.rows, lambda _: {})
            return {"before": self.losses(training.collator(self.tokenizer, "right")), "steps": run.curve[-1]["loss"]}

        return work

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
        arguments = transformers.TrainingArguments(
            output_dir=self.scratch.name,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            logging_steps=self.num_steps,
        )
        sides = self.pairs["premise"], self.pairs["hypothesis"]
        tokens = self.tokenizer(*sides, truncation=True, max_length=LIMIT, padding="max_length" if whole else False)
        rows = [
            {**{name: values[index] for name, values in tokens.items()}, "label": label} for index, label in enumerate(self.pairs["label"])
        ]
        collator = transformers.default_data_collator if whole else transformers.DataCollatorWithPadding(self.tokenizer)
        trainer = transformers.Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collator)
        trainer.remove_callback(transformers.PrinterCallback)

        def work() -> Outcome:
            trainer.train()
            return {"before": self.losses(lambda _: dict(collator(rows[:BATCH])))}

        return work

    def loop(self) -> timing.Work:
        """PyTorch alone: the batches of our Trainer, in its order, the same optimiser, schedule and clipping."""
        model = copy.deepcopy(self.model)
        collate = training.collator(self.tokenizer, "right")
        batches = self.batches_of_an_arm()

        def work() -> Outcome:
            model.train()
            optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0, fused=True)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / len(batches))
            losses = []
            for indices in batches:
                loss = model(**collate([self.rows[index] for index in indices])).loss
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimiser.step()
                schedule.step()
                optimiser.zero_grad()
                losses.append(loss.item())
            return {"before": self.losses(collate), "steps": float(np.mean(losses))}

        return work

    def batches_of_an_arm(self) -> list[list[int]]:
        """Which examples stand in each batch of our training, read off a training of it that is not timed."""
        seen: list[list[int]] = []
        places = {id(row): index for index, row in enumerate(self.rows)}
        plain = training.collator

        def noting(tokenizer: Any, side: str) -> Any:
            collate = plain(tokenizer, side)

            def note(rows: Sequence[Any]) -> Any:
                seen.append([places[id(row)] for row in rows])
                return collate(rows)

            return note

        training.collator = noting
        try:
            training.train(self.job, copy.deepcopy(self.model), self.tokenizer, self.rows, lambda _: {})
        finally:
            training.collator = plain
        return seen

    def row(self, against: str, bar: float, alternative: Callable[[], timing.Work]) -> timing.Row:
        """A row of which everything but the alternative is the same."""
        lengths = [len(feature["input_ids"]) for feature in self.encoded.features]
        num_parameters = self.model.num_parameters()
        return timing.Row(
            work=f"{self.num_steps} steps of {BATCH} pairs, {num_parameters / 1e6:.1f} M parameters, float32",
            against=against,
            bar=bar,
            ours=self.ours,
            alternative=alternative,
            difference=difference,
            warm_up=False,  # every run is long, and has a model of its own
            sizes={
                "num_steps": self.num_steps,
                "batch_size": BATCH,
                "num_parameters": num_parameters,
                "mean_tokens": sum(lengths) / len(lengths),
                "longest_tokens": max(lengths),
            },
        )


def padded_to_the_limit(options: made.Options) -> timing.Row:
    """Against every example padded to the longest input allowed."""
    setting = Setting(options)
    return setting.row(f"Trainer, padded to {LIMIT}", 4.0, lambda: setting.with_trainer("max_length"))


def dynamic_padding(options: made.Options) -> timing.Row:
    """Against batches in random order, each padded to its longest example."""
    setting = Setting(options)
    return setting.row("Trainer with dynamic padding, defaults", 1.4, lambda: setting.with_trainer("longest"))


def bare_loop(options: made.Options) -> timing.Row:
    """Against a loop without a Trainer on the same batches."""
    setting = Setting(options)
    return setting.row("a bare PyTorch loop on the same batches", 0.95, setting.loop)


def difference(ours: Outcome, other: Outcome) -> str:
    """In which losses two ways differ, if in any: of single examples before training, and where both have it the mean of all steps."""
    found = []
    if (largest := float(np.abs(ours["before"] - other["before"]).max())) > TOLERANCE:
        found.append(f"the loss of an example differs by {largest:.2g} before training")
    if "steps" in other and (apart := abs(ours["steps"] - other["steps"])) > TOLERANCE:
        found.append(f"the mean loss of the steps differs by {apart:.2g}")
    return ", ".join(found)
