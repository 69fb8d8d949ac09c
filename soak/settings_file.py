"""The settings that are spoilt, and their file: the shipped params.yaml, shrunken to some studies, with a scale of local files added."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftbench import params

ROOT = Path(__file__).parents[1]
STUDIES = ("snli", "multinli", "multinli_llm", "alpaca")
HASH = "0123456789abcdef" * 4
Path_ = tuple[Any, ...]


class Literal(str):
    """A scalar that stands in the file as it is written here."""

    __slots__ = ()


# ---- the file -------------------------------------------------------------------------------------------------------------


def base() -> dict[str, Any]:
    """The shipped settings with fewer studies and a scale `own` whose data and decoder are local files. It fits together."""
    raw = params.read(ROOT / "params.yaml")
    raw = {"scale": raw["scale"], "studies": {name: raw["studies"][name] for name in STUDIES}, **_scales(raw)}
    raw["studies"]["multinli"]["factors"]["method"] = ["full", "lora", "p_tuning"]
    for scale in ("offline", "paper"):
        for gone in ("top_layers", "p_tuning_with_backbone"):
            raw[scale]["multinli"].pop(gone, None)
    raw["own"] = raw.pop("paper")
    raw["own"]["datasets"]["snli"] = {
        "source": "file", "task": "nli", "licence": "CC0-1.0", "seed": 0, "splits": {"train": None, "validation": 5, "test": None},
        "files": {split: [{"path": f"d/{split}.jsonl", "format": "jsonl", "sha256": HASH}] for split in ("train", "test")},
        "labels": {"entailment": 0, "neutral": 1, "contradiction": 2}, "columns": {"premise": "first"}, "max_malformed_share": 0.0,
    }  # fmt: skip
    raw["own"]["models"]["phi_2"] = {
        "source": "file", "architecture": "phi", "licence": "MIT", "path": "checkpoints/phi",
        "files": [{"path": "config.json", "sha256": HASH}, {"path": "model.safetensors", "sha256": HASH}],
    }  # fmt: skip
    for part in ("qkv", "attention_head"):
        raw["own"]["snli"][part]["adapter"]["target_modules"] = ["q_proj"]
    return raw


def _scales(raw: dict[str, Any]) -> dict[str, Any]:
    kept = {}
    for scale in ("offline", "paper"):
        sections = {name: block for name, block in raw[scale].items() if name in ("datasets", "models", *STUDIES)}
        sweeps = raw[scale].get("sweeps", {})
        if some := {name: sweep for name, sweep in sweeps.items() if sweep["study"] == "alpaca"}:
            sections["sweeps"] = dict(list(some.items())[:2])
        kept[scale] = copy.deepcopy(sections)
    return kept


def written(value: Any, indent: int = 0) -> list[str]:
    """The lines of a block of YAML: a mapping's keys and a list's items each on a line of their own."""
    lines: list[str] = []
    pad = " " * indent
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in entries:
        head = f"{pad}- " if isinstance(value, list) else f"{pad}{_scalar(key)}: "
        if isinstance(item, (dict, list)) and item:
            lines += [head.rstrip(), *written(item, indent + 2)]
        else:
            lines.append(head + _scalar(item))
    return lines


def _scalar(value: Any) -> str:
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else (".inf" if value > 0 else "-.inf")
    if isinstance(value, str) and re.fullmatch(r"[a-zA-Z_]\w*", value, re.ASCII) and value.lower() not in ("null", "true", "false"):
        return value
    return json.dumps(value)


def text(value: Any) -> str:
    """The whole file."""
    return "\n".join(written(value)) + "\n"


def paths(value: Any, here: Path_ = ()) -> Iterator[Path_]:
    """The place of every key and item, from the top down."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        yield (*here, key)
        yield from paths(item, (*here, key))


def at(value: Any, path: Path_) -> Any:
    """What stands at a place."""
    for key in path:
        value = value[key]
    return value


def changed(raw: dict[str, Any], path: Path_, value: Any) -> dict[str, Any]:
    """A copy with another value at a place."""
    made = copy.deepcopy(raw)
    at(made, path[:-1])[path[-1]] = value
    return made
