"""Every field of every file that a run leaves is described in docs/results-schema.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import described
import pytest

from ftbench import files, grid, ledger, params, probes, traits
from ftbench.text import LABELS

FILES = {  # what a run leaves: the headings of the sections that describe it
    "data/*/card.json": ["data/<dataset>/"],
    "models/base/*/manifest.json": ["models/base/<model>/"],
    "models/base/*/pretraining.json": ["models/base/<model>/"],
    "models/*/*/arm.json": ["models/<study>/<arm>-<seed>/"],
    "reports/*/scores/*.json": ["reports/<study>/scores/<arm>-<seed>.json"],
    "reports/*/costs/*.json": ["reports/<study>/costs/<arm>-<seed>-train.json"],
    "reports/*/comparison.json": ["reports/<study>/comparison.json", "data/<dataset>/"],
    "reports/*/cost.json": ["reports/<study>/cost.json"],
    "reports/alpaca/answers.json": ["reports/alpaca/answers.json"],
    "reports/ledger.json": ["reports/ledger.json"],
}
# fields whose contents are settings of params.yaml, are named by data or packages, or are described where they come from
OPEN = {"settings", "text", "dimensions", "levels", "files", "inputs", "versions", "environments", "rules", "overlap", "dropped",
        "dropped_for_being_in", "verdicts"}  # fmt: skip
GROUPS = {"genre", "phenomenon", "kind"}


@pytest.mark.parametrize("pattern", FILES)
def test_every_field_of_what_a_run_leaves_is_described(pipeline: Path, names: set[str], pattern: str) -> None:
    paths = sorted(pipeline.glob(pattern))
    assert paths
    known = set().union(*map(described.fields, FILES[pattern]))
    left = {str(path.relative_to(pipeline)): set(fields(files.read_json(path), names)) - known for path in paths}
    assert {name: undescribed for name, undescribed in left.items() if undescribed} == {}


@pytest.fixture(scope="module")
def names(pipeline: Path) -> set[str]:
    """Keys that are names: of arms, baselines, models, splits, labels, groups of the data, and claims."""
    raw = params.read(pipeline / "params.yaml")
    found = {*LABELS, *(claim["id"] for claim in ledger.claims()), *raw["offline"]["models"]}
    for study in (grid.study(raw, name) for name in raw["studies"]):
        found |= {*grid.arms(study), *grid.baselines(study), "premise_only", "overlap", "pair_ngrams"}
    found.add(probes.SPLIT)
    for path in pipeline.glob("data/*/*.parquet"):
        table = files.read_parquet(path)
        if "premise" in table.column_names:
            seen = traits.traits(table["premise"].to_pylist(), table["hypothesis"].to_pylist())
            found |= {group for groups in seen.values() for group in groups}
        found |= {
            path.stem,
            f"{path.parent.name}/{path.stem}",
            *(value for name in GROUPS & set(table.column_names) for value in table[name].to_pylist() if value),
        }
    return found


def fields(value: Any, names: set[str]) -> Iterator[str]:
    """The keys of all mappings in a value that are no names."""
    for inner in value if isinstance(value, list) else ():
        yield from fields(inner, names)
    for key, inner in value.items() if isinstance(value, dict) else ():
        if key not in names:
            yield key
        if key not in OPEN:
            yield from fields(inner, names)
