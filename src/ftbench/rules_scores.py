"""Rules that read scores, errors and answers; a threshold stands above the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ftbench import rules_cost
from ftbench.evidence import (
    CONTRADICTED,
    HOLDS,
    UNDECIDED,
    Evidence,
    Judgement,
    Rule,
    all_of,
    beyond,
    of_sign,
    of_test,
    where,
)

FAR_ABOVE = 0.15  # accuracy: what "far above" asks for at least
CLOSE = 0.03  # accuracy: methods within this are as accurate as each other
NEGLIGIBLE = 0.01  # accuracy: a cost below this is none
USELESS = 0.02  # accuracy: a head less than this above the majority class has not learnt to classify
CHANCE = (1 / 3 - 0.05, 1 / 3 + 0.05)  # accuracy of guessing among three labels
HALF = 0.5  # a kind of error is the rule if it is more than half of the errors


def greater(study: str, a: str, b: str) -> Rule:
    """Holds if `a` scores higher than `b` beyond the seed-aware test (Holm over the study), contradicted if lower."""

    def rule(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
        found = evidence.difference(study, a, b)
        return of_test(of_sign(beyond(found)), found, study, f"`{a}` minus `{b}`, seed-aware test")

    return rule


def lower_loss(study: str, a: str, others: Sequence[str]) -> Rule:
    """Holds if `a` has fewer bits per byte than every other beyond the seed-aware test, contradicted if more than any.

    The loss per token, which the study compared, is told beside it and decides nothing: each tokenizer cuts text into tokens of its own.
    """

    def rule(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
        rows = [evidence.difference(study, a, other) for other in others]
        closest = max(rows, key=lambda row: row["difference"])
        per_token = {arm: float(evidence.get("metrics", study, arm, "nll_per_token")) for arm in (a, *others)}
        lowest = "the lowest" if per_token[a] == min(per_token.values()) else "not the lowest"
        because = f"bits per byte of `{a}` minus those of the closest other; its nats per token, as the study compared, are {lowest}"
        return of_test(all_of([of_sign(-beyond(row)) for row in rows]), closest, study, because)

    return rule


def lifts_accuracy(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if the lower limit of the gain over the prompted base is at least FAR_ABOVE, contradicted if the upper limit is below it."""
    found = evidence.difference("snli", "qkv-nf4", "zero_shot")
    verdict = HOLDS if found["low"] >= FAR_ABOVE else CONTRADICTED if found["high"] < FAR_ABOVE else UNDECIDED
    return of_test(verdict, found, "snli", f"`qkv-nf4` minus `zero_shot`, against {FAR_ABOVE:.2f}")


def full_most_accurate(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Against each method that spares some weights, each at its own rate: holds if beyond all, contradicted if any is beyond it."""
    rows = [evidence.difference("multinli", "full-own", f"{other}-own") for other in ("top_layers", "lora", "p_tuning")]
    closest = min(rows, key=lambda row: row["difference"])
    return of_test(
        all_of([of_sign(beyond(row)) for row in rows]), closest, "multinli", "`full-own` minus the closest method, each at its own rate"
    )


def lora_costs_accuracy(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Each at its own rate: holds if all weights are beyond LoRA, contradicted if the cost is below NEGLIGIBLE at its upper limit."""
    found = evidence.difference("multinli", "full-own", "lora-own")
    verdict = HOLDS if beyond(found) > 0 else CONTRADICTED if found["high"] < NEGLIGIBLE else UNDECIDED
    return of_test(verdict, found, "multinli", f"`full-own` minus `lora-own`; no cost would be below {NEGLIGIBLE}")


def p_tuning_near_full(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Prompt encoder alone, own rates: holds if at most CLOSE below at the upper limit, contradicted if more than that at the lower."""
    found = evidence.difference("multinli", "full-own", "p_tuning-own")
    verdict = HOLDS if found["high"] <= CLOSE else CONTRADICTED if found["low"] > CLOSE else UNDECIDED
    return of_test(verdict, found, "multinli", f"`full-own` minus `p_tuning-own`, against {CLOSE}")


def quantised_equals_unquantised(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if the interval lies within ±CLOSE and full size takes less memory; contradicted if it lies outside, or memory is no less."""
    found = evidence.difference("snli", "qkv-nf4", "qkv-unquantised")
    within = found["low"] >= -CLOSE and found["high"] <= CLOSE
    outside = found["high"] < -CLOSE or found["low"] > CLOSE
    ratio = rules_cost.memory(evidence, "snli", "qkv-nf4") / rules_cost.memory(evidence, "snli", "qkv-unquantised")
    verdict = CONTRADICTED if outside or ratio >= 1 else HOLDS if within else UNDECIDED
    judged = of_test(verdict, found, "snli", f"`qkv-nf4` minus `qkv-unquantised`, against ±{CLOSE}; {ratio:.2f} of the memory at full size")
    return replace(judged, evidence=(*judged.evidence, "reports/accounting.json#scales"))


def first_token_head(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """The study's design: holds if beyond the majority class, contradicted if less than USELESS above or if it says one thing to all."""
    arm = "study_layer-first_token"
    found = evidence.difference("multinli_llm", arm, "majority")
    constant = set(evidence.get("comparison", "multinli_llm", "agreement", arm, "num_labels")) == {1}
    verdict = CONTRADICTED if constant or found["high"] < USELESS else HOLDS if beyond(found) > 0 else UNDECIDED
    said = "it gives every pair the same answer" if constant else f"against {USELESS}"
    judged = of_test(verdict, found, "multinli_llm", f"`{arm}` minus `majority`; {said}")
    return replace(judged, evidence=(*judged.evidence, *where("multinli_llm", f"comparison.json#agreement.{arm}")))


def chance(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if the whole interval of the prompted base lies within CHANCE, contradicted if none of it does."""
    found = evidence.get("comparison", "snli", "entries", "zero_shot")
    low, high = found["low"], found["high"]
    verdict = HOLDS if low >= CHANCE[0] and high <= CHANCE[1] else CONTRADICTED if high < CHANCE[0] or low > CHANCE[1] else UNDECIDED
    because = f"`zero_shot` against {CHANCE[0]:.3f} to {CHANCE[1]:.3f}"
    return Judgement(verdict, because, found["mean"], low, high, where("snli", "comparison.json#entries"))


def most_errors(reading: str, what: str) -> Rule:
    """Holds if the share of `qkv-nf4`'s errors that are of this kind is above one half with its whole interval, contradicted if below."""

    def rule(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
        found = evidence.get("comparison", "snli", "cases", "qkv-nf4", "base", "readings", reading)
        verdict = HOLDS if found["low"] > HALF else CONTRADICTED if found["high"] < HALF else UNDECIDED
        place = where("snli", f"comparison.json#cases.qkv-nf4.base.readings.{reading}")
        return Judgement(verdict, f"{what}, against one half", found["value"], found["low"], found["high"], place)

    return rule


def improves_every_class(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if accuracy within each class rises beyond its interval, contradicted if in any class it falls beyond it."""
    changes = evidence.get("comparison", "snli", "cases", "qkv-nf4", "base", "readings", "recall_change")
    label, least = min(changes.items(), key=lambda item: item[1]["value"])
    parts = [HOLDS if change["low"] > 0 else CONTRADICTED if change["high"] < 0 else UNDECIDED for change in changes.values()]
    place = where("snli", "comparison.json#cases.qkv-nf4.base.readings.recall_change")
    because = f"the change within {label}, the class that gains least, from `zero_shot` to `qkv-nf4`"
    return Judgement(all_of(parts), because, least["value"], least["low"], least["high"], place)


def highest_initial_loss(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Untouched bases, in bits per byte: holds if Falcon's interval lies above both others', contradicted if below either's."""
    falcon, *others = (evidence.get("comparison", "alpaca", "entries", model) for model in ("falcon_rw_1b", "open_llama_3b", "bloom_3b"))
    above = all(falcon["low"] > other["high"] for other in others)
    below = any(falcon["high"] < other["low"] for other in others)
    verdict = HOLDS if above else CONTRADICTED if below else UNDECIDED
    place = where("alpaca", "comparison.json#entries")
    return Judgement(
        verdict, "bits per byte of the untouched Falcon-1B against the others'", falcon["mean"], falcon["low"], falcon["high"], place
    )
