"""The folders in which tiny arms are evaluated and asked, and made-up results compared; a file that needs another one has its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import fabricated
import pytest
import tiny_arms
from comparing import compare


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with params.yaml and data."""
    root = tmp_path_factory.mktemp("root")
    tiny_arms.write_root(root)
    return root


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with made-up results of which nothing is compared yet."""
    root = tmp_path_factory.mktemp("compare")
    fabricated.write(root)
    return root


@pytest.fixture(scope="module")
def compared(untouched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, where `snli` and `alpaca` are compared; not to be changed."""
    root = tmp_path_factory.mktemp("compared")
    shutil.copytree(untouched, root, dirs_exist_ok=True)
    for study in ("snli", "alpaca"):
        done = compare(root, study)
        assert done.returncode == 0, done.stderr
    return root
