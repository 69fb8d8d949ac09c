"""What killed runs leave is put right: paths in use by nobody, temporary files beside outputs, forgotten checkpoints."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ftbench import files, recovery


@pytest.fixture
def tmp(tmp_path: Path) -> Path:
    (tmp_path / "tmp").mkdir()
    return tmp_path / "tmp"


def holder(pid: int) -> dict[str, object]:
    return {"pid": pid, "cmd": "dvc repro"}


def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_paths_that_a_dead_process_held_are_free_again_and_those_of_a_living_one_are_not(tmp: Path) -> None:
    dead, alive = holder(gone()), holder(os.getpid())
    (tmp / "rwlock").write_text(json.dumps({"write": {"/a": dead, "/b": alive}, "read": {"/c": [dead], "/d": [dead, alive]}}))
    assert recovery.mend_paths_in_use(tmp) is True
    assert json.loads((tmp / "rwlock").read_text()) == {"write": {"/b": alive}, "read": {"/d": [alive]}}


def test_a_number_that_now_is_another_programs_holds_nothing(tmp: Path) -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        (tmp / "rwlock").write_text(json.dumps({"write": {"/a": holder(other.pid)}, "read": {}}))
        assert recovery.mend_paths_in_use(tmp) is False
    finally:
        other.kill()
        other.wait()
    assert json.loads((tmp / "rwlock").read_text()) == {"write": {}, "read": {}}


@pytest.mark.parametrize("text", ["", '{"write": {"/a', "[]", '{"write": 3}', '{"write": {"/a": {}}}'])
def test_a_list_that_was_half_written_holds_nothing(tmp: Path, text: str) -> None:
    (tmp / "rwlock").write_text(text)
    assert recovery.mend_paths_in_use(tmp) is False
    assert json.loads((tmp / "rwlock").read_text()) == {"write": {}, "read": {}}


KILLED_WHILE_WRITING = """
import json, os, signal, sys
from dvc import rwlock
from dvc.fs import localfs
from ftbench import recovery

def half(content, stream):
    stream.write(sys.argv[3])
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "ours":
    recovery.replace_paths_in_use()
rwlock.json.dump = half
with rwlock._edit_rwlock(sys.argv[1], localfs, False) as held:
    held["write"]["/c"] = {"pid": 1, "cmd": "dvc repro"}
"""


BEFORE, HALF = json.dumps({"write": {"/a": holder(os.getpid())}, "read": {}}), '{"write": {"/'


def killed_while_writing(tmp: Path, writer: str) -> str:
    """The list that is there after a process was killed in the midst of writing another."""
    (tmp / "rwlock").write_text(BEFORE)
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(tmp), writer, HALF], check=False)
    assert killed.returncode == -signal.SIGKILL
    return (tmp / "rwlock").read_text()


def test_a_stage_that_is_killed_while_it_writes_the_list_leaves_the_one_before(tmp: Path) -> None:
    assert killed_while_writing(tmp, "ours") == BEFORE
    assert [path.read_text() for path in recovery.unfinished([tmp / "rwlock"])] == [HALF]


def test_dvc_alone_would_leave_half_a_list(tmp: Path) -> None:
    assert killed_while_writing(tmp, "dvc") == HALF  # once this fails, DVC does it itself, and our replacement can go


def test_without_a_list_nothing_is_written(tmp: Path) -> None:
    assert recovery.mend_paths_in_use(tmp) is False
    assert list(tmp.iterdir()) == []


def test_what_was_being_written_beside_an_output_is_found_and_nothing_else(tmp_path: Path) -> None:
    out, folder = tmp_path / "a-0.parquet", tmp_path / "models/a-0"
    for path in (out, folder):
        with pytest.raises(KeyError), files.directory_written_atomically(path):
            raise KeyError
    assert list(folder.parent.iterdir()) == []  # without a kill nothing is left
    kept = ["a-0.parquet", ".a-0.parquet", ".gitignore", ".b-0.parquet.abcdefgh", ".a-0.parquet.abcdefgh.txt", "a-0.parquet.tmp"]
    left = [".a-0.parquet.abc_efg8", ".Vm9uIGhpZXIgYXVzIGdlaA.tmp", "a-0.parquet.Vm9uIGhpZXIgYXVzIGdlaA.tmp"]
    for name in [*kept, *left]:
        (tmp_path / name).touch()
    (folder.parent / ".a-0.01234567").mkdir()
    found = recovery.unfinished([out, folder])
    assert sorted(path.name for path in found) == sorted([*left, ".a-0.01234567"])


def test_the_name_of_what_is_being_written_is_one_that_is_found(tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    with files.written_atomically(out) as temporary:
        assert recovery.unfinished([out]) == [temporary]
    with files.directory_written_atomically(tmp_path / "b") as folder:
        assert recovery.unfinished([tmp_path / "b"]) == [folder]
    assert recovery.unfinished([out]) == []


def test_a_checkpoint_that_nobody_went_on_with_for_a_week_is_forgotten(tmp_path: Path) -> None:
    for name, days in (("old", 8), ("new", 6)):
        (tmp_path / name).mkdir()
        then = (tmp_path / name).stat().st_mtime - days * 86400
        os.utime(tmp_path / name, (then, then))
    assert [path.name for path in recovery.forgotten(tmp_path)] == ["old"]
