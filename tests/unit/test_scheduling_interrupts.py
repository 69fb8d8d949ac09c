"""`ftbench repro` interrupted, killed, or beside another DVC process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from shell_pipelines import RUN, empty_repository, ended, pipeline, repro

from ftbench import scheduling


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """An empty DVC repository, as the current folder."""
    return empty_repository(tmp_path, monkeypatch)


def test_a_stage_dies_with_the_process_that_started_it(repo):
    """Or it would go on writing beside the next run."""
    Path("long.py").write_text("import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)\n")
    pipeline(long={"cmd": "python long.py"})
    process = subprocess.Popen([*RUN, "2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (Path("pid").exists() and Path("pid").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    number = int(Path("pid").read_text())
    while Path(f"/proc/{number}").exists() and "Z" not in Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    Path("long.py").write_text("open('long.txt', 'w').write('1')\n")
    assert ended(repro()) == [("long", "ran")]


@pytest.mark.parametrize("inherited", [signal.SIG_DFL, signal.SIG_IGN])
def test_an_interruption_ends_the_running_stages_and_keeps_what_was_finished(repo, inherited):
    pipeline(
        done={"cmd": "echo 1 > done.txt"},
        long={"cmd": "echo $$ > pid; sleep 60; echo 1 > long.txt", "deps": ["done.txt"]},
    )
    before = signal.signal(signal.SIGINT, inherited)  # a shell's background job is started with SIGINT ignored
    try:
        process = subprocess.Popen([*RUN, "2"], stdout=subprocess.PIPE, text=True, start_new_session=True)
    finally:
        signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 30
    while not (Path("pid").exists() and Path("pid").read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "interrupted" in told
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("pid").read_text()), 0)
    pipeline(done={"cmd": "echo 1 > done.txt"}, long={"cmd": "echo 1 > long.txt", "deps": ["done.txt"]})
    assert ended(repro()) == [("long", "ran")]


def test_an_interruption_in_the_midst_of_imports_waits_for_their_end_and_is_not_lost(monkeypatch):
    with scheduling.terminated_is_interrupted() as came:
        monkeypatch.setattr(scheduling.preload, "importing", True)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        assert came == [signal.SIGINT, signal.SIGTERM]
        monkeypatch.setattr(scheduling.preload, "importing", False)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_another_dvc_at_work_is_said_and_not_disturbed(repo):
    import zc.lockfile

    pipeline(one={"cmd": "echo 1 > one.txt"})
    (repo / ".dvc/tmp").mkdir()
    held = zc.lockfile.LockFile(str(repo / ".dvc/tmp/lock"))
    try:
        told = repro(expected=1)
    finally:
        held.close()
    assert "another DVC process is at work in this folder. Nothing was started. Wait until it has ended" in told
    assert not Path("one.txt").exists()


def test_a_second_run_beside_a_running_one_says_who_is_at_work_and_does_not_disturb_it(repo):
    pipeline(one={"cmd": "touch started; until test -e go; do sleep 0.1; done; echo 1 > one.txt"})
    first = subprocess.Popen([*RUN, "1"], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not Path("started").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    told = repro(expected=1)
    assert re.search(rf"at work in this folder: `ftbench repro`, process {first.pid} on \S+, since \d{{4}}-", told)
    Path("go").touch()
    assert ended(first.communicate(timeout=30)[0]) == [("one", "ran")]
    assert first.returncode == 0
    assert not scheduling.HOLDER.exists()
