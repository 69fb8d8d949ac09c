"""The evaluation and baseline stages, run as a command or in this process, and what holds of all that they write."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_arms import STAGES, of_splits, outputs

from ftbench import files
from ftbench.questions import QUESTIONS
from ftbench.text import LABELS, example_hash

Ran = tuple[dict[str, list[Any]], dict[str, Any]]
COLUMNS = [
    "id", "example_hash", "split", "gold", "predicted", "log_probability_entailment", "log_probability_neutral",
    "log_probability_contradiction", "prompt_hash", "seed", "genre", "phenomenon",
]  # fmt: skip
FIGURES = {"n", "accuracy", "macro_f1", "nll", "brier", "ece", "per_class", "confusion", "by_genre", "by_phenomenon"}


def baseline(study: str, baseline: str, data: str, base: Path, name: str | None = None) -> list[str]:
    paths = ["--data", f"data/{data}", "--base", str(base)]
    return [str(STAGES / "baseline.py"), "--study", study, "--baseline", baseline, *paths, *outputs(name or f"{study}-{baseline}")]


def run_here(root: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> Ran:
    """Run a stage in this process; returns the columns of its predictions, and its scores."""
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", command)
    runpy.run_path(command[0], run_name="__main__")
    options = dict(zip(command[1::2], command[2::2], strict=True))
    return files.read_parquet(root / options["--predictions"]).to_pydict(), files.read_json(root / options["--scores"])


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
