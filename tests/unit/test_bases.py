from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ftbench import bases, files, tokenization
from ftbench.errors import UserError

Tiny = Callable[[str], Path]


@pytest.mark.parametrize("architecture", tokenization.ARCHITECTURES)
def test_a_miniature_lies_in_its_own_folder_and_loads_offline(tiny_base: Tiny, architecture: str) -> None:
    from transformers import AutoModel

    folder = tiny_base(architecture)
    assert bases.location(folder) == str(folder)
    assert AutoModel.from_pretrained(str(folder), local_files_only=True).config.model_type == architecture


@pytest.mark.parametrize("architecture", tokenization.ARCHITECTURES)
def test_encoders_pad_right_and_decoders_left(tiny_base: Tiny, architecture: str) -> None:
    tokenizer = bases.load_tokenizer(tiny_base(architecture))
    assert tokenizer.padding_side == ("right" if architecture == "roberta" else "left")
    assert tokenizer.pad_token_id is not None


def test_the_manifest_names_every_file_with_its_hash(tiny_base: Tiny) -> None:
    manifest = bases.manifest(tiny_base("phi"))
    assert (manifest["source"], manifest["architecture"], manifest["encoder"]) == ("miniature", "phi", False)
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= set(manifest["files"])
    for name, expected in manifest["files"].items():
        assert files.sha256_file(tiny_base("phi") / name) == expected


def test_a_miniature_is_as_wide_as_its_tokenizer(tiny_base: Tiny) -> None:
    assert bases.manifest(tiny_base("bloom"))["vocab_size"] == len(bases.load_tokenizer(tiny_base("bloom")))


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"manifest\.json\n.*no such file"):
        bases.location(tmp_path)


def manifest_of(folder: Path, weights: Path | None, **changes: object) -> Path:
    content = {
        "model": "tiny",
        "architecture": "llama",
        "encoder": False,
        "source": "file",
        "folder": None if weights is None else str(weights),
        "repository": None,
        "revision": None,
    }
    bases.write_manifest(folder, {**content, **changes})
    return folder


def test_a_real_checkpoint_is_read_where_its_manifest_says(tiny_base: Tiny, tmp_path: Path) -> None:
    base = manifest_of(tmp_path, tiny_base("llama"))
    assert bases.location(base) == str(tiny_base("llama"))
    assert bases.load_tokenizer(base)("a man")["input_ids"] == bases.load_tokenizer(tiny_base("llama"))("a man")["input_ids"]


def test_weights_that_are_gone_are_named_with_the_command_that_brings_them_back(tiny_base: Tiny, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(tiny_base("llama"), weights)
    base = manifest_of(tmp_path, weights)
    shutil.rmtree(weights)
    with pytest.raises(UserError, match=r"(?s)the weights are gone: .*weights.*checkpoint@tiny"):
        bases.location(base)


def test_a_checkpoint_missing_from_the_hubs_cache_is_named_with_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    base = manifest_of(tmp_path, None, source="hub", repository="someone/model", revision="a" * 40)
    with pytest.raises(UserError, match=f"someone/model at {'a' * 40} in the hub's cache"):
        bases.location(base)


def test_an_input_longer_than_the_positions_is_refused() -> None:
    dimensions = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "max_position_embeddings": 66,
    }
    with pytest.raises(UserError, match=r"(?s)block_size.*found: *65.*at most 64"):  # RoBERTa keeps two positions for itself
        bases.new_miniature("roberta", dimensions, 500, ["a man"], 0, block_size=65)
    with pytest.raises(UserError, match="at most 66"):
        bases.new_miniature("llama", dimensions, 500, ["a man"], 0, block_size=67)


def test_a_manifest_that_does_not_say_what_it_must_is_refused(tmp_path: Path) -> None:
    bases.write_manifest(tmp_path, {"model": "phi_2", "source": "file", "encoder": False, "revision": None})
    with pytest.raises(UserError, match="it does not say: folder, repository\n"):
        bases.location(tmp_path)
    bases.write_manifest(tmp_path, {"source": "miniature"})
    with pytest.raises(UserError, match="it does not say: model, encoder\n"):
        bases.load_tokenizer(tmp_path)
