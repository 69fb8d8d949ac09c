"""As many rows as SNLI has, cleaned and split by `stages/prepare.py`, against a script that does the same with `datasets`."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import made
import timing

from ftbench import files
from ftbench.text import LABELS

ROWS, QUICK_ROWS = 550_000, 20_000
HELD_OUT = 10_000  # rows of validation and of test each, as SNLI has; of a trial a tenth
MOST_RESIDENT = 1.5 * 2**30
ALTERNATIVE = Path(__file__).with_name("prepare_with_datasets.py")
# A process of its own between this one and the script: what a process is started from counts towards its peak.
MEASURING = """\
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
sys.exit(done.returncode)
"""
NOUNS = ["man", "woman", "child", "dog", "street", "park", "shirt", "hat", "bench", "ball", "tree", "water", "crowd", "table", "bicycle"]
OTHERS = [
    "red",
    "blue",
    "old",
    "young",
    "two",
    "three",
    "stands",
    "walks",
    "runs",
    "near",
    "with",
    "behind",
    "holding",
    "wearing",
    "outside",
]


def row(options: made.Options) -> timing.Row:
    """Rows without a gold label, rows that repeat an example with the same or another label, and rows that test holds are all dropped."""
    num_rows = QUICK_ROWS if options.quick else ROWS
    scratch = tempfile.TemporaryDirectory(prefix="bench-prepare-")  # removed with the row, whose functions hold it
    folder = Path(scratch.name)
    sizes = {"train": num_rows, "validation": HELD_OUT * num_rows // ROWS, "test": HELD_OUT * num_rows // ROWS}
    for split, size in sizes.items():
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(one) + "\n" for one in snli_like(split, size))
    (folder / "params.yaml").write_text(json.dumps(block(folder)), encoding="utf-8")
    stage = [str(made.ROOT / "stages/prepare.py"), "--dataset", "snli", "--out", "ours"]

    def ours() -> dict[str, Any]:
        return {"folder": folder / "ours", "peak_resident_bytes": run(stage, scratch.name)}

    def with_datasets() -> dict[str, Any]:
        return {"folder": folder / "other", "peak_resident_bytes": run([str(ALTERNATIVE), ".", "other"], scratch.name)}

    return timing.Row(
        work=f"{num_rows:,} SNLI-like rows, cleaned and split",
        against="datasets' filter and map, the same cleaning",
        bar=1.0,
        ours=lambda: ours,
        alternative=lambda: with_datasets,
        difference=difference,
        sizes={"num_rows": sizes, "num_bytes": sum((folder / f"{split}.jsonl").stat().st_size for split in sizes)},
        figures=lambda one, other: {
            "peak_resident_bytes": one["peak_resident_bytes"],
            "alternative_peak_resident_bytes": other["peak_resident_bytes"],
        },
        at_most={"peak_resident_bytes": MOST_RESIDENT},
        warm_up=False,
    )


def snli_like(split: str, number: int) -> Iterator[dict[str, str]]:
    """Rows as SNLI publishes them, three to a premise; every hundredth lacks a gold label, and some of train repeat others or test's."""
    rng = random.Random(f"{made.SEED}/{split}")
    test = random.Random(f"{made.SEED}/test")
    premise, earlier, held_out = "", ("", "", ""), ""
    for n in range(number):
        if n % 3 == 0:
            premise = sentence(rng, 14)
        label, hypothesis = LABELS[n % 3], sentence(rng, 8)
        pair = premise, hypothesis, label
        if n == 0 or n % 101 == 0:
            earlier = pair
        if n % 100 == 7:
            pair = *pair[:2], "-"
        elif n % 211 == 5:
            pair = earlier
        elif n % 977 == 6:
            pair = *earlier[:2], LABELS[n % 3 - 1]
        elif split == "train" and n in (10, 11):
            held_out = held_out or sentence(test, 14)
            pair = held_out, sentence(test, 8), label
        yield {"gold_label": pair[2], "sentence1": pair[0], "sentence2": pair[1], "pairID": f"{split}-{n}"}


def sentence(rng: random.Random, num_words: int) -> str:
    """So many words, a capital and a full stop."""
    return " ".join(rng.choices(NOUNS + OTHERS, k=num_words)).capitalize() + " ."


def block(folder: Path) -> dict[str, Any]:
    """A params.yaml that holds nothing but this data set."""
    given = {
        split: [{"path": f"{split}.jsonl", "format": "jsonl", "sha256": files.sha256_file(folder / f"{split}.jsonl")}]
        for split in ("train", "validation", "test")
    }
    dataset = {"source": "file", "task": "nli", "licence": "CC0-1.0", "seed": 0, "splits": dict.fromkeys(given), "files": given}
    dataset |= {"labels": {label: label for label in LABELS}, "max_malformed_share": 0.0}
    return {"scale": "bench", "bench": {"datasets": {"snli": dataset}}}


def run(words: list[str], folder: str) -> int:
    """Run a script in `folder`; returns its peak of resident bytes."""
    command = [sys.executable, "-c", MEASURING, sys.executable, *words]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise timing.NotRunError(f"{words[0]} failed: {done.stderr.strip()[-500:]}")
    return int(done.stdout.splitlines()[-1])


def difference(ours: dict[str, Any], other: dict[str, Any]) -> str:
    """Of what splits the kept rows differ: premise, hypothesis and label, in their order."""
    differing = []
    for split in ("train", "validation", "test"):
        first, second = (kept(one["folder"] / f"{split}.parquet") for one in (ours, other))
        if not first.equals(second):
            differing.append(f"{split}: {first.num_rows:,} rows, or other {second.num_rows:,}")
    return ", ".join(differing)


def kept(path: Path) -> Any:
    """The rows of a split as a table, however wide its writer made the types."""
    import pyarrow as pa

    table = files.read_parquet(path, ["premise", "hypothesis", "label"]).replace_schema_metadata()
    types = {"premise": pa.large_string(), "hypothesis": pa.large_string(), "label": pa.int64()}
    return table.cast(pa.schema(types))
