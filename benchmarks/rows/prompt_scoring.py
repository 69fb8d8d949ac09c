"""The likelihood of each label's word after a one-shot prompt: `inference.score_labels`, against a forward pass per label and pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import made
import numpy as np
import timing
import torch

from ftbench import grid, inference, text

PAIRS, QUICK_PAIRS = 33, 16  # the first is the solved one
TOLERANCE = 1e-3  # of a log-likelihood in nats


def split_words(options: made.Options) -> timing.Row:
    """Label words of several tokens each, as most real tokenizers have them: this one has never seen them."""
    return row(options, [], "several tokens")


def whole_words(options: made.Options) -> timing.Row:
    """Label words of one token each, which the miniatures' tokenizers have."""
    return row(options, [" ".join(text.LABELS)] * 50, "one token")


def row(options: made.Options, more_texts: Sequence[str], said: str) -> timing.Row:
    """Prompts that begin alike, with one solved pair, scored in float32."""
    raw = made.settings()
    settings, evaluation = grid.text(raw, "prompting"), grid.evaluation(raw, "prompting")
    pairs = made.pairs(options, "test", QUICK_PAIRS if options.quick else PAIRS)
    sides = list(zip(pairs["premise"], pairs["hypothesis"], strict=True))
    solved = [(*sides[0], pairs["label"][0])]
    prompts = [text.label_prompt(settings, *pair, examples=solved) for pair in sides[1:]]
    words = text.label_answers(settings)
    # the template's own words, so that only the labels' are strange to the tokenizer
    frame = ["Premise: Hypothesis: Relation:"] * 50
    model, tokenizer = made.decoder([side for pair in sides for side in pair] + frame + list(more_texts))
    encoded = text.encode_prompts(tokenizer, prompts, model.config.max_position_embeddings)
    answers = text.answer_tokens(tokenizer, prompts[0][-4:], words)
    assert (max(map(len, answers)) == 1) == bool(more_texts), answers

    def ours() -> np.ndarray:
        return inference.score_labels(model, tokenizer, encoded.features, words, evaluation.per_device_eval_batch_size)

    def one_by_one() -> np.ndarray:
        return np.array([[likelihood(model, feature["input_ids"], answer) for answer in answers] for feature in encoded.features])

    lengths = [len(feature["input_ids"]) for feature in encoded.features]
    return timing.Row(
        work=f"label words of {said} after {len(prompts)} one-shot prompts, {model.num_parameters() / 1e6:.1f} M parameters",
        against="a forward pass per label and example",
        bar=5.0,
        ours=lambda: ours,
        alternative=lambda: one_by_one,
        difference=difference,
        sizes={
            "num_prompts": len(prompts),
            "num_parameters": model.num_parameters(),
            "batch_size": evaluation.per_device_eval_batch_size,
            "mean_prompt_tokens": sum(lengths) / len(lengths),
            "tokens_per_label": [len(answer) for answer in answers],
        },
        figures=lambda ours, other: {"largest_difference": float(np.abs(ours - other).max())},
    )


def likelihood(model: Any, prompt: list[int], answer: list[int]) -> float:
    """The log-likelihood of an answer's tokens after a prompt, from one pass over both."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    picked = torch.log_softmax(logits.float(), dim=-1).gather(1, torch.tensor(answer).unsqueeze(1))
    return float(picked.sum())


def difference(ours: np.ndarray, other: np.ndarray) -> str:
    """In what two tables of log-likelihoods [n, labels] differ, if in anything."""
    return timing.tables_differ(ours, other, TOLERANCE, "predictions", "a log-likelihood", " nats")
