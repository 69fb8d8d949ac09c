"""What looks wrong in how an arm was trained is flagged with its numbers, and what looks right is not."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ftbench import files, flags

LN3 = math.log(3)


def table(labels: list[int]) -> np.ndarray:
    """Log-probabilities [items, 3]: 0.8 for the label, 0.1 for the others."""
    return np.log(np.where(np.arange(3) == np.array(labels)[:, None], 0.8, 0.1))


def named(found: list[flags.Flag]) -> list[tuple[int, str]]:
    return [(one["seed"], one["flag"]) for one in found]


def test_an_arm_that_predicts_one_class_is_flagged_at_the_seed_that_does() -> None:
    said = np.array([[1, 1, 1], [0, 1, 2]])
    found = flags.of_labels(said, np.stack([table([1, 1, 1]), table([0, 1, 2])]), None, (4, 7))
    assert found == [{"seed": 4, "flag": "one_class", "says": "calls all 3 examples neutral"}]


def test_an_adapter_whose_probabilities_are_the_bases_has_no_effect() -> None:
    base, other = table([0, 1, 2]), table([0, 1, 2])
    other[2] += 1e-3
    said = np.array([[0, 1, 2], [0, 1, 2]])
    found = flags.of_labels(said, np.stack([base + 1e-7, other]), ("zero_shot", base), (0, 1))
    assert named(found) == [(0, "no_effect")]
    assert "zero_shot" in found[0]["says"]


def test_answers_that_are_the_bases_word_for_word_are_flagged_and_one_answer_for_all() -> None:
    texts, nll = np.array([["a", "b"], ["a", "b"], ["c", "c"]], dtype=object), np.array([[1.0, 2.0], [1.0, 2.5], [1.0, 2.0]])
    found = flags.of_answers(texts, nll, ("bloom_3b", texts[0], nll[0]), (0, 1, 2))
    assert named(found) == [(0, "no_effect"), (2, "one_class")]


@pytest.mark.parametrize(
    ("losses", "moved", "of_pairs", "expected"),
    [
        ([1.12, 1.0, 0.8, 0.6, 0.5], 0.3, True, []),
        ([1.12, 1.0, 0.8, 0.6, 0.5], None, True, []),  # not measured
        ([1.12, 1.0, 0.8, 0.6, 0.5], 0.0, True, ["unmoved"]),
        ([LN3 + 0.24, 1.0, 0.9, 0.8, 0.7], 0.3, True, []),
        ([LN3 + 0.26, 1.0, 0.9, 0.8, 0.7], 0.3, True, ["far_start"]),
        ([0.4, 0.3, 0.3, 0.3, 0.2], 0.3, True, ["far_start"]),
        ([3.9, 2.0, 1.5, 1.2, 1.0], 0.3, False, []),  # answers have another guess
        ([1.1, 1.1, 1.1, 1.1, 1.095], 0.3, True, ["flat_loss"]),
        ([1.1, 1.1, 1.1, 1.1, 1.085], 0.3, True, []),
        ([1.1, 1.2, 1.3, 1.5, 1.7], 0.3, True, ["loss_rose"]),
        ([1.1], 0.3, True, []),
        ([], 0.3, True, []),
    ],
)
def test_a_training_is_flagged_by_its_losses_and_by_how_far_its_weights_moved(losses, moved, of_pairs, expected) -> None:
    assert [one["flag"] for one in flags.of_training(losses, moved, of_pairs, 0)] == expected


def test_the_sentence_holds_the_numbers() -> None:
    [found] = flags.of_training([2.31, 1.0, 0.9], 0.2, True, 5)
    assert found == {"seed": 5, "flag": "far_start", "says": "its loss starts at 2.31, far from ln 3 = 1.099, which a guess costs"}


def test_flags_are_read_off_the_files_that_a_training_leaves(tmp_path: Path) -> None:
    header = "step,epoch,loss,learning_rate,grad_norm,eval_loss,eval_accuracy\n"
    files.write_text(tmp_path / "learning/a-0.csv", header + "1,0.5,1.1,0.1,1,,\n2,1,0.9,0.1,1,,\n2,1,,,,1.0,0.5\n")
    files.write_json(tmp_path / "costs/a-0-train.json", {"moved": 0.0})
    assert named(flags.of_files(tmp_path, "a-0", True, 0)) == [(0, "unmoved")]
    files.write_json(tmp_path / "costs/a-0-train.json", {})
    assert flags.of_files(tmp_path, "a-0", True, 0) == []


def test_only_arms_with_flags_are_named() -> None:
    one = {"seed": 0, "flag": "unmoved", "says": ""}
    assert flags.merged({"a": [one], "b": []}, {"a": [one], "c": []}) == {"a": [one, one]}
