"""How pairs are judged and written down: a model's log-probabilities of every split, the predictions file, and the scores beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ftbench import calibration, files, probes, scores, text
from ftbench.errors import Problem, UserError
from ftbench.evaluation import Columns, read_split, test_splits
from ftbench.predictions import TESTS, VALIDATION
from ftbench.schema import Text

PAIR_KINDS = ("encoder_head", "decoder_head", "label")  # the kinds of arms that judge sentence pairs


@dataclass(frozen=True)
class Judged:
    """What a model made of one NLI split: log-probabilities [n, 3], hashes of what it read, and figures of its own for the scores."""

    log_probabilities: np.ndarray
    prompt_hashes: list[str]
    figures: Mapping[str, Any] = field(default_factory=dict)

    def with_figures(self, **figures: Any) -> Judged:
        """The same with more figures."""
        return replace(self, figures={**self.figures, **figures})


def besides(data: Path, transfer: Sequence[Path] = ()) -> dict[str, Columns]:
    """What is judged beside the test splits: the pairs of validation, the fixed probes, and the test splits of other data sets.

    The last are named `<data set>/<split>`. Raises UserError for two data sets of one name, and for one that is not of pairs.
    """
    elsewhere: dict[str, Columns] = {}
    for folder in transfer:
        for split in test_splits(folder):
            columns, name = read_split(folder, split), f"{folder.name}/{split}"
            if name in elsewhere or folder.name == data.name:
                raise UserError(Problem(f"--transfer {folder}", "a data set whose name is taken", "folders of other names", "rename it"))
            if lacking := [column for column in ("premise", "hypothesis", "label", "genre", "phenomenon") if column not in columns]:
                found = f"no column {', '.join(lacking)}"
                raise UserError(Problem(f"--transfer {folder}: {split}", found, "a data set of pairs", "name one that `prepare` wrote"))
            elsewhere[name] = columns
    return {VALIDATION: read_split(data, VALIDATION), probes.SPLIT: probes.columns(), **elsewhere}


def write_nli(predictions: Path, scores_path: Path, seed: int, splits: Mapping[str, tuple[Columns, Judged]]) -> None:
    """Write the predictions of all splits as one Parquet file, and their scores as JSON, both worked out from float32.

    Where validation is among the splits, the tests have their scores after temperature scaling too, under `scaled`.
    """
    import pyarrow as pa

    by = None
    if VALIDATION in splits:
        held_out, judged = splits[VALIDATION]
        by = calibration.temperature(judged.log_probabilities.astype(np.float32), held_out["label"])

    tables, figures = [], {}
    for split, (columns, judged) in splits.items():
        log_probabilities = judged.log_probabilities.astype(np.float32)
        number = len(columns["id"])
        named = {f"log_probability_{label}": pa.array(log_probabilities[:, k], pa.float32()) for k, label in enumerate(text.LABELS)}
        pairs = zip(columns["premise"], columns["hypothesis"], strict=True)
        tables.append(
            pa.table(
                {
                    "id": pa.array(columns["id"], pa.string()),
                    "example_hash": pa.array([text.example_hash(*pair) for pair in pairs], pa.string()),
                    "split": pa.array([split] * number, pa.string()),
                    "gold": pa.array(columns["label"], pa.int8()),
                    "predicted": pa.array(scores.predicted(log_probabilities), pa.int8()),
                    **named,
                    "prompt_hash": pa.array(judged.prompt_hashes, pa.string()),
                    "seed": pa.array([seed] * number, pa.int32()),
                    "genre": pa.array(columns["genre"], pa.string()),
                    "phenomenon": pa.array(columns["phenomenon"], pa.string()),
                }
            )
        )
        figures[split] = {**scores.nli(columns["label"], log_probabilities, columns["genre"], columns["phenomenon"]), **judged.figures}
        if by is not None and split in TESTS:
            after = scores.classification(columns["label"], calibration.scaled(log_probabilities, by))
            figures[split]["scaled"] = {"temperature": by, **{name: after[name] for name in ("nll", "brier", "ece")}}
    files.write_parquet(predictions, pa.concat_tables(tables))
    files.write_json(scores_path, figures)


def judge(arm: Mapping[str, Any], model: Any, tokenizer: Any, columns: Columns, settings: Text, batch_size: int) -> Judged:
    """What a trained arm, described as in its `arm.json`, makes of pairs: by its head, or by the likelihood of the words that it writes."""
    if arm["kind"] == "encoder_head":
        return judge_pairs(model, tokenizer, columns, settings, batch_size, arm["settings"]["only"])
    if arm["kind"] == "decoder_head":
        return judge_prompts(model, tokenizer, columns, settings, batch_size)
    return judge_labels(model, tokenizer, columns, settings, batch_size)


def judge_pairs(model: Any, tokenizer: Any, columns: Columns, settings: Text, batch_size: int, only: str | None = None) -> Judged:
    """What an encoder with a head makes of pairs, or of `only` their premises or hypotheses."""
    from ftbench import inference

    encoded = text.encode_pairs(tokenizer, columns["premise"], columns["hypothesis"], settings.max_length, only)
    log_probabilities = inference.classify(model, tokenizer, encoded.features, batch_size)
    return Judged(log_probabilities, pair_hashes(columns, only), {"num_truncated": encoded.num_truncated})


def pair_hashes(columns: Columns, only: str | None = None) -> list[str]:
    """The hash of what is read of each pair: both texts, or `only` the premise or the hypothesis."""
    parts = [columns[only]] if only else [columns["premise"], columns["hypothesis"]]
    return [text.prompt_hash(*texts) for texts in zip(*parts, strict=True)]


def judge_prompts(model: Any, tokenizer: Any, columns: Columns, settings: Text, batch_size: int) -> Judged:
    """What a decoder with a head makes of prompts."""
    from ftbench import inference

    prompts = label_prompts(columns, settings)
    encoded = text.encode_prompts(tokenizer, prompts, settings.max_length)
    log_probabilities = inference.classify(model, tokenizer, encoded.features, batch_size)
    return Judged(log_probabilities, [text.prompt_hash(prompt) for prompt in prompts], {"num_truncated": encoded.num_truncated})


def judge_labels(
    model: Any,
    tokenizer: Any,
    columns: Columns,
    settings: Text,
    batch_size: int,
    template: str | None = None,
    examples: Sequence[tuple[str, str, int]] = (),
) -> Judged:
    """What a decoder makes of prompts by the likelihood of the label words; `label_mass` is the mean probability of the three together."""
    from ftbench import inference

    prompts, words, encoded, _ = _asked(tokenizer, columns, settings, template, examples)
    log_likelihoods = inference.score_labels(model, tokenizer, encoded.features, words, batch_size)
    mass = float(np.exp(log_likelihoods).sum(axis=1).mean())
    figures = {"num_truncated": encoded.num_truncated, "label_mass": mass}
    return Judged(scores.normalised(log_likelihoods), [text.prompt_hash(prompt) for prompt in prompts], figures)


def written(
    model: Any,
    tokenizer: Any,
    columns: Columns,
    settings: Text,
    batch_size: int,
    template: str | None = None,
    examples: Sequence[tuple[str, str, int]] = (),
) -> dict[str, Any]:
    """What a decoder does when it writes freely after the prompts: `accuracy`, where what is no label is wrong, and `num_invalid`."""
    from ftbench import inference

    _, words, encoded, longest = _asked(tokenizer, columns, settings, template, examples, 1)  # one more shows whether the word goes on
    answers = inference.generate(model, tokenizer, encoded.features, batch_size, longest)
    said = [text.label_of(answer.text, words) for answer in answers]
    correct = [label == gold for label, gold in zip(said, columns["label"], strict=True)]
    return {"n": len(said), "accuracy": sum(correct) / len(correct), "num_invalid": said.count(None)}


def label_prompts(
    columns: Columns, settings: Text, template: str | None = None, examples: Sequence[tuple[str, str, int]] = ()
) -> list[str]:
    """The label prompts of a split."""
    pairs = zip(columns["premise"], columns["hypothesis"], strict=True)
    return [text.label_prompt(settings, *pair, template=template, examples=examples) for pair in pairs]


def _asked(
    tokenizer: Any, columns: Columns, settings: Text, template: str | None, examples: Sequence[tuple[str, str, int]], more: int = 0
) -> tuple[list[str], list[str], text.Encoded, int]:
    """The label prompts of a split, the words that may follow them, the prompts as tokens, and the tokens left after them: those of the
    longest word and `more`.
    """
    prompts = label_prompts(columns, settings, template, examples)
    words = text.label_answers(settings, template)
    longest = max(map(len, text.answer_tokens(tokenizer, prompts[0], words))) + more
    return prompts, words, text.encode_prompts(tokenizer, prompts, settings.max_length - longest), longest
