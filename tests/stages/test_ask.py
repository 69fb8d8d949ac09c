"""`ftbench ask` and `ftbench chat` on a tiny arm: they say what the evaluation wrote, and refuse what is no arm of answers."""

from __future__ import annotations

import io
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_arms
from tiny_arms import STAGES, Base

from ftbench import cli, files
from ftbench.questions import QUESTIONS
from ftbench.terminal import plain

Say = Callable[..., tuple[int, str, str]]
Answers = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def arm(root: Path, tiny_base: Base) -> Path:
    """An arm that answers, in 4 bits, whose adapter changes what the base says as much as training could."""
    return changed(tiny_arms.make(root, tiny_base, "answers"), root / "models/answers/changed")


@pytest.fixture(scope="module")
def whole(root: Path, arm: Path) -> Path:
    """The same arm on a base that is not quantised, as the baseline's is not."""
    folder = root / "models/answers/whole"
    shutil.copytree(arm, folder)
    described = files.read_json(folder / "arm.json")
    files.write_json(folder / "arm.json", {**described, "settings": {**described["settings"], "quantization": None}})
    return folder


def changed(source: Path, folder: Path) -> Path:
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(source, folder)
    draw = torch.Generator().manual_seed(0)
    weights = {
        name: 30 * torch.randn(weight.shape, generator=draw) if "lora_B" in name else weight
        for name, weight in load_file(folder / "adapter_model.safetensors").items()
    }
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture
def ask(tmp_path: Path, tiny_base: Base, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run `ftbench ask` (or another command) in an empty folder; returns its exit code and what it says on stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object, command: str = "ask", lines: str = "") -> tuple[int, str, str]:
        code = 0
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        try:
            cli.main([command, *map(str, words)])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        return code, *capsys.readouterr()

    return run


def evaluated(root: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> Answers:
    """What a stage wrote, by instruction and input."""
    with monkeypatch.context() as patch:
        patch.chdir(root)
        patch.setattr(sys, "argv", command)
        runpy.run_path(command[0], run_name="__main__")
    rows = files.read_parquet(root / command[command.index("--predictions") + 1]).to_pylist()
    return {(row["instruction"], row["input"]): row for row in rows}


def of_arm(root: Path, monkeypatch: pytest.MonkeyPatch, model: Path, base: Path) -> Answers:
    return evaluated(root, monkeypatch, tiny_arms.evaluate("answers", "instructions", model, base, model.name))


def of_base(root: Path, monkeypatch: pytest.MonkeyPatch, base: Path) -> Answers:
    options = ["--study", "answers", "--baseline", "tiny_llama", "--data", "data/instructions", "--base", str(base)]
    return evaluated(root, monkeypatch, [str(STAGES / "baseline.py"), *options, *tiny_arms.outputs("tiny_llama")])


def test_an_answer_is_the_one_that_the_evaluation_wrote(
    root: Path, arm: Path, tiny_base: Base, ask: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = of_arm(root, monkeypatch, arm, tiny_base("llama"))
    texts = [row["text"] for row in written.values()]
    assert len(set(texts)) > 1
    for instruction, given in [("What is the capital of France?", ""), ("Is no dog sleeping?", "Two dogs are running.")]:
        row = written[instruction, given]
        code, said, error = ask(arm, "--base", tiny_base("llama"), instruction, "--input", given, "--max-new-tokens", 6)
        assert (code, said) == (0, plain(row["text"]).strip() + "\n")
        assert ("cut off after 6 tokens: it did not stop by itself" in error) == (not row["stopped"])


def test_a_chat_gives_all_fifteen_the_answers_that_the_evaluation_wrote(
    root: Path, arm: Path, tiny_base: Base, ask: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = of_arm(root, monkeypatch, arm, tiny_base("llama"))
    wanted = [f"{question}\n{plain(row['text']).strip()}" for (question, _), row in written.items() if row["split"] == "questions"]
    place = (arm, "--base", tiny_base("llama"), "--max-new-tokens", 6)
    code, said, _ = ask(*place, "--questions", command="chat", lines="/input Two dogs are running.\nIs no dog sleeping?\n")
    assert (code, len(wanted)) == (0, len(QUESTIONS))
    turns = said.split("\n> ")[1:]
    for turn, text in zip(turns, wanted, strict=False):
        assert turn.split("\n(")[0].strip() == text.strip()
    assert turns[len(QUESTIONS) + 1].startswith(
        f"Is no dog sleeping?\n{plain(written['Is no dog sleeping?', 'Two dogs are running.']['text']).strip()}"
    )


def test_compare_shows_the_untouched_base_as_the_baseline_gives_it(
    root: Path, whole: Path, tiny_base: Base, ask: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = ("What is the capital of France?", "")
    mine, bare = (plain(rows[question]["text"]).strip() for rows in both(root, monkeypatch, whole, tiny_base("llama")))
    assert mine != bare
    place = (whole, "--base", tiny_base("llama"), "--max-new-tokens", 6)
    code, said, error = ask(*place, question[0], "--compare")
    assert (code, said) == (0, f"whole:\n{mine}\n\ntiny_llama, not fine-tuned:\n{bare}\n")
    assert "whole: cut off after 6 tokens" in error
    # switched off for the base, the adapter is on again for the next question
    lines = f"/compare\n{question[0]}\n/compare\n{question[0]}\n"
    turns = ask(*place, command="chat", lines=lines)[1].split("\n> ")
    assert f"whole:\n{mine}\n" in turns[2]
    assert f"tiny_llama, not fine-tuned:\n{bare}\n" in turns[2]
    assert turns[4].startswith(f"{question[0]}\n{mine}\n")


def both(root: Path, monkeypatch: pytest.MonkeyPatch, model: Path, base: Path) -> tuple[Answers, Answers]:
    return of_arm(root, monkeypatch, model, base), of_base(root, monkeypatch, base)


def test_the_base_of_an_arm_in_4_bits_is_said_to_be_in_4_bits(
    root: Path, arm: Path, tiny_base: Base, ask: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    # an adapter that was not trained changes nothing: its arm says what the base in 4 bits says
    untrained = tiny_arms.make(root, tiny_base, "answers")
    question = "What is the capital of France?"
    place = ("--base", tiny_base("llama"), "--max-new-tokens", 6, question)
    bare = ask(untrained, *place)[1]
    said = ask(arm, *place, "--compare")[1]
    assert said.endswith(f"\n\ntiny_llama, not fine-tuned, in the arm's 4 bits:\n{bare}")
    assert not said.startswith(f"changed:\n{bare}")


def test_a_question_longer_than_the_arm_reads_is_cut_and_that_is_said(arm: Path, tiny_base: Base, ask: Say) -> None:
    code, _, error = ask(arm, "--base", tiny_base("llama"), "A man is sleeping. " * 40, "--max-new-tokens", 2)
    assert code == 0
    assert "longer than this arm's 64 tokens: its beginning was cut" in error


@pytest.mark.parametrize("command", ["ask", "chat"])
def test_what_is_no_arm_of_answers_is_refused_in_one_block(
    command: str, root: Path, tmp_path: Path, arm: Path, tiny_base: Base, ask: Say
) -> None:
    def refused(model: Path, *words: object) -> str:
        code, said, error = ask(model, *words, *(["Who?"] if command == "ask" else []), command=command)
        assert (code, said) == (2, "")
        assert error.count("found:") == 1, error
        return error

    assert "no arm.json in it\n  allowed: the folder of a trained arm, such as models/alpaca/" in refused(tmp_path / "none")
    judges = refused(tiny_arms.make(root, tiny_base, "encoder"), "--base", tiny_base("roberta"))
    assert "an arm that judges sentence pairs" in judges
    assert "`ftbench predict`" in judges
    assert "--base models/base/tiny_llama\n  found:   no base model" in refused(arm)
    assert "found:   tiny_phi\n  allowed: tiny_llama" in refused(arm, "--base", tiny_base("phi"))

    altered = tmp_path / "altered"
    shutil.copytree(arm, altered)
    described = files.read_json(altered / "arm.json")
    place = ("--base", tiny_base("llama"))
    files.write_json(altered / "arm.json", {**described, "text": {"max_length": 64}})
    assert "without the two templates" in refused(altered, *place)
    files.write_json(altered / "arm.json", {**described, "kind": "\x1b[31mother"})
    assert "\x1b" not in refused(altered, *place)
    files.write_json(altered / "arm.json", described)
    (altered / "adapter_model.safetensors").rename(altered / "adapter_model.bin")
    assert "no adapter_model.safetensors" in refused(altered, *place)
    shutil.copy(arm / "adapter_model.safetensors", altered)
    with (altered / "adapter_model.safetensors").open("r+b") as weights:
        weights.truncate(100)
    code, _, error = ask(altered, *place, *(["Who?"] if command == "ask" else []), command=command)
    assert code == 2
    assert "cannot be loaded on" in error
    assert "Traceback" not in error


def test_an_empty_question_and_no_tokens_are_refused(arm: Path, tmp_path: Path, ask: Say) -> None:
    code, _, error = ask(tmp_path / "none", " ")
    assert code == 2
    assert "the question\n  found:   is empty" in error
    assert "no trained arm" in error
    assert "--input\n  found:   holds a NUL character" in ask(arm, "Who?", "--input", "a\0")[2]
    for command in ("ask", "chat"):
        code, _, error = ask(arm, *(["Who?"] if command == "ask" else []), "--max-new-tokens", 0, command=command)
        assert code == 2
        assert "--max-new-tokens: at least 1" in error
