"""A folder with a tiny checkpoint as a publisher has it, and its pins."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftbench import files
from ftbench.schema_models import FileModel

Tiny = Callable[[str], Path]
FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


def published(tiny_base: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint's folder as a publisher has it, to be spoilt at will."""
    monkeypatch.chdir(tmp_path)
    copy = tmp_path / "published"
    copy.mkdir()
    for name in FILES:
        shutil.copyfile(tiny_base("llama") / name, copy / name)
    return copy


def pinned(folder: Path) -> FileModel:
    there = [{"path": path.name, "sha256": files.sha256_file(path)} for path in sorted(folder.iterdir())]
    return FileModel.model_validate({"source": "file", "architecture": "llama", "licence": "MIT", "path": str(folder), "files": there})


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
