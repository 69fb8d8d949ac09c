"""Labels of pairs by an encoder with a head: `inference.classify`, against transformers' pipeline called for each pair.

Beside it stands in about how many seconds the processor makes the products of the blocks' linear layers, the most of what this takes,
at the peak that is measured on it in the same process.
"""

from __future__ import annotations

import copy

import devices
import made
import numpy as np
import timing

from ftbench import grid, inference, text
from ftbench.text import LABELS

PAIRS, QUICK_PAIRS = 400, 64
MAX_LENGTH = 128


def in_float32(options: made.Options) -> timing.Row:
    """In the precision of the pipeline, where the processor's own speed at matrices is the limit: shown beside the other, not judged."""
    return row(options, "float32", tolerance=1e-4, bar=None)


def in_bfloat16(options: made.Options) -> timing.Row:
    """In half the precision, which gives the same labels; its last digits show in the probabilities."""
    return row(options, "bfloat16", tolerance=0.05, bar=4.0)


def row(options: made.Options, dtype: str, tolerance: float, bar: float | None) -> timing.Row:
    """From sentences to probabilities, tokenising included; the pipeline in its default, float32."""
    import torch
    from transformers import pipeline

    if dtype == "bfloat16":
        made.refuse_without_bfloat16()
    pairs = made.pairs(options, "test", QUICK_PAIRS if options.quick else PAIRS)
    model, tokenizer = made.encoder(pairs["premise"] + pairs["hypothesis"], options.checkpoint)
    model.eval()
    own = copy.deepcopy(model).to(getattr(torch, dtype))
    num_tokens = sum(
        len(feature["input_ids"]) for feature in text.encode_pairs(tokenizer, pairs["premise"], pairs["hypothesis"], MAX_LENGTH).features
    )
    num_weights = sum(module.weight.numel() for module in model.base_model.encoder.modules() if isinstance(module, torch.nn.Linear))
    batch_size = grid.evaluation(made.settings(), "multinli").per_device_eval_batch_size
    least = 2 * num_weights * num_tokens / devices.matrix_peak(getattr(torch, dtype), torch.device("cpu"))
    classifier = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")

    def ours() -> np.ndarray:
        encoded = text.encode_pairs(tokenizer, pairs["premise"], pairs["hypothesis"], MAX_LENGTH)
        return np.exp(inference.classify(own, tokenizer, encoded.features, batch_size))

    def per_example() -> np.ndarray:
        rows = []
        for premise, hypothesis in zip(pairs["premise"], pairs["hypothesis"], strict=True):
            said = classifier({"text": premise, "text_pair": hypothesis}, top_k=None, truncation=True, max_length=MAX_LENGTH)
            scores = {one["label"]: one["score"] for one in said}
            rows.append([scores[label] for label in LABELS])
        return np.array(rows)

    return timing.Row(
        work=f"the labels of {len(pairs['label'])} pairs, {model.num_parameters() / 1e6:.1f} M parameters, {dtype}",
        against='pipeline("text-classification") called per example',
        bar=bar,
        ours=lambda: ours,
        alternative=lambda: per_example,
        difference=lambda ours, other: difference(ours, other, tolerance),
        sizes={"num_pairs": len(pairs["label"]), "num_parameters": model.num_parameters(), "batch_size": batch_size},
        figures=lambda ours, other: {"largest_difference": float(np.abs(ours - other).max()), "least_seconds": least},
    )


def difference(ours: np.ndarray, other: np.ndarray, tolerance: float) -> str:
    """In what two tables of probabilities [n, labels] differ, if in anything."""
    return timing.tables_differ(ours, other, tolerance, "labels", "a probability")
