"""The steps of `full_size.py` as people would otherwise run them: by transformers' own Trainer on a PEFT model, or by TRL's SFTTrainer.

The model is the very one, with random weights, and so are the arm's batches, precision, optimiser and recomputation. What is theirs: a
4-bit base goes through `prepare_model_for_kbit_training`, as PEFT documents it, and where a decoder writes, every token's logits are
computed.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
import transformers

from ftbench import schema

NAMES = ("trainer", "trl")
NUM_TOKENS = 10  # ids below this are no words of the made up inputs


def refusal(name: str, per_token: bool) -> str | None:
    """Why this way cannot train such an arm here, if it cannot."""
    if name == "trl" and not per_token:
        return "TRL's SFTTrainer trains on tokens, and the arm has a head on labels"
    if name == "trl" and importlib.util.find_spec("trl") is None:
        return "TRL is not installed: pip install --constraint constraints.txt '.[bench]'"
    return None


def version(name: str) -> str:
    """The version of the package whose trainer it is."""
    return importlib.metadata.version({"trainer": "transformers", "trl": "trl"}[name])


def train(
    name: str, model: Any, settings: schema.Arm, per_token: bool, length: int, num_kept: int, num_steps: int, wait: Callable[[], None]
) -> list[float]:
    """Seconds of each of `num_steps` optimiser steps; the last `num_kept` tokens of an input have labels, or the input has one."""
    if settings.quantization is not None:
        prepare_4_bit(model, settings)
    rows = inputs(model, settings, per_token, length, num_kept, num_steps)
    watch = Watch(wait)
    with tempfile.TemporaryDirectory(prefix="bench-full-size-") as scratch:
        given = arguments(settings, scratch, num_steps)
        if name == "trl":
            trainer = sft_trainer(model, given, rows)
        else:
            trainer = transformers.Trainer(
                model=model,
                args=transformers.TrainingArguments(**given, remove_unused_columns=False, label_names=["labels"]),
                train_dataset=rows,
                data_collator=collate,
            )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.add_callback(watch)
        trainer.train()
    return watch.seconds


def prepare_4_bit(model: Any, settings: schema.Arm) -> None:
    """What PEFT documents for a 4-bit base: what else it holds in 16 bits is cast to float32, and activations are recomputed."""
    from peft import prepare_model_for_kbit_training

    trained = [weight for weight in model.parameters() if weight.requires_grad]
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    base.is_loaded_in_4bit = True
    prepare_model_for_kbit_training(
        base,
        use_gradient_checkpointing=settings.training.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
    )
    for weight in trained:  # it freezes all; one would otherwise add the adapter afterwards
        weight.requires_grad_(True)


def arguments(settings: schema.Arm, folder: str, num_steps: int) -> dict[str, Any]:
    """The arm's own settings of a step, and the Trainer's defaults in all else, but nothing is written that would be timed."""
    training = settings.training
    return {
        "output_dir": folder,
        "max_steps": num_steps,
        "per_device_train_batch_size": training.per_device_train_batch_size,
        "gradient_accumulation_steps": training.gradient_accumulation_steps,
        "learning_rate": settings.learning_rate,
        "max_grad_norm": training.max_grad_norm,
        "optim": training.optim,
        "bf16": training.bf16,
        "fp16": training.fp16,
        "activation_checkpointing": training.gradient_checkpointing,
        "activation_checkpointing_kwargs": {"use_reentrant": False} if training.gradient_checkpointing else None,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
    }


def inputs(model: Any, settings: schema.Arm, per_token: bool, length: int, num_kept: int, num_steps: int) -> list[dict[str, Any]]:
    """So many random inputs as the steps take, all of one length."""
    number = num_steps * settings.training.per_device_train_batch_size * settings.training.gradient_accumulation_steps
    drawn = torch.randint(NUM_TOKENS, model.config.vocab_size, (number, length)).tolist()
    without = [-100] * (length - num_kept)
    labels = [[*without, *row[length - num_kept :]] for row in drawn] if per_token else [row[0] % 3 for row in drawn]
    return [{"input_ids": row, "labels": label} for row, label in zip(drawn, labels, strict=True)]


def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch of inputs of one length: nothing to pad."""
    ids = torch.tensor([row["input_ids"] for row in rows])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.tensor([row["labels"] for row in rows])}


def sft_trainer(model: Any, given: dict[str, Any], rows: list[dict[str, Any]]) -> Any:
    """TRL's trainer on inputs that are tokens already; it asks for a tokenizer all the same, and one of two words will do."""
    from datasets import Dataset
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from trl import SFTConfig, SFTTrainer

    words = Tokenizer(WordLevel({"<pad>": 0, "<end>": 1}, unk_token="<pad>"))  # noqa: S106
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<end>")  # noqa: S106
    for setting in ("", "_kwargs"):  # TRL knows it by its older name, and sets it where nothing is said
        given[f"gradient_checkpointing{setting}"] = given.pop(f"activation_checkpointing{setting}")
    config = SFTConfig(**given, max_length=None)  # inputs are as long as they shall be
    return SFTTrainer(model=model, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)


class Watch(transformers.TrainerCallback):
    """The seconds of every optimiser step, its micro-batches included."""

    def __init__(self, wait: Callable[[], None]) -> None:
        self.wait, self.started = wait, 0.0
        self.seconds: list[float] = []

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """As the Trainer calls it."""
        self.wait()
        self.started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """As the Trainer calls it."""
        self.wait()
        self.seconds.append(time.perf_counter() - self.started)
