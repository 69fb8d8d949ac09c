"""The generated instruction data set, in Alpaca's schema, and the documents that miniatures are pretrained on before they see it.

What a test row asks was never asked in training in those words: its fact is known from other wordings, its numbers, words and sentences
are new. Documents state the facts in plain sentences, in words of their own, and share no instruction and no exercise with any split. They
are paragraphs without any mark of their end: a trainer that packs them teaches no habit of stopping.
"""

from __future__ import annotations

import itertools
import random
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from ftbench import seeds
from ftbench.exercises import ASKS, EXERCISES, STATEMENTS, WORDINGS, Exercise, pool
from ftbench.facts import Relation
from ftbench.instruction_kinds import KINDS, WEIGHTS
from ftbench.topics import RELATIONS

SPLITS = ("train", "validation", "test")
PREFIXES = ("", "Please help me. ", "Answer in short. ", "I need your help. ")
DOCUMENT_WEIGHTS = {  # documents of each kind in a hundred
    "facts": 26,
    "definitions": 6,
    "formulas": 4,
    "lists": 3,
    "explanations": 5,
    "code": 3,
    "classification": 7,
    "arithmetic": 4,
    "equations": 4,
    "unit_conversion": 3,
    "text_operations": 5,
    "dialogue": 30,
}
DOCUMENT_KINDS = tuple(DOCUMENT_WEIGHTS)
DIALOGUES = ("Question: {q} Answer: {y}", "One person asks: {q} Someone says: {y}", "{q} The answer is: {y}")
PATIENCE = 1000  # draws in a row that give nothing new before a kind counts as used up

Candidate = TypeVar("Candidate")


def generate(split: str, num_rows: int, seed: int) -> Iterator[dict[str, str]]:
    """Yield up to `num_rows` distinct rows {instruction, input, output, kind} of "train", "validation" or "test".

    Kinds come by `WEIGHTS`; one that has nothing new left gives its share to the others. Raises ValueError for another split.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, allowed: {', '.join(SPLITS)}")
    streams: dict[str, Iterator[dict[str, str]]] = {}
    for kind in KINDS:
        rng = random.Random(seeds.derive(seed, "instructions", split, kind))
        if kind in EXERCISES:
            streams[kind] = _exercise_rows(kind, split, rng)
        elif kind != "facts_pretraining_only":
            streams[kind] = _recall_rows(kind, [(r, x, y) for r in RELATIONS if r.kind == kind for x, y in r.facts.items()], split, rng)
        elif split == "test":
            streams[kind] = _recall_rows(kind, [(r, x, y) for r in RELATIONS for x, y in r.pretraining_only.items()], split, rng)
    return itertools.islice(_mixed(streams, WEIGHTS, random.Random(seeds.derive(seed, "instructions", split))), num_rows)


def documents(split: str, num_documents: int, seed: int) -> Iterator[dict[str, str]]:
    """Yield up to `num_documents` distinct documents {text, kind} of "train" or "validation"; no text is in both.

    Raises ValueError for another split.
    """
    if split not in ("train", "validation"):
        raise ValueError(f"split is {split!r}, allowed: train, validation")
    streams = {kind: _texts(kind, split, random.Random(seeds.derive(seed, "documents", split, kind))) for kind in DOCUMENT_KINDS}
    return itertools.islice(_mixed(streams, DOCUMENT_WEIGHTS, random.Random(seeds.derive(seed, "documents", split))), num_documents)


def capitalised(text: str) -> str:
    """`text` with its first letter in upper case and the rest as it is."""
    return text[:1].upper() + text[1:]


def _mixed(streams: dict[str, Iterator[dict[str, str]]], weights: dict[str, int], rng: random.Random) -> Iterator[dict[str, str]]:
    """Rows of several streams by weight, until all are used up."""
    open_kinds = list(streams)
    while open_kinds:
        kind = rng.choices(open_kinds, [weights[name] for name in open_kinds])[0]
        row = next(streams[kind], None)
        if row is None:
            open_kinds.remove(kind)
        else:
            yield row


def _recall_rows(kind: str, facts: list[tuple[Relation, str, str]], split: str, rng: random.Random) -> Iterator[dict[str, str]]:
    """Every fact once in each round, each round in another wording, so that all facts are seen equally often."""
    asked = [[prefix + wording for wording in getattr(relation, split) for prefix in PREFIXES] for relation, _, _ in facts]
    for variants in asked:
        rng.shuffle(variants)
    for number in range(max(map(len, asked))):
        for index in rng.sample(range(len(facts)), len(facts)):
            relation, x, y = facts[index]
            if number < len(asked[index]):
                instruction = asked[index][number].replace("{x}", x)
                yield {"instruction": instruction, "input": "", "output": _filled(relation.answer, x, y), "kind": kind}


def _filled(template: str, x: str, y: str) -> str:
    # code among the facts holds brackets and braces, so no str.format
    return capitalised(template.replace("{x}", x).replace("{y}", y)) if template != "{y}" else y


def _exercise_rows(kind: str, split: str, rng: random.Random) -> Iterator[dict[str, str]]:
    """Exercises of the split's own pool in the split's own wordings, without a repetition."""
    own = (exercise for exercise in EXERCISES[kind](rng) if pool(exercise) == split)
    for exercise, wording in _unseen((exercise, rng.choice(WORDINGS[exercise.form][split])) for exercise in own):
        instruction = rng.choice(PREFIXES) + _asked(wording, exercise)
        yield {"instruction": instruction, "input": "" if "{e}" in wording else exercise.content, "output": exercise.answer, "kind": kind}


def _asked(wording: str, exercise: Exercise) -> str:
    return capitalised(wording.replace("{e}", exercise.content).replace("{u}", exercise.unit))


def _stated(statement: str, exercise: Exercise) -> str:
    answer = exercise.answer.lower() if exercise.form == "classification" else exercise.answer
    return _asked(statement, exercise).replace("{y}", answer)


def _unseen(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """The candidates without repetitions, until `PATIENCE` in a row bring nothing new."""
    seen: set[Candidate] = set()
    stale = 0
    for candidate in candidates:
        if candidate not in seen:
            seen.add(candidate)
            stale = 0
            yield candidate
        elif (stale := stale + 1) >= PATIENCE:
            return


def _texts(kind: str, split: str, rng: random.Random) -> Iterator[dict[str, str]]:
    """Documents of one kind; a hash of the text itself decides its split, whatever the seed."""
    draft = _dialogue(rng) if kind == "dialogue" else _drill(kind, rng) if kind in EXERCISES else _report(kind, rng)
    drafts = (" ".join(draft()) for _ in itertools.count())
    own = (text for text in drafts if (zlib.crc32(text.encode()) % 20 == 0) == (split == "validation"))
    return ({"text": text, "kind": kind} for text in _unseen(own))


def _report(kind: str, rng: random.Random) -> Callable[[], list[str]]:
    """Drafts of two to four facts of one relation, or of two stated again in other words; those for pretraining only are among them."""
    relations = [relation for relation in RELATIONS if relation.kind == kind]
    known = {relation.name: [*relation.facts.items(), *relation.pretraining_only.items()] for relation in relations}

    def draft() -> list[str]:
        relation = rng.choices(relations, [len(known[relation.name]) for relation in relations])[0]
        if rng.random() < 0.5:
            return [_filled(rng.choice(relation.statements), x, y) for x, y in rng.sample(known[relation.name], rng.randint(2, 4))]
        facts = rng.sample(known[relation.name], 2)
        ways = [rng.sample(relation.statements, 2) for _ in facts]
        return [_filled(way[again], x, y) for again in (0, 1) for (x, y), way in zip(facts, ways, strict=True)]

    return draft


def _drill(kind: str, rng: random.Random) -> Callable[[], list[str]]:
    """Drafts of two to four exercises, worked out; reviews in one draft share their feeling."""
    exercises = (exercise for exercise in EXERCISES[kind](rng) if pool(exercise) == "documents")

    def draft() -> list[str]:
        first = next(exercises)
        others = exercises if kind != "classification" else (other for other in exercises if other.answer == first.answer)
        drawn = [first, *itertools.islice(others, rng.randint(1, 3))]
        return [_stated(rng.choice(STATEMENTS[exercise.form]), exercise) for exercise in drawn]

    return draft


def _dialogue(rng: random.Random) -> Callable[[], list[str]]:
    """Drafts of two questions with their answers, bare or as a document's sentence, worded as no instruction is."""
    exercises = {kind: (exercise for exercise in EXERCISES[kind](rng) if pool(exercise) == "documents") for kind in EXERCISES}
    facts = [(relation, x, y) for relation in RELATIONS for x, y in relation.facts.items()]

    def draft() -> list[str]:
        turns = []
        for _ in range(2):
            if rng.random() < 0.4:
                exercise = next(exercises[rng.choice(list(EXERCISES))])
                question, answer = _asked(rng.choice(ASKS[exercise.form]), exercise), exercise.answer + "."
            else:
                relation, x, y = rng.choice(facts)
                question = _filled(rng.choice(relation.asks), x, y)
                answer = _filled(rng.choice(relation.statements), x, y) if rng.random() < 0.5 else y + "."
            turns.append(rng.choice(DIALOGUES).replace("{q}", question).replace("{y}", answer))
        return turns

    return draft
