"""Real checkpoints: found on the hub at a pinned commit or in a local folder, verified, and described by a manifest instead of copied.

Only configuration, tokenizer and weights are ever fetched; code that a repository carries is neither fetched nor run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ftbench import files, weights
from ftbench.errors import Problem, UserError
from ftbench.schema_models import FileModel, HubModel

SMALL = (
    "config.json",
    "generation_config.json",
    "tokenizer*.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
)
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "spiece.model")


def from_hub(name: str, model: HubModel) -> Path:
    """The folder of a checkpoint in the hub's local cache, fetched at its pinned commit unless it is there already: then without a request.

    Raises UserError for a gated repository without access, an unknown repository or revision, a token that is not accepted, no network,
    and a file that is not what the hub's own hash says.
    """
    folder = _cached(model) or _fetched(name, model)
    if problems := [problem for path in _relevant(folder) for problem in _not_as_published(path)]:
        raise UserError(problems)
    return folder


def _cached(model: HubModel) -> Path | None:
    # The hub's list of files, kept by the first download, tells a part of a checkpoint from the whole; caches of old clients have none.
    from huggingface_hub import errors

    try:
        folder = _snapshot(model, weights.SAFETENSORS, local_files_only=True)
    except errors.LocalEntryNotFoundError:
        return None
    return None if _lacking(folder) or not all(path.exists() for path in _relevant(folder)) else folder


def _snapshot(model: HubModel, kind: Sequence[str], local_files_only: bool = False) -> Path:
    from huggingface_hub import snapshot_download

    patterns = [*SMALL, *kind]
    return Path(snapshot_download(model.repository, revision=model.revision, allow_patterns=patterns, local_files_only=local_files_only))


def _fetched(name: str, model: HubModel) -> Path:
    from huggingface_hub import errors

    where = f"models.{name}"
    try:
        folder = _snapshot(model, weights.SAFETENSORS)
        if not weights.find(folder, weights.SAFETENSORS):
            folder = _snapshot(model, weights.PYTORCH)
    except (errors.HTTPError, errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled) as error:
        raise UserError(refused(where, model.repository, model.revision, error)) from None
    if lacking := _lacking(folder):
        mend = "take a revision that has it; if the local cache holds only a part of this one, connect"
        raise UserError([Problem(where, f"{model.repository} at {model.revision}: no {what}", mend=mend) for what in lacking])
    return folder


def refused(where: str, repository: str, revision: str, error: Exception, kind: str = "model") -> Problem:
    """What stopped a request to the hub, and what to do about it; `kind` is model or dataset."""
    from huggingface_hub import errors

    page = f"https://huggingface.co/{'' if kind == 'model' else kind + 's/'}{repository}"
    what = f"{repository} at {revision}"
    if isinstance(error, errors.GatedRepoError):
        mend = f"accept its licence at {page}, then `hf auth login` or set HF_TOKEN; or use a `file` source"
        return Problem(where, f"{what}: a gated repository, and no access to it", "what this account may read", mend)
    if isinstance(error, errors.RevisionNotFoundError):
        mend = f"take a full commit from {page}/commits/main"
        return Problem(where, f"{what}: no such revision", "a revision of this repository", mend)
    if isinstance(error, errors.RepositoryNotFoundError):
        mend = "mend the name; for a private repository, `hf auth login` or set HF_TOKEN"
        return Problem(where, f"{what}: no such repository, or no access to it", "a repository of the hub", mend)
    if isinstance(error, errors.HfHubHTTPError) and error.response.status_code == 401:
        mend = "`hf auth login` again, or mend or unset HF_TOKEN"
        return Problem(where, f"{what}: the hub does not accept the token", "a valid token, or none", mend)
    cause = error.__cause__ or error
    reason = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    mend = "connect, unset HF_HUB_OFFLINE, or name a local folder with `source: file`"
    return Problem(where, f"{what}: the hub cannot be reached: {reason}", mend=mend)


def _not_as_published(path: Path) -> list[Problem]:
    """The hub names a file in its cache by its SHA-256 (large files) or by git's hash of it; a file that differs is broken."""
    published = path.resolve().name if path.is_symlink() else ""
    if len(published) == 64:
        found = files.sha256_file(path)
    elif len(published) == 40:
        content = path.read_bytes()
        found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    else:
        return []
    mend = f"delete {path.resolve()} and run this again"
    return [] if found == published else [Problem(str(path), f"hash {found}", allowed=f"{published}, as the hub published it", mend=mend)]


def from_folder(name: str, model: FileModel) -> Path:
    """The folder of a `file` source once every file in it that would be read has the pinned SHA-256. Raises UserError, all at once."""
    folder = Path(model.path)
    if not folder.is_dir():
        raise UserError(Problem(f"{name}: {folder}", "no such folder", mend="give the path of a checkpoint's folder"))
    problems = []
    pinned = {file.path: file.sha256 for file in model.files}
    for file, expected in pinned.items():
        path = folder / file
        if Path(file).is_absolute() or ".." in Path(file).parts:
            problems.append(Problem(f"{name}: {file}", "a path that leaves the folder", allowed="a path inside the folder"))
        elif not path.is_file():
            problems.append(Problem(str(path), "no such file", mend="put it back, or run `ftbench pin` if the change is meant"))
        elif (found := files.sha256_file(path)) != expected:
            mend = "fetch the file that was meant, or run `ftbench pin` if the change is meant"
            problems.append(Problem(str(path), f"sha256 {found}: the file has changed", allowed=f"sha256 {expected}", mend=mend))
    for path in _relevant(folder):
        if path.name not in pinned:
            mend = "list it with its sha256, or take it away"
            problems.append(Problem(str(path), "a file that would be read and has no sha256 in params.yaml", mend=mend))
    problems += [Problem(str(folder), f"no {what}") for what in _lacking(folder)]
    if problems:
        raise UserError(problems)
    return folder


def with_safetensors(folder: Path, key: str) -> Path:
    """The same checkpoint with its weights as safetensors: `folder` itself, or a conversion kept under `.ftbench/converted/<key>`."""
    others = [path for path in _relevant(folder) if not any(fnmatch(path.name, pattern) for pattern in weights.PYTORCH)]
    return weights.as_safetensors(folder, key, others)


def _relevant(folder: Path) -> list[Path]:
    chosen = weights.SAFETENSORS if weights.find(folder, weights.SAFETENSORS) else weights.PYTORCH
    return sorted(path for path in folder.iterdir() if any(fnmatch(path.name, pattern) for pattern in (*SMALL, *chosen)))


def _lacking(folder: Path) -> list[str]:
    lacking = [] if (folder / "config.json").is_file() else ["config.json"]
    if not any((folder / name).is_file() for name in TOKENIZERS):
        lacking.append("tokenizer (" + ", ".join(TOKENIZERS) + ")")
    if not weights.find(folder, weights.SAFETENSORS) and not weights.find(folder, weights.PYTORCH):
        lacking.append("weights (model.safetensors or pytorch_model.bin, or all that their index names)")
    return lacking


def verify(name: str, architecture: str, folder: Path) -> dict[str, Any]:
    """Check a checkpoint's configuration, tokenizer and weights. Returns facts for the manifest: sizes and every file's SHA-256.

    Raises UserError, all mistakes at once: another architecture, a tokenizer larger than the embedding or without anything to pad with,
    truncated weights, weights that are not numbers, that are missing, or of other shapes than the configuration says.
    """
    from transformers import AutoTokenizer
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES

    from ftbench import tokenization

    problems = []
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        found = settings["model_type"]
        if not isinstance(found, str):
            raise TypeError("model_type is no name")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(Problem(f"{name}: {folder / 'config.json'}", f"not a model's configuration: {error!r}")) from None
    if found != architecture:
        where = f"{name}: {folder / 'config.json'}"
        mend = f"set models.{name}.architecture, or take another checkpoint"
        problems.append(Problem(where, f"model_type {found}", allowed=architecture, mend=mend))
    num_parameters, embedding_rows, faults = weights.inspect(folder)
    problems += faults
    rows = embedding_rows or settings.get("vocab_size", 0)
    num_tokens = 0
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        num_tokens = max(tokenizer.get_vocab().values()) + 1
        if len(set(tokenizer("A man is sleeping.", add_special_tokens=False)["input_ids"])) < 2:
            raise ValueError("it reads a sentence as one token or none")
        tokenization.ensure_padding(tokenizer, where=f"{name}: tokenizer")
    except UserError as error:
        problems += error.problems
    except Exception as error:  # whatever a broken tokenizer file makes the library raise is about that file
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        where = f"{name}: tokenizer in {folder}"
        problems.append(Problem(where, f"cannot be read: {reason}", mend="take a revision with a tokenizer.json"))
    if rows and num_tokens > rows:
        mend = "take the tokenizer that belongs to these weights"
        allowed = f"at most {rows}, the rows of the embedding"
        problems.append(Problem(f"{name}: tokenizer", f"{num_tokens} tokens", allowed=allowed, mend=mend))
    encoder = found in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if not encoder and found not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        allowed = "an architecture of transformers itself: code that a repository carries is never run"
        problems.append(Problem(f"{name}: {folder / 'config.json'}", f"model_type {found}", allowed))
    elif not problems:
        problems += weights.fit(folder, found, encoder)
    if problems:
        raise UserError(problems)
    return {
        "encoder": encoder,
        "files": {path.name: files.sha256_file(path) for path in _relevant(folder)},
        "num_parameters": num_parameters,
        "vocab_size": rows,
        "num_tokens": num_tokens,
    }
