"""The baselines on a params.yaml cut down to what they declare: what they learn from train, how they are prompted, what they answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from evaluating import Ran, baseline, check_answers, check_nli, run_here
from tiny_arms import WORDINGS, Base

from ftbench import bases, files
from ftbench.text import LABELS, prompt_hash


@pytest.fixture
def run(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], Ran]:
    """Run a stage in this process; returns the columns of its predictions, and its scores."""
    return partial(run_here, root, monkeypatch)


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
