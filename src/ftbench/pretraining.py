"""Pretraining of the miniatures: a bare loop, a masked objective for encoders and a causal one for decoders.

Beside either the model may learn to detect replaced tokens (`replacement`); the head that does so is thrown away.

Deterministic: batches, masks and weights follow from the seed; budgets are steps, never seconds. There is no dropout here (the corpus is
hardly seen twice); the config's own dropout returns at fine-tuning. On the CPU, whose results are the same bytes on every run.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from ftbench import batches, seeds
from ftbench.batches import IGNORED, Batch
from ftbench.errors import Problem, UserError
from ftbench.replacement import NOT_ASKED, Replacer, between

MAX_HELD_OUT = 1000  # documents


@dataclass(frozen=True, slots=True)
class Schedule:
    """The budget and the optimiser's settings; `warmup_steps` in steps."""

    max_steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float

    def rate(self, step: int) -> float:
        """The learning rate of the step numbered from 0: linear up to the peak, held there, and linear down over the last quarter.

        Held, since copying from one sentence to the other sets in late and all at once: a rate that falls all the way puts it off.
        """
        rising = (step + 1) / self.warmup_steps if step < self.warmup_steps else 1.0
        falling = (self.max_steps - step) / max(1.0, self.max_steps / 4)
        return self.learning_rate * min(rising, falling, 1.0)


@dataclass(frozen=True, slots=True)
class Detection:
    """Replaced-token detection: the share of tokens replaced, whether by a word of the same genre, the weight of its loss, and the block
    whose output is asked, the first being 1.
    """

    replaced_share: float
    within_genre: bool
    loss_weight: float
    block: int


def _losses(
    model: Any, batch: Batch, detector: torch.nn.Linear | None = None, block: int = 0
) -> tuple[torch.Tensor, int, torch.Tensor | None]:
    """The summed loss in nats, the number of targets it was summed over, and the mean loss of detection if a `detector` is given.

    Only positions that have a target reach the output layer.
    """
    wanted = batch.targets != IGNORED
    targets = batch.targets[wanted]
    output = model.base_model(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False, output_hidden_states=detector is not None
    )
    loss = functional.cross_entropy(model.lm_head(output[0][wanted]), targets, reduction="sum")
    if detector is None or batch.replaced is None or not (asked := batch.replaced != NOT_ASKED).any():
        return loss, targets.numel(), None
    scores = detector(output.hidden_states[block][asked]).squeeze(-1)
    return loss, targets.numel(), functional.binary_cross_entropy_with_logits(scores, batch.replaced[asked].to(scores.dtype))


def train(
    model: Any,
    stream: Iterator[Batch],
    schedule: Schedule,
    report_every: int,
    watch: Callable[[], float] | None = None,
    detection: Detection | None = None,
) -> list[dict[str, float | int | None]]:
    """Train `model` in place. Returns one row per `report_every` steps: step, loss (nats per token), learning_rate,
    grad_norm (before clipping at 1), held_out_loss at about every fifth of the way and at the end if `watch` gives it, and if there is
    `detection` detection_loss (nats per token asked) and replaced_share (of the tokens asked those that were replaced).
    """
    detector = torch.nn.Linear(model.config.hidden_size, 1) if detection else None
    if detector is not None:
        torch.nn.init.zeros_(detector.weight)
        torch.nn.init.zeros_(detector.bias)
    parameters = [*model.parameters(), *(detector.parameters() if detector is not None else ())]
    decayed = [parameter for parameter in parameters if parameter.dim() > 1]
    others = [parameter for parameter in parameters if parameter.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=(0.9, 0.98), fused=True)
    model.eval()  # no dropout; gradients flow all the same
    curve: list[dict[str, float | int | None]] = []
    summed, counted, detected, asked, num_replaced = 0.0, 0, 0.0, 0, 0
    watched = {max(1, round(schedule.max_steps * part / 5)) for part in range(1, 6)}
    for step in range(schedule.max_steps):
        batch = next(stream)
        rate = schedule.rate(step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss, num_targets, detecting = _losses(model, batch, detector, detection.block if detection else 0)
        total = loss / max(1, num_targets)
        if detecting is not None and detection is not None:
            total = total + detection.loss_weight * detecting
            assert batch.replaced is not None
            num_asked = int((batch.replaced != NOT_ASKED).sum())
            num_replaced += int((batch.replaced == 1).sum())
            detected, asked = detected + float(detecting.detach()) * num_asked, asked + num_asked
        total.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        summed, counted = summed + float(loss.detach()), counted + num_targets
        done = step + 1
        if done % report_every == 0 or done == schedule.max_steps or done in watched:
            held_out = watch() if watch is not None and done in watched else None
            row: dict[str, float | int | None] = {"step": done, "loss": summed / max(1, counted), "learning_rate": rate}
            found = {"detection_loss": detected / asked, "replaced_share": num_replaced / asked} if asked else {}
            row |= {"grad_norm": float(norm), "held_out_loss": held_out, **found}
            curve.append(row)
            summed, counted, detected, asked, num_replaced = 0.0, 0, 0.0, 0, 0
    return curve


def held_out_loss(model: Any, held_out: Sequence[Batch]) -> float:
    """The mean loss in nats per target token over fixed batches."""
    total, count = 0.0, 0
    with torch.inference_mode():
        for batch in held_out:
            loss, num_targets, _ = _losses(model, batch)
            total, count = total + float(loss), count + num_targets
    return total / count


def unigram_loss(counts: torch.Tensor, targets: torch.Tensor) -> float:
    """Nats per token of a unigram model with add-one smoothing: `counts` [vocabulary] from the training text, `targets` [n] held out."""
    probabilities = (counts.double() + 1) / (counts.sum() + counts.numel())
    return float(-probabilities[targets].log().mean())


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents and, of each, its genre if it has one."""

    texts: Sequence[str]
    genres: Sequence[str | None]


def pretrain(
    model: Any,
    tokenizer: Any,
    corpus: Corpus,
    held_out: Corpus,
    objective: str,
    schedule: Schedule,
    block_size: int,
    seed: int,
    detection: Detection | None = None,
) -> dict[str, Any]:
    """Pretrain `model` in place with the "masked" or "causal" objective; `block_size` is the longest input in tokens.

    Returns what `pretraining.json` holds: the learning curve, held-out loss (nats per token) and perplexity, and those of a unigram model
    on the same tokens. No token of the held-out text is replaced.
    """
    held_out = Corpus(held_out.texts[:MAX_HELD_OUT], held_out.genres[:MAX_HELD_OUT])

    def replacer(documents: batches.Documents) -> Replacer | None:
        if detection is None:
            return None
        if not any(1 in segments for segments in documents.segments):
            found, mend = "no document of two lines", "leave detection out, or read kinds of text with two lines"
            raise UserError(Problem("pretraining.detection", found, mend=mend))
        if detection.within_genre and None in documents.genres:
            raise UserError(Problem("pretraining.detection.within_genre", "true, and documents without a genre", allowed="false"))
        table = between(documents.rows, documents.genres if detection.within_genre else [None] * len(documents.rows))
        return Replacer(table, detection.replaced_share, detection.within_genre, random.Random(seeds.derive(seed, "replacements")))

    if objective == "masked":
        documents = batches.encode_masked(tokenizer, corpus.texts, corpus.genres, block_size)
        masking = batches.Masking(tokenizer.mask_token_id, tokenizer.pad_token_id)
        stream = batches.masked_batches(documents, schedule.batch_size, masking, seeds.derive(seed, "batches"), replacer(documents))
        held_documents = batches.encode_masked(tokenizer, held_out.texts, held_out.genres, block_size)
        generator = torch.Generator().manual_seed(seeds.derive(seed, "held-out"))
        order = sorted(range(len(held_documents.rows)), key=lambda index: (len(held_documents.rows[index]), index))
        held = [batches.masked(held_documents, order[first : first + 64], masking, generator) for first in range(0, len(order), 64)]
    else:
        documents = batches.encode_causal(tokenizer, corpus.texts, corpus.genres)
        prefix = tokenizer("")["input_ids"]  # what every prompt of this tokenizer begins with
        stream = batches.causal_batches(
            documents, schedule.batch_size, block_size, prefix, seeds.derive(seed, "batches"), replacer(documents)
        )
        held_documents = batches.encode_causal(tokenizer, held_out.texts, held_out.genres)
        blocks = list(batches.pack(map(batches.unchanged, held_documents.rows), block_size, batches.unchanged(prefix)))
        held = [batches.causal(blocks[first : first + 32]) for first in range(0, len(blocks), 32)]
    ordinary = [
        token
        for row, segments in zip(documents.rows, documents.segments, strict=True)
        for token, segment in zip(row, segments, strict=True)
        if segment is not None
    ]
    counts = torch.bincount(torch.tensor(ordinary), minlength=len(tokenizer))
    if not any((batch.targets != IGNORED).any() for batch in held):
        found = f"{len(held_out.texts)} documents, not enough for one input of {block_size} tokens"
        raise UserError(Problem("pretraining: validation", found, mend="ask for more validation rows in params.yaml"))
    targets = torch.cat([batch.targets[batch.targets != IGNORED] for batch in held])
    report_every = max(1, schedule.max_steps // 50)
    curve = train(model, stream, schedule, report_every, lambda: held_out_loss(model, held), detection)
    loss, unigram = float(curve[-1]["held_out_loss"] or 0.0), unigram_loss(counts, targets)
    return {
        "objective": objective,
        "num_documents": len(corpus.texts),
        "num_tokens": int(counts.sum()),
        "curve": curve,
        "held_out": {
            "num_tokens": targets.numel(),
            "loss": loss,
            "perplexity": math.exp(loss),
            "unigram_loss": unigram,
            "unigram_perplexity": math.exp(unigram),
        },
    }
