"""As many rows as SNLI and MultiNLI have, cleaned and split by `stages/prepare.py`, against a script that does the same with `datasets`."""

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

ROWS, MULTINLI_ROWS, QUICK_ROWS = 550_000, 393_000, 20_000
HELD_OUT = 10_000  # rows of validation and of each test split, as both data sets have; of a trial in proportion
REPEATS = 3  # a run takes a minute
MOST_RESIDENT = 1.5 * 2**30
ALTERNATIVE = Path(__file__).with_name("prepare_with_datasets.py")
# A process of its own between this one and the script: what a process is started from counts towards its peak.
MEASURING = """\
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
sys.exit(done.returncode)
"""
GENRES = ["fiction", "government", "slate", "telephone", "travel"]
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


def snli(options: made.Options) -> timing.Row:
    """Rows as SNLI has them."""
    return row(options, "snli", ROWS, ["test"], (14, 8))


def multinli(options: made.Options) -> timing.Row:
    """Rows as MultiNLI has them: longer ones of several genres, with two test splits."""
    return row(options, "multinli", MULTINLI_ROWS, ["test_matched", "test_mismatched"], (20, 10))


def row(options: made.Options, dataset: str, whole: int, tests: list[str], num_words: tuple[int, int]) -> timing.Row:
    """Rows without a gold label, rows that repeat an example with the same or another label, and rows that a test holds are all dropped."""
    num_rows = QUICK_ROWS if options.quick else whole
    scratch = tempfile.TemporaryDirectory(prefix="bench-prepare-")  # removed with the row, whose functions hold it
    folder = Path(scratch.name)
    sizes = {"train": num_rows, **dict.fromkeys(["validation", *tests], HELD_OUT * num_rows // whole)}
    for split, size in sizes.items():
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as stream:
            stream.writelines(json.dumps(one) + "\n" for one in nli_like(split, size, tests[0], num_words))
    (folder / "params.yaml").write_text(json.dumps(block(folder, dataset, list(sizes))), encoding="utf-8")
    stage = [str(made.ROOT / "stages/prepare.py"), "--dataset", dataset, "--out", "ours"]

    def ours() -> dict[str, Any]:
        return {"folder": folder / "ours", "peak_resident_bytes": run(stage, scratch.name)}

    def with_datasets() -> dict[str, Any]:
        return {"folder": folder / "other", "peak_resident_bytes": run([str(ALTERNATIVE), ".", "other", *sizes], scratch.name)}

    return timing.Row(
        work=f"{num_rows:,} rows like those of {dataset}, cleaned and split",
        against="datasets' filter and map, the same cleaning",
        bar=1.0,
        ours=lambda: ours,
        alternative=lambda: with_datasets,
        difference=lambda one, other: difference(one, other, list(sizes)),
        sizes={"num_rows": sizes, "num_bytes": sum((folder / f"{split}.jsonl").stat().st_size for split in sizes)},
        figures=lambda one, other: {
            "peak_resident_bytes": one["peak_resident_bytes"],
            "alternative_peak_resident_bytes": other["peak_resident_bytes"],
        },
        at_most={"peak_resident_bytes": MOST_RESIDENT},
        warm_up=False,
        num_repeats=REPEATS,
    )


def nli_like(split: str, number: int, test: str, num_words: tuple[int, int]) -> Iterator[dict[str, str]]:
    """Rows as the two data sets are published, three to a premise; every hundredth lacks a gold label, and some of train repeat others.

    Two rows of train are those of the split `test`; `num_words` are a premise's and a hypothesis's.
    """
    rng = random.Random(f"{made.SEED}/{split}")
    tested = random.Random(f"{made.SEED}/{test}")
    premise, earlier, held_out = "", ("", "", ""), ""
    for n in range(number):
        if n % 3 == 0:
            premise = sentence(rng, num_words[0])
        label, hypothesis = LABELS[n % 3], sentence(rng, num_words[1])
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
            held_out = held_out or sentence(tested, num_words[0])
            pair = held_out, sentence(tested, num_words[1]), label
        yield {
            "gold_label": pair[2],
            "sentence1": pair[0],
            "sentence2": pair[1],
            "pairID": f"{split}-{n}",
            "genre": GENRES[n % len(GENRES)],
        }


def sentence(rng: random.Random, num_words: int) -> str:
    """So many words, a capital and a full stop."""
    return " ".join(rng.choices(NOUNS + OTHERS, k=num_words)).capitalize() + " ."


def block(folder: Path, dataset: str, splits: list[str]) -> dict[str, Any]:
    """A params.yaml that holds nothing but this data set."""
    given = {
        split: [{"path": f"{split}.jsonl", "format": "jsonl", "sha256": files.sha256_file(folder / f"{split}.jsonl")}] for split in splits
    }
    content = {"source": "file", "task": "nli", "licence": "CC0-1.0", "seed": 0, "splits": dict.fromkeys(given), "files": given}
    content |= {"labels": {label: label for label in LABELS}, "max_malformed_share": 0.0}
    return {"scale": "bench", "bench": {"datasets": {dataset: content}}}


def run(words: list[str], folder: str) -> int:
    """Run a script in `folder`; returns its peak of resident bytes."""
    command = [sys.executable, "-c", MEASURING, sys.executable, *words]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise timing.NotRunError(f"{words[0]} failed: {done.stderr.strip()[-500:]}")
    return int(done.stdout.splitlines()[-1])


def difference(ours: dict[str, Any], other: dict[str, Any], splits: list[str]) -> str:
    """Of what splits the kept rows differ: premise, hypothesis and label, in their order."""
    differing = []
    for split in splits:
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
