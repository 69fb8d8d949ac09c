"""PEFT adapters from the settings of an arm, with every setting that matters stated: PEFT's defaults are no study's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ftbench import models, schema  # models before peft: it says how bitsandbytes is to start
from ftbench.errors import Problem, UserError, nearest


def lora(model: Any, adapter: schema.LoraAdapter, seed: int, task: str | None, head: str | None = None) -> Any:
    """`model` frozen, with LoRA on the layers that `adapter` names, initialised from `seed`; a `head` by that name is trained whole.

    `task` is "SEQ_CLS", "CAUSAL_LM", or None for a model of our own. Raises UserError, all at once, for a layer that the model lacks.
    """
    from peft import LoraConfig, get_peft_model

    _check_targets(model, adapter.target_modules)
    config = LoraConfig(
        task_type=task,
        r=adapter.r,
        lora_alpha=adapter.lora_alpha,
        lora_dropout=adapter.lora_dropout,
        target_modules=sorted(adapter.target_modules),
        modules_to_save=None if head is None else [head],
        bias="none",
        use_rslora=False,
        use_dora=False,
        fan_in_fan_out=False,
        init_lora_weights=True,
    )
    torch.manual_seed(seed)
    return get_peft_model(model, config)


def prompt_encoder(model: Any, adapter: schema.PromptAdapter, seed: int, task: str) -> Any:
    """`model` frozen, with virtual tokens before its input that an encoder initialised from `seed` computes; `task` as for `lora`."""
    from peft import PromptEncoderConfig, get_peft_model

    config = PromptEncoderConfig(
        task_type=task,
        num_virtual_tokens=adapter.num_virtual_tokens,
        encoder_reparameterization_type=adapter.encoder_reparameterization_type,
        encoder_hidden_size=adapter.encoder_hidden_size,
        encoder_num_layers=adapter.encoder_num_layers,
        encoder_dropout=adapter.encoder_dropout,
        token_dim=model.config.hidden_size,
        num_layers=model.config.num_hidden_layers,
        num_attention_heads=model.config.num_attention_heads,
        num_transformer_submodules=1,
        modules_to_save=["classifier"] if task == "SEQ_CLS" else None,
    )
    torch.manual_seed(seed)
    return get_peft_model(model, config)


def top_layers(model: Any, adapter: schema.TopLayers) -> Any:
    """`model` with all but its last `num_top_layers` blocks and its head frozen. Raises UserError if it has fewer blocks."""
    layers = models.blocks(model)
    if adapter.num_top_layers > len(layers):
        found, allowed = str(adapter.num_top_layers), f"1 to {len(layers)}"
        raise UserError(Problem("adapter.num_top_layers", found, allowed, mend="the model has no more blocks"))
    model.requires_grad_(False)
    for module in (*layers[len(layers) - adapter.num_top_layers :], model.classifier):
        module.requires_grad_(True)
    return model


def save(model: Any, folder: Path, base_model: str) -> None:
    """Write a PEFT adapter and its settings into `folder`: the same bytes wherever the base model lies, and nothing pickled."""
    for config in model.peft_config.values():
        config.base_model_name_or_path = base_model
    model.save_pretrained(str(folder), safe_serialization=True, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # PEFT's model card, to be filled in by hand
    settings = folder / "adapter_config.json"
    content = json.loads(settings.read_text(encoding="utf-8"))
    content = {key: sorted(value) if key in ("target_modules", "modules_to_save") and value else value for key, value in content.items()}
    settings.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")  # PEFT writes sets in any order


def _check_targets(model: nn.Module, targets: list[str]) -> None:
    names = {name.rsplit(".", 1)[-1] for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    missing = [target for target in targets if target.rsplit(".", 1)[-1] not in names]
    if missing:
        allowed = ", ".join(sorted(names))
        raise UserError([Problem("adapter.target_modules", target, allowed=allowed, mend=nearest(target, names)) for target in missing])
