"""The splits of the generated instructions, the fifteen questions and the documents: what each holds and what it shares with no other."""

import re
import time
from collections import Counter

import pytest
from generated_rows import RELATION, exercises, normalised, pairs, without_prefix, words

from ftbench.exercises import EXERCISES, Exercise, pool
from ftbench.instruction_kinds import KINDS, KNOWLEDGE_KINDS, WEIGHTS
from ftbench.instructions import DOCUMENT_KINDS, PREFIXES, SPLITS, documents, generate
from ftbench.questions import QUESTIONS
from ftbench.topics import RELATIONS


@pytest.fixture(scope="module")
def train():
    return list(generate("train", 6000, 0))


@pytest.fixture(scope="module")
def held_out():
    return list(generate("test", 1500, 0))


@pytest.fixture(scope="module")
def corpus():
    return list(documents("train", 12000, 0))


# what the splits hold


def test_the_same_seed_gives_the_same_rows_and_another_seed_others():
    for split in SPLITS:
        rows = list(generate(split, 300, 0))
        assert rows == list(generate(split, 300, 0))
        assert rows != list(generate(split, 300, 1))
    assert list(documents("train", 300, 0)) == list(documents("train", 300, 0))
    assert list(documents("train", 300, 0)) != list(documents("train", 300, 1))


def test_more_rows_begin_with_the_same_rows():
    assert list(generate("train", 50, 0)) == list(generate("train", 200, 0))[:50]


def test_an_unknown_split_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'dev'.*train, validation, test"):
        generate("dev", 10, 0)
    with pytest.raises(ValueError, match=r"'test'.*train, validation"):
        documents("test", 10, 0)


def test_no_row_is_repeated_within_a_split(train, held_out):
    assert len(pairs(train)) == len(train) == 6000
    assert len(pairs(held_out)) == len(held_out) == 1500


def test_splits_share_no_question_whatever_their_seeds():
    asked = {
        split: pairs(row for seed in range(3) for row in generate(split, 20000 if split == "train" else 2000, seed)) for split in SPLITS
    }
    assert not asked["train"] & asked["test"]
    assert not asked["train"] & asked["validation"]
    assert not asked["validation"] & asked["test"]


def test_knowledge_is_asked_in_test_in_words_that_train_never_uses(train, held_out):
    recalled = {relation.kind for relation in RELATIONS} | {"facts_pretraining_only"}
    asked = {normalised(without_prefix(row["instruction"])) for row in train if row["kind"] in recalled}
    assert not [row for row in held_out if row["kind"] in recalled and normalised(without_prefix(row["instruction"])) in asked]


def test_the_wordings_of_a_relation_are_dealt_to_one_use_each():
    for relation in RELATIONS:
        uses = [*relation.train, *relation.validation, *relation.test, *relation.asks]
        assert len(set(uses)) == len(uses), relation.name
        assert all("{x}" in use for use in uses)
        assert all("{x}" in text and "{y}" in text for text in relation.statements)
        assert "{y}" in relation.answer


def test_every_fact_of_the_test_is_known_from_train_often_and_evenly(train, held_out):
    def known(rows, kind):
        return Counter((relation.name, x) for row in rows if row["kind"] == kind for relation, x in subjects(row))

    def subjects(row):
        for relation in RELATIONS:
            for x, y in relation.facts.items():
                answer = relation.answer.replace("{x}", x).replace("{y}", y)
                if row["output"].lower() == answer.lower() and x in row["instruction"]:
                    yield relation, x

    for kind in ("facts", "definitions", "formulas", "lists", "explanations", "code"):
        seen = known(train, kind)
        asked = known(held_out, kind)
        assert asked
        assert set(asked) <= set(seen)
        assert min(seen.values()) >= 5


def test_facts_for_pretraining_only_are_in_documents_and_in_test_but_never_in_train(held_out, corpus):
    train = {row["output"] for row in generate("train", 20000, 0)} | {row["output"] for row in generate("validation", 2000, 0)}
    for relation in RELATIONS:
        for x, y in relation.pretraining_only.items():
            answer = relation.answer.replace("{x}", x).replace("{y}", y)
            if "{x}" in relation.answer:
                assert answer not in train
            assert x not in relation.facts
            assert any(y in document["text"] and x in document["text"] for document in corpus), x
    instructions = "\n".join(row["instruction"] for row in generate("train", 20000, 0))
    for row in held_out:
        if row["kind"] == "facts_pretraining_only":
            assert row["instruction"] not in instructions
    for x in ("Romania", "Mrs Dalloway", "benzene", "nickel", "kangaroo"):
        assert x not in instructions
    assert {row["kind"] for row in held_out} == set(KINDS)
    assert len([row for row in held_out if row["kind"] == "facts_pretraining_only"]) >= 26


def test_an_exercise_belongs_to_one_pool_and_two_orders_of_a_sum_are_one_exercise():
    drawn = [exercise for kind in EXERCISES for exercise in exercises(kind, 400)]
    assert {pool(exercise) for exercise in drawn} == {"train", "validation", "test", "documents"}
    assert pool(Exercise("arithmetic", "3 + 2", "5", key="2 + 3")) == pool(Exercise("arithmetic", "2 + 3", "5", key="2 + 3"))
    keys = {exercise.content: exercise.key for exercise in exercises("arithmetic", 20000)}
    assert keys["7 + 2"] == keys["2 + 7"] == "2 + 7"


def test_numbers_words_and_sentences_of_the_test_are_new(train, held_out):
    contents = {row["input"] for row in train if row["kind"] == "classification"}
    assert not [row for row in held_out if row["kind"] == "classification" and row["input"] in contents]
    equations = {match for row in train for match in re.findall(r"\d+x [+-] \d+ = \d+", row["instruction"] + row["input"])}
    asked = {match for row in held_out for match in re.findall(r"\d+x [+-] \d+ = \d+", row["instruction"] + row["input"])}
    assert len(asked) > 50
    assert not asked & equations


def test_kinds_come_by_their_weights(train):
    counts = Counter(row["kind"] for row in train)
    total = sum(weight for kind, weight in WEIGHTS.items() if kind != "facts_pretraining_only")
    assert set(counts) == set(KINDS) - {"facts_pretraining_only"}
    for kind, count in counts.items():
        assert count / len(train) == pytest.approx(WEIGHTS[kind] / total, abs=0.02)
    assert set(KNOWLEDGE_KINDS) <= set(KINDS)


def test_a_kind_that_is_used_up_gives_its_share_to_the_others():
    rows = list(generate("train", 20000, 0))
    assert len(rows) == 20000
    assert Counter(row["kind"] for row in rows)["lists"] == len(RELATION["list"].facts) * len(RELATION["list"].train) * len(PREFIXES)


def test_twenty_thousand_rows_take_less_than_two_seconds():
    start = time.perf_counter()
    assert sum(1 for _ in generate("train", 20000, 0)) == 20000
    assert time.perf_counter() - start < 2


# the fifteen questions


def test_the_studys_fifteen_questions_come_first_with_ids_and_kinds_of_their_own():
    assert len(QUESTIONS) == len({question.id for question in QUESTIONS}) == len({question.text for question in QUESTIONS}) >= 15
    assert {question.kind for question in QUESTIONS} <= set(KINDS)
    assert QUESTIONS[12].text == "How would you solve the following equation: 3x + 5 = 17?"


def test_none_of_the_fifteen_questions_is_asked_in_any_split_or_document(train, held_out, corpus):
    everything = normalised(
        "\n".join([row["instruction"] + " " + row["input"] for row in [*generate("train", 20000, 0), *train, *held_out]])
    )
    texts = normalised("\n".join(document["text"] for document in corpus))
    for question in QUESTIONS:
        assert normalised(question.text) not in everything
        assert normalised(question.text) not in texts
    assert "3x + 5 = 17" not in everything
    assert "3x + 5 = 17" not in texts
    assert "3x + 5 = 17" not in {exercise.content for exercise in exercises("equations", 50000)}


def test_every_word_of_the_fifteen_questions_is_known(train, corpus):
    known = words(*(document["text"] for document in corpus), *(row["instruction"] for row in train))
    assert not words(*(question.text for question in QUESTIONS[:15])) - known


# the documents


def test_documents_of_train_and_validation_are_distinct_whatever_their_seeds(corpus):
    texts = [document["text"] for document in corpus]
    validation = {document["text"] for seed in range(3) for document in documents("validation", 500, seed)}
    assert len(set(texts)) == len(texts) == 12000
    assert len(validation) >= 500
    assert not validation & set(texts)


def test_documents_state_every_fact_and_are_of_every_kind(corpus):
    assert {document["kind"] for document in corpus} == set(DOCUMENT_KINDS)
    reports = {kind: "\n".join(document["text"] for document in corpus if document["kind"] == kind) for kind in DOCUMENT_KINDS}
    for relation in RELATIONS:
        for x, y in [*relation.facts.items(), *relation.pretraining_only.items()]:
            stated = {text.replace("{x}", x).replace("{y}", y) for text in relation.statements}
            assert any(text[:1].upper() + text[1:] in reports[relation.kind] for text in stated), x


def test_documents_hold_no_instruction_of_any_split(train, held_out, corpus):
    text = "\n".join(document["text"] for document in corpus)
    rows = [*train, *held_out, *generate("validation", 500, 0)]
    assert not [row for row in rows if not row["input"] and without_prefix(row["instruction"]) in text]
    forms = {without_prefix(row["instruction"]) for row in rows if row["input"]}
    assert not [form for form in forms if form in text]


def test_documents_hold_no_review_and_no_equation_of_any_split(train, held_out, corpus):
    texts = "\n".join(document["text"] for document in corpus)
    rows = [*train, *held_out]
    assert not [row["input"] for row in rows if row["kind"] == "classification" and row["input"] in texts]
    stated = set(re.findall(r"\d+x [+-] \d+ = \d+", texts))
    asked = {match for row in rows for match in re.findall(r"\d+x [+-] \d+ = \d+", row["instruction"] + row["input"])}
    assert stated
    assert not stated & asked


def test_documents_hold_no_long_answer_word_for_word(held_out, corpus):
    texts = "\n".join(document["text"] for document in corpus if document["kind"] == "facts")
    answers = {row["output"] for row in held_out if row["kind"] == "facts" and len(row["output"].split()) >= 4}
    assert len(answers) > 100
    assert not [answer for answer in answers if answer in texts]


def test_every_word_that_rows_use_is_in_the_documents(train, held_out, corpus):
    known = words(*(document["text"] for document in corpus))
    rows = [*train, *held_out, *generate("validation", 500, 0)]
    assert not words(*(row[field] for row in rows for field in ("instruction", "input", "output"))) - known


def test_the_vocabulary_is_small(train, held_out, corpus):
    rows = [*train, *held_out]
    assert (
        len(words(*(document["text"] for document in corpus), *(row[f] for row in rows for f in ("instruction", "input", "output")))) < 1800
    )
