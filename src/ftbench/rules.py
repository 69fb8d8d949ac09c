"""Which rule decides which claim: `RULES` by the claim's id, `BY_KIND` for what is decided alike.

A rule is a named function with its thresholds beside it, which reads evidence and returns a judgement; where a number it needs is not
there, it raises NotThereError. Which claims a scale may decide at all is not a rule's business but the ledger's.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ftbench import curves, rules_answers, rules_cost, rules_curves, rules_scores
from ftbench.evidence import (
    CONTRADICTED,
    HOLDS,
    NOT_RUN,
    UNDECIDED,
    Evidence,
    Judgement,
    NotThereError,
    Rule,
    where,
)

SAME_FIGURE = {"accuracy": 0.02, "eval_loss": 0.05, "train_loss": 0.05}  # how far ours may lie from a study's and still repeat it


def exact(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if our count, at the study's number of decimals, is the study's to the digit; contradicted otherwise."""
    ours = evidence.get("accounting", "printed_by_the_studies", claim["id"])
    text, stated = Decimal(ours["text"]), Decimal(str(claim["value"]))
    if "digits" in claim:
        text = round(text, claim["digits"])
    place = (f"reports/accounting.json#printed_by_the_studies.{claim['id']}",)
    return Judgement(HOLDS if text == stated else CONTRADICTED, "our count, to the study's last digit", str(text), evidence=place)


def solved(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Solved from the figures the study printed: holds if the claim's number is among those they allow, contradicted otherwise."""
    found = evidence.get("accounting", "solved", claim["id"])
    holds = found["low"] <= claim["value"] <= found["high"]
    ours = f"{found['low']}" if found["low"] == found["high"] else f"{found['low']} to {found['high']}"
    place = (f"reports/accounting.json#solved.{claim['id']}",)
    return Judgement(HOLDS if holds else CONTRADICTED, "solved from the printed figures", ours, found["low"], found["high"], place)


def official_count(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if the rows read of the data, rounded to thousands as the study writes them, are the study's number; contradicted if the
    publisher's own repository has another number. Local files of another length are other data, and generated data no evidence at all.
    """
    source = evidence.get("comparison", claim["study"], "made_of", "source")
    if source["kind"] == "generated":
        return Judgement(NOT_RUN, "it takes the publisher's data: here they are generated")
    rows, place = source["num_rows"], where(claim["study"], "comparison.json#made_of.source")
    if round(rows, -3) == claim["value"]:
        return Judgement(HOLDS, "the rows of the data, rounded to thousands", f"{rows}", evidence=place)
    if source["repository"] == claim["repository"]:
        return Judgement(CONTRADICTED, "the rows of the publisher's repository, rounded to thousands", f"{rows}", evidence=place)
    return Judgement(UNDECIDED, f"{rows} rows: these are other files than {claim['repository']} has", evidence=place)


def same_figure(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if our score, with its interval, comes within SAME_FIGURE of the study's; a time or a size is its machine's: not decided."""
    study, arm, metric = claim["study"], claim["arm"], claim["metric"]
    if metric not in SAME_FIGURE:
        return Judgement(UNDECIDED, "a figure of the study's own machine", evidence=where(study, "cost.json"))
    if metric == "accuracy" and "epoch" not in claim:
        entry = evidence.get("comparison", study, "entries", arm)
        ours, low, high = entry["mean"], entry["low"], entry["high"]
        place = where(study, f"comparison.json#entries.{arm}")
    else:
        ours = _at_place(evidence, claim)
        low = high = ours
        place = where(study, f"curves/{arm}.csv")
    margin = SAME_FIGURE[metric]
    verdict = HOLDS if low - margin <= claim["value"] <= high + margin else CONTRADICTED
    return Judgement(verdict, f"`{arm}`, within {margin} of the study's", ours, low, high, place)


def _at_place(evidence: Evidence, claim: Mapping[str, Any]) -> float:
    name = {"accuracy": "eval_accuracy", "train_loss": "loss"}.get(claim["metric"], claim["metric"])
    against, place = ("step", claim["step"]) if "step" in claim else ("epoch", claim.get("epoch"))
    found = []
    for rows in evidence.curve(claim["study"], claim["arm"]).values():
        points = curves.series(rows, name, against)
        if place is not None:
            points = [point for point in points if point[0] <= place + 0.01]
        if not points:
            raise NotThereError(f"{claim['study']}: {name} of {claim['arm']} at {against} {place}")
        found.append(points[-1][1])
    return sum(found) / len(found)


BY_KIND: dict[str, Rule] = {"exact": exact, "figure": same_figure}
RULES: dict[str, Rule] = {
    "mnli_train_examples": solved,
    "mnli_matched_examples": solved,
    "alpaca_instructions": official_count,
    "pretrained_is_chance": rules_scores.chance,
    "qlora_lifts_accuracy": rules_scores.lifts_accuracy,
    "before_overpredicts_entailment": rules_scores.most_errors(
        "neutral_as_entailment_before", "share of `zero_shot`'s errors on neutral pairs that say entailment"
    ),
    "after_overpredicts_neutral": rules_scores.most_errors(
        "contradiction_as_neutral_after", "share of `qkv-nf4`'s errors on contradictions that say neutral"
    ),
    "persistent_flip": rules_scores.most_errors(
        "persistent_neutral_flips", "share of neutral pairs wrong before and after that went from entailment to contradiction"
    ),
    "improves_every_class": rules_scores.improves_every_class,
    "fine_tuned_inference_efficient": rules_cost.inference_as_fast,
    "quantised_equals_unquantised": rules_scores.quantised_equals_unquantised,
    "qlora_saves_memory": rules_cost.qlora_saves_memory,
    "full_most_accurate": rules_scores.full_most_accurate,
    "full_most_expensive": rules_cost.full_most_expensive,
    "full_overfits": rules_curves.full_overfits,
    "lora_costs_accuracy": rules_scores.lora_costs_accuracy,
    "lora_faster_than_full": rules_cost.lora_faster_than_full,
    "lora_less_overfitting": rules_curves.lora_less_overfitting,
    "p_tuning_near_full": rules_scores.p_tuning_near_full,
    "p_tuning_cheaper_than_full": rules_cost.p_tuning_cheaper_than_full,
    "top_layers_cheaper": rules_cost.top_layers_cheaper,
    "soft_beats_hard_prompt": rules_scores.greater("prompting", "soft_prompt", "zero_shot"),
    "one_shot_beats_zero_shot": rules_scores.greater("prompting", "one_shot", "zero_shot"),
    "first_token_head": rules_scores.first_token_head,
    "llama_needs_memory": rules_cost.llama_needs_memory,
    "llama_lowest_loss": rules_scores.lower_loss("alpaca", "open_llama_3b-study", ["bloom_3b-study", "falcon_rw_1b-study"]),
    "falcon_beats_bloom_loss": rules_scores.lower_loss("alpaca", "falcon_rw_1b-study", ["bloom_3b-study"]),
    "falcon_highest_initial_loss": rules_scores.highest_initial_loss,
    "loss_falls_steadily": rules_curves.loss_falls_steadily,
    "falcon_a_third_of_the_time": rules_cost.falcon_a_third_of_the_time,
    "memory_near_full": rules_cost.memory_near_full,
    "warmup_then_linear": rules_curves.warmup_then_linear,
    "warmup_only_bloom_falcon": rules_curves.only_rises,
    "more_epochs_help": rules_curves.more_epochs_help,
    "falcon_solves_equation": rules_answers.falcon_solves_equation,
    "falcon_gives_detail": rules_answers.needs_a_reader,
    "llama_best_answers": rules_answers.llama_best_answers,
    "bloom_between": rules_answers.bloom_between,
    "maths_is_hard": rules_answers.maths_is_hard,
}
