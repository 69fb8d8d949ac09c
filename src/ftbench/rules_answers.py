"""Rules that read the answers to the study's questions, as their rubrics judged them; a threshold stands above the rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftbench.evidence import CONTRADICTED, HOLDS, UNDECIDED, Evidence, Judgement, NotThereError, all_of, where

LLAMA, BLOOM, FALCON = ARMS = ("open_llama_3b-study", "bloom_3b-study", "falcon_rw_1b-study")
MATHEMATICS = ("arithmetic", "equations")  # kinds of instruction
HALF = 0.5  # exact match: what a model gets right less often is hard for it
CLOSE = 2  # questions: arms that pass as many, but for these, are close to each other


def falcon_solves_equation(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if of the three arms only Falcon's answer to 3x + 5 = 17 passes its rubric, contradicted if it fails or another's passes."""
    rubrics = evidence.get("answers", "alpaca", "rubrics")
    index = next((position for position, one in enumerate(rubrics) if one["id"] == "equation"), None)
    if index is None:
        raise NotThereError("alpaca: the question 3x + 5 = 17")
    solved = [arm for arm in ARMS if evidence.get("answers", "alpaca", "answers", arm)[index]["passed"]]
    verdict = HOLDS if solved == [FALCON] else CONTRADICTED
    return Judgement(verdict, "arms whose answer gives x = 4", ", ".join(solved) or "none", evidence=where("alpaca", "answers.json"))


def llama_best_answers(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if LLaMA passes more of the scored questions than either other arm, contradicted if one passes more than LLaMA."""
    llama, *others = _passed(evidence).values()
    verdict = HOLDS if llama > max(others) else CONTRADICTED if llama < max(others) else UNDECIDED
    return _of_counts(evidence, verdict)


def bloom_between(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Holds if Bloom passes more than Falcon, no more than LLaMA and at most CLOSE fewer; not decided if it passes as many as Falcon.

    Contradicted otherwise.
    """
    llama, bloom, falcon = _passed(evidence).values()
    near = falcon <= bloom <= llama <= bloom + CLOSE
    return _of_counts(evidence, CONTRADICTED if not near else UNDECIDED if bloom == falcon else HOLDS)


def maths_is_hard(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """Arithmetic and equations to the letter: holds if each arm's interval lies below HALF on either, contradicted if any lies above.

    Data that name no kinds leave it to a reader of the answers.
    """
    by_kind = evidence.get("comparison", "alpaca", "by_kind", "exact_match")
    found = [by_kind[kind][arm] for kind in MATHEMATICS if kind in by_kind for arm in ARMS if arm in by_kind[kind]]
    if len(found) < len(MATHEMATICS) * len(ARMS):
        return needs_a_reader(evidence, claim)
    parts = [HOLDS if one["high"] < HALF else CONTRADICTED if one["low"] > HALF else UNDECIDED for one in found]
    most = max(found, key=lambda one: one["mean"])
    because = f"the highest exact match of the three arms on {' or '.join(MATHEMATICS)}, against {HALF}"
    place = where("alpaca", "comparison.json#by_kind.exact_match")
    return Judgement(all_of(parts), because, most["mean"], most["low"], most["high"], place)


def needs_a_reader(evidence: Evidence, claim: Mapping[str, Any]) -> Judgement:
    """The worth of an answer is for a person to judge: cannot be decided by a rule."""
    because = "all answers stand side by side in the report; a person has to judge them"
    return Judgement(UNDECIDED, because, evidence=where("alpaca", "answers.json"))


def _passed(evidence: Evidence) -> dict[str, int]:
    found = {arm: evidence.get("answers", "alpaca", "num_passed", arm) for arm in ARMS}
    assert list(found) == [LLAMA, BLOOM, FALCON]
    return found


def _of_counts(evidence: Evidence, verdict: str) -> Judgement:
    ours = ", ".join(f"{arm} {count}" for arm, count in _passed(evidence).items())
    because = f"questions whose rubric the answer passes, of {evidence.get('answers', 'alpaca', 'num_scored')} scored"
    return Judgement(verdict, because, ours, evidence=where("alpaca", "answers.json#num_passed"))
