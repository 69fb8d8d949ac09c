"""Base models and trained arms as torch modules: in a stated precision, in real 4-bit where asked, counted as what they are.

Every load names its dtype (transformers 5 would take the checkpoint's own), reads a local folder and never runs remote code.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn

from ftbench import bases, files, schema
from ftbench.errors import Problem, UserError
from ftbench.text import LABELS

# Before bitsandbytes is imported, which happens with peft, the Trainer or a 4-bit model: it wraps functions that nothing here uses in
# torch.compile, whose import takes long, and asks for a package that fetches code from a hub.
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)  # PEFT asks by the old name
transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

ARM = "arm.json"
TRAINED = "trained.safetensors"  # the trained weights of an arm that is neither a whole model nor a PEFT adapter


def device() -> torch.device:
    """Where models run: the first GPU if there is one."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def attention_in_training(bf16: bool) -> AbstractContextManager[Any]:
    """How attention is computed in a training step: as PyTorch chooses, but on a processor in bfloat16 not fused.

    There the fused kernel's backward pass takes several times as long as in float32 (PyTorch 2.13); forward alone it is the faster one.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(SDPBackend.MATH) if bf16 and device().type == "cpu" else nullcontext()


def load_encoder(base_dir: Path, seed: int, pretrained: bool = True, attention: str | None = None) -> Any:
    """An encoder with a 3-way head initialised from `seed`, all in float32; `pretrained=False` initialises every weight from `seed`.

    `attention`: how attention is computed, "eager", "sdpa" or "flash_attention_2"; None leaves it to transformers. Raises UserError for one
    that this machine or the architecture has not.
    """
    name, options = _source(base_dir)
    chosen = _attention(attention)
    names = dict(enumerate(LABELS))
    labels = {"num_labels": len(LABELS), "id2label": names, "label2id": {label: index for index, label in names.items()}}
    config = transformers.AutoConfig.from_pretrained(name, **options, **labels)
    torch.manual_seed(seed)
    if not pretrained:
        return transformers.AutoModelForSequenceClassification.from_config(config, dtype=torch.float32, **chosen)
    return transformers.AutoModelForSequenceClassification.from_pretrained(name, config=config, dtype=torch.float32, **options, **chosen)


def load_decoder(base_dir: Path, quantization: schema.Quantization | None, dtype: str = "float32", attention: str | None = None) -> Any:
    """A decoder with its language-modelling head, in 4-bit if `quantization` is given.

    What is not quantised is in the compute dtype, or in `dtype` where nothing is quantised. `attention` as for `load_encoder`.
    """
    return _load(transformers.AutoModelForCausalLM, base_dir, quantization, dtype, attention)


def load_decoder_head(
    base_dir: Path,
    quantization: schema.Quantization | None,
    token: str,
    seed: int,
    dtype: str = "float32",
    attention: str | None = None,
) -> Any:
    """A decoder under a linear 3-way head initialised from `seed`, which reads the hidden state of the "first" or the "last" token."""
    from ftbench import heads

    backbone = _load(transformers.AutoModel, base_dir, quantization, dtype, attention)
    torch.manual_seed(seed)
    return heads.DecoderHead(backbone, len(LABELS), token)


def load_arm(arm_dir: Path, base_dir: Path) -> tuple[Any, Any]:
    """A trained arm and its tokenizer, ready to predict on the available device. Raises UserError if the folder holds no arm."""
    arm = files.read_json(arm_dir / ARM)
    settings = schema.Arm.model_validate(arm["settings"])
    attention = settings.attn_implementation
    tokenizer = bases.load_tokenizer(base_dir)
    if (arm_dir / "config.json").exists():
        options = {"dtype": torch.float32, "local_files_only": True, "trust_remote_code": False, **_attention(attention)}
        model = transformers.AutoModelForSequenceClassification.from_pretrained(arm_dir, **options)
    elif arm["kind"] == "encoder_head":
        model = load_encoder(base_dir, seed=0, pretrained=settings.pretrained, attention=attention)
    elif arm["kind"] == "decoder_head":
        assert settings.token is not None, "an arm with a head on a decoder says which token it reads"
        model = load_decoder_head(base_dir, settings.quantization, settings.token, 0, arm["dtype"], attention)
    else:
        model = load_decoder(base_dir, settings.quantization, arm["dtype"], attention)
    if isinstance(settings.adapter, schema.StudyLayer):
        from ftbench import heads

        heads.add_study_layers(model, settings.adapter, seed=0)
    if (arm_dir / TRAINED).exists():
        load_weights(model, arm_dir / TRAINED)
    if (arm_dir / "adapter_config.json").exists():
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(arm_dir), is_trainable=False)
    return model.to(device()).eval(), tokenizer


def save_weights(model: nn.Module, path: Path, prefix: str = "") -> None:
    """Write the trainable weights of `model` whose names start with `prefix`, and only those, as safetensors."""
    import safetensors.torch

    kept = [(name, parameter) for name, parameter in trained_parameters(model) if name.startswith(prefix)]
    weights = {name: parameter.detach().cpu().contiguous() for name, parameter in kept}
    safetensors.torch.save_file(weights, str(path), metadata={"format": "pt"})


def load_weights(model: nn.Module, path: Path) -> None:
    """Put the weights of `path` into `model`. Raises UserError, all at once, for names and shapes that the model does not have."""
    import safetensors.torch

    weights = safetensors.torch.load_file(str(path))
    there = dict(model.named_parameters())
    mend = "load it on the base that it was trained on"
    problems = []
    for name, weight in weights.items():
        if name not in there:
            problems.append(Problem(f"{path}: {name}", "no such weight in the base model", mend=mend))
        elif there[name].shape != weight.shape:
            found, allowed = (str(tuple(tensor.shape)) for tensor in (weight, there[name]))
            problems.append(Problem(f"{path}: {name}", f"the shape {found}", allowed=allowed, mend=mend))
    if problems:
        raise UserError(problems)
    with torch.no_grad():
        for name, weight in weights.items():
            there[name].copy_(weight)


def trained_parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Names and tensors of what training changes."""
    return [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]


def count_parameters(model: nn.Module) -> dict[str, int]:
    """Numbers of weights: `total`, each 4-bit weight as one; `packed`, where a stored byte of two counts as one; `trained`."""
    counts = {"total": 0, "packed": 0, "trained": 0}
    for parameter in model.parameters():
        state = getattr(parameter, "quant_state", None)
        counts["total"] += parameter.numel() if state is None else state.shape.numel()
        counts["packed"] += parameter.numel()
        counts["trained"] += parameter.numel() if parameter.requires_grad else 0
    return counts


def num_4bit_layers(model: nn.Module) -> int:
    """How many linear layers really are in 4-bit."""
    from bitsandbytes.nn import Linear4bit

    return sum(isinstance(module, Linear4bit) for module in model.modules())


def blocks(model: Any) -> nn.ModuleList:
    """The transformer blocks of a model, first to last."""
    wanted = model.config.num_hidden_layers
    return next(module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) == wanted)


def _source(base_dir: Path) -> tuple[str, dict[str, Any]]:
    return bases.location(base_dir), {"trust_remote_code": False, "local_files_only": True}


def _attention(implementation: str | None) -> dict[str, str]:
    """As `from_pretrained` takes it. A package that is not installed would otherwise end in a traceback."""
    if implementation == "flash_attention_2" and not transformers.utils.is_flash_attn_2_available():
        found, mend = "flash_attention_2, which this machine has not", "install flash-attn on a machine with a GPU that it supports"
        raise UserError(Problem("attn_implementation", found, allowed="sdpa, eager", mend=mend))
    return {} if implementation is None else {"attn_implementation": implementation}


def _load(auto_class: Any, base_dir: Path, quantization: schema.Quantization | None, dtype: str, attention: str | None) -> Any:
    name, options = _source(base_dir)
    options |= _attention(attention)
    if quantization is None:
        model = auto_class.from_pretrained(name, dtype=getattr(torch, dtype), **options)
    else:
        model = _load_4bit(auto_class, name, options, quantization)
    if attention == "eager" and getattr(model.config, "alibi", False):
        mend = "use sdpa: transformers 5.23 adds Falcon's position bias twice in its eager attention"
        raise UserError(Problem("attn_implementation", f"eager, for {model.config.model_type} with ALiBi", allowed="sdpa", mend=mend))
    model.config.use_cache = False  # training needs no cache of keys and values; generation asks for its own
    head = model.get_output_embeddings()
    if head is not None:
        head.register_forward_pre_hook(_in_one_piece)
    return model


def _in_one_piece(head: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    # The hidden states of some of the tokens alone are a view with gaps, for which PyTorch copies the layer's weights once per example.
    return inputs[0].contiguous(), *inputs[1:]


def _load_4bit(auto_class: Any, name: str, options: dict[str, Any], quantization: schema.Quantization) -> Any:
    compute_dtype = getattr(torch, quantization.bnb_4bit_compute_dtype)
    settings = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantization.bnb_4bit_quant_type,
        bnb_4bit_use_double_quant=quantization.bnb_4bit_use_double_quant,
        bnb_4bit_compute_dtype=compute_dtype,
    )
    expected = _num_linear_layers(auto_class, transformers.AutoConfig.from_pretrained(name, **options))
    with plain_falcon_layers():
        model = auto_class.from_pretrained(name, quantization_config=settings, dtype=compute_dtype, device_map={"": device()}, **options)
    found = num_4bit_layers(model)
    assert found == expected, f"{name}: {found} of {expected} linear layers are in 4-bit"
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # Such a processor would repack the weights at the first evaluation, and the next training step would fail.
            module.support_avx512bf16_for_cpu = False
    return model


def _num_linear_layers(auto_class: Any, config: Any) -> int:
    """The linear layers that quantisation should reach: all but the one that gives the logits of the vocabulary."""
    with torch.device("meta"):
        model = auto_class.from_config(config)
    head = model.get_output_embeddings()
    return sum(isinstance(module, nn.Linear) and module is not head for module in model.modules())


@contextmanager
def plain_falcon_layers() -> Iterator[None]:
    """Falcon's linear layers as plain ones while it loads: bitsandbytes passes over a subclass of nn.Linear without a word."""
    from transformers.models.falcon import modeling_falcon

    original = modeling_falcon.FalconLinear
    modeling_falcon.FalconLinear = nn.Linear
    try:
        yield
    finally:
        modeling_falcon.FalconLinear = original
