"""The evaluation stages, as commands and in this process, on tiny arms and a params.yaml cut down to what they declare."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_arms
from evaluating import Ran, check_answers, check_nli, in_a_process, run_here
from tiny_arms import ARCHITECTURES, STAGES, Base, evaluate, of_splits

from ftbench import calibration, evaluation_nli, files
from ftbench.text import LABELS, prompt_hash


@pytest.fixture(scope="module")
def arm(root: Path, tiny_base: Base) -> Callable[..., Path]:
    """`arm("label")` is a folder as its train script leaves it, of a model that was not trained."""
    return partial(tiny_arms.make, root, tiny_base)


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], Ran]:
    """Run a stage in this process; returns the columns of its predictions, and its scores."""
    return partial(run_here, root, monkeypatch)


def test_an_encoder_is_evaluated_as_a_command_on_both_test_splits(root: Path, arm: Callable[..., Path], tiny_base: Base) -> None:
    ran = in_a_process(root, evaluate("encoder", "pairs", arm("encoder"), tiny_base("roberta"), "encoder"))
    assert (ran.returncode, ran.stderr.strip()) == (0, "")
    predictions = files.read_parquet(root / "out/encoder.parquet").to_pydict()
    check_nli(predictions, files.read_json(root / "out/encoder.json"), root / "data/pairs", ["test_matched", "test_mismatched"])
    assert predictions["prompt_hash"] == predictions["example_hash"]  # it reads the whole pair, and nothing else
    predictions = of_splits(predictions, ["test_matched", "test_mismatched"])
    cost = files.read_json(root / "out/encoder-cost.json")
    assert (cost["stage"], cost["study"], cost["arm"], cost["seed"], cost["model"]) == ("evaluate", "encoder", "arm", 1, "tiny_roberta")
    assert cost["num_examples"] == len(predictions["id"])
    assert 0 < cost["seconds"]["evaluation"] < cost["seconds"]["total"]
    assert not (root / "home").exists(), "nothing is cached outside the project"


@pytest.mark.parametrize("study", ["label", "head"])
def test_a_decoder_is_evaluated_by_the_words_it_writes_or_by_its_head(
    study: str, root: Path, arm: Callable[..., Path], tiny_base: Base, run: Callable[..., Any]
) -> None:
    predictions, scores = run(evaluate(study, "one", arm(study), tiny_base(ARCHITECTURES[study]), study))
    check_nli(predictions, scores, root / "data/one", ["test"])
    assert ("written" in scores["test"]) == (study == "label")
    first = files.read_parquet(root / "data/one/test.parquet").to_pydict()
    assert predictions["prompt_hash"][0] == prompt_hash(f"Premise: {first['premise'][0]}\nHypothesis: {first['hypothesis'][0]}\nRelation:")
    assert ("label_mass" in scores["test"]) == (study == "label")
    assert predictions["seed"] == [1] * len(predictions["id"])


def test_the_same_evaluation_gives_the_same_bytes_and_another_batch_the_same_predictions(
    root: Path, arm: Callable[..., Path], tiny_base: Base, run: Callable[..., Any]
) -> None:
    command = evaluate("label", "one", arm("label"), tiny_base("phi"), "first")
    first, scores = run(command)
    run([part.replace("out/first", "out/again") for part in command])
    for suffix in (".parquet", ".json"):
        assert (root / f"out/first{suffix}").read_bytes() == (root / f"out/again{suffix}").read_bytes()
    text = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(text.replace('"per_device_eval_batch_size": 5', '"per_device_eval_batch_size": 64'))
    try:
        other, other_scores = run([part.replace("out/first", "out/other") for part in command])
    finally:
        (root / "params.yaml").write_text(text)
    assert other["predicted"] == first["predicted"]
    for label in LABELS:
        np.testing.assert_allclose(other[f"log_probability_{label}"], first[f"log_probability_{label}"], atol=1e-4)
    assert other_scores["test"]["accuracy"] == scores["test"]["accuracy"]


def test_an_arm_is_scored_on_the_test_splits_of_other_data_sets_too_and_only_its_own_count_as_cost(
    root: Path, arm: Callable[..., Path], tiny_base: Base, run: Callable[..., Any]
) -> None:
    command = [*evaluate("encoder", "one", arm("encoder"), tiny_base("roberta"), "moved"), "--transfer", "data/pairs"]
    predictions, scores = run(command)
    check_nli(predictions, scores, root / "data/one", ["test"], ["pairs/test_matched", "pairs/test_mismatched"])
    own, _ = run(evaluate("encoder", "pairs", arm("encoder"), tiny_base("roberta"), "own"))
    for split in ("test_matched", "test_mismatched"):
        there, here = of_splits(predictions, [f"pairs/{split}"]), of_splits(own, [split])
        assert (there["example_hash"], there["predicted"]) == (here["example_hash"], here["predicted"])
    assert files.read_json(root / "out/moved-cost.json")["num_examples"] == scores["test"]["n"]


def test_a_file_of_the_users_own_with_other_words_for_the_labels_is_scored_too(
    root: Path, arm: Callable[..., Path], tiny_base: Base, run: Callable[..., Any], tmp_path: Path
) -> None:
    words = ["yes", "maybe", "no", "maybe", "yes", "no", "no", "yes"]
    rows = [f"A man sees {number} dogs.,There are {number + 1} dogs.,{word}" for number, word in enumerate(words)]
    own = tmp_path / "own.csv"
    own.write_text("\n".join(["premise,hypothesis,label", *rows, "A man.,A dog.,"]) + "\n", encoding="utf-8")
    file = {"path": "own.csv", "format": "csv", "sha256": files.sha256_file(own)}
    block = {
        "source": "file", "task": "nli", "licence": "CC0-1.0", "seed": 0, "splits": dict.fromkeys(["train", "validation", "test"]),
        "labels": {"entailment": "yes", "neutral": "maybe", "contradiction": "no"}, "max_malformed_share": 0.0,
        "files": {
            "train": [{**file, "last_row": 1}], "validation": [{**file, "first_row": 2, "last_row": 2}], "test": [{**file, "first_row": 3}],
        },
    }  # fmt: skip
    settings = {"scale": "s", "s": {"datasets": {"own": block}}}
    (tmp_path / "params.yaml").write_text(json.dumps(settings), encoding="utf-8")
    prepared = in_a_process(tmp_path, [str(STAGES / "prepare.py"), "--dataset", "own", "--out", "data/own"])
    assert prepared.returncode == 0, prepared.stderr
    command = [*evaluate("encoder", "one", arm("encoder"), tiny_base("roberta"), "users"), "--transfer", str(tmp_path / "data/own")]
    predictions, scores = run(command)
    gold = [("yes", "maybe", "no").index(word) for word in words[2:]]
    assert of_splits(predictions, ["own/test"])["gold"] == gold  # the row without a label is left out
    assert scores["own/test"]["n"] == len(gold)


def test_the_cost_of_an_evaluation_ends_with_the_test_pairs(
    root: Path, arm: Callable[..., Path], tiny_base: Base, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, clock, late = evaluation_nli.judge, time.perf_counter, [0.0]

    def an_hour_for_the_probes(described: Any, model: Any, tokenizer: Any, pairs: dict[str, Any], *others: Any) -> Any:
        late[0] += 3600 if "probe-1" in pairs["id"] else 0
        return judge(described, model, tokenizer, pairs, *others)

    monkeypatch.setattr(time, "perf_counter", lambda: clock() + late[0])
    monkeypatch.setattr(evaluation_nli, "judge", an_hour_for_the_probes)
    run(evaluate("encoder", "one", arm("encoder"), tiny_base("roberta"), "timed"))
    assert late == [3600]
    assert files.read_json(root / "out/timed-cost.json")["seconds"]["total"] < 3600


def test_the_temperature_makes_validation_likeliest_and_leaves_predictions_alone(
    root: Path, arm: Callable[..., Path], tiny_base: Base, run: Callable[..., Any]
) -> None:
    predictions, scores = run(evaluate("encoder", "one", arm("encoder"), tiny_base("roberta"), "scaled"))
    validation = of_splits(predictions, ["validation"])
    table = np.stack([np.array(validation[f"log_probability_{label}"]) for label in LABELS], axis=1)
    temperature = scores["test"]["scaled"]["temperature"]

    def loss(by: float) -> float:
        scaled = table / by - np.log(np.exp(table / by).sum(axis=1, keepdims=True))
        return float(-scaled[np.arange(len(table)), validation["gold"]].mean())

    others = np.geomspace(*calibration.TEMPERATURES, 200)
    assert loss(temperature) <= min(loss(float(by)) for by in others) + 1e-6


def test_an_arm_trained_on_hypotheses_reads_only_them(
    root: Path, arm: Callable[..., Path], tiny_base: Base, run: Callable[..., Any]
) -> None:
    blind, _ = run(evaluate("encoder", "one", arm("encoder", only="hypothesis"), tiny_base("roberta"), "blind", arm="blind"))
    blind = of_splits(blind, ["test"])
    hypotheses = files.read_parquet(root / "data/one/test.parquet")["hypothesis"].to_pylist()
    assert blind["prompt_hash"] == [prompt_hash(hypothesis) for hypothesis in hypotheses]
    by_hypothesis: dict[str, set[float]] = {}
    for hypothesis, score in zip(hypotheses, blind["log_probability_neutral"], strict=True):
        by_hypothesis.setdefault(hypothesis, set()).add(round(score, 4))
    assert all(len(found) == 1 for found in by_hypothesis.values())
    assert len(by_hypothesis) < len(hypotheses)


def test_answers_are_evaluated_on_held_out_instructions_and_the_fifteen_questions(
    arm: Callable[..., Path], tiny_base: Base, run: Callable[..., Any]
) -> None:
    predictions, scores = run(evaluate("answers", "instructions", arm("answers"), tiny_base("llama"), "answers"))
    check_answers(predictions, scores)
    assert predictions["prompt_hash"][1] == prompt_hash("Is no dog sleeping?\nTwo dogs are running.\nAnswer:")
