"""Scores against values worked out by hand."""

from __future__ import annotations

import ast
from math import log
from pathlib import Path

import numpy as np
import pytest

from ftbench import scores

PROBABILITIES = [[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.4, 0.35, 0.25], [0.1, 0.6, 0.3]]
GOLD = [0, 1, 1, 2, 2, 1]  # predicted: 0, 0, 1, 2, 0, 1
SCORED = np.log(np.array(PROBABILITIES))


def test_accuracy_macro_f1_and_confusion() -> None:
    figures = scores.classification(GOLD, SCORED)
    assert figures["n"] == 6
    assert figures["accuracy"] == pytest.approx(4 / 6)
    assert figures["confusion"] == [[1, 0, 0], [1, 2, 0], [1, 0, 1]]
    assert figures["per_class"]["entailment"] == pytest.approx({"precision": 1 / 3, "recall": 1, "f1": 1 / 2, "n": 1})
    assert figures["per_class"]["neutral"] == pytest.approx({"precision": 1, "recall": 2 / 3, "f1": 4 / 5, "n": 3})
    assert figures["per_class"]["contradiction"] == pytest.approx({"precision": 1, "recall": 1 / 2, "f1": 2 / 3, "n": 2})
    assert figures["macro_f1"] == pytest.approx((1 / 2 + 4 / 5 + 2 / 3) / 3)


def test_nll_and_brier_score() -> None:
    figures = scores.classification(GOLD, SCORED)
    assert figures["nll"] == pytest.approx(-(log(0.7) + log(0.3) + log(0.8) + log(0.6) + log(0.25) + log(0.6)) / 6)
    assert figures["brier"] == pytest.approx((0.14 + 0.78 + 0.06 + 0.24 + 0.845 + 0.26) / 6)


def test_calibration_error_weights_the_gap_of_each_bin() -> None:
    assert scores.classification(GOLD, SCORED)["ece"] == pytest.approx((0.3 + 0.5 + 0.2 + (2 - 1.2) + 0.4) / 6)
    # 0.62 and 0.65 share the bin (9/15, 10/15], so that being right once and wrong once nearly cancels; 0.55 is in another
    assert scores.calibration_error(np.array([0.62, 0.65, 0.55]), np.array([True, False, True])) == pytest.approx((0.27 + 0.45) / 3)


def test_a_bin_is_closed_above_and_certainty_has_one() -> None:
    assert scores.calibration_error(np.array([1.0, 0.95]), np.array([True, False])) == pytest.approx(0.95 / 2)  # one bin: |1 - 1.95|
    assert scores.calibration_error(np.array([0.8, 0.81]), np.array([True, False])) == pytest.approx((0.2 + 0.81) / 2)  # 0.8 = 12/15


def test_a_class_that_never_occurs_counts_as_zero_and_not_as_an_error() -> None:
    figures = scores.classification([0, 0], np.log(np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1]])))
    assert figures["accuracy"] == 1
    assert figures["macro_f1"] == pytest.approx(1 / 3)
    assert figures["per_class"]["neutral"] == {"precision": 0, "recall": 0, "f1": 0, "n": 0}


def test_of_equal_probabilities_the_first_label_is_predicted() -> None:
    assert scores.predicted(np.log(np.full((1, 3), 1 / 3))).tolist() == [0]


def test_log_likelihoods_are_normalised_over_the_three_labels() -> None:
    normalised = scores.normalised(np.log(np.array([[0.02, 0.01, 0.01]])))
    np.testing.assert_allclose(np.exp(normalised), [[0.5, 0.25, 0.25]])


def test_groups_have_their_own_accuracy_and_examples_without_one_are_left_out() -> None:
    found = scores.by_group(["b", "a", None, "b"], np.array([True, False, True, False]))
    assert found == {"a": {"n": 1, "accuracy": 0.0}, "b": {"n": 2, "accuracy": 0.5}}
    assert list(found) == ["a", "b"]


def test_perplexity_and_bits_per_byte() -> None:
    found = scores.likelihood(np.array([3 * log(2), 5 * log(2)]), np.array([1, 3]), np.array([4, 12]))
    assert found == pytest.approx({"nll_per_token": 2 * log(2), "perplexity": 4, "bits_per_byte": 8 / 16})


def test_the_metric_module_gives_the_same_and_is_loaded_without_a_network() -> None:
    loaded = scores.load_metric("classification").compute(predictions=[0, 0, 1, 2, 0, 1], references=GOLD, log_probabilities=SCORED)
    assert loaded == scores.classification(GOLD, SCORED)


def test_a_metric_refuses_predictions_that_its_log_probabilities_do_not_give() -> None:
    with pytest.raises(AssertionError, match="highest log-probability"):
        scores.load_metric("classification").compute(predictions=[1, 0, 1, 2, 0, 1], references=GOLD, log_probabilities=SCORED)


def test_all_figures_of_a_split_hold_its_genres_and_phenomena() -> None:
    figures = scores.nli(GOLD, SCORED, ["a", "a", "a", "b", "b", "b"], [None, None, "colour", "colour", None, "number"])
    assert figures["by_genre"] == {"a": {"n": 3, "accuracy": pytest.approx(2 / 3)}, "b": {"n": 3, "accuracy": pytest.approx(2 / 3)}}
    assert figures["by_phenomenon"] == {"colour": {"n": 2, "accuracy": 1.0}, "number": {"n": 1, "accuracy": 1.0}}
    assert figures.keys() >= scores.classification(GOLD, SCORED).keys()


def test_each_import_of_a_metric_module_stands_on_a_line_of_its_own() -> None:
    modules = [path for path in scores.METRICS.glob("*.py") if path.name != "__init__.py"]
    assert sorted(path.stem for path in modules) == ["answers", "classification"]
    for path in modules:
        imports = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, (ast.Import, ast.ImportFrom))]
        assert all(len(node.names) == 1 and node.lineno == node.end_lineno for node in imports), path


def test_what_evaluate_caches_stays_beside_the_project() -> None:
    import evaluate

    scores.load_metric("answers")
    assert Path(evaluate.config.HF_MODULES_CACHE).parts[-3:] == (".ftbench", "huggingface", "modules")
