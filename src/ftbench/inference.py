"""Reading predictions off a model: batched, longest first, returned in the order given; neither batch nor padding changes a prediction.

Examples are padded on the tokenizer's side: right for encoders, left for decoders, whose last token is then the last column. A decoder
with soft prompts would get its padding between the virtual tokens and the prompt, at distances that depend on the batch, so there only
examples of one length share a batch. Everything runs in the model's own precision; what is returned is float64 on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ftbench import text
from ftbench.errors import Problem, UserError
from ftbench.text import IGNORED, Feature


@dataclass(frozen=True)
class Answer:
    """What a model wrote: its `text`, the `num_tokens` it took (end of sequence not counted), and whether it `stopped` by itself."""

    text: str
    num_tokens: int
    stopped: bool


def classify(model: Any, tokenizer: Any, features: Sequence[Feature], batch_size: int) -> np.ndarray:
    """Log-probabilities [len(features), num_labels] of a model with a classification head."""

    def step(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return _log_softmax(model(**batch).logits)

    return _in_order(model, tokenizer, features, batch_size, step)


def score_labels(model: Any, tokenizer: Any, features: Sequence[Feature], answers: Sequence[str], batch_size: int) -> np.ndarray:
    """Log-likelihoods [len(features), len(answers)] of each answer as the continuation of each prompt; not normalised over the answers.

    The prompts end alike, as those of one template do. When every answer is one token, one forward pass of the prompt gives them all.
    """
    tokens = text.answer_tokens(tokenizer, tokenizer.decode(features[0]["input_ids"][-4:]), answers) if features else [[]]
    if all(len(answer) == 1 for answer in tokens):
        columns = torch.tensor([answer[0] for answer in tokens])

        def step(batch: dict[str, torch.Tensor]) -> torch.Tensor:
            logits = model(**batch, logits_to_keep=1).logits[:, -1]
            return _log_softmax(logits)[:, columns.to(logits.device)]

        return _in_order(model, tokenizer, features, batch_size, step)
    scores = []
    for answer in tokens:
        prompts = [feature["input_ids"] for feature in features]
        continued = [{"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer} for prompt in prompts]
        scores.append(-answer_loss(model, tokenizer, continued, batch_size))
    return np.stack(scores, axis=1)


def answer_loss(model: Any, tokenizer: Any, features: Sequence[Feature], batch_size: int) -> np.ndarray:
    """Negative log-likelihoods [len(features)] in nats, summed over the tokens whose label counts (the end of sequence too if given)."""
    _needs_left_padding(tokenizer)

    def step(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        labels = batch.pop("labels")
        # Answers stand at the right end. Logits are the largest tensor of all, and of a prompt's only the last are needed.
        num_kept = num_answer_columns(labels)
        labels = labels[:, -num_kept:]
        scores = _log_softmax(model(**batch, logits_to_keep=num_kept + 1).logits[:, -num_kept - 1 : -1])
        counted = labels != IGNORED
        picked = scores.gather(2, labels.clamp(min=0).unsqueeze(2)).squeeze(2)
        return -(picked * counted).sum(dim=1)

    return _in_order(model, tokenizer, features, batch_size, step)


def num_answer_columns(labels: torch.Tensor) -> int:
    """How many columns at the right end of padded labels [batch, length] hold every label that counts."""
    return labels.shape[1] - int((labels != IGNORED).any(dim=0).nonzero()[0])


def generate(model: Any, tokenizer: Any, features: Sequence[Feature], batch_size: int, max_new_tokens: int) -> list[Answer]:
    """Greedy answers, one per prompt, of at most `max_new_tokens` tokens; an answer that did not stop is cut there."""
    from transformers import GenerationConfig

    _needs_left_padding(tokenizer)
    settings = GenerationConfig(
        do_sample=False,
        num_beams=1,
        max_new_tokens=max_new_tokens,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        use_cache=True,
    )
    answers: list[Answer | None] = [None] * len(features)
    with _evaluating(model):
        for indices, batch in _batches(model, tokenizer, features, batch_size):
            written = model.generate(**batch, generation_config=settings)[:, batch["input_ids"].shape[1] :].tolist()
            for index, tokens in zip(indices, written, strict=True):
                stopped = tokenizer.eos_token_id in tokens
                kept = tokens[: tokens.index(tokenizer.eos_token_id)] if stopped else tokens
                answers[index] = Answer(tokenizer.decode(kept, skip_special_tokens=True).strip(), len(kept), stopped)
    return [answer for answer in answers if answer is not None]


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """`model` without dropout and without gradients, and then as it was."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(was_training)


def _log_softmax(logits: torch.Tensor) -> torch.Tensor:
    return torch.log_softmax(logits.float(), dim=-1)


def _in_order(
    model: Any, tokenizer: Any, features: Sequence[Feature], batch_size: int, step: Callable[[dict[str, torch.Tensor]], torch.Tensor]
) -> np.ndarray:
    """`step` over all batches, its rows put back where their examples stand."""
    results: np.ndarray | None = None
    with _evaluating(model):
        for indices, batch in _batches(model, tokenizer, features, batch_size):
            rows = step(batch).double().cpu().numpy()
            if results is None:
                results = np.empty((len(features), *rows.shape[1:]))
            results[indices] = rows
    if results is None:
        raise UserError(Problem("evaluation", "no example", mend="an evaluation split may not be empty"))
    return results


def _batches(
    model: Any, tokenizer: Any, features: Sequence[Feature], batch_size: int
) -> Iterator[tuple[list[int], dict[str, torch.Tensor]]]:
    """Indices and padded tensors of each batch, the longest examples first: what does not fit in memory fails at once."""
    if tokenizer.pad_token_id is None:
        raise UserError(Problem("the tokenizer", "no pad token", mend="give it one: padded batches need it"))
    device = next(model.parameters()).device
    lengths = [len(feature["input_ids"]) for feature in features]
    order = sorted(range(len(features)), key=lambda index: -lengths[index])
    one_length = tokenizer.padding_side == "left" and _learns_prompts(model)
    start = 0
    while start < len(order):
        indices = order[start : start + batch_size]
        if one_length:
            indices = [index for index in indices if lengths[index] == lengths[indices[0]]]
        start += len(indices)
        yield indices, pad([features[index] for index in indices], tokenizer, device)


def pad(features: Sequence[Feature], tokenizer: Any, device: Any) -> dict[str, torch.Tensor]:
    """Features of different lengths as tensors [len(features), longest] with an attention mask, padded on the tokenizer's side."""
    longest = max(len(feature["input_ids"]) for feature in features)
    fillers = {"input_ids": tokenizer.pad_token_id, "labels": IGNORED, "attention_mask": 0, "token_type_ids": 0}
    columns: dict[str, list[list[int]]] = {}
    for feature in features:
        row = {**feature, "attention_mask": [1] * len(feature["input_ids"])}
        for name, values in row.items():
            filler = [fillers[name]] * (longest - len(values))
            columns.setdefault(name, []).append(filler + values if tokenizer.padding_side == "left" else values + filler)
    return {name: torch.tensor(rows, device=device) for name, rows in columns.items()}


def _learns_prompts(model: Any) -> bool:
    settings = getattr(model, "active_peft_config", None)
    return settings is not None and settings.is_prompt_learning


def _needs_left_padding(tokenizer: Any) -> None:
    assert tokenizer.padding_side == "left", "a decoder that writes is padded on the left"
