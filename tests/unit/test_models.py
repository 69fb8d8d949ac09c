"""Loading, counting and quantising base models, and putting weights back."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ftbench import adapters, bases, inference, models, schema
from ftbench.errors import UserError
from ftbench.text import encode_prompts

Base = Callable[[str], Path]
NF4 = schema.Quantization(bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=False, bnb_4bit_compute_dtype="float32")
# Linear layers of the two blocks of each tiny decoder, and the weights in them: hidden 32, feed-forward 64 (Bloom 128).
LINEAR = {
    "phi": (12, 2 * (4 * 32 * 32 + 2 * 32 * 64)),
    "llama": (14, 2 * (2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64)),
    "bloom": (8, 2 * (32 * 96 + 32 * 32 + 2 * 32 * 128)),
    "falcon": (8, 2 * (32 * 96 + 32 * 32 + 2 * 32 * 64)),
}


@pytest.mark.parametrize("architecture", LINEAR)
def test_every_linear_layer_of_a_decoders_blocks_becomes_4_bit(architecture: str, tiny_base: Base) -> None:
    layers, weights = LINEAR[architecture]
    whole = models.load_decoder(tiny_base(architecture), None)
    model = models.load_decoder(tiny_base(architecture), NF4)
    assert models.num_4bit_layers(whole) == 0
    assert models.num_4bit_layers(model) == layers
    total = models.count_parameters(whole)["total"]
    counts = models.count_parameters(model)
    assert counts["total"] == total == whole.num_parameters()
    assert counts["packed"] == total - weights // 2, "a byte holds two 4-bit weights and counts as one"


@pytest.mark.parametrize("architecture", LINEAR)
def test_the_logits_of_the_last_tokens_are_one_product_for_all_examples(architecture: str, tiny_base: Base) -> None:
    model = models.load_decoder(tiny_base(architecture), None).eval()
    read: list[torch.Tensor] = []
    model.get_output_embeddings().register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    tokens = torch.arange(4, 16).view(2, 6)
    with torch.inference_mode():
        some, whole = model(input_ids=tokens, logits_to_keep=3).logits, model(input_ids=tokens).logits
    assert read[0].shape[:2] == (2, 3)
    assert read[0].is_contiguous()  # for a view with gaps PyTorch would copy the layer's weights once per example
    torch.testing.assert_close(some, whole[:, -3:])


def test_falcons_own_linear_class_is_back_after_a_4_bit_load(tiny_base: Base) -> None:
    from transformers.models.falcon import modeling_falcon

    before = modeling_falcon.FalconLinear
    models.load_decoder(tiny_base("falcon"), NF4)
    assert modeling_falcon.FalconLinear is before is not torch.nn.Linear


def test_a_4_bit_load_that_leaves_a_layer_unquantised_is_refused(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext

    monkeypatch.setattr(models, "plain_falcon_layers", nullcontext)
    with pytest.raises(AssertionError, match="0 of 8 linear layers are in 4-bit"):
        models.load_decoder(tiny_base("falcon"), NF4)


@pytest.mark.parametrize("architecture", LINEAR)
def test_no_4_bit_layer_is_left_to_repack_its_weights_whatever_the_processor_can(
    architecture: str, tiny_base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bitsandbytes.nn import Linear4bit, modules

    monkeypatch.setattr(modules, "has_avx512bf16", lambda: True)
    assert Linear4bit(2, 2).support_avx512bf16_for_cpu is True, "what a processor with AVX512-BF16 would begin with"
    model = models.load_decoder(tiny_base(architecture), NF4)
    layers = [module for module in model.modules() if isinstance(module, Linear4bit)]
    assert [layer.support_avx512bf16_for_cpu for layer in layers] == [False] * LINEAR[architecture][0]


def test_what_is_neither_quantised_nor_trained_stays_in_16_bits_under_an_adapter(tiny_base: Base) -> None:
    half = NF4.model_copy(update={"bnb_4bit_compute_dtype": "bfloat16"})
    settings = schema.LoraAdapter(r=2, lora_alpha=2, lora_dropout=0.0, target_modules=["q_proj"])
    model = adapters.lora(models.load_decoder(tiny_base("llama"), half), settings, 0, "CAUSAL_LM")
    frozen = {name: parameter for name, parameter in model.named_parameters() if not parameter.requires_grad}
    left = {name: parameter.dtype for name, parameter in frozen.items() if getattr(parameter, "quant_state", None) is None}
    assert {name.split(".")[-2] for name in left} >= {"embed_tokens", "lm_head", "norm"}
    assert set(left.values()) == {torch.bfloat16}, "in float32 the embeddings and the head alone would take gigabytes"


def test_a_4_bit_model_can_be_trained_after_it_was_evaluated(tiny_base: Base) -> None:
    base = tiny_base("phi")
    tokenizer = bases.load_tokenizer(base)
    lora = schema.LoraAdapter(r=2, lora_alpha=2, lora_dropout=0.0, target_modules=["q_proj"])
    model = adapters.lora(models.load_decoder(base, NF4), lora, 0, "CAUSAL_LM")
    features = encode_prompts(tokenizer, ["A man is sleeping.", "Two dogs"], 64).features
    inference.score_labels(model, tokenizer, features, [" neutral"], 2)
    batch = inference.pad(features, tokenizer, "cpu")
    model.train()(**batch, labels=batch["input_ids"]).loss.backward()
    inference.score_labels(model, tokenizer, features, [" neutral"], 2)
    model.train()(**batch, labels=batch["input_ids"]).loss.backward()
    assert all(parameter.grad is not None for _, parameter in models.trained_parameters(model))


def test_the_heads_seed_decides_the_head_and_nothing_below_it(tiny_base: Base) -> None:
    one, same, other = (dict(models.load_encoder(tiny_base("roberta"), seed).named_parameters()) for seed in (1, 1, 2))
    assert [name for name in one if not torch.equal(one[name], same[name])] == []
    moved = {name for name in one if not torch.equal(one[name], other[name])}
    assert moved == {"classifier.dense.weight", "classifier.out_proj.weight"}, "biases start at zero"
    assert {parameter.dtype for parameter in one.values()} == {torch.float32}


@pytest.mark.parametrize("pretrained", [True, False])
def test_an_encoder_that_is_stored_in_16_bits_is_loaded_in_float32(tiny_base: Base, tmp_path: Path, pretrained: bool) -> None:
    from safetensors.torch import load_file, save_file
    from transformers import AutoConfig

    shutil.copytree(tiny_base("roberta"), tmp_path / "base")
    weights = load_file(tmp_path / "base" / "model.safetensors")
    halved = {name: weight.to(torch.bfloat16) for name, weight in weights.items()}
    save_file(halved, tmp_path / "base" / "model.safetensors", metadata={"format": "pt"})
    config = AutoConfig.from_pretrained(tmp_path / "base")
    config.dtype = torch.bfloat16
    config.save_pretrained(tmp_path / "base")
    loaded = dict(models.load_encoder(tmp_path / "base", 1, pretrained).named_parameters())
    assert {parameter.dtype for parameter in loaded.values()} == {torch.float32}
    if pretrained:
        name = "roberta.embeddings.word_embeddings.weight"
        assert torch.equal(loaded[name], halved[name].float())


def test_an_encoder_without_pretraining_has_other_weights_of_the_same_shapes(tiny_base: Base) -> None:
    pretrained, fresh, again = (
        dict(models.load_encoder(tiny_base("roberta"), 1, known).named_parameters()) for known in (True, False, False)
    )
    assert [(name, weight.shape) for name, weight in pretrained.items()] == [(name, weight.shape) for name, weight in fresh.items()]
    embedding = "roberta.embeddings.word_embeddings.weight"
    assert not torch.equal(pretrained[embedding], fresh[embedding])
    assert torch.equal(fresh[embedding], again[embedding])


def test_a_decoder_is_loaded_in_the_precision_that_is_asked_for(tiny_base: Base) -> None:
    assert {parameter.dtype for parameter in models.load_decoder(tiny_base("llama"), None, "bfloat16").parameters()} == {torch.bfloat16}
    head = models.load_decoder_head(tiny_base("llama"), None, "last", seed=0, dtype="bfloat16")
    assert head.score.weight.dtype == torch.float32, "a head is trained, so it stays in float32"
    ids = torch.tensor([[1, 5, 6]])
    assert head(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.shape == (1, 3)


@pytest.mark.parametrize("architecture", ["roberta", "phi", "llama"])
def test_attention_is_computed_as_asked_and_comes_to_the_same(tiny_base: Base, architecture: str) -> None:
    base = tiny_base(architecture)
    ids = torch.tensor([[5, 6, 7, 8], [9, 5, 6, 7]])
    outputs = []
    for attention in ("eager", "sdpa"):
        model = (
            models.load_encoder(base, 1, attention=attention)
            if architecture == "roberta"
            else models.load_decoder(base, None, attention=attention)
        )
        assert model.config._attn_implementation == attention
        outputs.append(model.eval()(input_ids=ids, attention_mask=torch.ones_like(ids)).logits)
    assert torch.allclose(*outputs, atol=1e-5)


def test_falcons_eager_attention_is_refused_since_it_adds_its_position_bias_twice(tiny_base: Base) -> None:
    with pytest.raises(UserError, match=r"eager, for falcon with ALiBi\n  allowed: sdpa"):
        models.load_decoder(tiny_base("falcon"), None, attention="eager")


def test_attention_that_the_machine_has_not_is_refused(tiny_base: Base) -> None:
    import transformers

    assert not transformers.utils.is_flash_attn_2_available()
    with pytest.raises(
        UserError, match=r"attn_implementation\n  found:   flash_attention_2, which this machine has not\n  allowed: sdpa, eager"
    ):
        models.load_decoder(tiny_base("llama"), None, attention="flash_attention_2")


def test_weights_of_another_base_are_refused_all_names_and_shapes_at_once(tmp_path: Path) -> None:
    small, large = torch.nn.Sequential(torch.nn.Linear(2, 2)), torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Linear(2, 1))
    models.save_weights(large, tmp_path / "weights.safetensors")
    with pytest.raises(UserError) as refused:
        models.load_weights(small, tmp_path / "weights.safetensors")
    assert {(problem.where.split(": ")[1], problem.found, problem.allowed) for problem in refused.value.problems} == {
        ("0.weight", "the shape (2, 3)", "(2, 2)"),
        ("1.weight", "no such weight in the base model", ""),
        ("1.bias", "no such weight in the base model", ""),
    }


def test_only_trainable_weights_under_a_prefix_are_saved(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    model = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2), "b": torch.nn.Linear(2, 2)})
    model["a"].bias.requires_grad_(False)
    models.save_weights(model, tmp_path / "weights.safetensors", prefix="a.")
    assert set(load_file(tmp_path / "weights.safetensors")) == {"a.weight"}


def test_lora_takes_every_setting_from_the_arm_and_its_start_from_the_seed(tiny_base: Base) -> None:
    settings = schema.LoraAdapter(r=3, lora_alpha=5, lora_dropout=0.25, target_modules=["value", "query"])
    one, same, other = (
        adapters.lora(models.load_encoder(tiny_base("roberta"), 0), settings, seed, "SEQ_CLS", "classifier") for seed in (1, 1, 2)
    )
    config = one.peft_config["default"]
    assert (config.r, config.lora_alpha, config.lora_dropout, set(config.target_modules)) == (3, 5, 0.25, {"query", "value"})
    assert (config.bias, config.use_rslora, config.use_dora, config.init_lora_weights) == ("none", False, False, True)
    # 2 blocks x (query, value) x r 3 x (32 in + 32 out), and the head: 32 x 32 + 32, 32 x 3 + 3
    assert models.count_parameters(one)["trained"] == 2 * 2 * 3 * 64 + 32 * 32 + 32 + 32 * 3 + 3
    start = [dict(models.trained_parameters(model))["base_model.model.roberta.encoder.layer.0.attention.self.query.lora_A.default.weight"]
             for model in (one, same, other)]  # fmt: skip
    assert torch.equal(start[0], start[1])
    assert not torch.equal(start[0], start[2])


def test_p_tuning_trains_the_encoder_of_its_virtual_tokens_and_the_head(tiny_base: Base) -> None:
    settings = schema.PromptAdapter(num_virtual_tokens=5, encoder_reparameterization_type="MLP", encoder_hidden_size=16)
    model = adapters.prompt_encoder(models.load_encoder(tiny_base("roberta"), 0), settings, 0, "SEQ_CLS")
    encoder = 5 * 32 + (32 * 16 + 16) + (16 * 16 + 16) + (16 * 32 + 32)
    assert models.count_parameters(model)["trained"] == encoder + 32 * 32 + 32 + 32 * 3 + 3


def test_layers_that_a_model_lacks_are_refused_with_the_nearest_name(tiny_base: Base) -> None:
    settings = schema.LoraAdapter(r=3, lora_alpha=5, lora_dropout=0.25, target_modules=["query", "valeu", "zzz"])
    with pytest.raises(UserError) as refused:
        adapters.lora(models.load_encoder(tiny_base("roberta"), 0), settings, 0, "SEQ_CLS", "classifier")
    assert [(problem.found, problem.mend) for problem in refused.value.problems] == [("valeu", "did you mean 'value'?"), ("zzz", "")]
    with pytest.raises(UserError, match=r"num_top_layers\n  found:   3\n  allowed: 1 to 2"):
        adapters.top_layers(models.load_encoder(tiny_base("roberta"), 0), schema.TopLayers(num_top_layers=3))


def test_an_adapter_is_saved_with_the_models_name_and_no_path(tiny_base: Base, tmp_path: Path) -> None:
    settings = schema.LoraAdapter(r=3, lora_alpha=5, lora_dropout=0.25, target_modules=["value", "query"])
    model = adapters.lora(models.load_encoder(tiny_base("roberta"), 0), settings, 0, "SEQ_CLS", "classifier")
    adapters.save(model, tmp_path, "roberta_large")
    assert {path.name for path in tmp_path.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    text = (tmp_path / "adapter_config.json").read_text()
    assert '"base_model_name_or_path": "roberta_large"' in text
    assert str(tiny_base("roberta")) not in text
