"""What a device reaches at best in the products of large matrices."""

from __future__ import annotations

import time

import torch

SIDE = {"cuda": 8192, "cpu": 1024}  # of the square matrices
REPEATS = 5


def operations_per_second(dtype: torch.dtype, device: torch.device) -> float:
    """Of the fastest of some products, a multiplication and an addition being two operations."""
    side = SIDE[device.type]
    left = torch.randn(side, side, device=device).to(dtype)
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        left @ left
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / min(seconds)
