"""The labels of generated pairs against an enumeration of every world."""

from __future__ import annotations

import itertools
import random

import pytest

from ftbench import lexicon, pairs, worlds
from ftbench.worlds import CONTRADICTION, ENTAILMENT, NEUTRAL, Detail

GENRES = list(lexicon.GENRES)


def enumerated(premise: worlds.Facts, hypothesis: worlds.Facts, genre: str) -> int:
    """The label by going through all worlds of the variables that either sentence mentions."""
    variables = sorted({*premise, *hypothesis})
    truths = set()
    for leaves in itertools.product(*(lexicon.leaves(genre, variable) for _, variable in variables)):
        world = dict(zip(variables, leaves, strict=True))
        if all(world[variable] in allowed for variable, allowed in premise.items()):
            truths.add(all(world[variable] in allowed for variable, allowed in hypothesis.items()))
    return {frozenset({True}): ENTAILMENT, frozenset({False}): CONTRADICTION, frozenset({True, False}): NEUTRAL}[frozenset(truths)]


@pytest.mark.parametrize("genre", GENRES)
def test_a_label_is_what_all_worlds_of_the_premise_say(genre: str) -> None:
    rng = random.Random(1)
    checked = [pair for _ in range(60) for pair in pairs.related(genre, "train", pairs.LABELS, rng)]
    assert len(checked) >= 150
    for pair in checked:
        assert enumerated(pair.premise.facts, pair.hypothesis.facts, genre) == pair.label, (pair.premise.text, pair.hypothesis.text)


def test_there_are_seven_genres() -> None:
    assert len(GENRES) == 7


@pytest.mark.parametrize(
    ("said", "asked", "label"),
    [
        (Detail("kind", "boy"), Detail("kind", "child"), ENTAILMENT),
        (Detail("kind", "child"), Detail("kind", "boy"), NEUTRAL),
        (Detail("kind", "dog"), Detail("kind", "child"), CONTRADICTION),
        (Detail("colour", "red"), Detail("colour", "blue"), CONTRADICTION),
        (Detail("colour", "red"), Detail("colour", "blue", negated=True), ENTAILMENT),
        (Detail("colour", "red", negated=True), Detail("colour", "blue"), NEUTRAL),
        (Detail("colour", "red", negated=True), Detail("colour", "red"), CONTRADICTION),
        (Detail("place", "in the park"), Detail("place", "outdoors"), ENTAILMENT),
        (Detail("place", "outdoors"), Detail("place", "in the gym"), CONTRADICTION),
        (Detail("place", "indoors", negated=True), Detail("place", "outdoors"), ENTAILMENT),
        (Detail("count", "some"), Detail("count", "three"), NEUTRAL),
        (Detail("count", "two"), Detail("count", "some"), ENTAILMENT),
        (Detail("count", "one"), Detail("count", "three"), CONTRADICTION),
    ],
)
def test_two_phrases_stand_in_the_relation_that_their_leaves_give(said: Detail, asked: Detail, label: int) -> None:
    assert worlds.relation(said, asked, "captions") == label


def test_what_the_premise_does_not_mention_is_open() -> None:
    assert worlds.label({}, {(0, "colour"): frozenset({"red"})}) == NEUTRAL


def test_one_contradicted_phrase_outweighs_an_open_one() -> None:
    hypothesis = {(0, "colour"): frozenset({"red"}), (0, "mood"): frozenset({"sad"})}
    assert worlds.label({(0, "colour"): frozenset({"blue"})}, hypothesis) == CONTRADICTION


def test_the_other_participant_says_nothing_of_the_subject() -> None:
    assert worlds.label({(1, "colour"): frozenset({"red"})}, {(0, "colour"): frozenset({"red"})}) == NEUTRAL


@pytest.mark.parametrize("genre", GENRES)
def test_a_genre_shares_no_kind_object_action_or_place_with_another(genre: str) -> None:
    own_variables = ("kind", "action", "object", "place")
    words = {name: {leaf for variable in own_variables for leaf in lexicon.leaves(name, variable)} for name in GENRES}
    own, others = words[genre], set().union(*(words[name] for name in GENRES if name != genre))
    assert len(own) >= 16
    assert not own & others
