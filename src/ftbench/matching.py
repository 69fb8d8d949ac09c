"""How an answer is compared with its reference: to the letter, and word by word."""

from __future__ import annotations

from collections import Counter

from ftbench.repetition import words


def exact_match(text: str, reference: str) -> bool:
    """Whether an answer is its reference to the letter; only white space at the two ends and at the ends of lines does not count."""
    return _trimmed(text) == _trimmed(reference)


def token_f1(text: str, reference: str) -> float:
    """The harmonic mean of the shares of words that an answer and its reference have in common, each as often as it occurs in both.

    Both empty is 1. It rewards echoing a template: read exact match beside it.
    """
    said, wanted = Counter(words(text)), Counter(words(reference))
    if not said and not wanted:
        return 1.0
    shared = sum((said & wanted).values())
    return 2 * shared / (said.total() + wanted.total())


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
