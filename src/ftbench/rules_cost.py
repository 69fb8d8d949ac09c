"""Rules that read measured costs, and counts and bytes at full size; a threshold stands above the rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftbench import rules_curves
from ftbench.evidence import (
    CONTRADICTED,
    HOLDS,
    UNDECIDED,
    Evidence,
    Judgement,
    NotThereError,
    all_of,
    where,
)

AS_FAST = 1.25  # seconds over seconds: up to this the slower is as fast
SHORT = 60.0  # seconds of a run: below, what else the machine does moves them by as much as methods differ, another time another way
STRONGLY, HARDLY = 0.6, 0.8  # bytes over bytes: "strongly" lower up to the first, not so from the second
THIRD = (0.25, 0.42)  # "about a third"
NEARLY_ALL = 0.9  # of a card's memory
CARD_BYTES = 8e9
NOTEBOOK_BYTES = 12.7e9


def _seconds(evidence: Evidence, study: str, entry: str, name: str) -> list[float]:
    values = evidence.get("cost", study, "entries", entry, "by_seed", name)
    if not values or None in values:
        raise NotThereError(f"{study}: {name} of {entry}")
    return list(values)


def _timed(verdict: str, because: str, *runs: list[float]) -> tuple[str, str]:
    """A verdict on the seconds of runs, and why; none where any of them is SHORT."""
    if (shortest := min(map(min, runs))) < SHORT:
        return UNDECIDED, f"{because}; a run of {int(shortest)} s is too short to tell: below {SHORT:.0f} s the rest of the machine decides"
    return verdict, because


def faster(evidence: Evidence, arm: str, other: str) -> Judgement:
    """Seconds of training without evaluation: holds if the slowest seed is faster than the other's fastest, contradicted if the reverse,
    undecided if a training is SHORT.
    """
    ours, theirs = (_seconds(evidence, "multinli", name, "train_seconds_without_evaluation") for name in (arm, other))
    ratio = (sum(ours) / len(ours)) / (sum(theirs) / len(theirs))
    verdict = HOLDS if max(ours) < min(theirs) else CONTRADICTED if min(ours) > max(theirs) else UNDECIDED
    verdict, because = _timed(verdict, f"training time of `{arm}` over that of `{other}`, on the machine that ran both", ours, theirs)
    return Judgement(verdict, because, ratio, min(ours) / max(theirs), max(ours) / min(theirs), where("multinli", "cost.json"))


def lora_faster_than_full(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if LoRA's slowest seed trains faster than the fastest of all weights, contradicted if the reverse, where no run is SHORT."""
    return faster(evidence, "lora-own", "full-own")


def top_layers_cheaper(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if the upper layers alone are faster and overfit less than all weights, contradicted if either is contradicted."""
    time, rise = faster(evidence, "top_layers-own", "full-own"), rules_curves.less_overfitting(evidence, "top_layers-own")
    because = f"time: {time.verdict}; overfitting: {rise.verdict}; {time.because}"
    return Judgement(all_of([time.verdict, rise.verdict]), because, time.ours, time.low, time.high, (*time.evidence, *rise.evidence))


def p_tuning_cheaper_than_full(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if P-tuning is faster and takes less memory at full size than all weights, contradicted if it is slower or takes more."""
    time = faster(evidence, "p_tuning-own", "full-own")
    ratio = memory(evidence, "multinli", "p_tuning-own") / memory(evidence, "multinli", "full-own")
    verdict = all_of([time.verdict, HOLDS if ratio < 1 else CONTRADICTED])
    because = f"{time.because}; {ratio:.2f} of the memory at full size"
    return Judgement(verdict, because, time.ours, time.low, time.high, (*time.evidence, "reports/accounting.json#scales"))


def inference_as_fast(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if evaluating `qkv-nf4` takes at most AS_FAST of its base's time at every seed, contradicted if more at every seed; undecided
    where an evaluation is SHORT.
    """
    (base, *_), ours = (_seconds(evidence, "snli", name, "evaluate_seconds") for name in ("zero_shot", "qkv-nf4"))
    ratios = [value / base for value in ours]
    verdict = HOLDS if max(ratios) <= AS_FAST else CONTRADICTED if min(ratios) > AS_FAST else UNDECIDED
    because = f"evaluation time of `qkv-nf4` over that of `zero_shot`, against {AS_FAST}"
    verdict, because = _timed(verdict, because, [base], ours)
    return Judgement(verdict, because, sum(ratios) / len(ratios), min(ratios), max(ratios), where("snli", "cost.json"))


def _full_size(evidence: Evidence, study: str, arm: str) -> Mapping[str, Any]:
    return evidence.get("accounting", "scales", "paper", study, arm)


def memory(evidence: Evidence, study: str, arm: str) -> float:
    """Predicted bytes of an arm at full size: weights, adapter, gradients and optimiser."""
    return float(_full_size(evidence, study, arm)["memory_bytes"]["total"])


def _accounted(verdict: str, because: str, ours: float, low: float | None = None, high: float | None = None) -> Judgement:
    return Judgement(verdict, because, ours, low, high, ("reports/accounting.json#scales",))


def full_most_expensive(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if at full size all weights take more memory than each method that spares some, contradicted if any takes more."""
    full = memory(evidence, "multinli", "full-own")
    most = max(memory(evidence, "multinli", f"{other}-own") for other in ("top_layers", "lora", "p_tuning"))
    return _accounted(
        HOLDS if full > most else CONTRADICTED, "memory of the next most expensive method over that of all weights, full size", most / full
    )


def qlora_saves_memory(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if at full size 4-bit takes at most STRONGLY of the memory, contradicted from HARDLY on."""
    ratio = memory(evidence, "snli", "qkv-nf4") / memory(evidence, "snli", "qkv-unquantised")
    verdict = HOLDS if ratio <= STRONGLY else CONTRADICTED if ratio >= HARDLY else UNDECIDED
    return _accounted(verdict, f"memory of `qkv-nf4` over that of `qkv-unquantised` at full size, against {STRONGLY}", ratio)


def llama_needs_memory(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if the weights alone, at two bytes each, exceed the notebook's host memory; contradicted if they do not."""
    num_bytes = 2.0 * _full_size(evidence, "multinli_llm", "qlora_head-last_token")["base"]
    return _accounted(HOLDS if num_bytes > NOTEBOOK_BYTES else CONTRADICTED, "bytes of the 16-bit weights, against 12.7 GB", num_bytes)


def falcon_a_third_of_the_time(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Work as parameters × examples, from the study's epochs (one against two) to equal ones: holds if that whole range is within THIRD."""
    llama, falcon = (float(_full_size(evidence, "alpaca", f"{model}-study")["base"]) for model in ("open_llama_3b", "falcon_rw_1b"))
    low, high = falcon / (2 * llama), falcon / llama
    verdict = HOLDS if low >= THIRD[0] and high <= THIRD[1] else CONTRADICTED if high < THIRD[0] or low > THIRD[1] else UNDECIDED
    return _accounted(
        verdict, "work of Falcon-1B over LLaMA-3B's: at the study's epochs (low) and at equal ones (high)", (low + high) / 2, low, high
    )


def memory_near_full(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """What is certain to be held is a lower bound: holds if NEARLY_ALL of the card for each model, contradicted if any exceeds the card."""
    shares = [memory(evidence, "alpaca", f"{model}-study") / CARD_BYTES for model in ("open_llama_3b", "bloom_3b", "falcon_rw_1b")]
    verdict = CONTRADICTED if max(shares) > 1 else HOLDS if min(shares) >= NEARLY_ALL else UNDECIDED
    return _accounted(
        verdict,
        "least share of 8 GB that weights, adapter and optimiser hold; activations come on top",
        min(shares),
        min(shares),
        max(shares),
    )
