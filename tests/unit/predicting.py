"""`ftbench predict` with a stand-in for the model, the files that it reads and those that it writes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftbench import cli, predict, schema

SHARES = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.05, 0.15, 0.8]])  # what the stand-in says for each label
ADDED = ["predicted", "probability_entailment", "probability_neutral", "probability_contradiction"]
Chunks = list[list[str]]


def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chunks:
    """In place of an arm: it takes a hypothesis with "not" for a contradiction, one with "may" for neutral. Returns what it was handed."""
    seen: Chunks = []

    def judge(pairs: Any) -> predict.Scored:
        hypotheses = [pair["hypothesis"] for pair in pairs]
        seen.append(hypotheses)
        labels = np.array([2 if "not" in text else 1 if "may" in text else 0 for text in hypotheses])
        return predict.Scored(labels, SHARES[labels], sum("long" in text for text in hypotheses))

    arm = predict.Arm({"settings": {"only": None}}, schema.Text(max_length=64), Path("arm"), Path("base"))
    monkeypatch.setattr(predict, "read_arm", lambda model, base: arm)
    monkeypatch.setattr(predict, "load", lambda arm, batch_size: judge)
    monkeypatch.chdir(tmp_path)
    return seen


def run(*words: str) -> int:
    try:
        cli.main(["predict", "arm", *words])
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


def score(source: str, out: str, *words: str) -> int:
    return run("--file", source, "--out", out, *words)


def write(path: str, *rows: Any) -> None:
    Path(path).write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8")


def read_csv(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


def read_lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def row(hypothesis: str = "It is.", **others: Any) -> dict[str, Any]:
    return {"premise": "A man sleeps.", "hypothesis": hypothesis, **others}


def left() -> list[str]:
    return sorted(path.name for path in Path().iterdir())
