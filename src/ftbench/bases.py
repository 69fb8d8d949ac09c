"""Base models on disk: what `models/base/<model>/` holds, and where its weights lie.

A miniature lies in the folder itself. Of a checkpoint from the hub or from a local folder only `manifest.json` is kept, which says where
the weights are and which hashes they had: 16 GB are not copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftbench import files, miniature, seeds, tokenization
from ftbench.errors import Problem, UserError
from ftbench.schema_models import ENCODERS

MANIFEST = "manifest.json"
UNLIMITED = 1_000_000  # tokens; for ALiBi without a table of positions


def manifest(base_dir: Path) -> dict[str, Any]:
    """The manifest of a base model. Raises UserError if the folder holds none, or one that lacks what it must say."""
    content = files.read_json(base_dir / MANIFEST)
    needed = ("model", "source", "encoder", *(() if content.get("source") == "miniature" else ("folder", "repository", "revision")))
    if lacking := [name for name in needed if name not in content]:
        mend = "delete the folder and run `dvc repro`, which writes it"
        raise UserError(Problem(str(base_dir / MANIFEST), f"it does not say: {', '.join(lacking)}", mend=mend))
    return content


def location(base_dir: Path) -> str:
    """What to hand to `from_pretrained`: always a local folder, so that no later stage asks the hub again.

    Raises UserError if the weights that the checkpoint stage verified are no longer there.
    """
    content = manifest(base_dir)
    if content["source"] == "miniature":
        return str(base_dir)
    folder = content["folder"] or _in_cache(content["repository"], content["revision"])
    if folder is None or not Path(folder).is_dir():
        where = content["folder"] or f"{content['repository']} at {content['revision']} in the hub's cache"
        mend = f"put it back, or run `dvc repro -s -f checkpoint@{content['model']}`"
        raise UserError(Problem(str(base_dir / MANIFEST), f"the weights are gone: {where}", mend=mend))
    return str(folder)


def _in_cache(repository: str, revision: str) -> str | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, "config.json", revision=revision)
    return str(Path(found).parent) if isinstance(found, str) else None


def load_tokenizer(base_dir: Path) -> Any:
    """The tokenizer of a base model, with a pad token, padding left for decoders and right for encoders; never remote code."""
    from transformers import AutoTokenizer

    content = manifest(base_dir)
    side = "right" if content["encoder"] else "left"
    tokenizer = AutoTokenizer.from_pretrained(location(base_dir), padding_side=side, trust_remote_code=False, local_files_only=True)
    return tokenization.ensure_padding(tokenizer, where=f"{content['model']}: tokenizer")


def new_miniature(
    architecture: str, dimensions: Mapping[str, Any], vocab_size: int, texts: Sequence[str], seed: int, block_size: int
) -> tuple[Any, Any]:
    """A randomly initialised miniature and its tokenizer, trained on all of `texts`. Raises UserError for impossible dimensions.

    `vocab_size` is the tokenizer's upper limit; `block_size` is the longest input, in tokens, that the model must be able to read.
    """
    positions = getattr(miniature.config(architecture, dimensions, vocab_size), "max_position_embeddings", None)
    longest = miniature.longest_input(architecture, positions)
    if longest and block_size > longest:
        allowed = f"at most {longest}, from dimensions.max_position_embeddings"
        raise UserError(Problem(f"{architecture}: pretraining.block_size", str(block_size), allowed=allowed))
    tokenizer = tokenization.train(architecture, texts, vocab_size, max_length=longest or UNLIMITED)
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    return miniature.build(architecture, dimensions, len(tokenizer), seeds.derive(seed, "weights"), **ids), tokenizer


def save_miniature(folder: Path, model_name: str, architecture: str, model: Any, tokenizer: Any, details: Mapping[str, Any]) -> None:
    """Write a miniature into `folder` (which exists): weights as safetensors, config, tokenizer and manifest with every file's SHA-256."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write_manifest(
        folder,
        {
            "model": model_name,
            "architecture": architecture,
            "encoder": architecture in ENCODERS,
            "source": "miniature",
            "repository": None,
            "revision": None,
            "folder": None,
            "files": {path.name: files.sha256_file(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST},
            "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
            "vocab_size": model.config.vocab_size,
            **details,
        },
    )


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write `manifest.json` of a base model."""
    files.write_json(folder / MANIFEST, content)
