"""The answers of the generated instructions: right when recomputed, short, and worded as expected."""

import ast
import re
from collections import Counter

import pytest
from generated_rows import RELATION, exercises, without_prefix, words

from ftbench.exercises import ADJECTIVES, UNITS
from ftbench.instructions import SPLITS, generate
from ftbench.topics import RELATIONS


@pytest.fixture(scope="module")
def train():
    return list(generate("train", 6000, 0))


@pytest.fixture(scope="module")
def held_out():
    return list(generate("test", 1500, 0))


def test_facts_that_anyone_can_check_are_in_the_tables():
    assert RELATION["capital"].facts["Australia"] == "Canberra"
    assert RELATION["author"].facts["To Kill a Mockingbird"] == "Harper Lee"
    assert RELATION["painter"].facts["The Starry Night"] == "Vincent van Gogh"
    assert RELATION["chemical"].facts["table salt"] == "NaCl"
    assert RELATION["first"].facts["walk on the moon"] == "Neil Armstrong"
    assert RELATION["formula"].facts["the area of a circle"] == "pi r squared, where r is the radius"


def test_there_are_between_150_and_250_facts_and_some_for_pretraining_only():
    assert 150 <= sum(len(relation.facts) for relation in RELATIONS if relation.kind == "facts") <= 250
    assert sum(len(relation.pretraining_only) for relation in RELATIONS) >= 20


def test_arithmetic_is_right_when_recomputed():
    for exercise in exercises("arithmetic"):
        a, sign, b = exercise.content.split()
        assert int(exercise.answer) == {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}[sign]
        assert int(exercise.answer) >= 0


def test_the_solution_of_every_equation_satisfies_it():
    for exercise in exercises("equations"):
        a, sign, b, c = re.fullmatch(r"(\d+)x ([+-]) (\d+) = (\d+)", exercise.content).groups()
        x = int(re.fullmatch(r"x = (\d+)", exercise.answer).group(1))
        assert int(a) * x + (int(b) if sign == "+" else -int(b)) == int(c)


def test_units_are_converted_by_their_factors():
    factors = {"metres": 100, "kilometres": 1000, "hours": 60, "minutes": 60, "days": 24, "weeks": 7, "feet": 12, "kilograms": 1000}
    assert {large: factor for large, _, factor in UNITS if large in factors} == factors
    for exercise in exercises("unit_conversion"):
        amount, large = exercise.content.split()
        value, small = exercise.answer.split()
        assert small == exercise.unit
        assert (large, small, int(value) / int(amount)) in UNITS


def test_text_operations_do_what_they_are_called():
    forms = Counter()
    for exercise in exercises("text_operations"):
        given = exercise.content.split(", ")
        expected = {
            "reverse": ", ".join(given[::-1]),
            "capitals": ", ".join(word.upper() for word in given),
            "first": given[0],
            "last": given[-1],
            "count": str(len(given)),
        }
        assert exercise.answer == expected[exercise.form]
        forms[exercise.form] += 1
    assert len(forms) == 5
    assert min(forms.values()) > 60


def test_a_review_holds_words_of_its_own_feeling_only():
    for exercise in exercises("classification"):
        found = words(exercise.content.lower())
        own, other = ("positive", "negative") if exercise.answer == "Positive" else ("negative", "positive")
        assert found & set(ADJECTIVES[own])
        assert not found & set(ADJECTIVES[other])


def test_both_feelings_are_equally_frequent_in_every_split():
    for split in SPLITS:
        labels = Counter(row["output"] for row in generate(split, 2000, 0) if row["kind"] == "classification")
        assert set(labels) == {"Positive", "Negative"}
        assert abs(labels["Positive"] - labels["Negative"]) <= 0.1 * labels.total()


def test_code_answers_are_python_functions_that_do_what_is_asked():
    cases = {
        "sum two vectors": ([1, 2], [3, 4], [4, 6]),
        "find the mean of two numbers": (2, 4, 3),
        "find the smaller of two numbers": (7, 3, 3),
    }
    for task, code in RELATION["function"].facts.items():
        (function,) = ast.parse(code).body
        assert isinstance(function, ast.FunctionDef)
        if task in cases:
            *given, expected = cases[task]
            space: dict = {}
            exec(code, space)  # noqa: S102 the code is the table's own
            assert space[function.name](*given) == expected


def test_answers_are_short(train, held_out):
    assert max(len(row["output"].split()) for row in [*train, *held_out]) <= 20


def test_a_row_is_worded_as_expected():
    rows = [row for row in generate("train", 6000, 0) if row["output"] == "The capital of Australia is Canberra."]
    assert {without_prefix(row["instruction"]) for row in rows} <= {
        "What is the capital of Australia?",
        "Name the capital of Australia.",
        "Which city is the capital of Australia?",
        "Tell me the capital city of Australia.",
        "What is Australia's capital?",
        "Which capital city does Australia have?",
    }
    assert all(row["input"] == "" and row["kind"] == "facts" for row in rows)
    assert len(rows) >= 5
