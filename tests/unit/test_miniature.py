from __future__ import annotations

from typing import Any

import pytest

from ftbench import miniature
from ftbench.errors import UserError

NARROW = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
SMALL = {**NARROW, "intermediate_size": 64}
FULL = {  # the real checkpoints: dimensions, vocabulary, parameters
    "phi": (
        {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 32, "num_attention_heads": 32, "partial_rotary_factor": 0.4},
        51200,
        2_779_683_840,
    ),
    "llama": (
        {
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
        },
        128256,
        8_030_261_248,
    ),
    "bloom": ({"hidden_size": 2560, "num_hidden_layers": 30, "num_attention_heads": 32}, 250880, 3_002_557_440),
    "falcon": ({"hidden_size": 2048, "num_hidden_layers": 24, "num_attention_heads": 32}, 50304, 1_311_625_216),
    # 355,362,819 with a 3-way head in place of the masked one: less 1,053,699, more the latter's 1,102,937
    "roberta": (
        {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "max_position_embeddings": 514,
        },
        50265,
        355_362_819 - (1024 * 1024 + 1024 + 3 * 1024 + 3) + (1024 * 1024 + 1024 + 2 * 1024 + 50265),
    ),
}


def small(architecture: str) -> dict[str, int]:
    return NARROW if architecture == "bloom" else SMALL


def size(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_the_five_architectures_of_the_six_models_are_there() -> None:
    assert len(miniature.FAMILIES) == len(FULL) == 5


@pytest.mark.parametrize("architecture", FULL)
def test_the_full_shape_has_the_published_number_of_parameters(architecture: str) -> None:
    dimensions, vocab_size, parameters = FULL[architecture]
    assert size(miniature.build(architecture, dimensions, vocab_size, seed=0, device="meta")) == parameters


def test_open_llama_has_its_published_number_of_parameters() -> None:
    dimensions = {"hidden_size": 3200, "intermediate_size": 8640, "num_hidden_layers": 26, "num_attention_heads": 32}
    assert size(miniature.build("llama", dimensions, 32000, seed=0, device="meta")) == 3_426_473_600


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("roberta", {"tie_word_embeddings": True, "type_vocab_size": 1, "layer_norm_eps": 1e-5, "hidden_dropout_prob": 0.1}),
        ("phi", {"tie_word_embeddings": False, "resid_pdrop": 0.0}),
        ("llama", {"tie_word_embeddings": False, "attention_bias": False}),
        ("bloom", {"tie_word_embeddings": True, "n_layer": 2, "n_head": 4}),
        (
            "falcon",
            {
                "alibi": True,
                "bias": True,
                "multi_query": False,
                "parallel_attn": False,
                "new_decoder_architecture": False,
                "tie_word_embeddings": True,
            },
        ),
    ],
)
def test_what_is_no_dimension_is_as_in_the_real_checkpoint(architecture: str, expected: dict[str, Any]) -> None:
    config = miniature.config(architecture, small(architecture), 500, pad_token_id=1, bos_token_id=None, eos_token_id=2)
    assert {name: getattr(config, name) for name in expected} == expected
    assert (config.model_type, config.vocab_size, config.hidden_size) == (architecture, 500, 32)
    assert (config.pad_token_id, config.eos_token_id) == (1, 2)


def test_the_initial_weights_are_scaled_with_the_width() -> None:
    assert miniature.config("llama", {**SMALL, "hidden_size": 128}, 500).initializer_range == pytest.approx(0.0601, abs=1e-4)
    assert miniature.config("llama", {**SMALL, "hidden_size": 512}, 500).initializer_range == pytest.approx(0.0301, abs=1e-4)


@pytest.mark.parametrize("architecture", FULL)
def test_the_weights_follow_from_the_seed_and_nothing_else(architecture: str) -> None:
    import torch

    first = miniature.build(architecture, small(architecture), 500, seed=3).state_dict()
    torch.rand(7)  # somebody else's draws
    again, other = (miniature.build(architecture, small(architecture), 500, seed=seed).state_dict() for seed in (3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_building_leaves_the_global_random_state_alone() -> None:
    import torch

    before = torch.random.get_rng_state()
    miniature.build("phi", SMALL, 500, seed=0)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_partial_rotary_factor_reaches_phi() -> None:
    config = miniature.config("phi", {**SMALL, "partial_rotary_factor": 0.25}, 500)
    assert config.rope_parameters["partial_rotary_factor"] == 0.25


def test_falcons_mlp_has_the_width_asked_for() -> None:
    assert miniature.config("falcon", {**NARROW, "intermediate_size": 48}, 500).ffn_hidden_size == 48


@pytest.mark.parametrize("architecture", ["bloom", "falcon"])
def test_where_it_is_not_said_the_mlp_of_bloom_and_falcon_is_four_times_as_wide(architecture: str) -> None:
    shapes = {tuple(tensor.shape) for tensor in miniature.build(architecture, NARROW, 500, seed=0, device="meta").parameters()}
    assert (128, 32) in shapes


@pytest.mark.parametrize("architecture", ["roberta", "phi", "llama"])
def test_the_width_of_the_mlp_must_be_said_where_the_architecture_has_no_rule(architecture: str) -> None:
    with pytest.raises(UserError, match=f"{architecture}: dimensions.intermediate_size\n.*missing"):
        miniature.config(architecture, NARROW, 500)


def test_all_mistakes_in_the_dimensions_are_told_at_once() -> None:
    dimensions = {"hidden_size": 0, "num_hidden_layer": 2, "intermediate_size": 64}
    with pytest.raises(UserError) as refusal:
        miniature.config("bloom", dimensions, 500)
    wheres = [problem.where for problem in refusal.value.problems]
    assert wheres == [
        "bloom: dimensions.num_hidden_layers",
        "bloom: dimensions.num_attention_heads",
        "bloom: dimensions.hidden_size",
        "bloom: dimensions.num_hidden_layer",
        "bloom: dimensions.intermediate_size",
    ]
    assert "did you mean 'num_hidden_layers'?" in str(refusal.value)


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(UserError, match="a multiple of the 5 attention heads"):
        miniature.config("llama", {**SMALL, "num_attention_heads": 5}, 500)


def test_an_unknown_architecture_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"did you mean 'falcon'\?"):
        miniature.config("falcom", SMALL, 500)


def test_an_encoder_s_positions_start_as_waves_and_a_decoder_has_none_to_start() -> None:
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 40}
    model = miniature.build("roberta", shape, 300, seed=0)
    positions = model.roberta.embeddings.position_embeddings.weight
    # the first wave has a period of 2 pi positions: sin(0) = 0, cos(0) = 1, sin(3) = 0.1411
    assert [round(float(value), 4) for value in (positions[0, 0], positions[0, 1], positions[3, 0])] == [0.0, 0.08, 0.0113]
    assert positions.requires_grad


@pytest.mark.parametrize("architecture", ["roberta", "phi", "llama"])
def test_half_the_heads_of_the_first_block_start_by_looking_for_the_same_token(architecture: str) -> None:
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 40}
    model = miniature.build(architecture, shape, 300, seed=0)
    weights = dict(model.named_parameters())
    names = ("query", "key") if architecture == "roberta" else ("q_proj", "k_proj")
    for layer, matching in ((0, True), (1, False)):
        query, key = (next(value for name, value in weights.items() if f".{layer}." in name and f"{part}.weight" in name) for part in names)
        assert bool((query[:16] == key[:16]).all()) == matching
        assert not bool((query[16:] == key[16:]).any())
        assert query.requires_grad
        assert key.requires_grad
