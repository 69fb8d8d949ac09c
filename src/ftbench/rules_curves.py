"""Rules that read learning curves; a threshold stands above the rules."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from scipy import stats

from ftbench import curves
from ftbench.evidence import (
    CONTRADICTED,
    HOLDS,
    SIGNIFICANCE,
    UNDECIDED,
    Evidence,
    Judgement,
    NotThereError,
    all_of,
    of_sign,
    where,
)

RISE = 0.01  # nats: a validation loss that ends this much above its lowest point has risen
WARMUP = (0.05, 0.15)  # share of the steps before the learning rate's peak: "a tenth"
STRAIGHT = 0.99  # r² of a line through the learning rate after its peak
FIFTHS = 5  # parts of a run whose mean losses must each be lower than the one before


def _rises(evidence: Evidence, study: str, arm: str) -> list[float]:
    """By how much the validation loss of each seed ends above its lowest point."""
    found = []
    for rows in evidence.curve(study, arm).values():
        losses = [loss for _, loss in curves.series(rows, "eval_loss", "step")]
        if len(losses) < 2:
            raise NotThereError(f"{study}: two validations of {arm}")
        found.append(losses[-1] - min(losses))
    return found


def overfits(evidence: Evidence, study: str, arm: str) -> tuple[str, list[float], list[bool]]:
    """Whether an arm's validation loss rises while its accuracy creeps up: the verdict, each seed's rise, and at which seeds it has risen.

    Holds if at every seed the loss ends RISE above its lowest and accuracy no lower than there; contradicted if no seed's loss rises.
    """
    rises, creeps = _rises(evidence, study, arm), []
    for rows in evidence.curve(study, arm).values():
        both = [
            (row["eval_loss"], row["eval_accuracy"]) for row in rows if row["eval_loss"] is not None and row["eval_accuracy"] is not None
        ]
        if not both:
            raise NotThereError(f"{study}: validation accuracy of {arm}")
        creeps.append(both[-1][1] >= min(both)[1])
    risen = [rise >= RISE for rise in rises]
    return HOLDS if all(risen) and all(creeps) else CONTRADICTED if not any(risen) else UNDECIDED, rises, risen


def full_overfits(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if at every seed the loss ends RISE above its lowest and accuracy no lower than there; contradicted if no seed's loss rises."""
    verdict, rises, risen = overfits(evidence, "multinli", "full-shared")
    because = f"`full-shared`: nats from the lowest validation loss to the last; risen by {RISE} at {sum(risen)} of {len(risen)} seeds"
    return Judgement(verdict, because, sum(rises) / len(rises), evidence=where("multinli", "curves/full-shared.csv"))


def less_overfitting(evidence: Evidence, arm: str) -> Judgement:
    """Holds if the validation loss of `arm` rises less than that of all weights (Welch over seeds), contradicted if more."""
    ours, full = _rises(evidence, "multinli", arm), _rises(evidence, "multinli", "full-own")
    if min(len(ours), len(full)) < 2:
        raise NotThereError(f"multinli: a second seed of {arm} or full-own")
    place = where("multinli", f"curves/{arm}.csv", "curves/full-own.csv")
    difference = sum(ours) / len(ours) - sum(full) / len(full)
    because = f"rise of the validation loss, `{arm}` minus `full-own` (nats), Welch over seeds"
    if max(ours) == min(ours) and max(full) == min(full):
        return Judgement(of_sign((difference < 0) - (difference > 0)), because, difference, difference, difference, place)
    test = stats.ttest_ind(ours, full, equal_var=False)
    low, high = test.confidence_interval(1 - SIGNIFICANCE)
    sign = 0 if test.pvalue >= SIGNIFICANCE else -1 if difference > 0 else 1
    return Judgement(of_sign(sign), because, difference, float(low), float(high), place)


def lora_less_overfitting(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Each at its own rate: holds if LoRA's validation loss rises less (Welch over seeds), contradicted if more."""
    return less_overfitting(evidence, "lora-own")


def loss_falls_steadily(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if each model's mean training loss falls from each fifth of the run to the next; contradicted if a last is above a first."""
    parts = []
    for arm in ("open_llama_3b-study", "bloom_3b-study", "falcon_rw_1b-study"):
        for rows in evidence.curve("alpaca", arm).values():
            losses = [loss for _, loss in curves.series(rows, "loss", "step")]
            if len(losses) < FIFTHS:
                raise NotThereError(f"alpaca: {FIFTHS} training losses of {arm}")
            edges = [round(index * len(losses) / FIFTHS) for index in range(FIFTHS + 1)]
            means = [sum(losses[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
            falls = all(after < before for before, after in itertools.pairwise(means))
            parts.append(HOLDS if falls else CONTRADICTED if means[-1] >= means[0] else UNDECIDED)
    return Judgement(
        all_of(parts), f"{parts.count(HOLDS)} of {len(parts)} runs fall from each fifth to the next", evidence=where("alpaca", "curves/")
    )


def warmup_then_linear(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if the learning rate peaks within WARMUP of the run and then falls along a line; contradicted otherwise."""
    shares, straight = [], []
    for rows in evidence.curve("alpaca", "open_llama_3b-study").values():
        points = curves.series(rows, "learning_rate", "step")
        if len(points) < 5:
            raise NotThereError("alpaca: five learning rates of open_llama_3b-study")
        top = max(range(len(points)), key=lambda index: points[index][1])
        shares.append(points[top][0] / points[-1][0])
        after = points[top:]
        line = stats.linregress([x for x, _ in after], [y for _, y in after]) if len(after) > 2 else None
        straight.append(line is not None and line.slope < 0 and line.rvalue**2 >= STRAIGHT)
    holds = all(WARMUP[0] <= share <= WARMUP[1] for share in shares) and all(straight)
    after_it = "straight" if all(straight) else "not straight"
    because = f"share of the steps before the highest logged rate, against {WARMUP[0]} to {WARMUP[1]}; {after_it} after it"
    return Judgement(HOLDS if holds else CONTRADICTED, because, shares[0], evidence=where("alpaca", "curves/open_llama_3b-study.csv"))


def only_rises(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if the learning rates of the runs of Bloom-3B and Falcon-1B never fall; contradicted if either does."""
    falls = []
    for arm in ("bloom_3b-study", "falcon_rw_1b-study"):
        for rows in evidence.curve("alpaca", arm).values():
            rates = [rate for _, rate in curves.series(rows, "learning_rate", "step")]
            if len(rates) < 2:
                raise NotThereError(f"alpaca: two learning rates of {arm}")
            falls.append(rates[-1] / max(rates))
    verdict = HOLDS if min(falls) >= 1 else CONTRADICTED
    return Judgement(
        verdict, "last learning rate over the highest, the lower of the two runs", min(falls), evidence=where("alpaca", "curves/")
    )


def more_epochs_help(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if the validation loss after the second epoch is RISE below that after the first at every seed, contradicted if RISE above."""
    changes = []
    for rows in evidence.curve("alpaca", "open_llama_3b-study").values():
        points = curves.series(rows, "eval_loss")
        first = [loss for epoch, loss in points if epoch <= 1.001]
        second = [loss for epoch, loss in points if 1.5 <= epoch <= 2.001]
        if not first or not second:
            raise NotThereError("alpaca: validation losses of open_llama_3b-study after one epoch and after two")
        changes.append(second[-1] - first[-1])
    verdict = HOLDS if max(changes) <= -RISE else CONTRADICTED if min(changes) >= RISE else UNDECIDED
    because = f"nats of validation loss from the end of the first epoch to that of the second, against {RISE}"
    return Judgement(verdict, because, sum(changes) / len(changes), evidence=where("alpaca", "curves/open_llama_3b-study.csv"))
