"""Three-way classification from log-probabilities. Each import stands on a line of its own: `evaluate` reads them as text."""

from typing import Any

import datasets
import evaluate
import numpy as np

from ftbench import scores


class Classification(evaluate.Metric):
    """Accuracy, macro-F1, per class, confusion, NLL, Brier score and calibration error, computed with scikit-learn."""

    def _info(self) -> evaluate.MetricInfo:
        features = {
            "predictions": datasets.Value("int8"),
            "references": datasets.Value("int8"),
            "log_probabilities": datasets.Sequence(datasets.Value("float64")),
        }
        return evaluate.MetricInfo(
            description=scores.classification.__doc__ or "", citation="", inputs_description="", features=datasets.Features(features)
        )

    def _compute(self, predictions: list[int], references: list[int], log_probabilities: list[list[float]]) -> dict[str, Any]:
        table = np.array(log_probabilities)
        assert (scores.predicted(table) == predictions).all(), "a prediction is the label with the highest log-probability"
        return scores.classification(references, table)
