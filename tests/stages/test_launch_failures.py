"""What becomes of the processes of one arm when one of them, or the one that started them, fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """\
import os, signal, sys, time
from pathlib import Path
from ftbench import launch, schema, stage
from ftbench.errors import Problem, UserError

def main():
    Path(f"pid-{launch.rank()}").write_text(str(os.getpid()))
    Path("out").write_text("half made")
    while not (Path("pid-0").exists() and Path("pid-1").exists()):
        time.sleep(0.01)
    if launch.rank() == 1:
        FAIL
    time.sleep(60)

if launch.is_rank():
    launch.as_rank(main)
else:
    arguments = stage.parser("").parse_args()
    stage.run(lambda _: launch.run(main, schema.Launch(num_processes=2), "study.arm"), arguments, [Path("out")])
"""


def start(folder: Path, fail: str) -> subprocess.Popen[str]:
    (folder / "script.py").write_text(SCRIPT.replace("FAIL", fail), encoding="utf-8")
    return subprocess.Popen([sys.executable, "script.py"], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def processes(folder: Path) -> list[int]:
    return [int((folder / f"pid-{rank}").read_text()) for rank in (0, 1)]


def is_gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(
    ("fail", "code", "said"),
    [
        (
            "raise UserError([Problem('a', 'b', 'c'), Problem('d', 'e')])",
            2,
            "script: to mend:\na\n  found:   b\n  allowed: c\nd\n  found:   e\n",
        ),
        ("raise MemoryError('no memory')", 1, "script: RankError: rank 1 of 2: MemoryError: no memory\n"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 1, "script: RankError: rank 1 of 2 was ended by SIGKILL, as when out of memory\n"),
    ],
    ids=["mistake", "fault", "killed"],
)
def test_a_process_that_fails_stops_the_other_and_its_failure_is_that_of_the_stage(tmp_path: Path, fail: str, code: int, said: str) -> None:
    process = start(tmp_path, fail)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err.removesuffix("script: the whole traceback is in .ftbench/failures/script-out.txt\n") == said
    assert all(map(is_gone, processes(tmp_path)))
    assert not (tmp_path / "out").exists()
    record = (tmp_path / ".ftbench/failures/script-out.txt").read_text(encoding="utf-8")
    assert said in record
    assert ("in main\n    raise MemoryError" in record) == ("MemoryError" in fail), "where it happened in the process that it happened in"


@pytest.mark.parametrize(
    "fault",
    [
        "os.environ[launch.FOLDER] = 'out'",  # as where a disk is full
        "launch.json.dumps = lambda _: (_ for _ in ()).throw(MemoryError())",
    ],
    ids=["disk", "memory"],
)
def test_a_process_that_fails_and_cannot_write_why_is_told_by_what_it_printed(tmp_path: Path, fault: str) -> None:
    process = start(tmp_path, f"{fault}; raise MemoryError('no memory')")
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "script: RankError: rank 1 of 2 exited with 1\n" in err
    assert "MemoryError: no memory" in (tmp_path / ".ftbench/failures/script-out.txt").read_text(encoding="utf-8")
    assert all(map(is_gone, processes(tmp_path)))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_launcher_that_is_stopped_leaves_no_process_behind(tmp_path: Path, sent: signal.Signals) -> None:
    process = start(tmp_path, "pass")
    deadline = time.monotonic() + 60
    while not all((tmp_path / f"pid-{rank}").exists() and (tmp_path / f"pid-{rank}").read_text() for rank in (0, 1)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(sent)
    err = process.communicate(timeout=60)[1]
    if sent == signal.SIGINT:
        assert process.returncode == 130
        assert err == "script: KeyboardInterrupt: \n"
        assert not (tmp_path / "out").exists()
    while not all(map(is_gone, processes(tmp_path))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
