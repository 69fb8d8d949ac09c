"""Groups of instructions and paired gains, by hand."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest

from ftbench import answer_groups
from ftbench.answer_groups import gain
from ftbench.predictions import Predictions

T_3 = 3.182446305284263  # the 97.5 % point of Student's t with 3 degrees of freedom
COLUMNS = {
    "kind": np.array(["facts", "facts", "formulas", "lists", None], dtype=object),
    "input": np.array(["", " \n", "", "a, b", ""], dtype=object),
    "reference": np.array(["one two three four five", "a b c d e f", "a " * 50, "a " * 51, ""], dtype=object),
}


def said(right, f1, nll, num_bytes=(1, 2, 4, 8, 1)):
    by_seed = {"exact_match": right, "token_f1": f1, "nll": nll, "bytes": num_bytes, "stopped": (True, True, False, True, True)}
    columns = {**COLUMNS, "example_hash": np.arange(5)}
    return Predictions(columns, {name: np.array([values]) for name, values in by_seed.items()})


def test_a_paired_gain_has_the_spread_of_the_differences():
    # differences 1, 0, 0, 1: mean 1/2, variance 1/3, standard error sqrt(1/12)
    found = gain(np.array([[1.0, 1, 0, 1]]), np.array([[0.0, 1, 0, 0]]))
    assert found == pytest.approx({"difference": 0.5, "low": 0.5 - T_3 * sqrt(1 / 12), "high": 1.0})  # a share gains at most 1
    found = gain(np.array([[0.9, 0.5, 0.1, 0.7]]), np.array([[0.4, 0.4, 0.2, 0.2]]))
    spread = sqrt(((0.25) ** 2 + (0.15) ** 2 + (0.35) ** 2 + (0.25) ** 2) / 3 / 4)  # of 0.5, 0.1, -0.1, 0.5 about 0.25
    assert found == pytest.approx({"difference": 0.25, "low": 0.25 - T_3 * spread, "high": 0.25 + T_3 * spread})


def test_a_score_that_0_and_1_bound_gains_no_more_than_1() -> None:
    after, before = np.array([[1.0, 0.9, 1.0, 0.2]]), np.array([[0.0, 0.0, 0.1, 0.0]])
    assert gain(after, before)["high"] > 1 >= gain(after, before, bounded=True)["high"]


def test_seeds_of_the_arm_widen_its_gain():
    one = np.array([[1.0, 0.5, 0.2, 0.8]])
    alike = gain(np.concatenate([one, one]), np.zeros((1, 4)))
    apart = gain(np.concatenate([one + 0.1, one - 0.1]), np.zeros((1, 4)))
    assert alike["difference"] == pytest.approx(apart["difference"])
    assert apart["high"] - apart["low"] > alike["high"] - alike["low"]


def test_a_gain_on_all_of_a_few_is_not_certain():
    # Wilson's limits of 4 of 4 and of 0 of 4: 4 / (4 + z^2) from 1 and as much from 0
    away = 1.959963984540054**2 / (4 + 1.959963984540054**2)
    found = gain(np.ones((1, 4)), np.zeros((1, 4)))
    assert found == pytest.approx({"difference": 1.0, "low": 1 - sqrt(2) * away, "high": 1.0})
    neither = gain(np.zeros((1, 4)), np.zeros((1, 4)))
    assert neither == pytest.approx({"difference": 0.0, "low": -away, "high": away})


def test_one_item_whose_score_is_no_share_has_a_gain_without_limits():
    assert gain(np.array([[0.5]]), np.array([[0.2]])) == {"difference": pytest.approx(0.3), "low": None, "high": None}


def test_instructions_are_grouped_by_kind_knowledge_input_and_length_of_the_reference():
    found = answer_groups.groups(COLUMNS)
    assert {by: {group: rows.tolist() for group, rows in members.items()} for by, members in found.items()} == {
        "by_kind": {"facts": [1, 1, 0, 0, 0], "formulas": [0, 0, 1, 0, 0], "lists": [0, 0, 0, 1, 0]},
        "by_pool": {"knowledge": [1, 1, 1, 0, 0]},
        "by_input": {"with_input": [0, 0, 0, 1, 0], "without_input": [1, 1, 1, 0, 1]},
        "by_length": {"short": [1, 0, 0, 0, 1], "medium": [0, 1, 1, 0, 0], "long": [0, 0, 0, 1, 0]},
    }


def test_data_without_kinds_are_grouped_by_input_and_length_alone():
    found = answer_groups.groups({**COLUMNS, "kind": np.array([None] * 5, dtype=object)})
    assert (found["by_kind"], found["by_pool"]) == ({}, {})
    assert list(found["by_input"]) == ["with_input", "without_input"]
    assert list(found["by_length"]) == ["short", "medium", "long"]


def test_facts_of_the_pretraining_alone_are_a_kind_and_not_in_the_pool():
    kinds = np.array(["facts", "facts_pretraining_only", "lists", "code", "lists"], dtype=object)
    found = answer_groups.groups({**COLUMNS, "kind": kinds})
    assert found["by_pool"]["knowledge"].tolist() == [True, False, False, False, False]
    assert found["by_kind"]["facts_pretraining_only"].tolist() == [False, True, False, False, False]


def test_base_and_arm_stand_side_by_side_with_the_gain():
    base = said([False] * 5, [0.0, 0.5, 0.0, 0.5, 0.0], [4 * log(2)] * 5)
    arm = said([True, True, False, False, True], [1.0, 1.0, 0.0, 0.5, 1.0], [log(2), 3 * log(2), 2 * log(2), 8 * log(2), log(2)])
    found = answer_groups.of({"m-study": ["m"]}, {"m-study": arm, "m": base})
    assert found["by_pool"]["exact_match"]["knowledge"]["m-study"]["mean"] == pytest.approx(2 / 3)
    assert found["by_kind"]["token_f1"]["facts"]["m"]["mean"] == pytest.approx(0.25)
    assert found["by_kind"]["stopped"]["formulas"]["m"]["mean"] == 0
    # of the facts: (1 + 3) / (1 + 2) bits per byte against (4 + 4) / (1 + 2)
    assert found["by_kind"]["bits_per_byte"]["facts"]["m-study"]["mean"] == pytest.approx(4 / 3)
    gains = found["gains"]
    assert gains["by_kind"]["bits_per_byte"]["facts"]["m-study"]["m"]["difference"] == pytest.approx(4 / 3 - 8 / 3)
    assert gains["by_pool"]["token_f1"]["knowledge"]["m-study"]["m"]["difference"] == pytest.approx((1.0 + 0.5 + 0.0) / 3)
    assert gains["by_kind"]["exact_match"]["lists"]["m-study"]["m"]["difference"] == 0
    assert set(gains["by_length"]["exact_match"]) == {"short", "medium", "long"}


def test_a_group_whose_references_kept_no_byte_has_no_bits_per_byte():
    one = said([True] * 5, [1.0] * 5, [1.0] * 5, num_bytes=(1, 1, 0, 1, 1))
    found = answer_groups.of({"a": ["b"]}, {"a": one, "b": one})
    assert found["by_kind"]["bits_per_byte"]["formulas"] == {}
    assert found["gains"]["by_kind"]["bits_per_byte"]["formulas"] == {"a": {}}
    assert found["gains"]["by_kind"]["exact_match"]["formulas"]["a"]["b"]["difference"] == 0
