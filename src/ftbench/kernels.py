"""The same mathematics in less time: GELU's tanh form in one operation, and dropout that draws for four elements at once.

For Phi and Bloom transformers writes GELU out in seven operations, each a pass over memory. On a processor PyTorch draws dropout element
by element, which takes longer than the low-rank product behind it (`benchmarks/rows/dropout.py`).
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Any

import torch
from torch import nn

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # mallopt's names for them
LEVELS = 2**16  # of a probability: 16 random bits an element


def fuse_gelu(model: nn.Module) -> nn.Module:
    """`model`, its GELUs written out by transformers replaced by PyTorch's own; no weight is touched, and results agree to rounding."""
    from transformers.activations import NewGELUActivation
    from transformers.models.bloom.modeling_bloom import BloomGelu

    return _replace(model, (NewGELUActivation, BloomGelu), lambda _: nn.GELU(approximate="tanh"))


def quicken_dropout(model: nn.Module) -> nn.Module:
    """`model` with this module's dropout in place of PyTorch's, in the same probability to 1 / 65,536; for a processor."""
    return _replace(model, (nn.Dropout,), lambda module: Dropout(module.p).train(module.training))


class Dropout(nn.Dropout):
    """Dropout whose mask takes 16 bits an element of PyTorch's own generator, so that seeds and resumed runs hold as ever."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """`input` of any shape with elements zeroed and the others scaled up, while training."""
        return _Masked.apply(input, self.p) if self.training and 0 < self.p < 1 else super().forward(input)


class _Masked(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, input: torch.Tensor, p: float) -> torch.Tensor:
        threshold = min(round(p * LEVELS), LEVELS - 1)
        drawn = torch.randint(-(2**63), 2**63 - 1, (-(-input.numel() // 4),)).view(torch.int16)[: input.numel()]
        kept = drawn.view(input.shape) >= threshold - LEVELS // 2
        mask = kept * input.new_tensor(LEVELS / (LEVELS - threshold))
        context.save_for_backward(mask)
        return input * mask

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (mask,) = context.saved_tensors
        return gradients[0] * mask, None


def keep_memory() -> None:
    """From here on this process keeps the memory that it frees, up to 32 MiB a piece. Otherwise glibc hands every large tensor's pages
    back, and the kernel clears them anew for the next: up to a fifth of a small model's step. Without glibc, nothing.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(M_MMAP_THRESHOLD, 2**25)  # its highest
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def _replace(model: nn.Module, kinds: tuple[type[nn.Module], ...], new: Any) -> nn.Module:
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) in kinds:
                setattr(module, name, new(child))
    return model
