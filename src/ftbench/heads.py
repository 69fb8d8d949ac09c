"""What the LLaMA-3 study built by hand: a linear head on a decoder, and its own layers after each block."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers.modeling_outputs import SequenceClassifierOutput

from ftbench import models, schema


class DecoderHead(nn.Module):
    """A decoder under a linear head that reads the hidden state of one token.

    `token="first"` is what the study did: in a causal model that token sees only itself, so every input that starts alike gets the same
    logits. `token="last"` has seen everything. Padding may be on either side.
    """

    def __init__(self, backbone: Any, num_labels: int, token: str):
        super().__init__()
        assert token in ("first", "last"), token
        self.config = backbone.config
        self.backbone = backbone
        self.token = token
        # In float32 whatever the base's precision is: it is trained.
        self.score = nn.Linear(backbone.config.hidden_size, num_labels, bias=False, device=backbone.device, dtype=torch.float32)
        self._takes_positions = "position_ids" in inspect.signature(backbone.forward).parameters

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor | None = None, **_: Any
    ) -> SequenceClassifierOutput:
        """Logits [batch, num_labels] of `input_ids` and `attention_mask` [batch, length]; the mean loss if there are `labels` [batch]."""
        positions = {}
        if self._takes_positions:  # real tokens count from 0, under padding on the left too
            positions["position_ids"] = (attention_mask.cumsum(1) - 1).clamp(min=0)
        hidden = self.backbone(input_ids=input_ids, attention_mask=attention_mask, **positions).last_hidden_state
        row = torch.arange(len(input_ids), device=hidden.device)
        logits = self.score(hidden[row, self.pooled(attention_mask)].to(self.score.weight.dtype))
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def pooled(self, attention_mask: torch.Tensor) -> torch.Tensor:
        """The index [batch] of the token that is read: the first or the last that is not padding."""
        if self.token == "first":  # noqa: S105
            return attention_mask.argmax(1)
        return attention_mask.shape[1] - 1 - attention_mask.flip(1).argmax(1)

    def activation_checkpointing_enable(self, **settings: Any) -> None:
        """Recompute activations in the backward pass, as the Trainer asks of a model."""
        self.backbone.activation_checkpointing_enable(**settings)
        self.backbone.enable_input_require_grads()


class RankDecomposedLayer(nn.Module):
    """The study's own layer of rank r: h becomes h + up(down(h)), two linear maps without biases and without a non-linearity."""

    def __init__(self, hidden_size: int, r: int, device: torch.device):
        super().__init__()
        self.down = nn.Linear(hidden_size, r, bias=False, device=device, dtype=torch.float32)
        self.up = nn.Linear(r, hidden_size, bias=False, device=device, dtype=torch.float32)
        nn.init.zeros_(self.up.weight)  # training starts from the base itself

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """The hidden state [batch, length, hidden_size] after this layer."""
        return hidden + self.up(self.down(hidden.to(self.down.weight.dtype))).to(hidden.dtype)


def add_study_layers(model: DecoderHead, adapter: schema.StudyLayer, seed: int) -> None:
    """Put a layer of rank `adapter.r`, initialised from `seed`, after each block of the decoder; only they and the head are trained."""
    model.requires_grad_(False)
    torch.manual_seed(seed)
    decoder_blocks = models.blocks(model.backbone)
    layers = nn.ModuleList(RankDecomposedLayer(model.config.hidden_size, adapter.r, model.score.weight.device) for _ in decoder_blocks)
    for block, layer in zip(decoder_blocks, layers, strict=True):
        block.register_forward_hook(_after(layer))
    model.study_layers = layers
    model.score.requires_grad_(True)


def _after(layer: nn.Module) -> Any:
    """A forward hook: the block's own code and its keys and values stay as they are."""

    def hook(block: nn.Module, arguments: Any, output: Any) -> Any:
        return (layer(output[0]), *output[1:]) if isinstance(output, tuple) else layer(output)

    return hook
