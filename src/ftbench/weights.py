"""Weights on disk: which files hold them, PyTorch files turned into safetensors by the restricted loader, and a look into them."""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftbench import files
from ftbench.errors import Problem, UserError

SAFETENSORS = ("model.safetensors", "model-*.safetensors", "model.safetensors.index.json")
PYTORCH = ("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json")
CONVERTED = Path(".ftbench/converted")
WHOLE = 2**22  # values that are searched for NaN at once
LONGEST_NAME = 200
MOST = 5  # tensors that are named
EMBEDDINGS = ("embed_tokens.weight", "word_embeddings.weight")
DEPTHS = {"num_hidden_layers", "n_layer", "n_layers", "num_layers"}
BLOCK = re.compile(r"(?:^|\.)(?:layers|layer|h)\.([0-9]{1,9})\.")
CLASSIFIERS = ("classifier.", "score.")  # what transformers calls the head of a classifier


def find(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The weight files of one kind if all are there, else none: the single file, or each that the index names."""
    single, _, index = patterns
    if (folder / single).is_file():
        return [folder / single]
    if not (folder / index).is_file():
        return []
    names = sorted(set(_index(folder / index).values()))
    if any(Path(name).name != name or len(name) > LONGEST_NAME for name in names):
        raise UserError(Problem(str(folder / index), "a weight file outside the folder", allowed="names of files in the folder"))
    paths = [folder / name for name in names]
    return paths if all(path.is_file() for path in paths) else []


def _index(path: Path) -> dict[str, str]:
    """The file of each tensor, as an index names it. Raises UserError for a file that is no index."""
    try:
        files_of = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        if not isinstance(files_of, dict) or not all(isinstance(name, str) for name in files_of.values()):
            raise TypeError("weight_map is no mapping from tensors to files")
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        raise UserError(Problem(str(path), f"not an index of weights: {error}", mend="fetch the file again")) from None
    return files_of


def as_safetensors(folder: Path, key: str, others: Sequence[Path]) -> Path:
    """`folder` itself if it holds safetensors; else `.ftbench/converted/<key>`, written once with the restricted loader.

    `others` are the files to lay beside the converted weights: configuration and tokenizer.

    Raises UserError if that loader, which reads tensors and nothing else, rejects a file.
    """
    if find(folder, SAFETENSORS):
        return folder
    target = CONVERTED / key
    if target.is_dir():
        return target
    sources = find(folder, PYTORCH)
    with files.directory_written_atomically(target) as temporary:
        names: dict[str, str] = {}
        for number, source in enumerate(sources, start=1):
            converted = "model.safetensors" if len(sources) == 1 else f"model-{number:05}-of-{len(sources):05}.safetensors"
            names |= dict.fromkeys(_convert(source, temporary / converted), converted)
        if len(sources) > 1:
            (temporary / SAFETENSORS[2]).write_text(json.dumps({"metadata": {}, "weight_map": names}, sort_keys=True), encoding="utf-8")
        for path in others:
            shutil.copyfile(path, temporary / path.name)
    return target


def _convert(source: Path, target: Path) -> list[str]:
    import pickle

    import torch
    from safetensors.torch import save_file

    try:
        tensors = torch.load(source, map_location="cpu", weights_only=True)
        if not isinstance(tensors, dict) or not all(isinstance(name, str) and _plain(tensor) for name, tensor in tensors.items()):
            raise pickle.UnpicklingError("not a mapping from names to tensors of numbers")
        if large := [name for name, tensor in tensors.items() if tensor.nbytes > source.stat().st_size]:
            raise pickle.UnpicklingError(f"{large[0]:.200}: larger than the file that it comes from")
    except Exception as error:  # whatever a broken or a hostile file makes the loader raise is about that file
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # but for the machine's own faults
            raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            Problem(
                str(source),
                f"the restricted loader rejects it: {reason}",
                allowed="a PyTorch file of tensors, or safetensors",
                mend="take a revision that has safetensors; a file that runs code when read is never loaded",
            )
        ) from None
    save_file({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, target, metadata={"format": "pt"})
    return list(tensors)


def _plain(tensor: Any) -> bool:
    """Whether this is a tensor that has its values at hand, one by one."""
    import torch

    return (
        isinstance(tensor, torch.Tensor)
        and tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        and not (tensor.is_quantized or tensor.is_complex())
    )


def inspect(folder: Path) -> tuple[int, int, list[Problem]]:
    """The number of stored values, the rows of the token embedding (0 if none is known by name), and what is wrong with the weights."""
    import torch
    from safetensors import SafetensorError, safe_open

    num_parameters, rows = 0, 0
    problems = []
    held: dict[str, str] = {}
    for path in find(folder, SAFETENSORS):
        odd = []
        try:
            with safe_open(path, framework="pt") as stored:
                for key in stored.keys():  # noqa: SIM118
                    if key in held:
                        problems.append(Problem(str(path), f"{key} stands in {held[key]} too", mend="fetch the files again"))
                    held[key] = path.name
                    part = stored.get_slice(key)
                    shape = part.get_shape()
                    size = torch.Size(shape).numel()
                    num_parameters += size
                    if key.startswith(CLASSIFIERS):
                        mend = "take the checkpoint before it was fine-tuned: every arm starts from a head of its own seed"
                        problems.append(Problem(str(path), f"{key}: weights of a classifier", allowed="a base model", mend=mend))
                    if key.endswith(EMBEDDINGS):
                        rows = shape[0] if shape else 0
            odd = not_numbers(path)
        except (SafetensorError, OSError, ValueError, RuntimeError) as error:
            problems.append(Problem(str(path), f"cannot be read as safetensors (truncated?): {error}", mend="fetch the file again"))
        if odd:
            more = f" (and {len(odd) - 1} more tensors)" if len(odd) > 1 else ""
            problems.append(Problem(str(path), f"{odd[0]} holds values that are not numbers{more}", mend="fetch the file again"))
    index = folder / SAFETENSORS[2]
    if index.is_file() and not problems and not (folder / SAFETENSORS[0]).is_file():
        elsewhere = [key for key, name in _index(index).items() if held.get(key) != name]
        if elsewhere:
            found = f"{len(elsewhere)} tensors are not in the file that it names, first {elsewhere[0][:200]}"
            problems.append(Problem(str(index), found, mend="fetch the files again"))
    return num_parameters, rows, problems


def not_numbers(path: Path) -> list[str]:
    """The tensors of a file in safetensors that hold NaN or infinity. Raises SafetensorError for a file that is none."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as stored:
        slices = {key: stored.get_slice(key) for key in stored.keys()}  # noqa: SIM118
        shapes = {key: part.get_shape() for key, part in slices.items()}
        whole = {key: part if shapes[key] else stored.get_tensor(key)[None] for key, part in slices.items()}
        return [key for key, part in whole.items() if not _finite(part, shapes[key] or [1])]


def _finite(part: Any, shape: Sequence[int]) -> bool:
    """Whether a stored tensor holds numbers alone; it is read in pieces of about WHOLE values."""
    import torch

    size = torch.Size(shape).numel()
    rows = max(1, WHOLE * shape[0] // size) if shape and size > WHOLE else 0
    for piece in (part[start : start + rows] for start in range(0, shape[0], rows)) if rows else [part[:]]:
        if (piece.is_floating_point() or piece.is_complex()) and not torch.isfinite(piece if piece.is_complex() else piece.float()).all():
            return False
    return True


def fit(folder: Path, architecture: str, encoder: bool) -> list[Problem]:
    """What keeps the configuration and the weights of a checkpoint from making one model; no weight is read into memory.

    transformers would go on with random weights for what is missing. An encoder's head is left out: every arm has its own.
    """
    import torch
    from safetensors import safe_open
    from transformers import AutoModel, AutoModelForCausalLM
    from transformers.utils import logging

    num_tensors = 0
    for path in find(folder, SAFETENSORS):
        with safe_open(path, framework="pt") as stored:
            num_tensors += len(stored.keys())
    where, mend = str(folder), "take a checkpoint whose config.json belongs to its weights"
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    for name in DEPTHS & set(settings):  # before they are built
        if isinstance(settings[name], int) and settings[name] > num_tensors:
            return [Problem(where, f"{name} {settings[name]}, and {num_tensors} tensors", "a tensor or more for each layer", mend)]
    how = {"device_map": "meta", "dtype": torch.float32, "local_files_only": True, "trust_remote_code": False}
    try:
        kind = AutoModel if encoder else AutoModelForCausalLM
        model, report = kind.from_pretrained(str(folder), output_loading_info=True, ignore_mismatched_sizes=True, **how)
    except Exception as error:  # whatever a configuration makes the library raise is about that configuration
        reason = " ".join([type(error).__name__ + ":", *str(error).split()])[:500]
        return [Problem(where, f"no {architecture} can be made of it: {reason}", mend=mend)]
    missing = sorted(name for name in report["missing_keys"] if not (encoder and "pooler." in name))
    lines = [f"no weights for {name}" for name in missing]
    lines += [f"{name} is {list(there)}, and {list(wanted)} by config.json" for name, there, wanted in report["mismatched_keys"]]
    depth = getattr(model.config, "num_hidden_layers", 0)
    beyond = [name for name in sorted(report["unexpected_keys"]) if (found := BLOCK.search(name)) and int(found[1]) >= depth]
    lines += [f"weights of a layer that config.json does not have: {name}" for name in beyond]
    more = [f"{len(lines) - MOST} more tensors do not fit"] if len(lines) > MOST else []
    return [Problem(where, line, mend=mend) for line in lines[:MOST] + more]
