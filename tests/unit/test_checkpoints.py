"""Real checkpoints in local folders: pins, and verification of what is in them. `test_hub` fetches them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from checkpoint_folder import FILES, Tiny, edit, pinned, published
from safetensors.torch import load_file, save_file

from ftbench import checkpoints, files, weights
from ftbench.errors import UserError


@pytest.fixture
def folder(tiny_base: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint's folder as a publisher has it, to be spoilt at will."""
    return published(tiny_base, tmp_path, monkeypatch)


def test_a_folder_as_pinned_is_taken_and_described(folder: Path, tiny_base: Tiny) -> None:
    assert checkpoints.from_folder("llama_3_8b", pinned(folder)) == folder
    facts = checkpoints.verify("llama_3_8b", "llama", folder)
    assert facts["num_parameters"] == files.read_json(tiny_base("llama") / "manifest.json")["num_parameters"]
    assert (facts["encoder"], facts["num_tokens"]) == (False, facts["vocab_size"])
    assert set(facts["files"]) == set(FILES)


def test_an_encoder_is_known_as_one(tiny_base: Tiny) -> None:
    assert checkpoints.verify("roberta_large", "roberta", tiny_base("roberta"))["encoder"] is True


def test_every_changed_missing_and_unlisted_file_is_named_at_once(folder: Path) -> None:
    model = pinned(folder)
    edit(folder / "config.json", hidden_act="relu")
    (folder / "tokenizer.json").unlink()
    (folder / "added_tokens.json").write_text("{}")
    with pytest.raises(UserError) as refusal:
        checkpoints.from_folder("llama_3_8b", model)
    found = {Path(problem.where).name: problem.found for problem in refusal.value.problems}
    assert "the file has changed" in found["config.json"]
    assert found["tokenizer.json"] == "no such file"
    assert "has no sha256" in found["added_tokens.json"]
    assert found["published"].startswith("no tokenizer")


def test_a_missing_folder_is_refused(tmp_path: Path, folder: Path) -> None:
    model = pinned(folder).model_copy(update={"path": str(tmp_path / "nowhere")})
    with pytest.raises(UserError, match="no such folder"):
        checkpoints.from_folder("llama_3_8b", model)


def test_a_file_outside_the_folder_is_refused(folder: Path) -> None:
    model = pinned(folder)
    model.files[0] = model.files[0].model_copy(update={"path": "../secret"})
    with pytest.raises(UserError, match="a path that leaves the folder"):
        checkpoints.from_folder("llama_3_8b", model)


def test_an_architecture_other_than_the_named_one_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match=r"(?s)model_type llama.*allowed: phi.*models\.phi_2\.architecture"):
        checkpoints.verify("phi_2", "phi", folder)


def test_truncated_weights_are_refused(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"cannot be read as safetensors \(truncated\?\)"):
        checkpoints.verify("llama_3_8b", "llama", folder)


def test_weights_that_are_not_numbers_are_refused_by_name(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][3] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"model\.norm\.weight holds values that are not numbers"):
        checkpoints.verify("llama_3_8b", "llama", folder)


@pytest.mark.parametrize("name", ["classifier.out_proj.weight", "score.weight"])
def test_a_checkpoint_that_is_a_classifier_already_is_refused(folder: Path, name: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, name: tensors["model.norm.weight"].clone()}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=rf"(?s){name}: weights of a classifier.*allowed: a base model"):
        checkpoints.verify("llama_3_8b", "llama", folder)


def test_a_tokenizer_larger_than_the_embedding_is_refused(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"][:-5].clone()
    rows = tensors["model.embed_tokens.weight"].shape[0]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=f"{rows + 5} tokens\n.*at most {rows}, the rows of the embedding"):
        checkpoints.verify("llama_3_8b", "llama", folder)


def test_a_tokenizer_without_a_pad_token_is_padded_with_end_of_sequence(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", pad_token=None)
    assert checkpoints.verify("llama_3_8b", "llama", folder)["num_tokens"] > 0


def test_a_tokenizer_with_nothing_to_pad_with_is_refused(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", pad_token=None, eos_token=None, unk_token=None)
    with pytest.raises(UserError, match=r"llama_3_8b: tokenizer\n.*without a pad token"):
        checkpoints.verify("llama_3_8b", "llama", folder)


def test_a_broken_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match=r"llama_3_8b: tokenizer in .*\n.*cannot be read"):
        checkpoints.verify("llama_3_8b", "llama", folder)


def test_a_tokenizer_that_is_a_sentencepiece_model_alone_is_read(folder: Path) -> None:
    """As OpenLLaMA's is; transformers reads it with two packages that it does not ask for."""
    import sentencepiece

    with (folder / "tokenizer.model").open("wb") as stream:
        how = {"model_type": "bpe", "vocab_size": 300, "byte_fallback": True, "pad_id": -1, "minloglevel": 2}
        texts = iter(["A man is sleeping.", "Two dogs are running in the park."] * 3)
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=texts, model_writer=stream, **how)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer", "eos_token": "</s>"}))
    assert checkpoints.verify("open_llama_3b", "llama", checkpoints.from_folder("open_llama_3b", pinned(folder)))["num_tokens"] == 300


def test_a_configuration_that_is_not_json_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match="not a model's configuration"):
        checkpoints.verify("llama_3_8b", "llama", folder)


# ---- what transformers would go on with ------------------------------------------------------------------------------------------------


def change(folder: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    edit(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as refusal:
        checkpoints.verify("llama_3_8b", "llama", folder)
    return str(refusal.value)


NORM = "model.layers.1.input_layernorm.weight"


def test_a_tensor_that_is_missing_is_refused_and_not_replaced_by_random_numbers(folder: Path) -> None:
    change(folder, lambda tensors: tensors.pop(NORM))
    assert f"no weights for {NORM}\n" in refused(folder)


def test_a_tensor_of_another_shape_than_the_configuration_says_is_refused_with_both(folder: Path) -> None:
    change(folder, lambda tensors: tensors.update({NORM: tensors[NORM][:-1].clone()}))
    assert f"{NORM} is [31], and [32] by config.json" in refused(folder)


def test_a_layer_that_the_configuration_does_not_have_is_refused_and_not_left_out(folder: Path) -> None:
    edit(folder / "config.json", num_hidden_layers=1)
    said = refused(folder)
    assert "weights of a layer that config.json does not have: model.layers.1." in said
    assert "4 more tensors do not fit" in said  # of nine in a layer, five are named


def test_more_layers_than_tensors_are_refused_before_they_are_built(folder: Path) -> None:
    edit(folder / "config.json", num_hidden_layers=10**6)
    assert "num_hidden_layers 1000000, and 21 tensors" in refused(folder)


def test_numbers_are_searched_for_in_the_whole_of_a_large_tensor(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "WHOLE", 64)
    assert checkpoints.verify("llama_3_8b", "llama", folder)
    name = "model.layers.0.mlp.down_proj.weight"
    change(folder, lambda tensors: tensors[name].view(-1)[-1:].fill_(float("inf")))
    assert f"{name} holds values that are not numbers\n" in refused(folder)


def test_a_tokenizer_that_knows_no_word_is_refused(folder: Path) -> None:
    edit(folder / "tokenizer.json", model={"type": "BPE", "vocab": {}, "merges": []}, added_tokens=[])
    assert "it reads a sentence as one token or none" in refused(folder)


@pytest.mark.parametrize(("model_type", "says"), [("evil", "model_type evil"), (["llama"], "model_type is no name")])
def test_an_architecture_that_only_code_of_the_repository_could_know_is_refused(folder: Path, model_type: object, says: str) -> None:
    edit(folder / "config.json", model_type=model_type, auto_map={"AutoConfig": "configuration_evil.C"})
    with pytest.raises(UserError, match=says):
        checkpoints.verify("evil", "evil", folder)


def sharded(folder: Path, index: Callable[[dict[str, str]], dict[str, str]]) -> None:
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(sorted(tensors))}
    for shard in set(names.values()):
        save_file({name: tensors[name] for name, own in names.items() if own == shard}, folder / shard, metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index(names)}))


def test_shards_hold_the_tensors_that_their_index_says(folder: Path) -> None:
    sharded(folder, lambda names: names)
    assert checkpoints.verify("llama_3_8b", "llama", folder)["num_parameters"] > 0
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": {NORM: "model-00002-of-00002.safetensors", "more": "model-00001-of-00002.safetensors"}})
    )
    assert "tensors are not in the file that it names, first " in refused(folder)


def test_a_tensor_that_stands_in_two_shards_is_refused(folder: Path) -> None:
    sharded(folder, lambda names: names)
    one, other = (folder / f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
    twice = next(iter(load_file(one)))
    save_file({**load_file(other), twice: load_file(one)[twice]}, other, metadata={"format": "pt"})
    assert f"{twice} stands in {one.name} too" in refused(folder)
