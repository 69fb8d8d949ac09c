"""Reading predictions off a model: batched, longest first, in the order given; neither batch nor padding changes more than rounding does.

Examples are padded on the tokenizer's side: right for encoders, left for decoders, whose last token is then the last column. A decoder
with soft prompts would get its padding between the virtual tokens and the prompt, at distances that depend on the batch, so there only
examples of one length share a batch. Everything runs in the model's own precision; what is returned is float64 on the CPU.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ftbench import text
from ftbench.errors import Problem, UserError
from ftbench.text import IGNORED, Feature

SHARED = 16  # tokens that all prompts begin with, from which on their keys and values are computed once: a solved example, an instruction


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

    The prompts end alike, as those of one template do. One forward pass of a prompt gives the first token of every answer, and its keys
    and values serve the others; so do those of what all prompts begin with, once for all, where it is long enough to matter.
    """
    tokens = text.answer_tokens(tokenizer, tokenizer.decode(features[0]["input_ids"][-4:]), answers) if features else [[]]
    num_shared = _num_shared(features)
    single = all(len(answer) == 1 for answer in tokens)
    if single and (num_shared < SHARED or _learns_prompts(model)):
        columns = torch.tensor([answer[0] for answer in tokens])

        def step(batch: dict[str, torch.Tensor]) -> torch.Tensor:
            logits = model(**batch, logits_to_keep=1).logits[:, -1]
            return _log_softmax(logits)[:, columns.to(logits.device)]

        return _in_order(model, tokenizer, features, batch_size, step)
    if _learns_prompts(model):  # virtual tokens stand before the prompt, and PEFT puts them there in every pass
        prompts = [feature["input_ids"] for feature in features]
        scores = []
        for answer in tokens:
            continued = [{"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer} for prompt in prompts]
            scores.append(-answer_loss(model, tokenizer, continued, batch_size))
        return np.stack(scores, axis=1)
    return _score_with_cache(model, tokenizer, features, tokens, batch_size, num_shared if num_shared >= SHARED else 0)


def _score_with_cache(
    model: Any, tokenizer: Any, features: Sequence[Feature], answers: Sequence[Sequence[int]], batch_size: int, num_shared: int
) -> np.ndarray:
    """`score_labels` of answers given in tokens, after prompts whose first `num_shared` tokens are the same.

    Not for models with virtual tokens, nor with a window of attention shorter than a prompt, whose cache cannot be cut back.
    """
    _needs_left_padding(tokenizer)
    device = next(model.parameters()).device
    shared = None
    if num_shared:
        first = torch.tensor([features[0]["input_ids"][:num_shared]], device=device)
        with _evaluating(model):
            shared = model(input_ids=first, use_cache=True, logits_to_keep=1).past_key_values

    def step(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        rows = len(batch["input_ids"])
        cache = copy.deepcopy(shared)
        if cache is not None:
            cache.batch_repeat_interleave(rows)
        seen = torch.cat([batch["attention_mask"].new_ones(rows, num_shared), batch["attention_mask"]], dim=1)
        output = _continue(model, batch["input_ids"], seen, cache, logits_to_keep=1)
        after_prompt, cache = _log_softmax(output.logits[:, -1]), output.past_key_values
        scores = []
        for answer in answers:
            score = after_prompt[:, answer[0]]
            if len(answer) > 1:
                given = torch.tensor([answer[:-1]], device=device).expand(rows, -1)
                logits = _continue(model, given, torch.cat([seen, seen.new_ones(given.shape)], dim=1), cache).logits
                wanted = torch.tensor([answer[1:]], device=device).expand(rows, -1)
                score = score + _log_softmax(logits).gather(2, wanted.unsqueeze(2)).sum(dim=(1, 2))
                cache.crop(-given.shape[1])
            scores.append(score)
        return torch.stack(scores, dim=1)

    rests: list[Feature] = [{"input_ids": feature["input_ids"][num_shared:]} for feature in features]
    return _in_order(model, tokenizer, rests, batch_size, step)


def _continue(model: Any, tokens: torch.Tensor, seen: torch.Tensor, cache: Any, **options: Any) -> Any:
    """A pass over `tokens` [rows, n] that goes on from a `cache`; `seen` masks padding before and among them.

    Padding lies between what is shared and the rest of a prompt, so positions are counted without it. (With ALiBi the models count so
    themselves.)
    """
    positions = (seen.cumsum(dim=1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
    return model(input_ids=tokens, attention_mask=seen, position_ids=positions, past_key_values=cache, use_cache=True, **options)


def _num_shared(features: Sequence[Feature]) -> int:
    """How many tokens all prompts begin with, leaving at least one of each to itself."""
    prompts = [feature["input_ids"] for feature in features]
    lowest, highest = (
        min(prompts, default=[]),
        max(prompts, default=[]),
    )  # in dictionary order: what these two share, all between them share
    most = min(map(len, prompts), default=1) - 1
    differing = (place for place, (one, other) in enumerate(zip(lowest, highest, strict=False)) if one != other)
    return min(most, next(differing, most))


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


def generate(
    model: Any,
    tokenizer: Any,
    features: Sequence[Feature],
    batch_size: int,
    max_new_tokens: int,
    watch: Callable[[int, list[int]], None] | None = None,
) -> list[Answer]:
    """Greedy answers, one per prompt, of at most `max_new_tokens` tokens; an answer that did not stop is cut there.

    An answer that ends leaves its batch, so that a short one costs no more for a long one beside it (transformers' `generate` goes on with
    all of them until the last ends). `watch` is told after each token which prompt it answers and the tokens of the answer so far.
    """
    _needs_left_padding(tokenizer)
    answers: list[Answer | None] = [None] * len(features)
    with _evaluating(model):
        for indices, batch in _batches(model, tokenizer, features, batch_size):
            written: dict[int, list[int]] = {index: [] for index in indices}
            seen = batch["attention_mask"]
            going, decoder = list(indices), model
            if _learns_prompts(model):  # PEFT puts the virtual tokens there in every pass: this one is its, the next are the base model's
                output = model(**batch, use_cache=True, logits_to_keep=1)
                decoder = model.get_base_model()
                seen = torch.cat([seen.new_ones(len(seen), model.active_peft_config.num_virtual_tokens), seen], dim=1)
            else:
                output = _continue(model, batch["input_ids"], seen, None, logits_to_keep=1)
            for place in range(max_new_tokens):
                tokens = output.logits[:, -1].argmax(dim=-1)
                rows = []  # that go on
                for row, token in enumerate(tokens.tolist()):
                    index = going[row]
                    if token == tokenizer.eos_token_id:
                        answers[index] = _answer(tokenizer, written[index], stopped=True)
                        continue
                    rows.append(row)
                    written[index].append(token)
                    if watch is not None:
                        watch(index, written[index])
                if place + 1 == max_new_tokens or not rows:
                    break
                cache = output.past_key_values
                if len(rows) < len(going):
                    kept = torch.tensor(rows, device=tokens.device)
                    cache.batch_select_indices(kept)
                    tokens, seen, going = tokens[kept], seen[kept], [going[row] for row in rows]
                seen = torch.cat([seen, seen.new_ones(len(seen), 1)], dim=1)
                output = _continue(decoder, tokens.unsqueeze(1), seen, cache)
            for index in indices:
                answers[index] = answers[index] or _answer(tokenizer, written[index], stopped=False)
    return [answer for answer in answers if answer is not None]


def _answer(tokenizer: Any, tokens: list[int], stopped: bool) -> Answer:
    return Answer(tokenizer.decode(tokens, skip_special_tokens=True).strip(), len(tokens), stopped)


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
    return settings is not None and settings.is_prompt_learning and not model._adapters_disabled


def _needs_left_padding(tokenizer: Any) -> None:
    assert tokenizer.padding_side == "left", "a decoder that writes is padded on the left"
