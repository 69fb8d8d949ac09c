"""What needs no fine-tuning: the majority, and shallow classifiers that show how far a cue alone goes.

An arm that does not beat them has learnt no inference. All are scikit-learn's logistic regression, fitted on train, and see only a part of
the pair: n-grams of the hypothesis, of the premise, of both side by side, or how the two overlap.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ftbench import traits
from ftbench.errors import Problem, UserError
from ftbench.text import LABELS

SHALLOW = ("hypothesis_ngrams", "premise_ngrams", "overlap", "premise_and_hypothesis_ngrams")
BASELINES = {  # the baselines of params.yaml that are shallow, and which of the classifiers each is
    "hypothesis_only": "hypothesis_ngrams",
    "premise_only": "premise_ngrams",
    "overlap": "overlap",
    "pair_ngrams": "premise_and_hypothesis_ngrams",
}
WORD_OR_MARK = r"\w+|[^\w\s]"

Predictor = Callable[[Sequence[str], Sequence[str]], np.ndarray]


def majority(train_labels: Sequence[int], num_examples: int) -> np.ndarray:
    """Log-probabilities [num_examples, 3]: train's label shares, each label counted once too often, so that none is impossible."""
    counts = np.bincount(np.asarray(train_labels, dtype=int), minlength=len(LABELS)) + 1
    return np.tile(np.log(counts / counts.sum()), (num_examples, 1))


def solved_pairs(train: Mapping[str, Sequence[Any]], num_pairs: int, seed: int) -> list[tuple[str, str, int]]:
    """Pairs of train with their labels, as examples in a prompt: `num_pairs` of them, drawn by `seed`. Raises UserError for too few."""
    if num_pairs and num_pairs > len(train["id"]):
        raise UserError(Problem("num_examples", str(num_pairs), f"at most {len(train['id'])}, the rows of train", "ask for fewer"))
    drawn = random.Random(seed).sample(range(len(train["id"])), num_pairs) if num_pairs else []
    return [(train["premise"][k], train["hypothesis"][k], train["label"][k]) for k in drawn]


def fit_shallow(
    premises: Sequence[str], hypotheses: Sequence[str], labels: Sequence[int], names: Sequence[str] = SHALLOW
) -> dict[str, Predictor]:
    """Shallow classifiers by name, fitted on pairs; each maps premises and hypotheses to log-probabilities [n, 3].

    Raises UserError where train lacks one of the three labels.
    """
    absent = [label for number, label in enumerate(LABELS) if number not in set(labels)]
    if absent:
        raise UserError(Problem("the split train", f"no pair labelled {', '.join(absent)}", allowed="pairs of all three labels"))
    return {name: _fit(name, premises, hypotheses, labels) for name in names}


def shallow_controls(
    predictors: Mapping[str, Predictor], premises: Sequence[str], hypotheses: Sequence[str], labels: Sequence[int]
) -> dict[str, float]:
    """The accuracy of each shallow classifier on some pairs."""
    gold = np.asarray(labels)
    return {name: float((predict(premises, hypotheses).argmax(axis=1) == gold).mean()) for name, predict in predictors.items()}


def _fit(name: str, premises: Sequence[str], hypotheses: Sequence[str], labels: Sequence[int]) -> Predictor:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    classifier = make_pipeline(_features(name), LogisticRegression(C=1.0, max_iter=1000))
    classifier.fit(list(zip(premises, hypotheses, strict=True)), np.asarray(labels))

    def predict(premises: Sequence[str], hypotheses: Sequence[str]) -> np.ndarray:
        return classifier.predict_log_proba(list(zip(premises, hypotheses, strict=True)))

    return predict


def _features(name: str) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    def side(index: int) -> Any:
        column = FunctionTransformer(lambda pairs: [pair[index] for pair in pairs])
        return make_pipeline(column, TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORD_OR_MARK))

    if name == "overlap":
        return make_pipeline(FunctionTransformer(lambda pairs: np.array([overlap_features(*pair) for pair in pairs])), StandardScaler())
    sides = {"premise_ngrams": [0], "hypothesis_ngrams": [1], "premise_and_hypothesis_ngrams": [0, 1]}[name]
    return make_union(*(side(index) for index in sides))


def overlap_features(premise: str, hypothesis: str) -> list[float]:
    """Shares of shared words; lengths and their difference; negation and numbers on each side, and whether the sides differ in them."""
    before, after = traits.words(premise), traits.words(hypothesis)
    shared = len(set(before) & set(after))
    negated = [traits.negated(side) for side in (before, after)]
    numbers = [traits.numbers(side) for side in (before, after)]
    return [
        shared / max(len(set(after)), 1),
        shared / max(len(set(before)), 1),
        len(before),
        len(after),
        len(before) - len(after),
        *map(float, negated),
        float(negated[0] != negated[1]),
        *(float(bool(side)) for side in numbers),
        float(numbers[0] != numbers[1]),
    ]
