"""Baselines on pairs made so that each finds its own cue, and no other's."""

from __future__ import annotations

import random

import numpy as np
import pytest

from ftbench import baselines
from ftbench.errors import UserError


def test_the_majority_is_trains_most_frequent_label_with_its_share() -> None:
    scores = baselines.majority([1, 1, 1, 0, 2], 2)
    assert scores.argmax(axis=1).tolist() == [1, 1]
    np.testing.assert_allclose(np.exp(scores[0]), [2 / 8, 4 / 8, 2 / 8])


def test_a_label_that_train_lacks_is_not_impossible_to_the_majority() -> None:
    assert np.isfinite(baselines.majority([1, 1], 1)).all()


def test_overlap_features_by_hand() -> None:
    found = baselines.overlap_features("Two dogs run in the park.", "No dogs run in 3 parks today.")
    # shared: dogs, run, in; words: 6 and 7; only the hypothesis is negated; both have numbers, not the same
    assert found == [3 / 7, 3 / 6, 6, 7, -1, 0, 1, 1, 1, 1, 1]
    assert baselines.overlap_features("He isn't in.", "He isn't in.") == [1, 1, 3, 3, 0, 1, 1, 0, 0, 0, 0]


def pairs(cue: str, number: int, seed: int) -> tuple[list[str], list[str], list[int]]:
    """Pairs of random words in which one cue tells the label: a word of the hypothesis, of the premise, or how many words are shared."""
    draw = random.Random(seed)
    words = [f"w{k}" for k in range(40)]
    marks = ["alpha", "beta", "gamma"]
    premises, hypotheses, labels = [], [], []
    for k in range(number):
        label = k % 3
        premise, hypothesis = draw.sample(words, 6), draw.sample(words, 6)
        if cue == "overlap":
            hypothesis = premise[: 3 * label] + [f"v{k % 7}"] * (6 - 3 * label)
        premises.append(" ".join([*premise, marks[label] if cue == "premise" else marks[draw.randrange(3)]]))
        hypotheses.append(" ".join([*hypothesis, marks[label] if cue == "hypothesis" else marks[draw.randrange(3)]]))
        labels.append(label)
    return premises, hypotheses, labels


@pytest.mark.parametrize(
    ("cue", "finders"),
    [
        ("hypothesis", {"hypothesis_ngrams", "premise_and_hypothesis_ngrams"}),
        ("premise", {"premise_ngrams", "premise_and_hypothesis_ngrams"}),
        ("overlap", {"overlap"}),
    ],
)
def test_each_shallow_classifier_finds_its_own_cue(cue: str, finders: set[str]) -> None:
    classifiers = baselines.fit_shallow(*pairs(cue, 300, seed=1))
    found = baselines.shallow_controls(classifiers, *pairs(cue, 150, seed=2))
    assert found.keys() == set(baselines.SHALLOW)
    assert all(found[name] > 0.9 for name in finders), found
    blind = set(baselines.SHALLOW) - finders - ({"hypothesis_ngrams", "premise_and_hypothesis_ngrams"} if cue == "overlap" else set())
    assert all(found[name] < 0.5 for name in blind), found


def test_shallow_classifiers_give_log_probabilities_and_repeat_exactly() -> None:
    train, test = pairs("hypothesis", 60, seed=1), pairs("hypothesis", 9, seed=2)
    first, second = (baselines.fit_shallow(*train, names=["hypothesis_ngrams"])["hypothesis_ngrams"](*test[:2]) for _ in range(2))
    np.testing.assert_allclose(np.exp(first).sum(axis=1), 1)
    assert first.tobytes() == second.tobytes()


def test_hypothesis_ngrams_do_not_see_the_premise() -> None:
    train, test = pairs("premise", 60, seed=1), pairs("premise", 9, seed=2)
    predict = baselines.fit_shallow(*train, names=["hypothesis_ngrams"])["hypothesis_ngrams"]
    assert (predict(test[0], test[1]) == predict(["other"] * 9, test[1])).all()


def test_train_without_one_of_the_labels_is_refused() -> None:
    with pytest.raises(UserError, match="contradiction"):
        baselines.fit_shallow(["a", "b"], ["c", "d"], [0, 1])
