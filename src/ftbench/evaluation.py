"""What the evaluation and baseline stages share: the test splits, the predictions files, and the scores files beside them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ftbench import files, scores, stage, text
from ftbench.errors import Problem, UserError
from ftbench.schema import Text

Columns = dict[str, list[Any]]
PAIR_KINDS = ("encoder_head", "decoder_head", "label")  # the kinds of arms that judge sentence pairs


@dataclass(frozen=True)
class Judged:
    """What a model made of one NLI split: log-probabilities [n, 3], hashes of what it read, and figures of its own for the scores."""

    log_probabilities: np.ndarray
    prompt_hashes: list[str]
    figures: Mapping[str, Any] = field(default_factory=dict)


def options(documentation: str | None, trained: bool) -> argparse.ArgumentParser:
    """The options of an evaluation of a trained arm, or of a baseline."""
    parser = stage.parser(documentation)
    parser.add_argument("--study", required=True)
    if trained:
        parser.add_argument("--arm", required=True, help="the levels of the arm, joined by -")
        parser.add_argument("--seed", type=int, required=True)
        parser.add_argument("--model", type=Path, required=True, help="the folder of the trained arm")
    else:
        parser.add_argument("--baseline", required=True)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the data set")
    parser.add_argument("--base", type=Path, required=True, help="the folder of the base model")
    parser.add_argument("--predictions", type=Path, required=True, help="the predictions to write, Parquet")
    parser.add_argument("--scores", type=Path, required=True, help="the scores to write, JSON")
    parser.add_argument("--cost", type=Path, required=True, help="the cost record to write, JSON")
    return parser


def outs(arguments: argparse.Namespace) -> list[Path]:
    """What an evaluation writes."""
    return [arguments.predictions, arguments.scores, arguments.cost]


def read_arm(folder: Path, study: str, arm: str, seed: int, kinds: Sequence[str]) -> dict[str, Any]:
    """The description of a trained arm. Raises UserError if the folder holds another arm than the one named, or one of another kind."""
    described = files.read_json(folder / "arm.json")
    wanted: dict[str, list[Any]] = {"study": [study], "arm": [arm], "seed": [seed], "kind": list(kinds)}
    problems = [
        Problem(
            f"{folder}/arm.json: {name}", repr(described.get(name)), allowed=", ".join(map(str, allowed)), mend="name the arm's own folder"
        )
        for name, allowed in wanted.items()
        if described.get(name) not in allowed
    ]
    if problems:
        raise UserError(problems)
    return described


@contextmanager
def timed(cost: dict[str, Any]) -> Iterator[None]:
    """Adds the seconds of the block, `evaluation`, to a cost record: what loading and importing took is not among them."""
    started = time.perf_counter()
    yield
    cost["seconds"] = {"evaluation": time.perf_counter() - started}


def write_cost(path: Path, cost: Mapping[str, Any], study: str, arm: str, seed: int, model: str | None, num_examples: int) -> None:
    """Write the cost record of an evaluation."""
    named = {"stage": "evaluate", "study": study, "arm": arm, "seed": seed, "model": model, "num_examples": num_examples}
    files.write_json(path, {**cost, **named})


def test_splits(data: Path) -> list[str]:
    """The test splits that a data set has: test, or test_matched and test_mismatched. Raises UserError if it has none."""
    found = [split for split in ("test", "test_matched", "test_mismatched") if (data / f"{split}.parquet").exists()]
    if not found:
        mend = f"run `dvc repro prepare@{data.name}`, which writes it"
        raise UserError(
            Problem(str(data), "no test split", allowed="test.parquet, or test_matched.parquet and test_mismatched.parquet", mend=mend)
        )
    return found


def read_split(data: Path, split: str) -> Columns:
    """The columns of a split. Raises UserError if it is missing, broken or empty."""
    columns: Columns = files.read_parquet(data / f"{split}.parquet").to_pydict()
    if not columns["id"]:
        raise UserError(Problem(f"{data / split}.parquet", "no row", allowed="at least one", mend="give the split rows in params.yaml"))
    return columns


def write_nli(predictions: Path, scores_path: Path, seed: int, splits: Mapping[str, tuple[Columns, Judged]]) -> None:
    """Write the predictions of all test splits as one Parquet file, and their scores as JSON, both worked out from float32."""
    import pyarrow as pa

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

    prompts = label_prompts(columns, settings, template, examples)
    words = text.label_answers(settings, template)
    longest_answer = max(map(len, text.answer_tokens(tokenizer, prompts[0], words)))
    encoded = text.encode_prompts(tokenizer, prompts, settings.max_length - longest_answer)
    log_likelihoods = inference.score_labels(model, tokenizer, encoded.features, words, batch_size)
    mass = float(np.exp(log_likelihoods).sum(axis=1).mean())
    figures = {"num_truncated": encoded.num_truncated, "label_mass": mass}
    return Judged(scores.normalised(log_likelihoods), [text.prompt_hash(prompt) for prompt in prompts], figures)


def label_prompts(
    columns: Columns, settings: Text, template: str | None = None, examples: Sequence[tuple[str, str, int]] = ()
) -> list[str]:
    """The label prompts of a split."""
    pairs = zip(columns["premise"], columns["hypothesis"], strict=True)
    return [text.label_prompt(settings, *pair, template=template, examples=examples) for pair in pairs]
