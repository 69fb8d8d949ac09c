"""What a sentence says about a world, and what follows from it.

A world gives each of its participants one leaf for every variable of the lexicon. A sentence allows some leaves per variable (`Facts`):
"The child is not happy" allows three kinds and two moods. The label of a pair follows from the worlds that both sentences allow:
entailment if the hypothesis is true in every world in which the premise is, contradiction if in none, neutral otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from ftbench import lexicon

ENTAILMENT, NEUTRAL, CONTRADICTION = range(3)

Variable = tuple[int, str]  # (participant, variable)
Facts = Mapping[Variable, frozenset[str]]  # leaves that a sentence allows; a variable that is not mentioned allows all


@dataclass(frozen=True)
class Detail:
    """What one phrase says of one variable: a leaf, a class of leaves, or that it is not one of these."""

    variable: str
    word: str  # a leaf or the name of a class
    negated: bool = False

    def allowed(self, genre: str) -> frozenset[str]:
        """The leaves that the phrase leaves possible."""
        return _allowed(self, genre)

    def form(self) -> str:
        """How the phrase is put, whatever the word: for counting structures."""
        return ("not " if self.negated else "") + self.variable


@cache
def _allowed(detail: Detail, genre: str) -> frozenset[str]:
    named = frozenset(lexicon.classes(genre, detail.variable).get(detail.word, (detail.word,)))
    return frozenset(lexicon.leaves(genre, detail.variable)) - named if detail.negated else named


def label(premise: Facts, hypothesis: Facts) -> int:
    """The label of a pair: 0 entailment, 1 neutral, 2 contradiction.

    Variables are independent, so the worlds of a sentence are a product of sets: inclusion and emptiness can be read off variable by
    variable. The tests check it against an enumeration of all worlds.
    """
    if any(not (premise[variable] & allowed) for variable, allowed in hypothesis.items() if variable in premise):
        return CONTRADICTION
    if all(variable in premise and premise[variable] <= allowed for variable, allowed in hypothesis.items()):
        return ENTAILMENT
    return NEUTRAL


def relation(detail: Detail, other: Detail, genre: str) -> int:
    """The label between two phrases about the same variable of the same participant."""
    key = (0, detail.variable)
    return label({key: detail.allowed(genre)}, {key: other.allowed(genre)})


@cache
def details(genre: str, variable: str) -> tuple[Detail, ...]:
    """Every phrase that can be said of a variable in a genre.

    Neither a count nor a kind is negated, and a colour or mood has no class word.
    """
    words = [*lexicon.leaves(genre, variable), *(name for name in lexicon.classes(genre, variable) if name and name != "one")]
    signs = (False,) if variable in ("count", "kind") else (False, True)
    return tuple(Detail(variable, word, negated) for negated in signs for word in words)
