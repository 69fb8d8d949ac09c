"""Models at full size on the meta device: real classes and real adapters, no memory and no download, only shapes to count."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftbench import schema
from ftbench.errors import Problem, UserError, nearest
from ftbench.schema_models import FileModel, MiniatureModel, Model
from ftbench.text import LABELS

if TYPE_CHECKING:
    import torch

    from ftbench.activations import Activations

BLOCK = 64  # 4-bit weights that share one constant
_counted: dict[tuple[str, ...], Counts] = {}  # arms that differ in rates and steps alone have one shape
_activations: dict[tuple[str, ...], Activations] = {}
_checkpoints: dict[tuple[str, ...], int] = {}


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of elements of one arm's model.

    `total`: all of it, each 4-bit weight as one. `adapter`: what was added to the base and its head. `trained`, of which `trained_adapter`
    is added. `saved`: what must be kept to reload the arm beside its base. `num_4bit_weights` lie in `num_4bit_layers` layers, packed in
    `num_4bit_bytes` bytes and, in blocks that share a constant, `num_4bit_blocks` constants; the largest of them has `largest_4bit_layer`
    weights, the largest tensor of the base `largest_tensor`. Linear layers multiply `num_linear_weights` with every token, and
    `num_trained_linear_weights` of these are trained.
    """

    total: int
    adapter: int
    trained: int
    trained_adapter: int
    saved: int
    num_4bit_weights: int = 0
    num_4bit_layers: int = 0
    num_4bit_bytes: int = 0
    num_4bit_blocks: int = 0
    largest_4bit_layer: int = 0
    largest_tensor: int = 0
    num_linear_weights: int = 0
    num_trained_linear_weights: int = 0

    @property
    def packed(self) -> int:
        """What summing `numel()` over the loaded model gives: a stored byte holds two 4-bit weights and counts as one."""
        return self.total - self.num_4bit_weights + self.num_4bit_bytes


def config(model: Model, where: str) -> Any:
    """The transformers config of a model at its own size, from `dimensions`, or from the local folder of a `file` source that states none.

    Raises UserError if there is neither, and for an architecture that transformers does not know.
    """
    from ftbench import miniature

    if model.dimensions is None:
        return _local_config(Path(model.path) if isinstance(model, FileModel) else Path(), where)
    dimensions = model.dimensions.model_dump(exclude_none=True)
    vocab_size = model.tokenizer.vocab_size if isinstance(model, MiniatureModel) else dimensions.pop("vocab_size", None)
    if vocab_size is None:
        raise UserError(Problem(f"{where}.dimensions.vocab_size", "missing", allowed="a positive integer", mend="copy it from config.json"))
    if model.architecture in miniature.FAMILIES:
        return miniature.config(model.architecture, dimensions, vocab_size)
    return _other_config(model.architecture, {**dimensions, "vocab_size": vocab_size}, where)


def _other_config(architecture: str, dimensions: dict[str, Any], where: str) -> Any:
    # any checkpoint of transformers' own classes can stand in for a study's; what is no dimension is as the architecture has it by default
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    if architecture not in CONFIG_MAPPING_NAMES:
        what = "an architecture that transformers does not know"
        mend = nearest(architecture, CONFIG_MAPPING_NAMES) or "copy model_type from config.json"
        raise UserError(Problem(f"{where}.architecture", f"{architecture}, {what}", "a model_type of transformers", mend))
    return transformers.AutoConfig.for_model(architecture, **dimensions)


def _local_config(folder: Path, where: str) -> Any:
    from transformers import AutoConfig

    if not (folder / "config.json").is_file():
        mend = "state the dimensions, or put the checkpoint there"
        raise UserError(Problem(f"{where}.dimensions", f"missing, and no config.json in {folder}", mend=mend))
    return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def count(model: Model, method: str, arm: schema.Arm, where: str = "models") -> Counts:
    """The counts of an arm of a method on a base model: built as its train script builds it, of shapes alone.

    Raises UserError for dimensions or an adapter that fit no model; problems with the model name `where` in params.yaml.
    """
    adapter = arm.adapter.model_dump_json() if arm.adapter else ""
    key = (model.model_dump_json(), method, adapter, str((arm.quantization is not None, arm.token, arm.attn_implementation)))
    if key not in _counted:
        _counted[key] = _counts(*build(config(model, where), method, arm))
    return _counted[key]


def activations(model: Model, method: str, arm: schema.Arm, length: int, where: str = "models") -> Activations:
    """What one micro-batch of an arm holds at most: every input `length` tokens long, the virtual ones not counted. Raises as `count`."""
    from ftbench import activations, grid

    adapter, batch_size = arm.adapter.model_dump_json() if arm.adapter else "", arm.training.per_device_train_batch_size
    half = half_precision(arm)
    in_half = bytes_per_frozen_weight(method, arm) == 2
    key = (model.model_dump_json(), method, adapter, str((arm.token, arm.attn_implementation, batch_size, length, half, in_half)))
    if key not in _activations:
        settings = config(model, where)
        depth = settings.num_hidden_layers
        unpacked = arm.model_copy(update={"quantization": None})
        per_token = arm.token is None and not grid.METHODS[method].encoder

        def of(num_blocks: int) -> Activations:
            settings.num_hidden_layers = num_blocks
            return activations.of(build(settings, method, unpacked)[1], batch_size, length, per_token, half, in_half)

        # one block more adds the same again, where all blocks are alike
        first, second = (of(depth),) * 2 if depth <= 3 or method == "top_layers" else (of(2), of(3))
        found = {name: getattr(first, name) + (depth - 2) * (getattr(second, name) - getattr(first, name)) for name in first.__slots__}
        _activations[key] = activations.Activations(**found)
    return _activations[key]


def checkpoint_size(model: Model, encoder: bool, where: str = "models") -> int:
    """Weights of a base model as it is published: under its language-modelling head, as an encoder's or a decoder's. Raises as `config`."""
    import torch
    import transformers

    key = (model.model_dump_json(), str(encoder))
    if key not in _checkpoints:
        auto_class = transformers.AutoModelForMaskedLM if encoder else transformers.AutoModelForCausalLM
        with torch.device("meta"):
            _checkpoints[key] = _size(_from_config(auto_class, config(model, where)).parameters())
    return _checkpoints[key]


def bytes_per_stored_weight(model: Model, encoder: bool) -> int:
    """Bytes of a weight in the base's files: miniatures and encoders are stored in 32 bits, other decoders in 16."""
    return 4 if encoder or isinstance(model, MiniatureModel) else 2


def half_precision(arm: schema.Arm) -> torch.dtype | None:
    """The 16-bit type that an arm computes in, or None for float32."""
    import torch

    from ftbench import arms

    return {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(arms.dtype(arm))


def bytes_per_frozen_weight(method: str, arm: schema.Arm) -> int:
    """Bytes of a weight that is neither 4-bit nor trained: encoders are loaded in fp32, decoders in the precision of the arm."""
    from ftbench import arms, grid

    return 4 if grid.METHODS[method].encoder else {"float32": 4, "float16": 2, "bfloat16": 2}[arms.dtype(arm)]


def build(settings: Any, method: str, arm: schema.Arm) -> tuple[list[Any], Any]:
    """The base's own parameters, and the model that the method's train script trains: of the config `settings`, on the meta device."""
    import torch

    from ftbench import adapters, heads

    adapter: Any = arm.adapter  # of the kind that the method needs: `grid.arm` has seen to that
    with torch.device("meta"):
        base = _base(settings, method, arm)
        own = list(base.parameters())  # before anything is added
        match method:
            case "full":
                model = base
            case "top_layers":
                model = adapters.top_layers(base, adapter)
            case "lora":
                model = adapters.lora(base, adapter, 0, "SEQ_CLS")
            case "qlora_label" | "sft":
                model = adapters.lora(base, adapter, 0, "CAUSAL_LM")
            case "qlora_head":
                model = adapters.lora(base, adapter, 0, None, head="score")
            case "study_layer":
                heads.add_study_layers(base, adapter, 0)
                model = base
            case "soft_prompt":
                model = adapters.prompt_encoder(base, adapter, 0, "CAUSAL_LM")
            case "p_tuning" | "p_tuning_with_backbone":
                model = adapters.prompt_encoder(base, adapter, 0, "SEQ_CLS")
            case _:
                raise ValueError(f"how stages/train_{method}.py shapes a model is not said here")
    if method == "p_tuning_with_backbone":
        model.get_base_model().base_model.requires_grad_(True)
    return own, model


def _base(settings: Any, method: str, arm: schema.Arm) -> Any:
    """The base model under its head, in 4-bit layers where the arm asks for them (as yet unpacked: the meta device holds no bytes)."""
    import transformers

    from ftbench import grid, heads, models

    # fused attention is reckoned as sdpa, which keeps the same and needs no package
    attention = {"attn_implementation": "eager"} if arm.attn_implementation == "eager" else {}
    if grid.METHODS[method].encoder:
        settings.num_labels = len(LABELS)
        return _from_config(transformers.AutoModelForSequenceClassification, settings, **attention)
    auto_class = transformers.AutoModel if arm.token else transformers.AutoModelForCausalLM
    with models.plain_falcon_layers():
        model = _from_config(auto_class, settings, **attention)
    if arm.quantization:
        from transformers.integrations import replace_with_bnb_linear
        from transformers.quantizers.base import get_keys_to_not_convert

        kept = get_keys_to_not_convert(model)
        model = replace_with_bnb_linear(model, kept, transformers.BitsAndBytesConfig(load_in_4bit=True))
    return heads.DecoderHead(model, len(LABELS), arm.token) if arm.token else model


def _from_config(auto_class: Any, settings: Any, **options: str) -> Any:
    if type(settings) not in auto_class._model_mapping:
        allowed = f"one that transformers has a class for in {auto_class.__name__}"
        raise UserError(Problem("architecture", settings.model_type, allowed, "take another base model for this method"))
    return auto_class.from_config(settings, **options)


def _counts(own: list[Any], model: Any) -> Counts:
    """`own` are the base's parameters, head included; `model` is what gets trained."""
    from bitsandbytes.nn import Linear4bit
    from torch import nn

    base = {id(parameter) for parameter in own}
    everything = list(model.parameters())
    trained = [parameter for parameter in everything if parameter.requires_grad]
    packed = [module.weight.numel() for module in model.modules() if isinstance(module, Linear4bit)]
    linear = [module.weight for module in model.modules() if isinstance(module, nn.Linear)]
    return Counts(
        total=_size(everything),
        adapter=_size(parameter for parameter in everything if id(parameter) not in base),
        trained=_size(trained),
        trained_adapter=_size(parameter for parameter in trained if id(parameter) not in base),
        saved=_saved(model, trained),
        num_4bit_weights=sum(packed),
        num_4bit_layers=len(packed),
        num_4bit_bytes=sum(math.ceil(weights / 2) for weights in packed),
        num_4bit_blocks=sum(math.ceil(weights / BLOCK) for weights in packed),
        largest_4bit_layer=max(packed, default=0),
        largest_tensor=max(parameter.numel() for parameter in own),
        num_linear_weights=_size(linear),
        num_trained_linear_weights=_size(weight for weight in linear if weight.requires_grad),
    )


def _saved(model: Any, trained: list[Any]) -> int:
    """Elements kept on disk: what was trained, but of a prompt encoder only the prompts that it ends with."""
    if not hasattr(model, "prompt_encoder"):
        return _size(trained)
    prompts = sum(encoder.total_virtual_tokens * encoder.token_dim for encoder in model.prompt_encoder.values())
    return _size(trained) - _size(model.prompt_encoder.parameters()) + prompts


def _size(parameters: Iterable[Any]) -> int:
    return sum(parameter.numel() for parameter in parameters)
