"""What tests of a decoder's predictions read, and a way to make a tiny random model's predictions differ."""

from __future__ import annotations

from typing import Any

import torch

DECODERS = ("phi", "llama", "bloom", "falcon")
TEXTS = [
    "A man is sleeping.",
    "Two dogs are running. No dog is sleeping. There are 12 children and 40 apples in the house.",
    "No",
    "A woman is riding a bike in the park. The woman is outdoors. Relation:",
    "What is the capital of France? Paris, maybe.",
    "A boy is not eating. Relation:",
]


def sharpened(model: Any) -> Any:
    """Larger weights, so that a tiny random model's predictions differ enough between inputs to be wrong about."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2 and parameter.is_floating_point():
                parameter.mul_(2)
    return model
