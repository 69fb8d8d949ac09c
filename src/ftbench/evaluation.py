"""What the evaluation and baseline stages share: options, the arm, the test splits, and the cost record."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ftbench import files, stage
from ftbench.errors import Problem, UserError
from ftbench.predictions import TESTS

Columns = dict[str, list[Any]]


def options(documentation: str | None, trained: bool) -> argparse.ArgumentParser:
    """The options of an evaluation of a trained arm, or of a baseline."""
    parser = stage.parser(documentation)
    parser.add_argument("--study", required=True)
    if trained:
        parser.add_argument("--arm", required=True, help="the levels of the arm, joined by -")
        parser.add_argument("--seed", type=int, required=True)
        parser.add_argument("--model", type=Path, required=True, help="the folder of the trained arm")
        parser.add_argument(
            "--transfer", type=Path, nargs="*", default=[], help="folders of other data sets of pairs, whose test splits are scored too"
        )
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
    found = [split for split in TESTS if (data / f"{split}.parquet").exists()]
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
