"""Participants put into words: exact texts, their structures and their facts."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from ftbench import sentences
from ftbench.sentences import Participant
from ftbench.worlds import Detail


class Wording(random.Random):
    """Chooses the words it was given wherever it can, else the first; what it draws is `draws` in turn, then 0.99."""

    def __init__(self, *words: str, draws: Sequence[float] = ()) -> None:
        super().__init__(0)
        self.words, self.draws = words, list(draws)

    def choice(self, options: Sequence[str]) -> str:
        return next((option for option in options if option in self.words), options[0])

    def random(self) -> float:
        return self.draws.pop(0) if self.draws else 0.99


def who(kind: str, count: str = "one", **words: str) -> Participant:
    """A participant; a word that begins with "not " is negated."""
    every = {"kind": kind, "count": count, **words}
    return Participant({name: Detail(name, word.removeprefix("not "), word.startswith("not ")) for name, word in every.items()})


@pytest.mark.parametrize(
    ("participant", "rng", "definite", "text", "structure"),
    [
        (who("boy"), Wording(), False, "There is a boy .", "exists"),
        (who("animal", "two"), Wording(), False, "There are two animals .", "exists"),
        (who("boy", mood="happy"), Wording(), False, "A boy is happy .", "said((['mood'], []))"),
        # in the order of the attributes, not in that of the details; a mood stands before its noun, and "a" is "an" before it
        (who("girl", colour="blue", mood="angry"), Wording(), False, "An angry girl is in blue .", "said((['mood', 'colour'], []))"),
        (
            who("girl", colour="blue", mood="angry"),
            Wording("wearing"),
            True,
            "The angry girl is wearing blue .",
            "said((['mood', 'colour'], []))",
        ),
        # a negated colour as the last attribute
        (who("boy", mood="sad", colour="not red"), Wording(), False, "A sad boy is not in red .", "said((['mood', 'not colour'], []))"),
        # negated attributes stand in a relative clause, a negated mood as well
        (
            who("boy", action="not running", place="in the park"),
            Wording(),
            False,
            "A boy who is not running is in the park .",
            "plain((['not action'], ['place']))",
        ),
        (
            who("man", "some", mood="not calm", colour="not green", object="tool", place="not indoors"),
            Wording("wearing", "carrying"),
            True,
            "The men carrying a tool who are not calm and not wearing green are not indoors .",
            "said((['not mood', 'not colour', 'object', 'not place'], []))",
        ),
        # a plural with a class kind, and an action before its place
        (
            who("child", "three", object="kite", place="outdoors", action="moving"),
            Wording(),
            False,
            "Three children holding a kite are moving outdoors .",
            "plain((['object'], ['action', 'place']))",
        ),
        (
            who("dog", colour="red", action="sleeping"),
            Wording(draws=[0.04]),
            False,
            "There is a dog in red sleeping .",
            "there((['colour'], ['action']))",
        ),
        # "the" is never behind "there is", so the first draw is about the place
        (
            who("cat", "four", action="dozing", place="in the gym"),
            Wording(draws=[0.09]),
            True,
            "In the gym , the cats are dozing .",
            "fronted(([], ['action', 'place']))",
        ),
        (
            who("cat", action="dozing", place="in the gym"),
            Wording(draws=[0.05, 0.09]),
            False,
            "In the gym , a cat is dozing .",
            "fronted(([], ['action', 'place']))",
        ),
        (
            who("cat", action="dozing", place="in the gym"),
            Wording(draws=[0.05, 0.1]),
            False,
            "A cat is dozing in the gym .",
            "plain(([], ['action', 'place']))",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.endswith(".") else "",
)
def test_a_participant_is_put_into_these_words(participant: Participant, rng: Wording, definite: bool, text: str, structure: str) -> None:
    said = sentences.sentence("captions", [participant], rng, definite=definite)
    assert (said.text, said.structure) == (text, structure)
    after_comma = text.split(" , ")[-1].removesuffix(" .")
    assert said.last_clause == after_comma[0].lower() + after_comma[1:]


def test_an_object_takes_an_before_a_vowel() -> None:
    said = sentences.sentence("medicine", [who("surgeon", object="instrument", action="bandaging")], Wording("carrying"))
    assert said.text == "A surgeon carrying an instrument is bandaging ."


@pytest.mark.parametrize(
    ("opener", "structure"), [("Long ago ,", "opened plain(([], ['action']))"), ("They whisper that", "opened plain(([], ['action']))")]
)
def test_an_opener_stands_before_the_sentence_and_outside_its_last_clause(opener: str, structure: str) -> None:
    said = sentences.sentence("fiction", [who("wolf", "two", action="brooding")], Wording(opener, draws=[0.99, 0.09]), opener=True)
    assert (said.text, said.last_clause, said.structure) == (f"{opener} two wolves are brooding .", "two wolves are brooding", structure)


def test_no_opener_stands_where_none_is_wanted_or_the_genre_has_none() -> None:
    king, cat = who("king", mood="calm"), who("cat", mood="calm")
    assert sentences.sentence("fiction", [king], Wording(draws=[0.0])).text == "A king is calm ."
    assert sentences.sentence("captions", [cat], Wording(draws=[0.0]), opener=True).text == "A cat is calm ."


@pytest.mark.parametrize("joint", ["while", "and"])
def test_two_participants_are_joined_and_the_second_is_the_last_clause(joint: str) -> None:
    boy, woman = who("boy", action="not moving"), who("woman", mood="angry", place="in the gym")
    said = sentences.sentence("captions", [boy, woman], Wording(joint))
    assert said.text == f"A boy is not moving {joint} an angry woman is in the gym ."
    assert said.last_clause == "an angry woman is in the gym"
    assert said.structure == f"said((['not action'], [])) {joint} plain((['mood'], ['place']))"
    assert said.facts == {
        (0, "kind"): {"boy"},
        (0, "count"): {"one"},
        (0, "action"): {"sleeping", "sitting", "dozing"},
        (1, "kind"): {"woman"},
        (1, "count"): {"one"},
        (1, "mood"): {"angry"},
        (1, "place"): {"in the gym"},
    }


def test_the_facts_of_a_class_are_its_leaves_and_of_a_negation_all_others() -> None:
    child = who("child", "some", colour="not red", object="not fruit", place="outdoors")
    assert sentences.sentence("captions", [child], Wording()).facts == {
        (0, "kind"): {"boy", "girl"},
        (0, "count"): {"two", "three", "four"},
        (0, "colour"): {"blue", "green", "yellow"},
        (0, "object"): {"ball", "kite", "hammer", "saw"},
        (0, "place"): {"in the park", "on the beach", "in the street"},
    }
