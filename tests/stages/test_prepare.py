"""`python stages/prepare.py` as a command: every source, what the card says, and memory."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import preparing
import pytest
from preparing import GENERATED, LABELS, SPLITS, Prepare, card, contents, file_block, pairs, pinned, three_files, written
from shared_data import SHARED_DATA, needs_shared_data

from ftbench import files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """`prepare(block)` runs the stage on a params.yaml that holds nothing but this data set, in an empty folder."""
    return partial(preparing.run, tmp_path)


# ------------------------------------------------------------------------------------------------------------------- generated
@pytest.mark.parametrize(
    ("block", "columns"),
    [
        (
            {"task": "nli", "splits": {"train": 30, "validation": 6, "test_matched": 9, "test_mismatched": 9},
             "genres": ["captions", "fiction"], "mismatched_genres": ["farming"]},
            ["id", "premise", "hypothesis", "label", "genre", "phenomenon"],
        ),
        ({"task": "instructions", "splits": SPLITS}, ["id", "instruction", "input", "output", "kind"]),
        ({"task": "pretraining", "splits": {"train": 40, "validation": 10}, "instruction_share": 0.25}, ["id", "text", "kind", "genre"]),
    ],
    ids=["nli", "instructions", "pretraining"],
)  # fmt: skip
def test_generated_splits_have_their_columns_and_sizes_and_hang_on_the_seed_alone(
    prepare: Prepare, tmp_path: Path, block: dict[str, Any], columns: list[str]
) -> None:
    block = {**GENERATED, **block}
    done = prepare(block)
    assert done.returncode == 0, done.stderr
    first = contents(tmp_path)
    for split, size in block["splits"].items():
        table = files.read_parquet(tmp_path / f"data/d/{split}.parquet")
        assert (table.schema.names, table.num_rows) == (columns, size)
        assert len(set(table["id"].to_pylist())) == size
    assert set(first) == {"card.json", *(f"{split}.parquet" for split in block["splits"])}
    assert set(card(tmp_path)["overlap"].values()) == {0}
    shutil.rmtree(tmp_path / "data")
    assert prepare(block).returncode == 0
    assert contents(tmp_path) == first
    assert prepare({**block, "seed": 1}).returncode == 0
    assert contents(tmp_path)["train.parquet"] != first["train.parquet"]


def test_the_card_of_generated_pairs_counts_their_structures_and_phenomena(prepare: Prepare, tmp_path: Path) -> None:
    splits = {"train": 300, "validation": 30, "test": 60}
    assert prepare({**GENERATED, "task": "nli", "splits": splits, "genres": ["captions"]}).returncode == 0
    structures = card(tmp_path)["structures"]
    assert set(structures) == {"train", "validation", "test", "all"}
    assert 1 < structures["train"]["num_hypothesis_structures"] <= structures["all"]["num_sentence_structures"]
    assert sum(card(tmp_path)["splits"]["test"]["by_phenomenon"].values()) == 60
    assert card(tmp_path)["splits"]["test"]["by_label"] == dict.fromkeys(LABELS, 20)


# ----------------------------------------------------------------------------------------------------------------------- files
@pytest.mark.parametrize("suffix", ["jsonl", "tsv", "csv", "parquet"])
def test_the_same_pairs_in_any_format_give_the_same_splits_quotes_included(prepare: Prepare, tmp_path: Path, suffix: str) -> None:
    done = prepare(file_block(three_files(tmp_path, suffix)))
    assert done.returncode == 0, done.stderr
    table = files.read_parquet(tmp_path / "data/d/test.parquet").to_pylist()
    assert table[4] == {
        "id": "test-000005", "premise": 'test "premise" 4', "hypothesis": "hypothesis 4, é", "label": 1, "genre": None, "phenomenon": None,
    }  # fmt: skip
    # the definition that the card states: the rows as JSON lists, a line each
    content = "".join(json.dumps(list(row.values()), ensure_ascii=False) + "\n" for row in table)
    assert card(tmp_path)["splits"]["test"]["content_sha256"] == hashlib.sha256(content.encode()).hexdigest()
    assert [(row["premise"], row["hypothesis"], row["label"]) for row in table] == [tuple(row.values()) for row in pairs("test", 20)]


def test_alpaca_without_answers_is_cut_into_train_validation_and_test_by_seed(prepare: Prepare, tmp_path: Path) -> None:
    rows = [{"instruction": f"Say {n}.", "input": "", "output": "" if n % 10 == 0 else str(n)} for n in range(50)]
    file = written(tmp_path, "alpaca.json", rows)
    block = file_block({"train": file}, task="instructions", labels=None, splits={"train": None, "validation": 5, "test": 10})
    done = prepare(block)
    assert done.returncode == 0, done.stderr
    outputs = {split: set(files.read_parquet(tmp_path / f"data/d/{split}.parquet")["output"].to_pylist()) for split in SPLITS}
    assert {split: len(values) for split, values in outputs.items()} == {"train": 30, "validation": 5, "test": 10}
    assert len(set().union(*outputs.values())) == 45
    content = card(tmp_path)
    assert content["read"]["train"]["dropped"] == {"empty_output": 5}
    assert {split: content["splits"][split]["cut_from"] for split in SPLITS} == {"train": None, "validation": "train", "test": "train"}
    first = contents(tmp_path)
    assert prepare({**block, "seed": 1}).returncode == 0
    assert contents(tmp_path)["test.parquet"] != first["test.parquet"]


def test_the_card_says_what_was_read_dropped_and_written_and_from_which_bytes(prepare: Prepare, tmp_path: Path) -> None:
    by_split = three_files(tmp_path)
    rows = pairs("train", 40)
    extra = [rows[0], pairs("test", 3)[2], {**rows[1], "label": 2}, {**rows[2], "premise": "x", "label": -1}, {**rows[3], "label": 7}]
    by_split["train"] = written(tmp_path, "train.jsonl", rows + extra)
    done = prepare(file_block(by_split, max_malformed_share=0.05))
    assert done.returncode == 0, done.stderr
    content = card(tmp_path)
    assert content["read"]["train"] == {
        "num_rows": 45,
        "dropped": {"conflicting_labels": 2, "duplicate": 1, "in_evaluation_split": 1, "no_gold_label": 1},
        "dropped_for_being_in": {"test": 1},
        "malformed": {"num_rows": 1, "first": [{"where": "train.jsonl:45", "found": "label '7' is none of 0, 1, 2"}]},
        "duplicates_kept": 0, "conflicting_labels_kept": 0, "repeated_ids_renamed": 0,
    }  # fmt: skip
    assert content["splits"]["train"]["num_rows"] == 39
    assert content["splits"]["train"]["by_label"] == {"entailment": 14, "neutral": 12, "contradiction": 13}
    assert content["splits"]["train"]["file_sha256"] == files.sha256_file(tmp_path / "data/d/train.parquet")
    assert content["inputs"][0]["sha256"] == by_split["train"]["sha256"]
    assert (content["licence"], content["source"]) == ("CC0-1.0", "file")
    assert set(content["rules"]) == {"conflicting_labels", "duplicate", "in_evaluation_split", "no_gold_label"}
    assert content["overlap"] == {"test & train": 0, "test & validation": 0, "train & validation": 0}
    assert "train.jsonl:45" in done.stdout


def test_a_sample_of_train_moves_neither_the_tests_nor_the_validation_split(prepare: Prepare, tmp_path: Path) -> None:
    by_split = three_files(tmp_path)
    block = file_block({split: by_split[split] for split in ("train", "test")}, splits={"train": None, "validation": 8, "test": None})
    assert prepare(block).returncode == 0
    everything = contents(tmp_path)
    assert prepare({**block, "splits": {"train": 12, "validation": 8, "test": None}}).returncode == 0
    sampled = contents(tmp_path)
    assert sampled["validation.parquet"] == everything["validation.parquet"]
    assert sampled["test.parquet"] == everything["test.parquet"]
    assert files.read_parquet(tmp_path / "data/d/train.parquet").num_rows == 12


def test_a_split_of_a_single_row_is_fine(prepare: Prepare, tmp_path: Path) -> None:
    by_split = {split: written(tmp_path, f"{split}.jsonl", pairs(split, 1)) for split in SPLITS}
    assert prepare(file_block(by_split)).returncode == 0


# ----------------------------------------------------------------------------------------------------------------------- memory
# A process of its own between the test and the stage: what a stage is started from counts towards its peak, and pytest is large.
MEASURING = """\
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
sys.exit(done.returncode)
"""


def test_as_many_rows_as_snli_has_are_prepared_in_bounded_memory(tmp_path: Path) -> None:
    num_rows = 550_000
    with (tmp_path / "train.jsonl").open("w") as stream:
        for n in range(num_rows):
            said = {"sentence1": f"A man has {n // 3} dogs .", "sentence2": f"He walks {n} ."}
            stream.write(json.dumps({"gold_label": LABELS[n % 3], **said, "pairID": f"{n}#0e"}) + "\n")
    by_split = {"train": pinned(tmp_path / "train.jsonl")}
    for split in ("validation", "test"):
        rows = [{**row, "label": LABELS[row["label"]]} for row in pairs(split, SPLITS[split])]
        by_split[split] = written(tmp_path, f"{split}.jsonl", rows)
    block = file_block(by_split, labels={name: name for name in LABELS})
    (tmp_path / "params.yaml").write_text(json.dumps({"scale": "tiny", "tiny": {"datasets": {"d": block}}}))
    stage = [sys.executable, str(ROOT / "stages/prepare.py"), "--dataset", "d", "--out", "data/d"]
    done = subprocess.run([sys.executable, "-c", MEASURING, *stage], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) < 2**29  # to hold the rows themselves would take more
    content = card(tmp_path)
    assert {split: counts["num_rows"] for split, counts in content["splits"].items()} == {**SPLITS, "train": num_rows}
    assert content["read"]["train"]["num_rows"] == num_rows
    assert content["read"]["train"]["dropped"] == {}


# ------------------------------------------------------------------------------------------------------------------- real data
def shared(name: str, **more: Any) -> dict[str, Any]:
    path = SHARED_DATA / name
    return {**pinned(path), "path": str(path.resolve()), **more}


@needs_shared_data
def test_real_snli_is_prepared_whole(prepare: Prepare, tmp_path: Path) -> None:
    done = prepare(file_block({split: shared(f"snli/{split}.jsonl") for split in SPLITS}))
    assert done.returncode == 0, done.stderr
    content = card(tmp_path)
    assert {split: counts["num_rows"] for split, counts in content["splits"].items()} == {"train": 16992, "validation": 9842, "test": 9824}
    assert content["splits"]["train"]["by_label"] == {"entailment": 5670, "neutral": 5682, "contradiction": 5640}
    assert content["read"]["validation"]["duplicates_kept"] == 2
    assert set(content["overlap"].values()) == {0}


@needs_shared_data
def test_real_multinli_gets_its_validation_split_from_train_and_keeps_the_published_ids(prepare: Prepare, tmp_path: Path) -> None:
    by_split = {"train": shared("multinli/train.jsonl"), "test": shared("multinli/validation_matched.jsonl")}
    done = prepare(file_block(by_split, splits={"train": None, "validation": 300, "test": None}))
    assert done.returncode == 0, done.stderr
    assert {split: counts["num_rows"] for split, counts in card(tmp_path)["splits"].items()} == {
        "train": 2700, "validation": 300, "test": 9815,
    }  # fmt: skip
    assert files.read_parquet(tmp_path / "data/d/test.parquet")["id"][0].as_py() == "63735n"


@needs_shared_data
def test_the_official_alpaca_file_loses_its_28_rows_without_an_answer(prepare: Prepare, tmp_path: Path) -> None:
    block = file_block({"train": shared("alpaca/alpaca_data.json")}, task="instructions", labels=None)
    done = prepare({**block, "splits": {"train": None, "validation": 500, "test": 1000}})
    assert done.returncode == 0, done.stderr
    content = card(tmp_path)
    assert content["read"]["train"]["num_rows"] == 52002
    assert content["read"]["train"]["dropped"]["empty_output"] == 28
    assert (
        sum(counts["num_rows"] for counts in content["splits"].values())
        == 52002 - content["read"]["train"]["dropped"].get("shares_group_with_cut_split", 0) - 28
    )
