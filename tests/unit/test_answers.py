"""Answers against references, by hand."""

from __future__ import annotations

from math import log
from typing import Any

import pytest

from ftbench import answers, scores


def test_token_f1_counts_shared_words_and_marks() -> None:
    # the, capital, of, france, is, paris, "." against paris, is, the, capital, ".": five are shared, of seven and five
    assert answers.token_f1("The capital of France is Paris.", "Paris is the capital.") == pytest.approx(2 * 5 / (7 + 5))
    assert answers.token_f1("no no no", "no") == pytest.approx(2 * 1 / (3 + 1))
    assert answers.token_f1("red", "blue") == 0
    assert answers.token_f1("", "blue") == 0
    assert answers.token_f1("", "") == 1


def test_numbers_are_words_with_their_decimals() -> None:
    assert answers.words("x = 2.5, not 1,000!") == ["x", "=", "2.5", ",", "not", "1,000", "!"]


def test_exact_match_is_to_the_letter_but_for_white_space_at_the_ends() -> None:
    assert answers.exact_match("  Paris. \n", "Paris.")
    assert answers.exact_match("a \nb", "a\nb")
    assert not answers.exact_match("paris.", "Paris.")
    assert not answers.exact_match("Paris", "Paris.")
    assert not answers.exact_match("a  b", "a b")


ROWS: list[dict[str, Any]] = [
    {
        "kind": "facts",
        "text": "Paris",
        "reference": "Paris",
        "nll": log(2),
        "tokens": 2,
        "bytes": 5,
        "generated_tokens": 1,
        "stopped": True,
        "repetition": 0.0,
        "looping": False,
    },
    {
        "kind": "facts",
        "text": "Rome",
        "reference": "Bern",
        "nll": 3 * log(2),
        "tokens": 2,
        "bytes": 4,
        "generated_tokens": 4,
        "stopped": True,
        "repetition": 0.25,
        "looping": False,
    },
    {
        "kind": "lists",
        "text": "a b",
        "reference": "a c",
        "nll": 4 * log(2),
        "tokens": 4,
        "bytes": 3,
        "generated_tokens": 4,
        "stopped": False,
        "repetition": 0.5,
        "looping": True,
    },
]


def test_the_figures_of_some_answers() -> None:
    figures = answers.figures(ROWS)
    assert figures == pytest.approx(
        {
            "n": 3,
            "nll_per_token": log(2),
            "perplexity": 2,
            "bits_per_byte": 8 / 12,
            "exact_match": 1 / 3,
            "token_f1": (1 + 0 + 1 / 2) / 3,
            "stopped": 2 / 3,
            "mean_tokens": 3,
            "length_ratio": (5 + 4 + 3) / (5 + 4 + 3),
            "repetition": 0.25,
            "looping": 1 / 3,
        }
    )


def test_answers_of_twice_the_references_bytes_have_the_ratio_two() -> None:
    rows = [{"text": "äöü", "reference": "abc"}, {"text": "\ud83d", "reference": ""}, {"text": "", "reference": "d"}]
    assert answers.length_ratio(rows) == (6 + 3) / 4


def test_each_kind_has_figures_of_its_own() -> None:
    found = answers.by_kind([*ROWS, {**ROWS[0], "kind": None}])
    assert list(found) == ["facts", "lists"]
    assert (found["facts"]["n"], found["facts"]["exact_match"], found["lists"]["token_f1"]) == (2, 0.5, 0.5)
    assert found["facts"]["bits_per_byte"] == pytest.approx(4 / 9)


def test_the_metric_module_gives_the_same() -> None:
    texts, references = [row["text"] for row in ROWS], [row["reference"] for row in ROWS]
    loaded = scores.load_metric("answers").compute(predictions=texts, references=references)
    assert loaded == pytest.approx({"exact_match": 1 / 3, "token_f1": 0.5})
