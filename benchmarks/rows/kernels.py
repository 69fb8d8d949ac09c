"""Dropout and GELU as the arms compute them on a processor, forward and backward, against what transformers and PEFT would run there."""

from __future__ import annotations

import math

import timing
import torch
from made import SEED, Options
from torch import nn

from ftbench import kernels

SHAPE, QUICK_SHAPE = (16, 64, 128), (4, 16, 128)  # examples, tokens, features: what goes into most of a miniature's layers
NUM_LAYERS = 28  # adapted layers of a step
P = 0.05


def dropout(options: Options) -> timing.Row:
    """The dropout before low-rank products; alike in the share of zeros and in the scale of the others, not element by element."""
    given = made_input(options)

    def difference(ours: torch.Tensor, other: torch.Tensor) -> str:
        apart = 6 * math.sqrt(2 * P * (1 - P) / ours.numel())  # six standard errors of the difference of two shares
        zeros = [(result == 0).double().mean().item() for result in (ours, other)]
        if abs(zeros[0] - zeros[1]) > apart:
            return f"{zeros[0]:.4f} and {zeros[1]:.4f} of the gradient are zero"
        scales = [result.max().item() for result in (ours, other)]
        return "" if math.isclose(*scales, rel_tol=1e-4) else f"the others are scaled by {scales[0]:.5f} and {scales[1]:.5f}"

    return row(given, f"dropout at {P}", "torch.nn.Dropout", kernels.Dropout(P), nn.Dropout(P), difference, bar=2.0)


def gelu(options: Options) -> timing.Row:
    """GELU in its tanh form, as Phi has it."""
    from transformers.activations import NewGELUActivation

    def difference(ours: torch.Tensor, other: torch.Tensor) -> str:
        largest = float((ours - other).abs().max())
        return f"gradients differ by {largest:.2g}" if largest > 1e-5 else ""

    written_out = NewGELUActivation()
    (fused,) = kernels.fuse_gelu(nn.Sequential(NewGELUActivation()))
    return row(made_input(options), "GELU", "transformers' NewGELUActivation", fused, written_out, difference, bar=2.0)


def made_input(options: Options) -> torch.Tensor:
    """Numbers about zero."""
    return torch.randn(QUICK_SHAPE if options.quick else SHAPE, generator=torch.Generator().manual_seed(SEED))


def row(
    given: torch.Tensor, what: str, against: str, ours: nn.Module, other: nn.Module, difference: timing.Difference, bar: float
) -> timing.Row:
    """Both modules forward and backward, once for every adapted layer of a step; the output is the gradient of the last."""

    def work(module: nn.Module) -> timing.Work:
        module.train()

        def run() -> torch.Tensor:
            for _ in range(NUM_LAYERS):
                value = given.clone().requires_grad_()
                module(value).backward(torch.ones_like(given))
            assert value.grad is not None
            return value.grad

        return run

    return timing.Row(
        work=f"{what} forward and backward, {NUM_LAYERS} times over {tuple(given.shape)}",
        against=against,
        bar=bar,
        ours=lambda: work(ours),
        alternative=lambda: work(other),
        difference=difference,
        sizes={"shape": list(given.shape), "num_layers": NUM_LAYERS},
    )
