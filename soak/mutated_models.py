"""Mutants of model folders: checkpoints as publishers and strangers leave them, spoilt, and read by the stage that verifies them.

A spoilt folder is pinned as it is, so that no hash saves the reader. A folder that is let in is loaded as training loads it: its weights
must be those that were published, to the bit, and all of them.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import runpy
import shutil
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from judging import Case, WronglyAcceptedError
from safetensors.torch import load_file
from spoilt_models import SPOILT, WEIGHTS, Spoil

from ftbench import bases, files, models

ROOT = Path(__file__).parents[1]
FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
SHAPE = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES: dict[str, Any] = {
    "llama": {**SHAPE, "num_key_value_heads": 1, "max_position_embeddings": 64},
    "roberta": {**SHAPE, "max_position_embeddings": 70},
}
TEXTS = ["A man in a red shirt is sleeping on a bench near the river.", "Two dogs are running; no dog is sleeping, é."] * 20


def published(architecture: str, folder: Path) -> Path:
    """A small checkpoint as a publisher has it."""
    made = folder / f"made_{architecture}"
    if not made.is_dir():
        made.mkdir(parents=True)
        model, tokenizer = bases.new_miniature(architecture, SIZES[architecture], 400, TEXTS, seed=0, block_size=32)
        bases.save_miniature(made, architecture, architecture, model, tokenizer, {"dimensions": SIZES[architecture]})
        for path in made.iterdir():
            if path.name not in FILES:
                path.unlink()
    return made


def verified(folder: Path, made: Path, architecture: str, spoil: Spoil, rng: random.Random) -> None:
    """Verify a copy of the folder `made` after it was spoilt, inside `folder`; load what is let in and compare its weights."""
    shutil.rmtree(folder, ignore_errors=True)
    published_here = folder / "published"
    shutil.copytree(made, published_here)
    spoil(published_here, rng)
    block = {"source": "file", "architecture": architecture, "licence": "MIT", "path": "published", "files": _pinned(published_here)}
    if architecture == "evil":
        block["architecture"] = "evil"
    (folder / "params.yaml").write_text(json.dumps({"scale": "s", "s": {"models": {"m": block}}}), encoding="utf-8")
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            _stage()(Namespace(model="m", out=Path("base/m"), data=Path("none"), tests=[]))
        finally:
            if Path("intruded").exists() or (published_here / "intruded").exists():
                raise WronglyAcceptedError("code of the checkpoint ran")
        _same_weights(Path("base/m"), made, architecture)


_LOADED: dict[str, Any] = {}


def _stage() -> Callable[[Namespace], None]:
    if not _LOADED:
        _LOADED.update(runpy.run_path(str(ROOT / "stages/checkpoint.py"), run_name="read"))
    return _LOADED["main"]


def _pinned(folder: Path) -> list[dict[str, str]]:
    listed = [{"path": path.name, "sha256": files.sha256_file(path)} for path in sorted(folder.iterdir()) if path.is_file()]
    return listed or [{"path": "none", "sha256": "0" * 64}]


def _same_weights(base: Path, made: Path, architecture: str) -> None:
    model = models.load_encoder(base, 0) if architecture == "roberta" else models.load_decoder(base, None)
    bases.load_tokenizer(base)
    if Path("intruded").exists():
        raise WronglyAcceptedError("code of the checkpoint ran")
    loaded = model.state_dict()
    for name, tensor in load_file(made / WEIGHTS).items():
        if name.startswith("lm_head") and architecture == "roberta":
            continue
        if name not in loaded or not torch.equal(loaded[name], tensor):
            raise WronglyAcceptedError(f"{name} is not what was published")


def cases(seed: int, folder: Path, architectures: tuple[str, ...] = ("llama", "roberta"), only: int | None = None) -> Iterator[Case]:
    """Every mutant of a checkpoint's folder; `only` some of each kind, drawn by the seed."""
    for architecture in architectures:
        made = published(architecture, folder)
        for kind, spoilt in SPOILT.items():
            chosen = list(spoilt) if only is None else random.Random(f"{seed}-{kind}").sample(list(spoilt), min(only, len(spoilt)))
            for name in chosen:
                spoil, expected = spoilt[name]
                rng = random.Random(f"{seed}-{architecture}-{kind}-{name}")
                named = "evil" if name == "code and an unknown architecture" else architecture
                act = _verifying(folder / "spoilt", made, named, spoil, rng)
                yield Case(
                    f"model: {kind}", f"{architecture}: {name}", act, expected, ("published", "m:", "models.m", ".ftbench/converted")
                )


def _verifying(folder: Path, made: Path, architecture: str, spoil: Spoil, rng: random.Random) -> Callable[[], None]:
    return lambda: verified(folder, made, architecture, spoil, rng)
