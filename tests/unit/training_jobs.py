"""A job for the trainer on a tiny base, rows of pairs to train on, and a model without dropout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ftbench import arms, schema
from ftbench.text import encode_pairs

Base = Callable[[str], Path]
LORA = schema.LoraAdapter(r=4, lora_alpha=8, lora_dropout=0.1, target_modules=["query", "value"])
PROMPT = schema.PromptAdapter(num_virtual_tokens=3, encoder_reparameterization_type="MLP", encoder_hidden_size=16)
NF4 = schema.Quantization(bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=False, bnb_4bit_compute_dtype="float32")
PREMISES = ["A man is sleeping.", "Two dogs", "A woman in a red shirt is riding a bike in the park.", "No dog is eating."] * 2
HYPOTHESES = ["A person is asleep.", "The dogs are not running in the house.", "She is outdoors.", "A boy"] * 2


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
