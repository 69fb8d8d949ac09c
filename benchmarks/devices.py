"""The device that work is measured on: waiting for it, giving memory back, and what it reaches at best in products of large matrices."""

from __future__ import annotations

import gc
import time

import torch

SIDE = {"cuda": 8192, "cpu": 1024}  # of the square matrices
REPEATS = 5


def wait(device: torch.device) -> None:
    """Wait until the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def free() -> None:
    """Give back memory of models that are gone, as far as their libraries let go of it: bitsandbytes keeps its paged optimisers' state."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def matrix_peak(dtype: torch.dtype, device: torch.device) -> float:
    """Operations per second in the fastest of some products, a multiplication and an addition being two operations."""
    side = SIDE[device.type]
    left = torch.randn(side, side, device=device).to(dtype)
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        left @ left
        wait(device)
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / min(seconds)
