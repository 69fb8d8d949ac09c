"""The steps of `full_size.py` as people would otherwise run them: by transformers' own Trainer, or by TRL's SFTTrainer.

Shapes, adapter, batches and recomputation are the arm's own, and so are its precision and its optimiser. A 4-bit base goes through
`prepare_model_for_kbit_training`, which PEFT documents. The plain Trainer computes the logits of every token where a decoder writes; TRL
has a loss of its own. On a 4-bit base TRL makes the adapters bfloat16, which cannot be trained in mixed fp16: there it gets bf16.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import devices
import torch
import transformers

from ftbench import models, schema

FIRST_WORD = 10  # ids below it may be special tokens


@dataclass(frozen=True)
class Steps:
    """Which steps: inputs of `length` tokens; the last `num_kept` of them have labels or, where not `per_token`, the input has one."""

    per_token: bool
    length: int
    num_kept: int
    num_steps: int


def refusal(name: str, arm: str, settings: schema.Arm, per_token: bool) -> str | None:
    """Why this way cannot train such an arm here, if it cannot."""
    targets = getattr(settings.adapter, "target_modules", [])
    if name == "trl" and not per_token:
        return f"--against trl: {arm} has a head on labels, and SFTTrainer trains on tokens; leave trl out"
    if name == "trl" and "lm_head" in targets:
        return f"--against trl: {arm} adapts lm_head, which SFTTrainer's own loss does not allow; leave trl out"
    if name == "trl" and importlib.util.find_spec("trl") is None:
        return "--against trl: not installed; pip install --constraint constraints.txt '.[bench]', or leave trl out"
    return None


def beside(name: str, built: Callable[[], Any], settings: schema.Arm, steps: Steps, ours: float, seen: int | None) -> dict[str, Any]:
    """The same steps by an alternative, on a model that `built` makes: its seconds and peak memory, and what they are to ours.

    `ours`: our median step in seconds; `seen`: our peak in bytes, None without a GPU. Whatever stops it is said, and nothing is lost.
    """
    package = {"trainer": "transformers", "trl": "trl"}[name]
    found: dict[str, Any] = {"version": importlib.metadata.version(package), "not_run": None}
    fields = ("step_seconds", "median_step_seconds", "seconds_ratio", "peak_allocated_bytes", "peak_bytes_ratio")
    devices.free()
    try:
        seconds = train(name, built(), settings, steps)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        return {**found, **dict.fromkeys(fields), "not_run": f"{type(error).__name__}: {first}"}
    median = statistics.median(seconds[1:])
    peak = None if seen is None else torch.cuda.max_memory_allocated()
    ratio = None if seen is None or peak is None else seen / peak
    return {**found, **dict(zip(fields, (seconds, median, median / ours, peak, ratio), strict=True))}


def train(name: str, model: Any, settings: schema.Arm, steps: Steps) -> list[float]:
    """Seconds of each optimiser step, the making of its batches included; the first holds what comes before it, too."""
    if settings.quantization is not None:
        prepare_4_bit(model)
    rows, watch = inputs(model.config.vocab_size, settings, steps), Watch()
    with tempfile.TemporaryDirectory(prefix="bench-full-size-") as scratch:
        given = arguments(settings, scratch, steps.num_steps)
        trainer = (sft_trainer if name == "trl" else plain_trainer)(model, given, settings, rows)
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.add_callback(watch)
        trainer.train()
    return watch.seconds


def prepare_4_bit(model: Any) -> None:
    """Cast what a 4-bit base holds in 16 bits to float32, by PEFT's function; the Trainer sees to recomputation itself."""
    from peft import prepare_model_for_kbit_training

    trained = [weight for weight in model.parameters() if weight.requires_grad]
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    base.is_loaded_in_4bit = True
    prepare_model_for_kbit_training(base, use_gradient_checkpointing=False)
    for weight in trained:  # it freezes all, since one calls it before there is an adapter
        weight.requires_grad_(True)


def arguments(settings: schema.Arm, folder: str, num_steps: int) -> dict[str, Any]:
    """What decides time and memory of a step is the arm's own, all else the Trainer's default; no checkpoint is written."""
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
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not torch.cuda.is_available(),
    }


def plain_trainer(model: Any, given: dict[str, Any], settings: schema.Arm, rows: list[dict[str, Any]]) -> Any:
    """The Trainer that people start from."""
    given |= recomputation("activation", settings)
    config = transformers.TrainingArguments(**given, remove_unused_columns=False, label_names=["labels"])
    return transformers.Trainer(model=model, args=on_one_device(config), train_dataset=rows, data_collator=collate)


def sft_trainer(model: Any, given: dict[str, Any], settings: schema.Arm, rows: list[dict[str, Any]]) -> Any:
    """TRL's trainer on inputs that are tokens already; it asks for a tokenizer all the same, and one of two words will do."""
    from datasets import Dataset
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from trl import SFTConfig, SFTTrainer

    if settings.quantization is not None and given["fp16"]:
        given |= {"fp16": False, "bf16": True}
    words = Tokenizer(WordLevel({"<pad>": 0, "<end>": 1}, unk_token="<pad>"))  # noqa: S106
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", eos_token="<end>")  # noqa: S106
    given |= recomputation("gradient", settings)  # TRL knows it by its older name, and recomputes where nothing is said
    config = SFTConfig(**given, max_length=None)  # inputs are as long as they shall be
    return SFTTrainer(model=model, args=on_one_device(config), train_dataset=Dataset.from_list(rows), processing_class=tokenizer)


def recomputation(prefix: str, settings: schema.Arm) -> dict[str, Any]:
    """The two arguments of recomputing activations, by the name that starts with `prefix`."""
    wanted = settings.training.gradient_checkpointing
    return {f"{prefix}_checkpointing": wanted, f"{prefix}_checkpointing_kwargs": {"use_reentrant": False} if wanted else None}


def on_one_device(config: Any) -> Any:
    """`config` for one GPU, as ours runs; where several are visible the Trainer takes larger batches on its own."""
    _ = config.n_gpu  # counted at the first look
    config._n_gpu = min(1, config._n_gpu)
    return config


def inputs(vocab_size: int, settings: schema.Arm, steps: Steps) -> list[dict[str, Any]]:
    """So many random inputs as the steps take, all of one length."""
    number = steps.num_steps * settings.training.per_device_train_batch_size * settings.training.gradient_accumulation_steps
    drawn = torch.randint(FIRST_WORD, vocab_size, (number, steps.length)).tolist()
    without = [-100] * (steps.length - steps.num_kept)
    labels = [[*without, *row[len(without) :]] for row in drawn] if steps.per_token else [row[0] % 3 for row in drawn]
    return [{"input_ids": row, "labels": label} for row, label in zip(drawn, labels, strict=True)]


def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch of inputs of one length: nothing to pad."""
    ids = torch.tensor([row["input_ids"] for row in rows])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.tensor([row["labels"] for row in rows])}


class Watch(transformers.TrainerCallback):
    """The seconds from one optimiser step's end to the next one's."""

    def __init__(self) -> None:
        self.last = 0.0
        self.seconds: list[float] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """As the Trainer calls it."""
        devices.wait(models.device())
        self.last = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """As the Trainer calls it."""
        devices.wait(models.device())
        now = time.perf_counter()
        self.seconds.append(now - self.last)
        self.last = now
