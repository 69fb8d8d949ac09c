"""The ledger: of every claim of the three studies, what our runs make of it."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftbench import rules
from ftbench.evidence import NOT_RUN, UNDECIDED, VERDICTS, Evidence, Judgement, NotThereError, Rule

CLAIMS = Path(__file__).with_name("claims.yaml")
FULL_SIZE_SCALE = "paper"  # the scale that runs the studies' own checkpoints and data


def claims() -> list[dict[str, Any]]:
    """Every claim, in the order of claims.yaml, with its id."""
    from ruamel.yaml import YAML

    content = YAML(typ="safe", pure=True).load(CLAIMS.read_text(encoding="utf-8"))
    return [{"id": name, **claim} for name, claim in content.items()]


def may_decide(claim: Mapping[str, Any], scale: str) -> bool:
    """Whether a scale can decide a claim at all: a measured figure, and a property of certain weights, wait for those weights."""
    if claim["kind"] == "figure" or claim.get("decides") == "checkpoint":
        return scale == FULL_SIZE_SCALE
    return True


def judge(claim: Mapping[str, Any], scale: str, evidence: Evidence) -> dict[str, Any]:
    """One entry: the study's figure or statement, ours with its interval, the verdict, the rule, the evidence and the scale."""
    rule = rules.RULES.get(claim["id"]) or rules.BY_KIND[claim["kind"]]
    if not may_decide(claim, scale):
        found = _waiting(rule, claim, evidence)
    else:
        try:
            found = rule(evidence, claim)
        except NotThereError as missing:
            found = Judgement(UNDECIDED, f"a number is not there: {missing}")
    at_full_size = rule in (rules.exact, rules.solved) or claim.get("decides") == "account"
    return {
        "study": claim["study"],
        "source": claim["source"],
        "kind": claim["kind"],
        "decides": claim.get("decides"),
        "says": claim["says"],
        "stated": claim.get("value"),
        "unit": claim.get("unit") or claim.get("metric"),
        "ours": found.ours,
        "low": found.low,
        "high": found.high,
        "verdict": found.verdict,
        "because": found.because,
        "rule": rule_name(rule),
        "rule_says": inspect.getdoc(rule) or _outer_doc(rule),
        "evidence": list(found.evidence),
        "scale": "full size, by arithmetic" if at_full_size else scale,
    }


def _waiting(rule: Rule, claim: Mapping[str, Any], evidence: Evidence) -> Judgement:
    """Not run; beside it, where there is one, what the rule finds of the miniatures: it decides nothing and is no study's figure."""
    because = f"it takes the scale {FULL_SIZE_SCALE}: a miniature says nothing about it"
    try:
        found = rule(evidence, claim) if claim["kind"] != "figure" else Judgement(NOT_RUN, because)
    except NotThereError:
        found = Judgement(NOT_RUN, because)
    if found.ours is None:
        return Judgement(NOT_RUN, because)
    return replace(found, verdict=NOT_RUN, because=f"{because}. Beside it stands the miniatures' value: {found.because}")


def rule_name(rule: Rule) -> str:
    """The name of the function that a rule is, or was made by."""
    return rule.__qualname__.split(".")[0]


def _outer_doc(rule: Rule) -> str:
    module = inspect.getmodule(rule)
    return inspect.getdoc(getattr(module, rule_name(rule))) or ""


def build(scale: str, evidence: Evidence) -> dict[str, Any]:
    """ledger.json: an entry for every claim, and how many have each verdict."""
    entries = {claim["id"]: judge(claim, scale, evidence) for claim in claims()}
    verdicts = Counter(entry["verdict"] for entry in entries.values())
    return {"scale": scale, "verdicts": {verdict: verdicts[verdict] for verdict in VERDICTS}, "claims": entries}
