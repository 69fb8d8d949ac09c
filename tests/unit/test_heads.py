"""The LLaMA-3 study's head and layers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ftbench import bases, heads, inference, models, schema
from ftbench.text import encode_prompts

Base = Callable[[str], Path]
PROMPTS = ["A man is sleeping.", "Two dogs are running in the park. No dog is sleeping.", "The woman"]


def logits(model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(**batch).logits


@pytest.mark.parametrize(("token", "expected"), [("first", [0, 2, 0]), ("last", [3, 3, 1])])
def test_the_token_that_is_read_is_found_under_padding_on_either_side(tiny_base: Base, token: str, expected: list[int]) -> None:
    model = models.load_decoder_head(tiny_base("llama"), None, token, seed=0)
    mask = torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0]])
    assert model.pooled(mask).tolist() == expected


def test_a_head_on_the_first_token_gives_every_input_the_same_logits_and_one_on_the_last_does_not(tiny_base: Base) -> None:
    base = tiny_base("llama")
    tokenizer = bases.load_tokenizer(base)
    features = encode_prompts(tokenizer, PROMPTS, 64).features
    assert len({feature["input_ids"][0] for feature in features}) == 1, "all start with the beginning-of-sequence token"
    batch = inference.pad(features, tokenizer, "cpu")
    first = logits(models.load_decoder_head(base, None, "first", seed=0), batch)
    last = logits(models.load_decoder_head(base, None, "last", seed=0), batch)
    assert torch.allclose(first, first[:1].expand_as(first), atol=1e-6)
    assert (last - last[0]).abs().max(dim=1).values[1:].min() > 1e-3


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_does_not_change_a_heads_logits(tiny_base: Base, side: str) -> None:
    base = tiny_base("llama")
    tokenizer = bases.load_tokenizer(base)
    tokenizer.padding_side = side
    model = models.load_decoder_head(base, None, "last", seed=0)
    features = encode_prompts(tokenizer, PROMPTS, 64).features
    together = logits(model, inference.pad(features, tokenizer, "cpu"))
    alone = torch.cat([logits(model, inference.pad([feature], tokenizer, "cpu")) for feature in features])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_studys_layer_adds_up_of_down_of_the_hidden_state() -> None:
    layer = heads.RankDecomposedLayer(2, 1, torch.device("cpu"))
    layer.down.weight.data = torch.tensor([[1.0, 1.0]])
    layer.up.weight.data = torch.tensor([[2.0], [0.0]])
    # down(1, 2) = 3; up(3) = (6, 0)
    assert layer(torch.tensor([[1.0, 2.0]])).tolist() == [[7.0, 2.0]]


def test_the_studys_layers_start_as_the_base_and_only_they_and_the_head_are_trained(tiny_base: Base) -> None:
    base = tiny_base("llama")
    tokenizer = bases.load_tokenizer(base)
    batch = inference.pad(encode_prompts(tokenizer, PROMPTS, 64).features, tokenizer, "cpu")
    model = models.load_decoder_head(base, None, "last", seed=0)
    before = logits(model, batch)
    heads.add_study_layers(model, schema.StudyLayer(r=4), seed=0)
    assert torch.equal(logits(model, batch), before)
    # 2 blocks, each 32 x 4 down and 4 x 32 up; the head is 3 x 32
    assert models.count_parameters(model)["trained"] == 2 * (32 * 4 + 4 * 32) + 3 * 32
    assert {name.split(".")[0] for name, _ in models.trained_parameters(model)} == {"study_layers", "score"}
    for layer in model.study_layers:
        torch.nn.init.ones_(layer.up.weight)
    assert not torch.allclose(logits(model, batch), before, atol=1e-3), "after each block they change what the head reads"


def test_a_heads_loss_is_the_mean_cross_entropy(tiny_base: Base) -> None:
    model = models.load_decoder_head(tiny_base("llama"), None, "last", seed=0)
    torch.nn.init.zeros_(model.score.weight)
    ids = torch.tensor([[1, 5, 6], [1, 7, 8]])
    loss = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=torch.tensor([0, 2])).loss
    assert loss.item() == pytest.approx(1.0986123, abs=1e-6), "three equal logits: ln 3"
