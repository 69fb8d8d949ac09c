"""Do probabilities mean what they say? Temperature scaling on validation pairs, and the bins of a reliability figure.

Guo et al. 2017, "On Calibration of Modern Neural Networks": one number divides all scores, chosen where the pairs of the validation split
are likeliest. It changes no prediction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ftbench.scores import NUM_BINS, bins, normalised

TEMPERATURES = (0.05, 20.0)  # between which the best is sought; a score that wants more is no probability


def temperature(log_probabilities: np.ndarray, gold: Sequence[int] | np.ndarray) -> float:
    """The temperature at which the gold labels [n] are likeliest under log-probabilities [n, 3], within TEMPERATURES."""
    from scipy.optimize import minimize_scalar

    labels = np.asarray(gold, dtype=int)
    items = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        return float(-scaled(log_probabilities, float(np.exp(log_temperature)))[items, labels].mean())

    found = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def scaled(log_probabilities: np.ndarray, by: float) -> np.ndarray:
    """Log-probabilities [n, 3] divided by a temperature, and probabilities again."""
    return normalised(np.asarray(log_probabilities, dtype=np.float64) / by)


def reliability(log_probabilities: np.ndarray, gold: Sequence[int] | np.ndarray) -> list[dict[str, float]]:
    """Of each bin of confidence that holds any pair: its share of all pairs, and their mean confidence and accuracy.

    The bins are those of the expected calibration error, which is the mean distance of the two, weighted by the shares.
    """
    scores = np.asarray(log_probabilities, dtype=np.float64)
    confidence, correct = np.exp(scores.max(axis=1)), scores.argmax(axis=1) == np.asarray(gold)
    place = bins(confidence)
    return [
        {"share": float(inside.mean()), "confidence": float(confidence[inside].mean()), "accuracy": float(correct[inside].mean())}
        for inside in (place == number for number in range(NUM_BINS))
        if inside.any()
    ]
