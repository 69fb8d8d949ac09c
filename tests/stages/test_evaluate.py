"""The evaluation and baseline stages, as commands and in this process, on tiny arms and a params.yaml cut down to what they declare."""

from __future__ import annotations

import itertools
import json
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_arms
from tiny_arms import ARCHITECTURES, STAGES, WORDINGS, Base, evaluate, of_splits, outputs

from ftbench import bases, calibration, evaluation_nli, files
from ftbench.questions import QUESTIONS
from ftbench.text import LABELS, example_hash, prompt_hash

COLUMNS = [
    "id", "example_hash", "split", "gold", "predicted", "log_probability_entailment", "log_probability_neutral",
    "log_probability_contradiction", "prompt_hash", "seed", "genre", "phenomenon",
]  # fmt: skip
FIGURES = {"n", "accuracy", "macro_f1", "nll", "brier", "ece", "per_class", "confusion", "by_genre", "by_phenomenon"}


@pytest.fixture(scope="module")
def arm(root: Path, tiny_base: Base) -> Callable[..., Path]:
    """`arm("label")` is a folder as its train script leaves it, of a model that was not trained."""
    return partial(tiny_arms.make, root, tiny_base)


def baseline(study: str, baseline: str, data: str, base: Path, name: str | None = None) -> list[str]:
    paths = ["--data", f"data/{data}", "--base", str(base)]
    return [str(STAGES / "baseline.py"), "--study", study, "--baseline", baseline, *paths, *outputs(name or f"{study}-{baseline}")]


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], tuple[dict[str, list[Any]], dict[str, Any]]]:
    """Run a stage in this process; returns the columns of its predictions, and its scores."""

    def run_stage(command: list[str]) -> tuple[dict[str, list[Any]], dict[str, Any]]:
        monkeypatch.chdir(root)
        monkeypatch.setattr(sys, "argv", command)
        runpy.run_path(command[0], run_name="__main__")
        options = dict(zip(command[1::2], command[2::2], strict=True))
        return files.read_parquet(root / options["--predictions"]).to_pydict(), files.read_json(root / options["--scores"])

    return run_stage


def in_a_process(root: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(root / "home")}
    return subprocess.run([sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True)


def check_nli(
    predictions: dict[str, list[Any]], scores: dict[str, Any], data: Path, splits: list[str], elsewhere: list[str] | None = None
) -> None:
    """What holds of all predictions and their scores."""
    assert list(predictions) == COLUMNS
    everything = [*splits, "validation", "probes", *(elsewhere or [])]
    assert list(dict.fromkeys(predictions["split"])) == everything
    assert sorted(scores) == sorted(everything)
    assert scores["probes"]["n"] == 6
    for split in splits:
        assert scores[split]["scaled"].keys() == {"temperature", "nll", "brier", "ece"}
    assert not any("scaled" in scores[split] for split in everything if split not in splits)
    predictions = of_splits(predictions, splits)
    source = {split: files.read_parquet(data / f"{split}.parquet").to_pydict() for split in splits}
    for name, own in (("id", "id"), ("label", "gold"), ("genre", "genre"), ("phenomenon", "phenomenon")):
        assert [value for split in splits for value in source[split][name]] == predictions[own]
    pairs = [pair for split in splits for pair in zip(source[split]["premise"], source[split]["hypothesis"], strict=True)]
    assert predictions["example_hash"] == [example_hash(*pair) for pair in pairs]
    table = np.stack([np.array(predictions[f"log_probability_{label}"]) for label in LABELS], axis=1)
    np.testing.assert_allclose(np.exp(table).sum(axis=1), 1, atol=1e-5)
    assert table.argmax(axis=1).tolist() == predictions["predicted"]
    for split in splits:
        rows = [k for k, value in enumerate(predictions["split"]) if value == split]
        right = [predictions["gold"][k] == predictions["predicted"][k] for k in rows]
        assert scores[split].keys() >= FIGURES
        assert scores[split]["n"] == len(rows)
        assert scores[split]["accuracy"] == pytest.approx(np.mean(right))
        assert scores[split]["nll"] == pytest.approx(-np.mean([table[k, predictions["gold"][k]] for k in rows]), abs=1e-6)
        assert sum(map(sum, scores[split]["confusion"])) == len(rows)
        assert scores[split]["by_genre"].keys() == {"fiction", "travel"}


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


def check_answers(predictions: dict[str, list[Any]], scores: dict[str, Any]) -> None:
    """What holds of all answers and their scores."""
    held_out, asked = 4, len(QUESTIONS)
    assert asked == 15
    assert predictions["split"] == ["test"] * held_out + ["questions"] * asked
    assert predictions["kind"] == ["facts", "classification", None, "facts"] + ["question"] * asked
    assert predictions["id"][held_out:] == [question.id for question in QUESTIONS]
    assert predictions["instruction"][held_out:] == [question.text for question in QUESTIONS]
    assert predictions["bytes"][:held_out] == [31, 3, 6, 18]
    for name in ("reference", "nll", "tokens", "bytes", "exact_match", "token_f1"):
        assert [value is None for value in predictions[name]] == [False] * held_out + [True] * asked
    figures = scores["test"]
    assert figures["n"] == held_out
    total = sum(predictions["nll"][:held_out])
    assert figures["nll_per_token"] == pytest.approx(total / sum(predictions["tokens"][:held_out]))
    assert figures["perplexity"] == pytest.approx(np.exp(figures["nll_per_token"]))
    assert figures["bits_per_byte"] == pytest.approx(total / np.log(2) / 58)
    assert {kind: by["n"] for kind, by in figures["by_kind"].items()} == {"classification": 1, "facts": 2}
    assert figures["mean_tokens"] == np.mean(predictions["generated_tokens"][:held_out])
    assert max(predictions["generated_tokens"]) <= 6
    for name in ("repetition", "looping"):
        assert figures[name] == pytest.approx(np.mean(predictions[name][:held_out]))
    num_bytes = sum(len(said.encode()) for said in predictions["text"][:held_out])
    assert figures["length_ratio"] == pytest.approx(num_bytes / 58)


def test_answers_are_evaluated_on_held_out_instructions_and_the_fifteen_questions(
    arm: Callable[..., Path], tiny_base: Base, run: Callable[..., Any]
) -> None:
    predictions, scores = run(evaluate("answers", "instructions", arm("answers"), tiny_base("llama"), "answers"))
    check_answers(predictions, scores)
    assert predictions["prompt_hash"][1] == prompt_hash("Is no dog sleeping?\nTwo dogs are running.\nAnswer:")


def test_an_untouched_base_model_answers_too(tiny_base: Base, run: Callable[..., Any], root: Path) -> None:
    predictions, scores = run(baseline("answers", "tiny_llama", "instructions", tiny_base("llama")))
    check_answers(predictions, scores)
    assert files.read_json(root / "out/answers-tiny_llama-cost.json")["arm"] == "tiny_llama"
    tokenizer = bases.load_tokenizer(tiny_base("llama"))
    rows = zip(predictions["instruction"], predictions["input"], strict=True)
    asked = [f"{said}\n{more}\nAnswer:" if more else f"{said}\nAnswer:" for said, more in rows]
    lengths = [len(tokenizer(prompt)["input_ids"]) for prompt in asked]
    assert scores["test"]["num_truncated"] == sum(length > 64 for length in lengths) > 0


def test_the_majority_and_the_shallow_classifiers_learn_from_train(root: Path, tiny_base: Base, run: Callable[..., Any]) -> None:
    splits = ["test_matched", "test_mismatched"]
    predictions, scores = run(baseline("encoder", "majority", "pairs", tiny_base("roberta")))
    check_nli(predictions, scores, root / "data/pairs", splits)
    assert set(predictions["predicted"]) == {0}
    predictions, scores = run(baseline("encoder", "hypothesis_only", "pairs", tiny_base("roberta")))
    check_nli(predictions, scores, root / "data/pairs", splits)
    for split in splits:
        shallow = scores[split]["shallow"]
        assert sorted(shallow) == ["hypothesis_ngrams", "overlap", "premise_and_hypothesis_ngrams", "premise_ngrams"]
        assert shallow["hypothesis_ngrams"] == scores[split]["accuracy"]
    predictions, again = run(baseline("encoder", "overlap", "pairs", tiny_base("roberta")))
    assert again["test_matched"]["accuracy"] == scores["test_matched"]["shallow"]["overlap"]
    assert "shallow" not in again["test_matched"]


@pytest.mark.parametrize(("study", "architecture"), [("encoder", "roberta"), ("head", "llama")])
def test_an_untrained_head_is_the_base_under_a_seeded_random_head(
    study: str, architecture: str, root: Path, tiny_base: Base, run: Callable[..., Any]
) -> None:
    command = baseline(study, "untrained_head", "one", tiny_base(architecture))
    predictions, scores = run(command)
    check_nli(predictions, scores, root / "data/one", ["test"])
    assert run(command)[0] == predictions


def test_a_prompted_baseline_scores_several_wordings_and_says_what_the_label_words_weigh(
    root: Path, tiny_base: Base, run: Callable[..., Any]
) -> None:
    predictions, scores = run(baseline("label", "zero_shot", "one", tiny_base("phi")))
    check_nli(predictions, scores, root / "data/one", ["test"])
    wordings = scores["test"]["wordings"]
    assert [wording["template"] for wording in wordings] == WORDINGS
    assert wordings[0]["accuracy"] == scores["test"]["accuracy"]
    assert scores["test"]["label_mass"] == wordings[0]["label_mass"]
    assert 0 < scores["test"]["label_mass"] < 0.05  # three words of a random model's vocabulary of some hundred


def test_a_one_shot_prompt_holds_a_solved_pair_of_train(root: Path, tiny_base: Base, run: Callable[..., Any]) -> None:
    zero, _ = run(baseline("label", "zero_shot", "one", tiny_base("phi")))
    one, _ = run(baseline("label", "one_shot", "one", tiny_base("phi")))
    train, test = (files.read_parquet(root / f"data/one/{split}.parquet").to_pydict() for split in ("train", "test"))
    question = f"Premise: {test['premise'][0]}\nHypothesis: {test['hypothesis'][0]}\nRelation:"
    possible = {
        prompt_hash(f"Premise: {premise}\nHypothesis: {hypothesis}\nRelation: {LABELS[label]}\n\n{question}")
        for premise, hypothesis, label in zip(train["premise"], train["hypothesis"], train["label"], strict=True)
    }
    assert one["prompt_hash"][0] in possible
    assert one["example_hash"] == zero["example_hash"]


def test_a_base_model_answers_after_the_same_three_solved_examples_of_train(root: Path, tiny_base: Base, run: Callable[..., Any]) -> None:
    alone, _ = run(baseline("answers", "tiny_llama", "instructions", tiny_base("llama"), "alone"))
    predictions, scores = run(baseline("answers", "tiny_llama_three_shot", "instructions", tiny_base("llama"), "three"))
    check_answers(predictions, scores)
    assert scores["test"]["num_truncated"] == 0
    assert predictions["example_hash"] == alone["example_hash"]
    assert files.read_json(root / "out/three-cost.json")["arm"] == "tiny_llama_three_shot"
    solved = [
        "Where is the dog?\nAnswer:In the park.",
        "Who is sleeping?\nA man is sleeping.\nAnswer:A man.",
        "Is it so?\nAnswer:No.",
    ]
    orders = ["\n\n".join(order) + "\n\n" for order in itertools.permutations(solved)]
    [order] = [one for one in orders if prompt_hash(one + "What is the capital of France?\nAnswer:") == predictions["prompt_hash"][0]]
    assert predictions["prompt_hash"][1] == prompt_hash(order + "Is no dog sleeping?\nTwo dogs are running.\nAnswer:")
    again, _ = run(baseline("answers", "tiny_llama_three_shot", "instructions", tiny_base("llama"), "three"))
    assert again == predictions


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
