"""Participants put into words: what is read back from any text is what its facts say."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence

import pytest

from ftbench import corpus, lexicon, pairs, sentences, worlds
from ftbench.sentences import Participant, Sentence
from ftbench.worlds import Detail

GENRES = list(lexicon.GENRES)
GRAMMAR = {"there", "is", "are", "who", "the", "a", "an", ","}  # words that are no phrase of their own
PLURALS = {"man": "men", "woman": "women", "child": "children", "secretary": "secretaries", "wolf": "wolves"}

Read = dict[str, Detail]  # variable -> the phrase that was read about it


def phrases(genre: str) -> dict[str, tuple[str, str, bool]]:
    """Every phrase of a genre -> its variable, its word, and whether it is a plural."""
    found: dict[str, tuple[str, str, bool]] = {}
    for variable in lexicon.FOCUSES:
        classes = lexicon.classes(genre, variable)
        for word in {*classes, *(leaf for members in classes.values() for leaf in members)} - {"", "one"}:
            ways = {
                "kind": [word, PLURALS.get(word, f"{word}s")],
                "colour": [f"in {word}", f"wearing {word}"],
                "object": [f"{verb} {article} {word}" for verb in ("holding", "carrying") for article in ("a", "an")],
            }.get(variable, [word])
            for way in ways:
                assert way not in found, f"{way} is ambiguous in {genre}"
                found[way] = (variable, word, variable == "kind" and way != word)
    return found


def read_back(text: str, genre: str) -> list[Read]:
    """What a text says of each participant, in the order in which it names them: "the boys" are counted as "some"."""
    text = text.lower().removesuffix(" .")
    for opener in lexicon.GENRES[genre].openers:
        text = text.removeprefix(f"{opener.lower()} ")
    return [_read_clause(clause, phrases(genre)) for clause in re.split(" while | and (?!not )", text)]


def _read_clause(clause: str, known: dict[str, tuple[str, str, bool]]) -> Read:
    read: Read = {}
    words, is_plural = clause.split(), False
    start, negated = 0, False
    while start < len(words):
        ends = (end for end in range(len(words), start, -1) if " ".join(words[start:end]) in known)  # the longest first
        end = next(ends, None)
        if end is not None:
            variable, word, plural = known[" ".join(words[start:end])]
            assert variable not in read, f"{variable} twice: {clause}"
            read[variable], is_plural = Detail(variable, word, negated), is_plural or plural
            start, negated = end, False
            continue
        assert not negated, f"no phrase after 'not': {clause}"
        negated = words[start] == "not"
        assert negated or words[start] in GRAMMAR or (words[start] == "and" and words[start + 1] == "not"), f"{words[start]}? in: {clause}"
        start += 1
    assert not negated
    assert {"is", "are"} & set(words) == {"are" if is_plural else "is"}, clause
    assert ("count" not in read) or is_plural, clause
    read.setdefault("count", Detail("count", "some" if is_plural else "one"))
    return read


def allowed(detail: Detail, genre: str) -> frozenset[str]:
    """The leaves that a phrase leaves possible."""
    classes = lexicon.classes(genre, detail.variable)
    named = set(classes.get(detail.word, [detail.word]))
    return frozenset(leaf for members in classes.values() for leaf in members if (leaf in named) != detail.negated)


def by_kind(facts: worlds.Facts) -> dict[frozenset[str], dict[str, frozenset[str]]]:
    """The facts of each participant by its kind, which tells the participants of a sentence apart."""
    found: dict[int, dict[str, frozenset[str]]] = {}
    for (participant, variable), leaves in facts.items():
        found.setdefault(participant, {})[variable] = leaves
    result = {own["kind"]: own for own in found.values()}
    assert len(result) == len(found)
    return result


def facts_of(read: Sequence[Read], genre: str) -> dict[worlds.Variable, frozenset[str]]:
    return {(index, variable): allowed(detail, genre) for index, own in enumerate(read) for variable, detail in own.items()}


def assert_says_its_facts(said: Sentence, genre: str) -> None:
    read, stated = by_kind(facts_of(read_back(said.text, genre), genre)), by_kind(said.facts)
    assert read.keys() == stated.keys(), said.text
    for kind, own in stated.items():
        if "one" not in own["count"] and not {"some", "two", "three", "four"} & set(said.text.lower().split()):
            own = {**own, "count": frozenset({"two", "three", "four"})}  # "the boys" says that they are several, not how many
        assert read[kind] == own, said.text


def anybody(genre: str, classes: Sequence[str], rng: random.Random) -> Participant:
    """A participant of one of these classes of kind, with any number of phrases in any form."""
    kinds = [
        detail
        for detail in worlds.details(genre, "kind")
        if any(detail.word in lexicon.classes(genre, "kind")[name] for name in classes) or detail.word in classes
    ]
    details = {"kind": rng.choice(kinds), "count": rng.choice(worlds.details(genre, "count"))}
    for variable in rng.sample(pairs.EXTRAS, rng.randint(0, len(pairs.EXTRAS))):
        details[variable] = rng.choice(worlds.details(genre, variable))
    return Participant(details)


@pytest.mark.parametrize("genre", GENRES)
def test_every_detail_of_any_participants_can_be_read_back(genre: str) -> None:
    rng = random.Random(2)
    forms: Counter[str] = Counter()
    for _ in range(400):
        classes = rng.sample(list(lexicon.classes(genre, "kind")), 2)
        chosen = [classes] if rng.random() < 0.5 else [[name] for name in classes]
        participants = [anybody(genre, names, rng) for names in chosen]
        said = sentences.sentence(genre, participants, rng, opener=True)
        assert read_back(said.text, genre) == [own.details for own in participants], said.text
        assert_says_its_facts(said, genre)
        forms.update(re.findall(r"^opened|exists|said|there|fronted|plain|not \w+|while|and", said.structure))
    every = {"exists", "said", "there", "fronted", "plain", "while", "and", *(f"not {variable}" for variable in pairs.EXTRAS)}
    assert forms.keys() == every | ({"opened"} if lexicon.GENRES[genre].openers else set())


@pytest.mark.parametrize("genre", GENRES)
def test_the_sentences_of_a_pair_say_their_facts(genre: str) -> None:
    rng = random.Random(4)
    made = [pair for _ in range(100) for pair in pairs.related(genre, "train", pairs.LABELS, rng)]
    assert len(made) >= 250
    assert sum(len(by_kind(pair.premise.facts)) == 2 for pair in made) > 20
    for pair in made:
        assert_says_its_facts(pair.premise, genre)
        assert_says_its_facts(pair.hypothesis, genre)
        if (1, "kind") in pair.premise.facts:  # the first is whom the hypothesis is about, whoever is spoken of first
            assert pair.premise.facts[0, "kind"] <= pair.hypothesis.facts[0, "kind"]


@pytest.mark.parametrize("genre", GENRES)
def test_the_label_of_a_row_follows_from_what_its_texts_say(genre: str) -> None:
    for row in pairs.generate("train", 240, 7, [genre]):
        premise, (asked,) = read_back(row["premise"], genre), read_back(row["hypothesis"], genre)
        kind = allowed(asked["kind"], genre)
        about = premise if len(premise) == 1 else [own for own in premise if allowed(own["kind"], genre) <= kind]
        assert len(about) == 1, row["premise"]
        assert worlds.label(facts_of(about, genre), facts_of([asked], genre)) == row["label"], (row["premise"], row["hypothesis"])


@pytest.mark.parametrize("genre", GENRES)
def test_a_stands_before_consonants_and_an_before_vowels(genre: str) -> None:
    texts = [document["text"] for document in corpus.documents("train", 300, 1, [genre])]
    for kind in worlds.details(genre, "kind"):
        every = [{}, *({detail.variable: detail} for name in pairs.EXTRAS for detail in worlds.details(genre, name))]
        described = [Participant({"kind": kind, "count": Detail("count", "one"), **details}) for details in every]
        texts += [sentences.sentence(genre, [own], random.Random(1)).text for own in described]
    articles = Counter(re.findall(r"\b(an?) (\w)", " ".join(texts).lower()))
    assert {article for article, _ in articles} == {"a", "an"}
    assert not [(article, letter) for article, letter in articles if (letter in "aeiou") != (article == "an")]
