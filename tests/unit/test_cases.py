import numpy as np
import pytest

from ftbench import cases

E, N, C = 0, 1, 2  # entailment, neutral, contradiction


def test_each_cell_is_at_most_one_kind_of_case_and_right_both_times_is_none():
    before, after = np.array([[True, True, False, False]]), np.array([[True, False, True, False]])
    found = cases.kinds(before, after)
    assert found["introduced"].tolist() == [[False, True, False, False]]
    assert found["corrected"].tolist() == [[False, False, True, False]]
    assert found["persistent"].tolist() == [[False, False, False, True]]


def test_a_single_base_is_paired_with_every_seed_and_other_numbers_are_refused():
    before, after = cases.paired(np.zeros((1, 4)), np.ones((3, 4)))
    assert before.shape == after.shape == (3, 4)
    with pytest.raises(ValueError, match="2 seeds against 3"):
        cases.paired(np.zeros((2, 4)), np.ones((3, 4)))


def test_agreement_says_what_all_seeds_share_and_how_many_labels_each_says():
    said = np.array([[E, N, C, C], [E, N, N, C]])
    found = cases.agreement(said, said == np.array([E, E, C, C]))
    assert found == {"same_label": 0.75, "all_right": 0.5, "all_wrong": 0.25, "num_labels": [3, 3]}
    assert cases.agreement(np.zeros((2, 4), dtype=int), np.zeros((2, 4), dtype=bool))["num_labels"] == [1, 1]


def test_counts_are_means_over_seeds_and_per_group_they_add_up():
    # Two seeds, four examples: the first seed corrects examples 0 and 1, the second examples 0, 1 and 3.
    table = np.array([[True, True, False, False], [True, True, False, True]])
    found = cases.tally({"corrected": table}, {"genre": ["a", "b", None, "b"], "nothing": [None] * 4})
    assert found["counts"]["corrected"]["count"] == 2.5
    assert found["counts"]["corrected"]["at_every_seed"] == 2
    assert found["counts"]["corrected"]["share"] == 2.5 / 4
    assert found["by"] == {"genre": {"a": {"n": 1, "corrected": 1.0}, "b": {"n": 2, "corrected": 1.5}}}


def test_examples_are_those_of_all_seeds_first_then_by_hash_and_a_repeated_text_shows_once():
    table = np.array([[True, True, True, False, True], [True, False, True, False, True]])
    assert cases.chosen(table, ["d", "a", "c", "b", "c"], 5) == [2, 0, 1]
    assert cases.chosen(table, ["d", "a", "c", "b", "c"], 1) == [2]


def test_the_most_frequent_label_of_the_seeds_is_shown():
    assert cases.most_frequent(np.array([[C], [N], [C]]), 0) == C
    assert cases.most_frequent(np.array([[C], [N]]), 0) == N


def test_the_confusion_shift_by_hand():
    gold = np.array([E, N, N, C])
    found = cases.confusion_shift(gold, np.array([[E, E, E, E]]), np.array([[E, N, E, C], [E, N, N, N]]))
    assert found["before"] == [[1, 0, 0], [2, 0, 0], [1, 0, 0]]
    assert found["after"] == [[1, 0, 0], [0.5, 1.5, 0], [0, 0.5, 0.5]]
    assert found["predicted_before"]["entailment"] == 1.0
    assert found["gold"]["neutral"] == 0.5


def test_readings_of_errors_by_hand():
    gold = np.array([N, N, N, N, C, C, C, E])
    before = np.array([[E, E, C, N, E, E, E, E]])
    after = np.array([[C, C, C, N, N, N, E, E]])
    found = cases.readings(gold, before, after)
    assert found["neutral_as_entailment_before"]["value"] == pytest.approx(2 / 3)
    assert found["contradiction_as_neutral_after"]["value"] == pytest.approx(2 / 3)
    assert found["persistent_neutral_flips"]["value"] == pytest.approx(2 / 3)
    assert found["persistent_neutral_flips"]["n"] == 3
    assert found["recall_change"]["contradiction"]["value"] == 0.0
    assert 0 <= found["persistent_neutral_flips"]["low"] <= found["persistent_neutral_flips"]["high"] <= 1


def test_a_share_of_no_errors_is_null():
    gold = np.array([N, C])
    assert cases.readings(gold, gold[None], gold[None])["persistent_neutral_flips"] is None
