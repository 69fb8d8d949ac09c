"""Written answers against references. Each import stands on a line of its own: `evaluate` reads them as text."""

import datasets
import evaluate

from ftbench import matching


class Answers(evaluate.Metric):
    """The share of exact matches and the mean token F1."""

    def _info(self) -> evaluate.MetricInfo:
        features = {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
        description = f"{matching.exact_match.__doc__}\n{matching.token_f1.__doc__}"
        return evaluate.MetricInfo(description=description, citation="", inputs_description="", features=datasets.Features(features))

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        pairs = list(zip(predictions, references, strict=True))
        return {
            "exact_match": sum(matching.exact_match(*pair) for pair in pairs) / len(pairs),
            "token_f1": sum(matching.token_f1(*pair) for pair in pairs) / len(pairs),
        }
