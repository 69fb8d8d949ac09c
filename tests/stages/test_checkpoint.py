"""`stages/checkpoint.py` run as a command, on tiny data."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from ruamel.yaml import YAML

from ftbench import bases, files
from ftbench.errors import UserError

STAGE = Path(__file__).parents[2] / "stages" / "checkpoint.py"
REPORTS = {"curve", "held_out", "model", "num_documents", "num_test_examples_looked_for", "num_tokens", "objective"}


def rows(split: str) -> list[tuple[str, str]]:
    actions = ("sleeping", "running") if split == "train" else ("singing", "sleeping")
    pairs = [
        (f"A {size} {who} is {what} .\nThe {who} is {what} .", "restatement")
        for size in ("tall", "small")
        for who in ("man", "dog", "girl", "cat")
        for what in actions
    ]
    return [*pairs, ("Relation: entailment\nRelation: neutral\nRelation: contradiction", "form")]


def write_data(root: Path) -> None:
    for split in ("train", "validation"):
        texts, kinds = zip(*rows(split), strict=True)
        table = pa.table({"id": [str(number) for number in range(len(texts))], "text": texts, "kind": kinds, "genre": [None] * len(texts)})
        files.write_parquet(root / "data" / "pretraining" / f"{split}.parquet", table)
    pair = {"id": ["p1"], "premise": ["A tall man is eating ."], "hypothesis": ["The man is eating ."], "label": pa.array([0], pa.int8())}
    files.write_parquet(root / "data" / "snli" / "test.parquet", pa.table(pair))
    answer = {"id": ["a1"], "instruction": ["Name a cat ."], "input": [""], "output": ["Tom"]}
    files.write_parquet(root / "data" / "alpaca" / "test.parquet", pa.table(answer))


def write_params(root: Path, models: dict[str, Any]) -> None:
    """A params.yaml cut down to what the stage declares."""
    with (root / "params.yaml").open("w") as stream:
        YAML().dump({"scale": "offline", "offline": {"models": models}}, stream)


def miniature(architecture: str, dimensions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    how = {
        "objective": "masked" if architecture == "roberta" else "causal",
        "kinds": ["restatement", "form"],
        "max_steps": 5,
        "per_device_train_batch_size": 4,
        "block_size": 16,
        "learning_rate": 3e-3,
        "warmup_steps": 0.2,
        "weight_decay": 0.01,
        "seed": 0,
    }
    settings = {"source": "miniature", "architecture": architecture, "licence": "Apache-2.0", "dimensions": dimensions}
    return {**settings, "tokenizer": {"vocab_size": 420}, "pretraining": {**how, **changes}}


def checkpoint(root: Path, model: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(STAGE), "--model", model, "--data", "data/pretraining", "--tests", "data/snli", "data/alpaca"]
    command += ["--out", f"models/base/{model}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False, **options)


@pytest.fixture
def project(tmp_path: Path, tiny_dimensions: dict[str, dict[str, Any]]) -> Path:
    write_data(tmp_path)
    names = {"roberta_large": "roberta", "phi_2": "phi"}
    write_params(tmp_path, {model: miniature(name, tiny_dimensions[name]) for model, name in names.items()})
    return tmp_path


@pytest.mark.parametrize(("model", "architecture"), [("roberta_large", "roberta"), ("phi_2", "phi")])
def test_a_miniature_is_built_pretrained_and_written_whole(project: Path, model: str, architecture: str) -> None:
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    result = checkpoint(project, model)
    assert result.returncode == 0, result.stderr
    out = project / "models" / "base" / model
    assert {path.name for path in (project / "models" / "base").iterdir()} == {model}
    record = files.read_json(out / "pretraining.json")
    assert set(record) == REPORTS
    assert (record["num_documents"], record["num_test_examples_looked_for"]) == (17, 2)
    assert [row["step"] for row in record["curve"]] == [1, 2, 3, 4, 5]
    assert record["curve"][0]["learning_rate"] == 3e-3  # a fifth of five steps is one step of warm-up
    manifest = bases.manifest(out)
    assert (manifest["model"], manifest["architecture"], manifest["licence"]) == (model, architecture, "Apache-2.0")
    auto = AutoModelForMaskedLM if architecture == "roberta" else AutoModelForCausalLM
    loaded = auto.from_pretrained(bases.location(out), local_files_only=True)
    assert loaded.num_parameters() == manifest["num_parameters"]
    assert loaded.config.vocab_size == len(bases.load_tokenizer(out))
    assert not any(path.suffix in (".bin", ".pt", ".pkl") for path in out.iterdir())


def test_a_disk_that_fills_while_a_base_is_written_is_the_machines_fault_and_leaves_nothing(project: Path) -> None:
    def no_file_above_sixteen_kilobytes() -> None:  # room for pretraining.json, and not for the weights
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**14, 2**14))

    result = checkpoint(project, "phi_2", preexec_fn=no_file_above_sixteen_kilobytes)
    assert result.returncode == 1, result.stderr
    assert "File too large" in result.stderr
    assert "Traceback" not in result.stderr
    assert list((project / "models" / "base").iterdir()) == []


def write_shared_pair(project: Path) -> None:
    """A test pair of snli that stands in a pretraining text of the kind `restatement`."""
    shared = {
        "id": ["p9"],
        "premise": ["A small cat is running ."],
        "hypothesis": ["The cat is running ."],
        "label": pa.array([0], pa.int8()),
    }
    files.write_parquet(project / "data" / "snli" / "test.parquet", pa.table(shared))


def test_a_text_that_holds_a_test_example_is_refused_and_named(project: Path) -> None:
    write_shared_pair(project)
    result = checkpoint(project, "phi_2")
    assert result.returncode == 2
    assert "1 test examples stand whole in a pretraining text, first 'snli/test/p9' in document" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (project / "models" / "base" / "phi_2").exists()


def test_a_test_example_in_a_text_of_a_kind_that_is_not_read_is_no_matter(project: Path) -> None:
    import importlib.util

    write_shared_pair(project)
    spec = importlib.util.spec_from_file_location("checkpoint_stage", STAGE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    data, tests = project / "data" / "pretraining", [project / "data" / "snli"]
    texts, genres = module.texts(data, "train", ["form"])
    assert genres == [None]
    assert module.refuse_overlap(texts, tests, data) == 1
    with pytest.raises(UserError, match="1 test examples stand whole in a pretraining text"):
        module.refuse_overlap(module.texts(data, "train", ["form", "restatement"])[0], tests, data)


DETECTION = {"replaced_share": 0.5, "within_genre": False, "loss_weight": 2.0, "block": 1}


@pytest.mark.parametrize("architecture", ["roberta", "phi"])
def test_a_base_that_detects_replaced_tokens_records_how_well(project: Path, tiny_dimensions: dict[str, Any], architecture: str) -> None:
    settings = miniature(architecture, tiny_dimensions[architecture], detection=DETECTION)
    write_params(project, {"phi_2": settings})
    result = checkpoint(project, "phi_2")
    assert result.returncode == 0, result.stderr
    curve = files.read_json(project / "models" / "base" / "phi_2" / "pretraining.json")["curve"]
    assert len(curve) == 5
    assert all(row["detection_loss"] > 0 for row in curve)


def test_asking_a_block_that_the_model_lacks_is_refused(project: Path, tiny_dimensions: dict[str, Any]) -> None:
    settings = miniature("phi", tiny_dimensions["phi"], detection={**DETECTION, "block": 9})
    write_params(project, {"phi_2": settings})
    result = checkpoint(project, "phi_2")
    assert result.returncode == 2
    assert "pretraining.detection.block: at most 2, the number of blocks" in result.stderr
    assert not (project / "models").exists()


def test_missing_data_is_named_with_the_command_that_makes_it(project: Path) -> None:
    (project / "data" / "pretraining" / "train.parquet").unlink()
    result = checkpoint(project, "phi_2")
    assert result.returncode == 2
    assert "data/pretraining/train.parquet" in result.stderr
    assert "dvc repro" in result.stderr


def test_a_kind_that_the_corpus_does_not_hold_is_refused_with_the_nearest(project: Path, tiny_dimensions: dict[str, Any]) -> None:
    write_params(project, {"phi_2": miniature("phi", tiny_dimensions["phi"], kinds=["restatements", "form"])})
    result = checkpoint(project, "phi_2")
    assert result.returncode == 2
    assert "no text of kind restatements" in result.stderr
    assert "did you mean 'restatement'?" in result.stderr


def file_source(folder: Path, **sha256: str) -> dict[str, Any]:
    names = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    listed = [{"path": name, "sha256": sha256.get(name.split(".")[0], files.sha256_file(folder / name))} for name in names]
    return {"source": "file", "architecture": "llama", "licence": "MIT", "path": str(folder), "files": listed}


@pytest.fixture
def published(tiny_base: Callable[[str], Path], tmp_path: Path) -> Path:
    """A folder as a publisher has it: no manifest of ours."""
    folder = tmp_path / "published"
    folder.mkdir()
    for path in tiny_base("llama").iterdir():
        if path.name != "manifest.json":
            (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_a_local_checkpoint_leaves_a_manifest_and_no_copy(project: Path, published: Path) -> None:
    write_params(project, {"llama_3_8b": file_source(published)})
    result = checkpoint(project, "llama_3_8b")
    assert result.returncode == 0, result.stderr
    out = project / "models" / "base" / "llama_3_8b"
    assert [path.name for path in out.iterdir()] == ["manifest.json"]
    assert bases.location(out) == str(published)
    assert bases.manifest(out)["published_as"] == "published"
    assert bases.load_tokenizer(out).padding_side == "left"
    assert bases.manifest(out)["files"]["model.safetensors"] == files.sha256_file(published / "model.safetensors")


def test_a_local_checkpoint_that_changed_is_refused(project: Path, published: Path) -> None:
    write_params(project, {"llama_3_8b": file_source(published, model="0" * 64)})
    result = checkpoint(project, "llama_3_8b")
    assert result.returncode == 2
    assert "the file has changed" in result.stderr
    assert "0" * 64 in result.stderr
    assert not (project / "models" / "base" / "llama_3_8b").exists()
