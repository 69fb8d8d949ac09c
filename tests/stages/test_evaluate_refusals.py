"""What the evaluation and baseline stages refuse: in one readable block, with nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tiny_arms
from evaluating import Ran, baseline, in_a_process, run_here
from tiny_arms import Base, evaluate

from ftbench import files


@pytest.fixture(scope="module")
def arm(root: Path, tiny_base: Base) -> Callable[..., Path]:
    """`arm("label")` is a folder as its train script leaves it, of a model that was not trained."""
    return partial(tiny_arms.make, root, tiny_base)


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], Ran]:
    """Run a stage in this process; returns the columns of its predictions, and its scores."""
    return partial(run_here, root, monkeypatch)


@pytest.mark.parametrize(
    ("transfer", "said"),
    [
        (["empty"], "no test split"),
        (["data/instructions"], "no column premise, hypothesis, label"),
        (["data/pairs", "data/pairs"], "a data set whose name is taken"),
        (["data/one"], "a data set whose name is taken"),
    ],
)
def test_what_cannot_be_transferred_to_is_named_and_nothing_is_left(
    transfer: list[str], said: str, root: Path, arm: Callable[..., Path], tiny_base: Base
) -> None:
    (root / "empty").mkdir(exist_ok=True)
    command = [*evaluate("encoder", "one", arm("encoder"), tiny_base("roberta"), "lost"), "--transfer", *transfer]
    ran = in_a_process(root, command)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert not (root / "out/lost.parquet").exists()


def test_a_data_set_without_validation_pairs_is_named(root: Path, arm: Callable[..., Path], tiny_base: Base) -> None:
    table = files.read_parquet(root / "data/one/test.parquet")
    files.write_parquet(root / "data/bare/test.parquet", table)
    ran = in_a_process(root, evaluate("encoder", "bare", arm("encoder"), tiny_base("roberta"), "lost"))
    assert ran.returncode == 2
    assert "data/bare/validation.parquet" in ran.stderr
    assert not (root / "out/lost.parquet").exists()


def test_more_examples_than_train_holds_are_refused(
    root: Path, refused: Callable[[list[str]], str], tiny_base: Base, changed_params: Callable[..., None]
) -> None:
    changed_params("answers", "three_shot", {"num_examples": 4, "seed": 5, "max_length": 128})
    said = refused(baseline("answers", "tiny_llama_three_shot", "instructions", tiny_base("llama"), "refused"))
    assert "tiny.answers.three_shot.num_examples" in said
    assert "at most 3, the rows of train" in said


def test_a_three_shot_baseline_of_another_model_is_refused_with_the_nearest_name(
    refused: Callable[[list[str]], str], tiny_base: Base
) -> None:
    assert "did you mean 'tiny_llama_three_shot'?" in refused(
        baseline("answers", "tiny_lama_three_shot", "instructions", tiny_base("llama"), "refused")
    )


@pytest.fixture
def changed_params(root: Path) -> Iterator[Callable[..., None]]:
    """Put a block of a study into params.yaml until the test ends."""
    before = (root / "params.yaml").read_text()

    def change(study: str, block: str, value: Any) -> None:
        raw = json.loads(before)
        raw["tiny"][study][block] = value
        (root / "params.yaml").write_text(json.dumps(raw), encoding="utf-8")

    yield change
    (root / "params.yaml").write_text(before, encoding="utf-8")


@pytest.fixture
def refused(root: Path, run: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> Callable[[list[str]], str]:
    """Run a stage that must exit with 2 and leave nothing; returns what it says."""

    def run_refused(command: list[str]) -> str:
        with pytest.raises(SystemExit) as stopped:
            run(command)
        assert stopped.value.code == 2
        assert not list((root / "out").glob("refused*"))
        return capsys.readouterr().err

    return run_refused


def test_another_arms_folder_is_refused_with_every_difference(
    refused: Callable[[list[str]], str], arm: Callable[..., Path], tiny_base: Base
) -> None:
    command = evaluate("label", "one", arm("encoder"), tiny_base("phi"), "refused", arm="other")
    said = refused(command)
    assert "arm.json: study" in said
    assert "arm.json: arm" in said
    assert "'encoder'" in said
    answers = [
        part.replace("evaluate_nli", "evaluate_answers") for part in evaluate("encoder", "one", arm("encoder"), Path("b"), "refused")
    ]
    assert "arm.json: kind" in refused(answers)


def test_missing_inputs_and_unknown_names_are_refused(root: Path, refused: Callable[[list[str]], str], tiny_base: Base) -> None:
    base = tiny_base("roberta")
    assert "no such file" in refused(evaluate("encoder", "one", root / "models/none", base, "refused"))
    assert "no test split" in refused(baseline("encoder", "majority", "none", base, "refused"))
    assert "did you mean 'majority'?" in refused(baseline("encoder", "majorty", "one", base, "refused"))
    assert "one_shot" in refused(baseline("encoder", "one_shot", "one", base, "refused"))


def test_an_empty_split_and_a_truncated_file_are_refused(root: Path, refused: Callable[[list[str]], str], tiny_base: Base) -> None:
    whole = files.read_parquet(root / "data/one/test.parquet")
    files.write_parquet(root / "data/empty/test.parquet", whole.slice(0, 0))
    assert "no row" in refused(baseline("encoder", "majority", "empty", tiny_base("roberta"), "refused"))
    (root / "data/broken").mkdir(exist_ok=True)
    (root / "data/broken/test.parquet").write_bytes((root / "data/one/test.parquet").read_bytes()[:-40])
    assert "not readable as Parquet" in refused(baseline("encoder", "majority", "broken", tiny_base("roberta"), "refused"))


def test_a_refusal_as_a_command_is_one_readable_block(root: Path, tiny_base: Base) -> None:
    ran = in_a_process(root, baseline("encoder", "majorty", "one", tiny_base("roberta"), "refused"))
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "found:" in ran.stderr
