"""What a model's predictions are worth: the figures of one split of one run, as plain dictionaries.

`metrics/` holds the project's metric modules, which the stages load through `evaluate`; what they return is worked out here and in
`answers`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ftbench.text import LABELS

METRICS = Path(__file__).with_name("metrics")
CACHE = Path(".ftbench/huggingface")
NUM_BINS = 15  # of the expected calibration error


def load_metric(name: str) -> Any:
    """The metric module `classification` or `answers`, loaded by `evaluate` from `metrics/`; what evaluate caches stays in `.ftbench/`."""
    cache = CACHE.resolve()  # Python imports the modules from there, whatever the current directory is by then
    os.environ.setdefault("HF_MODULES_CACHE", str(cache / "modules"))
    os.environ.setdefault("HF_EVALUATE_OFFLINE", "1")
    os.environ.setdefault("HF_UPDATE_DOWNLOAD_COUNTS", "0")
    import evaluate

    return evaluate.load(str(METRICS / f"{name}.py"), cache_dir=str(cache / "metrics"), keep_in_memory=True)


def predicted(log_probabilities: np.ndarray) -> np.ndarray:
    """The label [n] with the highest log-probability [n, 3]; of equals the first in the order of LABELS."""
    return np.asarray(log_probabilities).argmax(axis=1).astype(np.int8)


def normalised(log_likelihoods: np.ndarray) -> np.ndarray:
    """Log-likelihoods [n, 3] as log-probabilities over the three labels alone."""
    from scipy.special import log_softmax

    return log_softmax(np.asarray(log_likelihoods, dtype=np.float64), axis=1)


def classification(gold: Sequence[int], log_probabilities: np.ndarray) -> dict[str, Any]:
    """Accuracy, macro-F1, per class, confusion (rows gold, columns predicted), NLL in nats, Brier score (0 to 2) and calibration error."""
    from sklearn.metrics import accuracy_score, brier_score_loss, confusion_matrix, precision_recall_fscore_support

    labels = np.asarray(gold)
    scores = np.asarray(log_probabilities, dtype=np.float64)
    guesses, probabilities = predicted(scores), np.exp(scores)
    precision, recall, f1, support = precision_recall_fscore_support(labels, guesses, labels=[0, 1, 2], zero_division=0)
    per_class = {
        label: {"precision": float(precision[k]), "recall": float(recall[k]), "f1": float(f1[k]), "n": int(support[k])}
        for k, label in enumerate(LABELS)
    }
    return {
        "n": len(labels),
        "accuracy": float(accuracy_score(labels, guesses)),
        "macro_f1": float(f1.mean()),
        "nll": float(-scores[np.arange(len(labels)), labels].mean()),
        "brier": float(
            brier_score_loss(labels, probabilities / probabilities.sum(axis=1, keepdims=True), labels=[0, 1, 2], scale_by_half=False)
        ),
        "ece": calibration_error(probabilities.max(axis=1), guesses == labels),
        "per_class": per_class,
        "confusion": confusion_matrix(labels, guesses, labels=[0, 1, 2]).tolist(),
    }


def calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Expected calibration error: |accuracy - confidence| in fifteen equally wide bins of confidence, each closed above, by share."""
    place = bins(confidence)
    gaps = np.bincount(place, weights=np.asarray(correct, dtype=float) - confidence, minlength=NUM_BINS)
    return float(np.abs(gaps).sum() / len(place))


def bins(confidence: np.ndarray) -> np.ndarray:
    """Which of NUM_BINS equally wide bins, each closed above, each confidence [n] lies in."""
    return np.clip(np.ceil(np.asarray(confidence) * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)


def by_group(groups: Sequence[str | None], correct: np.ndarray) -> dict[str, dict[str, Any]]:
    """Size and accuracy of each group (a genre, a phenomenon); examples without a group are left out."""
    found: dict[str, list[bool]] = {}
    for group, hit in zip(groups, correct, strict=True):
        if group is not None:
            found.setdefault(group, []).append(bool(hit))
    return {group: {"n": len(hits), "accuracy": sum(hits) / len(hits)} for group, hits in sorted(found.items())}


def nli(
    gold: Sequence[int], log_probabilities: np.ndarray, genres: Sequence[str | None], phenomena: Sequence[str | None]
) -> dict[str, Any]:
    """All figures of one NLI split: `classification` through its metric module, and accuracy by genre and by phenomenon."""
    guesses = predicted(log_probabilities)
    figures = load_metric("classification").compute(predictions=guesses, references=gold, log_probabilities=log_probabilities)
    correct = guesses == np.asarray(gold)
    return {**figures, "by_genre": by_group(genres, correct), "by_phenomenon": by_group(phenomena, correct)}


def likelihood(nll: np.ndarray, num_tokens: np.ndarray, num_bytes: np.ndarray) -> dict[str, float]:
    """Loss per token in nats (the end of sequence is a token), perplexity, and bits per byte of answer text.

    `nll` [n] is summed over an answer's tokens. Only bits per byte compares models whose tokenizers differ.
    """
    total = float(np.sum(nll))
    per_token = total / int(np.sum(num_tokens))
    return {
        "nll_per_token": per_token,
        "perplexity": float(np.exp(min(per_token, 700.0))),
        "bits_per_byte": total / np.log(2.0) / int(np.sum(num_bytes)),
    }


def mean_of(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    """The mean of one column of some rows."""
    return sum(float(row[name]) for row in rows) / len(rows)
