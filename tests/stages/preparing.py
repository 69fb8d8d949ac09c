"""`python stages/prepare.py` run on one data set, the files that it reads, and what it left."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ftbench import files

ROOT = Path(__file__).resolve().parents[2]
LABELS = ("entailment", "neutral", "contradiction")
NUMBERS = {"entailment": 0, "neutral": 1, "contradiction": 2}
SPLITS = {"train": 40, "validation": 10, "test": 20}

Prepare = Callable[..., subprocess.CompletedProcess[str]]


def run(folder: Path, block: dict[str, Any], out: str = "data/d", **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the stage in a folder, on a params.yaml that holds nothing but this data set."""
    (folder / "params.yaml").write_text(json.dumps({"scale": "tiny", "tiny": {"datasets": {"d": block}}}, indent=1))
    command = [sys.executable, str(ROOT / "stages/prepare.py"), "--dataset", "d", "--out", out]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False, **options)


def pairs(split: str, num_rows: int) -> list[dict[str, Any]]:
    """Rows with different premises, the labels in turn."""
    return [{"premise": f'{split} "premise" {n}', "hypothesis": f"hypothesis {n}, é", "label": n % 3} for n in range(num_rows)]


def written(folder: Path, name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Write rows in the format of the name's suffix; returns the file's block of params.yaml, pinned."""
    path = folder / name
    file_format = path.suffix[1:]
    if file_format == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif file_format == "json":
        path.write_text(json.dumps(rows, indent=4))
    elif file_format == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif file_format == "tsv":
        lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
        path.write_text("".join("\t".join(line) + "\n" for line in lines))
    else:
        lines = [list(rows[0]), *(['"' + str(value).replace('"', '""') + '"' for value in row.values()] for row in rows)]
        path.write_text("".join(",".join(line) + "\r\n" for line in lines))
    return pinned(path)


def pinned(path: Path) -> dict[str, Any]:
    return {"path": path.name, "format": path.suffix[1:], "sha256": files.sha256_file(path)}


def file_block(by_split: dict[str, dict[str, Any]], **changes: Any) -> dict[str, Any]:
    block = {
        "source": "file", "task": "nli", "licence": "CC0-1.0", "seed": 0, "splits": dict.fromkeys(SPLITS), "labels": NUMBERS,
        "max_malformed_share": 0.0, "files": {split: [file] for split, file in by_split.items()},
    }  # fmt: skip
    return {**block, **changes}


def three_files(folder: Path, suffix: str = "jsonl") -> dict[str, dict[str, Any]]:
    return {split: written(folder, f"{split}.{suffix}", pairs(split, size)) for split, size in SPLITS.items()}


def card(folder: Path) -> dict[str, Any]:
    return files.read_json(folder / "data/d/card.json")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "data/d").iterdir())}


def nothing_left(folder: Path) -> bool:
    return not (folder / "data").exists() or not list((folder / "data").iterdir())


GENERATED = {"source": "generated", "licence": "Apache-2.0", "seed": 0}
