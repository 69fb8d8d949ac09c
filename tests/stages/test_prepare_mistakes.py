"""`python stages/prepare.py` as a command on files and settings with mistakes: what is said, and nothing half written."""

from __future__ import annotations

import os
import resource
import subprocess
from functools import partial
from pathlib import Path

import preparing
import pytest
from preparing import GENERATED, SPLITS, Prepare, file_block, nothing_left, pairs, pinned, three_files, written


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """`prepare(block)` runs the stage on a params.yaml that holds nothing but this data set, in an empty folder."""
    return partial(preparing.run, tmp_path)


def refused(done: subprocess.CompletedProcess[str], folder: Path, *said: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for text in said:
        assert text in done.stderr
    assert nothing_left(folder)


def test_missing_changed_and_impossible_files_are_all_named_in_one_block(prepare: Prepare, tmp_path: Path) -> None:
    by_split = three_files(tmp_path)
    (tmp_path / "train.jsonl").write_text("{}\n")
    (tmp_path / "test.jsonl").unlink()
    (tmp_path / "folder").mkdir()
    by_split["validation"]["path"] = "folder"
    done = prepare(file_block(by_split))
    refused(
        done, tmp_path, "train.jsonl\n  found:   sha256", "the file has changed", "`ftbench pin`", "folder\n  found:   a folder, not a file"
    )
    refused(done, tmp_path, "test.jsonl\n  found:   no such file")


def test_a_file_without_a_hash_is_refused_with_the_command_that_writes_it(prepare: Prepare, tmp_path: Path) -> None:
    by_split = three_files(tmp_path)
    del by_split["train"]["sha256"]
    refused(prepare(file_block(by_split)), tmp_path, "sha256", "run `ftbench pin`")


def test_mistakes_inside_several_files_are_all_named_in_one_block(prepare: Prepare, tmp_path: Path) -> None:
    by_split = three_files(tmp_path)
    by_split["train"] = written(tmp_path, "train.jsonl", [*pairs("train", 5), {**pairs("train", 6)[5], "label": 7}])
    (tmp_path / "validation.jsonl").write_bytes((tmp_path / "validation.jsonl").read_bytes()[:-20])
    by_split["validation"] = pinned(tmp_path / "validation.jsonl")
    (tmp_path / "test.jsonl").write_text("")
    by_split["test"] = pinned(tmp_path / "test.jsonl")
    done = prepare(file_block(by_split))
    refused(done, tmp_path, "1 of 6 rows are malformed:", "train.jsonl:6: label '7' is none of 0, 1, 2", "max_malformed_share 0")
    refused(
        done,
        tmp_path,
        "validation.jsonl:10\n  found:   the file ends in the middle of a row",
        "split test\n  found:   no row is left of 0 read",
    )


def test_truncated_json_is_refused_with_file_and_line(prepare: Prepare, tmp_path: Path) -> None:
    rows = [{"instruction": f"Say {n}.", "input": "", "output": str(n)} for n in range(50)]
    written(tmp_path, "alpaca.json", rows)
    (tmp_path / "alpaca.json").write_bytes((tmp_path / "alpaca.json").read_bytes()[:-30])
    block = file_block(
        {"train": pinned(tmp_path / "alpaca.json")}, task="instructions", labels=None, splits={"train": 5, "validation": 5, "test": 5}
    )
    refused(prepare(block), tmp_path, "alpaca.json:247\n  found:   not JSON, or truncated")


def test_bad_encoding_and_nul_are_named_by_line(prepare: Prepare, tmp_path: Path) -> None:
    by_split = three_files(tmp_path)
    lines = (tmp_path / "train.jsonl").read_bytes().splitlines()
    lines[3] = lines[3].replace(b"hypothesis 3", b"caf\xe9")
    lines[8] = lines[8].replace(b"hypothesis 8", b"caf\\u0000")
    (tmp_path / "train.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    by_split["train"] = pinned(tmp_path / "train.jsonl")
    refused(prepare(file_block(by_split)), tmp_path, "train.jsonl:4: not UTF-8", "train.jsonl:9: 'hypothesis' holds a NUL character")


def test_a_data_set_that_params_do_not_hold_is_refused(prepare: Prepare, tmp_path: Path) -> None:
    block = {**GENERATED, "task": "nli", "splits": SPLITS, "genres": ["captions"]}
    refused(prepare({**block, "splits": {"train": 3, "validation": 0, "test": -1}, "gnres": []}), tmp_path, "validation", "test", "gnres")


def test_a_failed_run_removes_what_an_earlier_run_left(prepare: Prepare, tmp_path: Path) -> None:
    by_split = three_files(tmp_path)
    assert prepare(file_block(by_split)).returncode == 0
    (tmp_path / "train.jsonl").unlink()
    refused(prepare(file_block(by_split)), tmp_path, "no such file")


def test_a_disk_that_fills_while_writing_is_the_machines_fault_and_leaves_nothing(prepare: Prepare, tmp_path: Path) -> None:
    rows = [{**row, "premise": os.urandom(200).hex()} for row in pairs("train", 20_000)]
    by_split = {**three_files(tmp_path), "train": written(tmp_path, "train.jsonl", rows)}

    def no_file_above_a_megabyte() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))

    done = prepare(file_block(by_split), preexec_fn=no_file_above_a_megabyte)
    assert done.returncode == 1, done.stderr
    assert "OSError" in done.stderr
    assert nothing_left(tmp_path)
