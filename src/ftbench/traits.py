"""What can be seen of a pair without understanding it, as groups to count errors in: overlap, negation, numbers and length.

Generated pairs know their phenomenon; real ones have these. The bounds are fixed, so that groups mean the same in every study.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

NEGATIONS = frozenset(["no", "not", "none", "nobody", "nothing", "never", "neither", "nor", "without", "cannot"])
NUMBERS = frozenset(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "several", "few", "many", "both"])
_WORD = re.compile(r"\w+(?:'\w+)?")
HALF, MOST = 0.5, 0.8  # shares of the hypothesis's words that the premise has too
SHORT, MEDIUM = 5, 8  # words of a hypothesis


def traits(premises: Sequence[str], hypotheses: Sequence[str]) -> dict[str, list[str]]:
    """The groups of each pair, by trait: `overlap`, `negation`, `numbers` and `length`, lists as long as the pairs."""
    found: dict[str, list[str]] = {"overlap": [], "negation": [], "numbers": [], "length": []}
    for premise, hypothesis in zip(premises, hypotheses, strict=True):
        ours, theirs = words(premise), words(hypothesis)
        found["overlap"].append(_overlap(ours, theirs))
        found["negation"].append(_in_which(negated(ours), negated(theirs)))
        found["numbers"].append(_numbers(numbers(ours), numbers(theirs)))
        found["length"].append(_length(len(theirs)))
    return found


def words(text: str) -> list[str]:
    """The words of a text, in small letters; an apostrophe may stand inside one."""
    return _WORD.findall(text.lower())


def negated(said: Sequence[str]) -> bool:
    """Whether some words hold a negation."""
    return any(word in NEGATIONS or word.endswith("n't") for word in said)


def numbers(said: Sequence[str]) -> set[str]:
    """The words for numbers, and the digits, among some words."""
    return {word for word in said if word.isdigit() or word in NUMBERS}


def _overlap(premise: Sequence[str], hypothesis: Sequence[str]) -> str:
    share = len(set(hypothesis) & set(premise)) / max(len(set(hypothesis)), 1)
    if share < HALF:
        return "under half of the words"
    if share < MOST:
        return "half of the words or more"
    return "most words" if share < 1 else "every word"


def _in_which(premise: bool, hypothesis: bool) -> str:
    if premise and hypothesis:
        return "in both"
    return "in the premise" if premise else "in the hypothesis" if hypothesis else "in neither"


def _numbers(premise: set[str], hypothesis: set[str]) -> str:
    if not hypothesis:
        return "none in the hypothesis"
    return "all in the premise too" if hypothesis <= premise else "one that the premise lacks"


def _length(num_words: int) -> str:
    if num_words <= SHORT:
        return f"up to {SHORT} words"
    return f"{SHORT + 1} to {MEDIUM} words" if num_words <= MEDIUM else f"over {MEDIUM} words"
