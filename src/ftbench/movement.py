"""How far training moved what it trained: a training that trains nothing looks like any other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

MOST_COPIED = 10**8  # trained weights: of more, how far they moved is not measured


def trained(model: Any) -> dict[str, torch.Tensor] | None:
    """A copy of the weights that are trained, in float32 on the CPU; None where they are too many to copy."""
    weights = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if sum(parameter.numel() for parameter in weights.values()) > MOST_COPIED:
        return None
    return {name: parameter.detach().to("cpu", torch.float32, copy=True) for name, parameter in weights.items()}


def moved(before: Mapping[str, torch.Tensor] | None, after: Mapping[str, torch.Tensor] | None) -> float | None:
    """The distance between weights, relative to the length of those before; None where they were not copied.

    Both copies are used up: room for as many numbers again takes longer than the sums.
    """
    if before is None or after is None:
        return None
    distance = sum(float(after[name].sub_(weights).square_().sum()) for name, weights in before.items())
    return math.sqrt(distance / (sum(float(weights.square_().sum()) for weights in before.values()) or 1.0))
