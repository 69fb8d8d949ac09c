"""A study's cost records as one table: means over seeds, each seed's own value, and ratios to the reference arm."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ftbench import files
from ftbench.predictions import Entry

# name in cost.json: (stage that measured it, its place in that stage's record)
MEASURED: dict[str, tuple[str, tuple[str, ...]]] = {
    "train_seconds": ("train", ("seconds", "training")),
    "train_seconds_without_evaluation": ("train", ("seconds", "training_without_evaluation")),
    "train_total_seconds": ("train", ("seconds", "total")),
    "train_peak_resident_bytes": ("train", ("memory", "peak_resident_bytes")),
    "train_peak_gpu_allocated_bytes": ("train", ("memory", "peak_gpu_allocated_bytes")),
    "train_peak_gpu_reserved_bytes": ("train", ("memory", "peak_gpu_reserved_bytes")),
    "num_epochs": ("train", ("num_epochs",)),
    "num_steps": ("train", ("num_steps",)),
    "examples_per_step": ("train", ("examples_per_step",)),
    "num_examples": ("train", ("num_examples",)),
    "num_tokens": ("train", ("num_tokens",)),
    "num_truncated": ("train", ("num_truncated",)),
    "num_4bit_layers": ("train", ("num_4bit_layers",)),
    "parameters_total": ("train", ("parameters", "total")),
    "parameters_packed": ("train", ("parameters", "packed")),
    "parameters_trained": ("train", ("parameters", "trained")),
    "parameters_saved": ("train", ("parameters", "saved")),
    "bytes_on_disk": ("train", ("bytes_on_disk",)),
    "evaluate_seconds": ("evaluate", ("seconds", "evaluation")),
    "evaluate_total_seconds": ("evaluate", ("seconds", "total")),
    "evaluate_peak_resident_bytes": ("evaluate", ("memory", "peak_resident_bytes")),
}
BY_SEED = ("train_seconds_without_evaluation", "evaluate_seconds")  # what the ledger's rules compare seed by seed
RATIOS = ("train_seconds", "train_peak_resident_bytes", "parameters_trained", "parameters_saved", "bytes_on_disk", "evaluate_seconds")


def build(study: str, scale: str, reference: str | None, rows: Sequence[Entry], report: Path) -> dict[str, Any]:
    """cost.json of a study. A figure that a record lacks is null. Raises UserError for a file that is missing or broken."""
    entries, environments = {}, {}
    for row in rows:
        records: dict[str, list[dict[str, Any]]] = {stage: [] for stage in (("train", "evaluate") if row.trained else ("evaluate",))}
        for stem in row.stems():
            for stage, kept in records.items():
                record = files.read_json(report / "costs" / f"{stem}-{stage}.json")
                kept.append(record)
                environment = record.get("environment")
                if environment:
                    environments[json.dumps(environment, sort_keys=True)] = environment
        entries[row.name] = _entry(records)
    if reference:
        for entry in entries.values():
            entry["ratio_to_reference"] = {name: _ratio(entry.get(name), entries[reference].get(name)) for name in RATIOS}
    return {
        "study": study,
        "scale": scale,
        "reference": reference,
        "entries": entries,
        "environments": [environments[key] for key in sorted(environments)],
    }


def _entry(records: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    found: dict[str, Any] = {"by_seed": {}}
    for name, (stage, place) in MEASURED.items():
        values = [_at(record, place) for record in records.get(stage, [])]
        known = [value for value in values if value is not None]
        found[name] = sum(known) / len(known) if known and len(known) == len(values) else None
        if name in BY_SEED:
            found["by_seed"][name] = values
    if found["num_tokens"] and found["train_seconds_without_evaluation"]:
        found["train_tokens_per_second"] = found["num_tokens"] / found["train_seconds_without_evaluation"]
    return found


def _at(record: Mapping[str, Any], place: Sequence[str]) -> float | None:
    value: Any = record
    for key in place:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _ratio(value: float | None, reference: float | None) -> float | None:
    return value / reference if value is not None and reference else None
