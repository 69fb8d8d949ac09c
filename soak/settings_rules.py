"""What a value of params.yaml may be, said without the schema: so that what is let in can be judged by something else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from settings_file import at, paths


def _whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _real(least: float, most: float) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and least <= value <= most  # NaN is in no range


def _among(*values: Any) -> Callable[[Any], bool]:
    return lambda value: any(type(value) is type(one) and value == one for one in values)


def _or_null(rule: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or rule(value)


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII) is not None


def _words(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


_NAME, _COUNT, _SEED, _BOOL = _matches("[a-z0-9_]+"), _whole(1, 10**9), _whole(0, 2**31 - 1), _among(True, False)
_POSITIVE, _SHARE = _real(1e-323, 1.0), _real(0, 1)
RULES: dict[str, Callable[[Any], bool]] = {
    "scale": _among("offline", "own"), "question": _words, "model": _or_null(_NAME), "method": _or_null(_NAME), "dataset": _NAME,
    "factors": _NAME, "baselines": _NAME, "seeds": _SEED, "three_shot": _NAME, "reference": _or_null(_matches("[a-z0-9_-]+")),
    "primary_metric": _among("accuracy", "nll", "brier", "bits_per_byte", "exact_match", "token_f1"),
    "source": _among("generated", "hub", "file", "miniature"), "task": _among("nli", "instructions", "pretraining"), "licence": _words,
    "seed": _SEED, "splits": _or_null(_COUNT), "genres": _NAME, "mismatched_genres": _NAME, "instruction_share": _SHARE,
    "published_rows": _COUNT, "files": _words, "path": _words, "format": _among("json", "jsonl", "csv", "tsv", "parquet", "txt"),
    "sha256": _matches("[0-9a-f]{64}"), "revision": _matches("[0-9a-f]{40}"), "repository": _matches(r"[\w.-]+(/[\w.-]+)?"),
    "columns": _words, "max_malformed_share": _SHARE, "gated": _BOOL, "architecture": _NAME,
    "labels": lambda value: type(value) is int or _words(value) or value == "",
    "vocab_size": _COUNT, "hidden_size": _COUNT, "intermediate_size": _COUNT, "num_hidden_layers": _COUNT, "num_attention_heads": _COUNT,
    "num_key_value_heads": _or_null(_COUNT), "max_position_embeddings": _or_null(_COUNT), "partial_rotary_factor": _or_null(_POSITIVE),
    "hidden_dropout_prob": _or_null(_SHARE), "attention_probs_dropout_prob": _or_null(_SHARE),
    "objective": _among("causal", "masked"), "kinds": _NAME, "max_steps": _COUNT, "per_device_train_batch_size": _whole(1, 10**9),
    "per_device_eval_batch_size": _COUNT, "block_size": _whole(8, 8192), "learning_rate": _POSITIVE, "warmup_steps": _real(0, 1e9),
    "weight_decay": _SHARE, "replaced_share": _SHARE, "within_genre": _BOOL, "loss_weight": _real(1e-323, 1e308), "block": _COUNT,
    "max_length": _whole(8, 8192), "template": lambda value: _words(value) and "{" in value, "templates": _words, "r": _whole(1, 4096),
    "lora_alpha": _real(1e-323, 8192), "lora_dropout": _real(0, 0.9999999999999999), "target_modules": _words,
    "gradient_accumulation_steps": _COUNT, "lr_scheduler_type": _NAME, "optim": _NAME, "max_grad_norm": _real(0, 1e6),
    "eval_strategy": _among("no", "epoch", "steps"), "eval_steps": _or_null(_COUNT), "logging_steps": _COUNT, "bf16": _BOOL, "fp16": _BOOL,
    "gradient_checkpointing": _BOOL, "full_determinism": _BOOL, "train_sampling_strategy": _NAME, "num_train_epochs": _real(1e-323, 1000),
    "bnb_4bit_quant_type": _among("nf4", "fp4"), "bnb_4bit_use_double_quant": _BOOL,
    "bnb_4bit_compute_dtype": _among("float32", "float16", "bfloat16"), "report_to": _NAME,
    "attn_implementation": _or_null(_among("eager", "sdpa", "flash_attention_2")),
    "num_top_layers": _COUNT, "num_virtual_tokens": _COUNT, "encoder_hidden_size": _COUNT, "encoder_num_layers": _COUNT,
    "encoder_reparameterization_type": _among("MLP", "LSTM"), "encoder_dropout": _SHARE, "pretrained": _BOOL,
    "only": _or_null(_among("premise", "hypothesis")), "token": _or_null(_among("first", "last")), "num_examples": _whole(0, 64),
    "max_new_tokens": _or_null(_whole(1, 4096)), "study": _NAME, "arms": _matches("[a-z0-9_-]+"), "parameter": _matches("[a-z0-9_.]+"),
    "values": lambda value: _NAME(value) or _real(-1e308, 1e308)(value), "metric": _among("eval_loss", "eval_accuracy"),
    # blocks that may be null or empty, or that hold nothing at all
    "adapter": _among(None), "quantization": _among(None), "detection": _among(None), "dimensions": _among(None), "training": _among(None),
    "launch": _among(None), "num_processes": _whole(1, 1024), "strategy": _among("ddp", "fsdp"),
}  # fmt: skip
EMPTY = {"baselines", "three_shot", "columns", "sweeps", "files"}  # lists and mappings that may hold nothing
OPTIONAL = {  # what may be left out of the file above
    "method", "three_shot", "intermediate_size", "num_key_value_heads", "max_position_embeddings", "partial_rotary_factor", "columns",
    "hidden_dropout_prob", "attention_probs_dropout_prob", "detection", "per_device_eval_batch_size", "gradient_accumulation_steps",
    "weight_decay", "warmup_steps", "lr_scheduler_type", "optim", "max_grad_norm", "eval_strategy", "eval_steps", "logging_steps", "bf16",
    "fp16", "gradient_checkpointing", "full_determinism", "train_sampling_strategy", "template", "labels", "quantization", "token",
    "encoder_num_layers", "encoder_dropout", "published_rows", "attn_implementation", "dimensions", "sweeps", "offline", "own",
    "pretrained", "only", "seed", "num_examples", "format", "zero_shot", "one_shot", "adapter", "validation", "test",
    "launch", "num_processes", "strategy",
}  # fmt: skip


def meaningless(content: Any) -> list[str]:
    """The places of a file that was let in at which something stands that cannot be meant."""
    found = []
    for path in paths(content):
        value = at(content, path)
        words = [key for key in path if isinstance(key, str)]
        if isinstance(value, (dict, list)):
            level = isinstance(value, dict) and len(path) == 3 and path[1] in content["studies"]  # whose other settings are the study's
            if not value and not level and not any(word in EMPTY for word in words):
                found.append(f"{path}: empty")
            continue
        rule = _NAME if "factors" in words else next((RULES[word] for word in reversed(words) if word in RULES), None)
        if rule is None or not rule(value):
            found.append(f"{path}: {value!r}")
    return found
