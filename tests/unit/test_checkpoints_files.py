"""The files of a checkpoint's weights: PyTorch ones converted once and never run, indices that name no others."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_folder import Tiny, pinned, published
from safetensors.torch import load_file

from ftbench import checkpoints, weights
from ftbench.errors import UserError


@pytest.fixture
def folder(tiny_base: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint's folder as a publisher has it, to be spoilt at will."""
    return published(tiny_base, tmp_path, monkeypatch)


def test_a_folder_of_safetensors_is_used_where_it_is(folder: Path) -> None:
    assert checkpoints.with_safetensors(folder, "key") == folder
    assert not weights.CONVERTED.exists()


def as_pytorch(folder: Path, shards: int) -> dict[str, torch.Tensor]:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if shards == 1:
        torch.save(tensors, folder / "pytorch_model.bin")
        return tensors
    names = sorted(tensors)
    parts = {f"pytorch_model-0000{part + 1}-of-00002.bin": names[part::2] for part in range(2)}
    for file, held in parts.items():
        torch.save({name: tensors[name] for name in held}, folder / file)
    index = {name: file for file, held in parts.items() for name in held}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": index}))
    return tensors


@pytest.mark.parametrize("shards", [1, 2])
def test_pytorch_weights_are_converted_once_without_changing_a_value(folder: Path, shards: int) -> None:
    from transformers import AutoModelForCausalLM

    tensors = as_pytorch(folder, shards)
    converted = checkpoints.with_safetensors(folder, "key")
    assert converted == weights.CONVERTED / "key"
    assert not list(converted.glob("*.bin*"))
    loaded = AutoModelForCausalLM.from_pretrained(converted, local_files_only=True).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())
    assert checkpoints.verify("open_llama_3b", "llama", converted)["num_parameters"] == sum(tensor.numel() for tensor in tensors.values())
    before = [(path.name, path.stat().st_mtime_ns) for path in sorted(converted.iterdir())]
    checkpoints.with_safetensors(folder, "key")
    assert [(path.name, path.stat().st_mtime_ns) for path in sorted(converted.iterdir())] == before


class Intruder:
    """A pickle that would run code when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (Path("intruded"), "yes"))


def test_a_pytorch_file_that_would_run_code_is_refused_and_nothing_runs(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"weight": Intruder()}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="the restricted loader rejects it"):
        checkpoints.with_safetensors(folder, "key")
    assert not Path("intruded").exists()
    assert not (weights.CONVERTED / "key").exists()


@pytest.mark.parametrize("content", [pickle.dumps([1, 2]), b"not a pickle", b""])
def test_a_pytorch_file_that_holds_no_tensors_is_refused(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(UserError, match="the restricted loader rejects it"):
        checkpoints.with_safetensors(folder, "key")


def test_an_index_that_leaves_the_folder_is_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../other.safetensors"}}))
    with pytest.raises(UserError, match="a weight file outside the folder"):
        weights.find(folder, weights.SAFETENSORS)


def test_an_index_with_a_missing_shard_is_no_checkpoint(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    with pytest.raises(UserError, match="no weights"):
        checkpoints.from_folder("llama_3_8b", pinned(folder))


@pytest.mark.parametrize(
    "tensors",
    [
        {"a": torch.zeros(1).expand(2**38)},
        {"a": torch.zeros(2, 2).to_sparse()},
        {"a": torch.empty(2, device="meta")},
        {"a": torch.zeros(2, dtype=torch.complex64)},
        {1: torch.zeros(2)},
    ],
    ids=["a_terabyte_from_nothing", "sparse", "without_data", "complex", "a_number_for_a_name"],
)
def test_a_pytorch_file_whose_tensors_are_not_what_they_seem_is_refused_before_memory_is_taken(folder: Path, tensors: object) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="the restricted loader rejects it"):
        checkpoints.with_safetensors(folder, "key")
    assert not (weights.CONVERTED / "key").exists()


@pytest.mark.parametrize("name", [7, ["x"], "a" * 5000, "sub/a.safetensors"])
def test_an_index_whose_names_are_no_files_of_the_folder_is_refused(folder: Path, name: object) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(UserError, match=r"not an index of weights|a weight file outside the folder"):
        weights.find(folder, weights.SAFETENSORS)
