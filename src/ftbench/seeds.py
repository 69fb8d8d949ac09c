"""Seeds as streams derived by name from one root, so that adding an arm or a split moves no other."""

from __future__ import annotations

import hashlib


def derive(root: int, *names: str | int) -> int:
    """A seed in [0, 2**31) for the stream `names` of `root`: the same on every machine, unrelated to any other stream's."""
    text = "/".join([str(root), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
