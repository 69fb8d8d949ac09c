"""Pretraining of the miniatures: a bare loop, a masked objective for encoders and a causal one for decoders.

Deterministic: batches, masks and weights follow from the seed; budgets are steps, never seconds. There is no dropout here (the corpus is
hardly seen twice); the config's own dropout returns at fine-tuning. On the CPU, whose results are the same bytes on every run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from ftbench import batches, seeds
from ftbench.batches import IGNORED, Batch
from ftbench.errors import Problem, UserError

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


def _loss(model: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """The summed loss in nats and the targets it was summed over; only positions that have a target reach the head."""
    wanted = batch.targets != IGNORED
    targets = batch.targets[wanted]
    hidden = model.base_model(input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False)[0]
    return functional.cross_entropy(model.lm_head(hidden[wanted]), targets, reduction="sum"), targets


def train(
    model: Any, stream: Iterator[Batch], schedule: Schedule, report_every: int, watch: Callable[[], float] | None = None
) -> list[dict[str, float | int | None]]:
    """Train `model` in place. Returns one row per `report_every` steps: step, loss (nats per token), learning_rate,
    grad_norm (before clipping at 1), and held_out_loss at about every fifth of the way and at the end if `watch` gives it.
    """
    decayed = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=schedule.learning_rate, betas=(0.9, 0.98), fused=True)
    model.eval()  # no dropout; gradients flow all the same
    curve: list[dict[str, float | int | None]] = []
    summed, counted = 0.0, 0
    watched = {max(1, round(schedule.max_steps * part / 5)) for part in range(1, 6)}
    for step in range(schedule.max_steps):
        batch = next(stream)
        rate = schedule.rate(step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss, targets = _loss(model, batch)
        (loss / max(1, targets.numel())).backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        summed, counted = summed + float(loss.detach()), counted + targets.numel()
        done = step + 1
        if done % report_every == 0 or done == schedule.max_steps or done in watched:
            held_out = watch() if watch is not None and done in watched else None
            row: dict[str, float | int | None] = {"step": done, "loss": summed / max(1, counted), "learning_rate": rate}
            curve.append({**row, "grad_norm": float(norm), "held_out_loss": held_out})
            summed, counted = 0.0, 0
    return curve


def held_out_loss(model: Any, held_out: Sequence[Batch]) -> float:
    """The mean loss in nats per target token over fixed batches."""
    total, count = 0.0, 0
    with torch.inference_mode():
        for batch in held_out:
            loss, targets = _loss(model, batch)
            total, count = total + float(loss), count + targets.numel()
    return total / count


def unigram_loss(counts: torch.Tensor, targets: torch.Tensor) -> float:
    """Nats per token of a unigram model with add-one smoothing: `counts` [vocabulary] from the training text, `targets` [n] held out."""
    probabilities = (counts.double() + 1) / (counts.sum() + counts.numel())
    return float(-probabilities[targets].log().mean())


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents and their kinds."""

    texts: Sequence[str]
    kinds: Sequence[str]


def pretrain(
    model: Any, tokenizer: Any, train_corpus: Corpus, held_out: Corpus, objective: str, schedule: Schedule, block_size: int, seed: int
) -> dict[str, Any]:
    """Pretrain `model` in place with the "masked" or "causal" objective; `block_size` is the longest input in tokens.

    Returns what `pretraining.json` holds: the learning curve, held-out loss (nats per token) and perplexity, and those of a unigram model
    on the same tokens.
    """
    kept = Corpus(held_out.texts[:MAX_HELD_OUT], held_out.kinds[:MAX_HELD_OUT])
    if objective == "masked":
        corpus = batches.encode_masked(tokenizer, train_corpus.texts, train_corpus.kinds, block_size)
        stream = batches.masked_batches(corpus, schedule.batch_size, seeds.derive(seed, "batches"))
        rows = [row[share > 0].long() for row, share in zip(corpus.rows, corpus.shares, strict=True)]
        held_corpus = batches.encode_masked(tokenizer, kept.texts, kept.kinds, block_size)
        generator = torch.Generator().manual_seed(seeds.derive(seed, "held-out"))
        order = sorted(range(len(held_corpus.rows)), key=lambda index: (len(held_corpus.rows[index]), index))
        held = [batches.padded(held_corpus, order[first : first + 64], generator) for first in range(0, len(order), 64)]
    else:
        documents = batches.encode_causal(tokenizer, train_corpus.texts)
        prefix = tokenizer("")["input_ids"]  # what every prompt of this tokenizer begins with
        stream = batches.causal_batches(documents, schedule.batch_size, block_size, prefix, seeds.derive(seed, "batches"))
        rows = [torch.tensor(document) for document in documents]
        blocks = list(batches.pack(batches.encode_causal(tokenizer, kept.texts), block_size, prefix))
        held = [batches.causal(blocks[first : first + 32]) for first in range(0, len(blocks), 32)]
    counts = torch.bincount(torch.cat(rows), minlength=len(tokenizer))
    if not any((batch.targets != IGNORED).any() for batch in held):
        found = f"{len(kept.texts)} documents, not enough for one input of {block_size} tokens"
        raise UserError(Problem("pretraining: validation", found, mend="ask for more validation rows in params.yaml"))
    targets = torch.cat([batch.targets[batch.targets != IGNORED] for batch in held])
    curve = train(model, stream, schedule, max(1, schedule.max_steps // 50), lambda: held_out_loss(model, held))
    loss, unigram = float(curve[-1]["held_out_loss"] or 0.0), unigram_loss(counts, targets)
    return {
        "objective": objective,
        "num_documents": len(train_corpus.texts),
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
