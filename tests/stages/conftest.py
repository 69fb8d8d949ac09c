"""The folder in which tiny arms are evaluated and asked; a file that needs another one has its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_arms


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with params.yaml and data."""
    root = tmp_path_factory.mktemp("root")
    tiny_arms.write_root(root)
    return root
