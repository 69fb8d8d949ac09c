"""Models of the six base models' architectures at any size: randomly initialised miniatures, or the full shape on the meta device.

`dimensions` carries Hugging Face's own names. What is not a dimension (tied embeddings, ALiBi, biases …) follows the real checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ftbench.errors import Problem, UserError, nearest

WIDTH_RULE = 0.68  # initializer_range = 0.68 / sqrt(hidden_size), 0.06 at 128: with 0.02 so narrow a model hardly learns to copy
MATCH = 2.5  # how much larger the weights of matching heads start than others
WAVE = 0.08  # the height of a position's waves, beside word embeddings of 0.06


@dataclass(frozen=True, slots=True)
class Architecture:
    """A family: its transformers class, the dimensions it has (ours → its config's name) and what is fixed by the real checkpoint."""

    model_class: str
    config_class: str
    dimensions: Mapping[str, str]
    fixed: Mapping[str, Any] = field(default_factory=dict)


_COMMON = {"hidden_size": "hidden_size", "num_hidden_layers": "num_hidden_layers", "num_attention_heads": "num_attention_heads"}
_MLP = {"intermediate_size": "intermediate_size"}
_POSITIONS = {"max_position_embeddings": "max_position_embeddings"}

FAMILIES = {
    "roberta": Architecture(
        "RobertaForMaskedLM",
        "RobertaConfig",
        {
            **_COMMON,
            **_MLP,
            **_POSITIONS,
            "hidden_dropout_prob": "hidden_dropout_prob",
            "attention_probs_dropout_prob": "attention_probs_dropout_prob",
        },
        {"type_vocab_size": 1, "layer_norm_eps": 1e-5, "tie_word_embeddings": True},
    ),
    "phi": Architecture(
        "PhiForCausalLM",
        "PhiConfig",
        {**_COMMON, **_MLP, **_POSITIONS, "partial_rotary_factor": "partial_rotary_factor"},
        {"tie_word_embeddings": False},
    ),
    "llama": Architecture(
        "LlamaForCausalLM",
        "LlamaConfig",
        {**_COMMON, **_MLP, **_POSITIONS, "num_key_value_heads": "num_key_value_heads"},
        {"tie_word_embeddings": False},
    ),
    "bloom": Architecture("BloomForCausalLM", "BloomConfig", dict(_COMMON), {"tie_word_embeddings": True}),
    "falcon": Architecture(
        "FalconForCausalLM",
        "FalconConfig",
        {**_COMMON, "intermediate_size": "ffn_hidden_size", **_POSITIONS},
        {
            "alibi": True,
            "bias": True,
            "multi_query": False,
            "parallel_attn": False,
            "new_decoder_architecture": False,
            "tie_word_embeddings": True,
        },
    ),
}
_REQUIRED = ("hidden_size", "num_hidden_layers", "num_attention_heads")
_FOUR_TIMES = ("bloom", "falcon")  # whose MLP is four times as wide as the model unless told otherwise
_RATES = ("partial_rotary_factor", "hidden_dropout_prob", "attention_probs_dropout_prob")


def config(architecture: str, dimensions: Mapping[str, Any], vocab_size: int, **token_ids: int | None) -> Any:
    """The transformers config of an architecture at `dimensions`; `token_ids` are pad_token_id, bos_token_id and eos_token_id.

    Bloom's MLP is four times its hidden size and its positions are unlimited (ALiBi), so it has neither dimension.
    Raises UserError, all mistakes at once, for an unknown architecture, a missing, unknown or impossible dimension.
    """
    import transformers

    if architecture not in FAMILIES:
        problem = Problem("architecture", repr(architecture), allowed=", ".join(FAMILIES), mend=nearest(str(architecture), FAMILIES))
        raise UserError(problem)
    family = FAMILIES[architecture]
    given = {name: value for name, value in dimensions.items() if value is not None}
    if problems := mistakes(architecture, given):
        raise UserError(problems)
    values = {family.dimensions[name]: value for name, value in given.items()}
    ids = {name: value for name, value in token_ids.items() if value is not None}
    initializer_range = WIDTH_RULE / given["hidden_size"] ** 0.5
    return getattr(transformers, family.config_class)(
        vocab_size=vocab_size, initializer_range=initializer_range, **values, **family.fixed, **ids
    )


def longest_input(architecture: str, num_positions: int | None) -> int | None:
    """The longest input in tokens with a table of `num_positions`; None where there is none. RoBERTa counts its positions from 2."""
    return num_positions - 2 if num_positions and architecture == "roberta" else num_positions


def mistakes(architecture: str, given: Mapping[str, Any]) -> list[Problem]:
    """What is wrong with the dimensions of a known architecture: missing, unknown or impossible ones."""
    family = FAMILIES[architecture]
    problems = []
    for name in (*_REQUIRED, *(() if architecture in _FOUR_TIMES else ("intermediate_size",))):
        if name not in given:
            problems.append(Problem(f"{architecture}: dimensions.{name}", "missing", allowed="a positive integer"))
    for name, value in given.items():
        where = f"{architecture}: dimensions.{name}"
        if name not in family.dimensions:
            problems.append(Problem(where, str(value), allowed=", ".join(family.dimensions), mend=nearest(name, family.dimensions)))
        elif name not in _RATES and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            problems.append(Problem(where, repr(value), allowed="a positive integer"))
    if not problems:
        width, heads = given["hidden_size"], given["num_attention_heads"]
        groups = given.get("num_key_value_heads", heads)
        if width % heads:
            where = f"{architecture}: dimensions.hidden_size"
            problems.append(Problem(where, str(width), allowed=f"a multiple of the {heads} attention heads"))
        if heads % groups:
            problems.append(Problem(f"{architecture}: dimensions.num_key_value_heads", str(groups), allowed=f"a divisor of {heads}"))
    return problems


def build(
    architecture: str, dimensions: Mapping[str, Any], vocab_size: int, seed: int, device: str = "cpu", **token_ids: int | None
) -> Any:
    """A randomly initialised model in float32 with its language-modelling head; the same seed gives the same weights.

    `device="meta"` gives the shapes alone, at any size, with no memory spent. Raises UserError as `config` does.
    """
    import torch
    import transformers

    settings = config(architecture, dimensions, vocab_size, **token_ids)
    model_class = getattr(transformers, FAMILIES[architecture].model_class)
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(seed)
        model = model_class(settings)
        if device != "meta":
            _start(architecture, model)
        return model


def _start(architecture: str, model: Any) -> None:
    """Initial weights that so small a model needs to get anywhere within its few steps; all of them are trained like any other."""
    if architecture == "roberta":
        _wave(model.roberta.embeddings.position_embeddings.weight)
        attention = model.roberta.encoder.layer[0].attention.self
        _match(attention.query.weight, attention.key.weight)
    elif architecture in ("phi", "llama"):
        attention = model.model.layers[0].self_attn
        _match(attention.q_proj.weight, attention.k_proj.weight)


def _match(query: Any, key: Any) -> None:
    """Let half the heads of the first block start out by looking for the same token elsewhere: their query and key weights are equal.

    After Trockman and Kolter 2023, "Mimetic initialization of self-attention layers". Whether a word of the hypothesis stands in the
    premise is what most labels turn on, and from independent weights a small model hardly finds it.
    """
    import torch

    rows = min(len(query), len(key)) // 2
    with torch.no_grad():
        query[:rows] *= MATCH
        key[:rows] = query[:rows]


def _wave(weight: Any) -> None:
    """Start learned positions [length, hidden] as sines and cosines, as in Vaswani et al. 2017, with waves of up to 100 tokens.

    They are trained like any other weight. From random positions a small encoder spends most of its steps finding out which are neighbours.
    """
    import torch

    length, hidden = weight.shape
    waves = 100.0 ** (torch.arange(0, hidden, 2) / hidden)
    angles = torch.arange(length)[:, None] / waves
    with torch.no_grad():
        weight[:, 0::2] = torch.sin(angles) * WAVE
        weight[:, 1::2] = torch.cos(angles[:, : hidden // 2]) * WAVE
