"""The cleaning of `stages/prepare.py` as it is written with `datasets`: one filter or map after another, row by row.

It drops rows without a gold label; of train also conflicting labels, repetitions, and what any other split holds.
Example: python benchmarks/rows/prepare_with_datasets.py FOLDER_WITH_JSONL OUT train validation test
"""

import sys
import tempfile
from pathlib import Path

from datasets import load_dataset

LABELS = ["entailment", "neutral", "contradiction"]


def main(folder: Path, out: Path, names: list[str]) -> None:
    """Read, clean and write the splits, of which the first is train."""
    with tempfile.TemporaryDirectory(dir=folder) as cache:
        splits = load_dataset("json", data_files={split: str(folder / f"{split}.jsonl") for split in names}, cache_dir=cache)
        splits = splits.filter(lambda row: row["gold_label"] in LABELS)
        splits = splits.map(
            lambda row: {"premise": row["sentence1"], "hypothesis": row["sentence2"], "label": LABELS.index(row["gold_label"])},
            remove_columns=["sentence1", "sentence2", "gold_label"],
        )
        held_out = {(row["premise"], row["hypothesis"]) for split in names[1:] for row in splits[split]}
        said: dict[tuple[str, str], int] = {}
        conflicting = set()
        columns = (splits["train"][name] for name in ("premise", "hypothesis", "label"))
        for premise, hypothesis, label in zip(*columns, strict=True):
            if said.setdefault((premise, hypothesis), label) != label:
                conflicting.add((premise, hypothesis))
        seen: set[tuple[str, str]] = set()

        def kept(row: dict) -> bool:
            pair = row["premise"], row["hypothesis"]
            if pair in held_out or pair in conflicting or pair in seen:
                return False
            seen.add(pair)
            return True

        # named, or `datasets` would pickle the sets to tell whether it has done this before
        splits["train"] = splits["train"].filter(kept, new_fingerprint="kept")
        for split in names:
            splits[split].to_parquet(out / f"{split}.parquet")


if __name__ == "__main__":
    given, written = map(Path, sys.argv[1:3])
    written.mkdir(exist_ok=True)
    main(given, written, sys.argv[3:])
