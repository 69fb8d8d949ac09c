"""Whether an answer goes round in circles: by its text alone, in time that grows with its length and no faster."""

from __future__ import annotations

import re
from collections.abc import Sequence

SPAN = 4  # words of a phrase whose return counts as a repetition
TIMES = 3  # a phrase said this often in a row, at the end, is a loop
SHORTEST_PHRASE = 2  # of a loop, in words: "very very very" and "..." are none, six times the same word is
_WORD = re.compile(r"\w+(?:[.,]\d+)*|[^\w\s]")


def words(text: str) -> list[str]:
    """The words, numbers and marks of a text in lower case: a number keeps its decimals, a mark is a word of its own."""
    return _WORD.findall(text.lower())


def repetition(text: str) -> float:
    """The share of a text's word 4-grams that stand earlier in the same text; 0 for a text of fewer than five words.

    "a b c d a b c d" has five 4-grams, of which the last repeats the first: 0.2.
    """
    said = words(text)
    phrases = [tuple(said[start : start + SPAN]) for start in range(len(said) - SPAN + 1)]
    return 1 - len(set(phrases)) / len(phrases) if phrases else 0.0


def looping(text: str) -> bool:
    """Whether a text ends in a phrase of two or more words, said three times in a row or more.

    A last repetition that is cut off counts too: what ends "a b c a b c a b c a" is "b c a", three times.
    """
    said = words(text)[::-1]
    same = _same_as_the_beginning(said)
    # said[0 : 3 p] is three times said[0 : p] just if it goes on from p as it begins, for 2 p words
    return any(same[period] >= (TIMES - 1) * period for period in range(SHORTEST_PHRASE, len(said) // TIMES + 1))


def _same_as_the_beginning(items: Sequence[str]) -> list[int]:
    """Per place, how many items from there on are those of the beginning (the Z function): linear in their number."""
    size = len(items)
    found = [size] + [0] * (size - 1) if size else []
    left = right = 0  # the stretch that reaches furthest among those known to repeat the beginning
    for place in range(1, size):
        length = min(right - place, found[place - left]) if place < right else 0
        while place + length < size and items[length] == items[place + length]:
            length += 1
        found[place] = length
        if place + length > right:
            left, right = place, place + length
    return found
