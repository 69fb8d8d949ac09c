"""Answers against references, by hand."""

from __future__ import annotations

import itertools
import math
from math import log
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import PreTrainedTokenizerFast

from ftbench import answers, comparison_answers, inference, matching, repetition, scores, text
from ftbench.predictions import Predictions


def test_token_f1_counts_shared_words_and_marks() -> None:
    # the, capital, of, france, is, paris, "." against paris, is, the, capital, ".": five are shared, of seven and five
    assert matching.token_f1("The capital of France is Paris.", "Paris is the capital.") == pytest.approx(2 * 5 / (7 + 5))
    assert matching.token_f1("no no no", "no") == pytest.approx(2 * 1 / (3 + 1))
    assert matching.token_f1("red", "blue") == 0
    assert matching.token_f1("", "blue") == 0
    assert matching.token_f1("", "") == 1


def test_numbers_are_words_with_their_decimals() -> None:
    assert repetition.words("x = 2.5, not 1,000!") == ["x", "=", "2.5", ",", "not", "1,000", "!"]


def test_exact_match_is_to_the_letter_but_for_white_space_at_the_ends() -> None:
    assert matching.exact_match("  Paris. \n", "Paris.")
    assert matching.exact_match("a \nb", "a\nb")
    assert not matching.exact_match("paris.", "Paris.")
    assert not matching.exact_match("Paris", "Paris.")
    assert not matching.exact_match("a  b", "a b")


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


class Constant(torch.nn.Module):
    """A model of text that gives every next token its own probability, whatever stands before."""

    def __init__(self, probabilities: list[float]):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.tensor(probabilities).log())

    def forward(self, input_ids: torch.Tensor, logits_to_keep: int, **_: object) -> SimpleNamespace:
        return SimpleNamespace(logits=self.logits.expand(len(input_ids), logits_to_keep, -1))


def letters(num_at_once: int) -> PreTrainedTokenizerFast:
    """A tokenizer of texts of a, b, c and d that cuts them into pieces of so many letters."""
    pieces = ["".join(one) for one in itertools.product("abcd", repeat=num_at_once)]
    cutter = Tokenizer(WordLevel({name: number for number, name in enumerate(["<pad>", "</s>", *pieces])}, unk_token="<pad>"))  # noqa: S106
    cutter.pre_tokenizer = Split(Regex(f".{{{num_at_once}}}"), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=cutter, pad_token="<pad>", eos_token="</s>", padding_side="left")  # noqa: S106


def test_bits_per_byte_are_the_same_for_two_tokenizers_of_one_model_of_text_and_the_loss_per_token_is_not() -> None:
    """Each letter has probability 0.9 / 4 and the end 0.1, which a tokenizer of pairs of letters has to multiply out."""
    end, letter = 0.1, 0.9 / 4
    figures = []
    for num_at_once, num_tokens in ((1, [5, 3]), (2, [3, 2])):
        spelt = 4**num_at_once * letter**num_at_once
        model = Constant([max(1 - end - spelt, 1e-9), end, *[letter**num_at_once] * 4**num_at_once])
        tokenizer = letters(num_at_once)
        encoded = text.encode_answers(tokenizer, ["ab", "abcd"], ["cdab", "dd"], 64)
        nll = inference.answer_loss(model, tokenizer, encoded.features, 2)
        assert [sum(label != text.IGNORED for label in one["labels"]) for one in encoded.features] == num_tokens
        assert encoded.num_bytes == [4, 2]
        figures.append(scores.likelihood(nll, np.array(num_tokens), np.array(encoded.num_bytes)))
    nats = -6 * math.log(letter) - 2 * math.log(end)
    assert [one["bits_per_byte"] for one in figures] == pytest.approx([nats / math.log(2) / 6] * 2, rel=1e-6)
    assert [one["nll_per_token"] for one in figures] == pytest.approx([nats / 8, nats / 5], rel=1e-6)


def test_the_floor_is_what_right_answers_cost_at_least_and_takes_twenty_of_them() -> None:
    number = 24
    columns = {
        "nll": np.array([[*range(1, 22), 0.1, 0.1, 0.1]]),  # 1, 2, ..., 21 of right answers that end by themselves
        "exact_match": np.array([[True] * 22 + [False, True]]),
        "stopped": np.array([[True] * 21 + [False, True, False]]),
    }
    found = Predictions({"id": np.array([str(index) for index in range(number)])}, columns)
    assert comparison_answers.floor(found) == {"nll": pytest.approx(2.0), "n": 21}
    columns["stopped"][0, :2] = False
    assert comparison_answers.floor(found) == {"nll": None, "n": 19}
