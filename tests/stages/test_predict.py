"""`ftbench predict` on tiny arms of every kind: it says what the evaluate stage wrote, and refuses what is no arm of pairs."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_arms
from safetensors.torch import load_file, save_file
from tiny_arms import ARCHITECTURES, Base

from ftbench import bases, cli, files
from ftbench.text import LABELS

Say = Callable[..., tuple[int, str, str]]
PROBABILITIES = [f"probability_{label}" for label in LABELS]


@pytest.fixture(scope="module")
def arm(root: Path, tiny_base: Base) -> Callable[..., Path]:
    """`arm("label")` is a folder as its train script leaves it, of a model that was not trained."""
    return partial(tiny_arms.make, root, tiny_base)


@pytest.fixture
def predict(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run `ftbench predict` in an empty folder; returns its exit code and what it says on stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str, str]:
        code = 0
        try:
            cli.main(["predict", *map(str, words)])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
        return code, *capsys.readouterr()

    return run


def evaluated(root: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> dict[str, list[Any]]:
    """The columns of the predictions that an evaluate stage writes of the test."""
    with monkeypatch.context() as patch:
        patch.chdir(root)
        patch.setattr(sys, "argv", command)
        runpy.run_path(command[0], run_name="__main__")
    return tiny_arms.of_splits(files.read_parquet(root / command[command.index("--predictions") + 1]).to_pydict(), ["test"])


def write_pairs(root: Path, path: Path) -> list[dict[str, Any]]:
    rows = files.read_parquet(root / "data/one/test.parquet").to_pylist()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


@pytest.mark.parametrize(("study", "only"), [("encoder", None), ("encoder", "hypothesis"), ("head", None), ("label", None)])
def test_a_file_gets_the_labels_and_probabilities_that_the_evaluation_wrote(
    study: str,
    only: str | None,
    root: Path,
    tmp_path: Path,
    arm: Callable[..., Path],
    tiny_base: Base,
    predict: Say,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, base = arm(study, only), tiny_base(ARCHITECTURES[study])
    written = evaluated(root, monkeypatch, tiny_arms.evaluate(study, "one", model, base, f"{study}-{only}", arm=model.name))
    rows = write_pairs(root, tmp_path / "pairs.jsonl")
    command = (model, "--base", base, "--file", "pairs.jsonl", "--out", "scored.jsonl", "--force", "--batch-size")

    code, said, _ = predict(*command, 5)  # the stage's batch size: the same bits
    assert code == 0
    scored = [json.loads(line) for line in Path("scored.jsonl").read_text().splitlines()]
    assert [{key: row[key] for key in rows[0]} for row in scored] == rows
    assert [row["predicted"] for row in scored] == [LABELS[label] for label in written["predicted"]]
    logarithms = np.stack([np.array(written[f"log_probability_{label}"]) for label in LABELS], axis=1)
    found = np.array([[row[name] for name in PROBABILITIES] for row in scored])
    np.testing.assert_allclose(found, np.exp(logarithms), rtol=1e-9)
    share = np.mean(np.array(written["gold"]) == np.array(written["predicted"]))
    assert f"accuracy {100 * share:.1f} % (95 % interval " in said
    assert ("This arm reads the hypothesis alone." in said) == (only == "hypothesis")

    assert predict(*command, 2)[0] == 0  # chunks of 16 rows
    other = [json.loads(line) for line in Path("scored.jsonl").read_text().splitlines()]
    assert [row["id"] for row in other] == written["id"]
    np.testing.assert_allclose([[row[name] for name in PROBABILITIES] for row in other], np.exp(logarithms), atol=1e-4)

    first = [f"{share:.4f}" for share in np.exp(logarithms[0])]
    code, said, error = predict(model, "--base", base, "--premise", rows[0]["premise"], "--hypothesis", rows[0]["hypothesis"])
    assert (code, error) == (0, "")
    table = [line.split() for line in said.splitlines()]
    assert ["label", LABELS[written["predicted"][0]]] in table
    for index, (label, probability) in enumerate(zip(LABELS, first, strict=True)):
        (line,) = [line for line in table if line[:1] == [label]]
        assert float(line[1]) == pytest.approx(float(probability), abs=2e-4)
        assert line[2:] == (["<"] if index == written["predicted"][0] else [])


def test_a_pair_longer_than_the_arm_reads_is_counted_and_what_is_echoed_is_harmless(
    arm: Callable[..., Path], tiny_base: Base, predict: Say
) -> None:
    place = (arm("encoder"), "--base", tiny_base("roberta"))
    code, said, _ = predict(*place, "--premise", "A man \x1b[2Jis\nsleeping. " * 40, "--hypothesis", "He\x07 sleeps.")
    assert code == 0
    assert "1 of 1 longer than this arm's 64 tokens, and cut." in said
    assert "A man [2Jis sleeping. A man" in said
    assert not {"\x1b", "\x07"} & set(said)
    code, said, _ = predict(*place, "--premise", "A man is sleeping.", "--hypothesis", "He sleeps.")
    assert "cut" not in said


def test_what_is_no_arm_of_pairs_is_refused_in_one_block(
    root: Path, tmp_path: Path, arm: Callable[..., Path], tiny_base: Base, predict: Say
) -> None:
    def refused(model: Path, base: Path | None = None) -> str:
        code, said, error = predict(model, *(["--base", base] if base else []), "--premise", "a", "--hypothesis", "b")
        assert (code, said) == (2, "")
        assert error.count("found:") == 1, error
        return error

    roberta = tiny_base("roberta")
    assert "no trained arm: no arm.json in it" in refused(tmp_path / "none")
    assert "no trained arm" in refused(roberta)
    assert "an arm that answers instructions" in refused(arm("answers"), tiny_base("llama"))
    # the base that the arm names is looked for under models/base
    missing = refused(arm("encoder"))
    assert "--base models/base/tiny_roberta\n  found:   no base model" in missing
    assert "dvc repro checkpoint@tiny_roberta" in missing
    assert "found:   tiny_phi\n  allowed: tiny_roberta" in refused(arm("encoder"), tiny_base("phi"))

    def altered(study: str, change: Callable[[Path], None]) -> Path:
        folder = tmp_path / "altered"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(arm(study), folder)
        change(folder)
        return folder

    def described(**changes: Any) -> Callable[[Path], None]:
        return lambda folder: files.write_json(folder / "arm.json", {**files.read_json(folder / "arm.json"), **changes})

    assert "arm.json: kind" in refused(altered("encoder", described(kind="\x1b[31mother")), roberta)
    assert "arm.json: text.max_length\n  found:   3" in refused(altered("encoder", described(text={"max_length": 3})), roberta)
    assert "a label without a template" in refused(altered("label", described(text={"max_length": 64})), tiny_base("phi"))
    assert "not readable as JSON" in refused(altered("encoder", lambda folder: (folder / "arm.json").write_text("{") and None), roberta)

    def pickled(folder: Path) -> None:
        (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")

    assert "no adapter_model.safetensors" in refused(altered("label", pickled), tiny_base("phi"))
    without = altered("label", lambda folder: (folder / "adapter_config.json").unlink())
    assert "no adapter_config.json" in refused(without, tiny_base("phi"))
    assert "no model.safetensors" in refused(altered("encoder", lambda folder: (folder / "model.safetensors").unlink()), roberta)

    def truncated(folder: Path) -> None:
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])

    assert "cannot be loaded on" in refused(altered("encoder", truncated), roberta)

    def not_a_number(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        tensors["classifier.out_proj.bias"][1] = float("nan")
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    said = refused(altered("encoder", not_a_number), roberta)
    assert "1 tensors hold values that are not numbers, first model.safetensors: classifier.out_proj.bias" in said


def test_a_base_of_the_same_name_and_another_shape_is_refused(
    tmp_path: Path, arm: Callable[..., Path], tiny_dimensions: dict[str, dict[str, Any]], predict: Say
) -> None:
    wider = {**tiny_dimensions["phi"], "hidden_size": 64}
    model, tokenizer = bases.new_miniature("phi", wider, 600, ["A man is sleeping. The relation is entailment."] * 9, seed=0, block_size=64)
    bases.save_miniature(tmp_path, "tiny_phi", "phi", model, tokenizer, {})
    code, _, error = predict(arm("label"), "--base", tmp_path, "--premise", "a", "--hypothesis", "b")
    assert code == 2
    assert f"cannot be loaded on {tmp_path}: Error(s) in loading" in error
    assert "Traceback" not in error


def test_an_empty_pair_is_refused_with_every_other_mistake(arm: Callable[..., Path], predict: Say) -> None:
    code, _, error = predict(arm("encoder"), "--premise", " ", "--hypothesis", "b\udcff")
    assert code == 2
    assert "--premise\n  found:   is empty" in error
    assert "--hypothesis\n  found:   is not UTF-8" in error
    assert "no base model" in error


def test_the_base_is_found_by_the_name_that_the_arm_gives(tmp_path: Path, arm: Callable[..., Path], tiny_base: Base, predict: Say) -> None:
    (tmp_path / "models/base").mkdir(parents=True)
    (tmp_path / "models/base/tiny_roberta").symlink_to(tiny_base("roberta"))
    assert predict(arm("encoder"), "--premise", "A man is sleeping.", "--hypothesis", "He sleeps.")[0] == 0
