"""`ftbench repro` on pipelines of shell commands: order, several at once, failure."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from shell_pipelines import CODE, dvc, empty_repository, ended, pipeline, repro

from ftbench import scheduling, workers


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """An empty DVC repository, as the current folder."""
    return empty_repository(tmp_path, monkeypatch)


def test_a_stage_starts_when_what_it_reads_is_there(repo):
    pipeline(
        last={"cmd": "cat middle.txt > last.txt", "deps": ["middle.txt"]},
        middle={"cmd": "cat first.txt > middle.txt", "deps": ["first.txt"]},
        first={"cmd": "echo made > first.txt"},
    )
    assert ended(repro()) == [("first", "ran"), ("middle", "ran"), ("last", "ran")]
    assert Path("last.txt").read_text() == "made\n"
    assert "up to date" in dvc("status")


def test_a_second_run_has_nothing_to_do(repo):
    pipeline(one={"cmd": "echo 1 > one.txt"})
    repro()
    written = Path("dvc.lock").stat().st_mtime_ns
    assert "nothing to do" in repro()
    assert Path("dvc.lock").stat().st_mtime_ns == written


def test_independent_stages_run_at_the_same_time(repo):
    wait = "for i in $(seq 100); do test -e {other}.here && break; sleep 0.1; done; test -e {other}.here && echo met > {own}.txt"
    pipeline(
        a={"cmd": "touch a.here; " + wait.format(own="a", other="b")},
        b={"cmd": "touch b.here; " + wait.format(own="b", other="a")},
    )
    assert {name for name, _ in ended(repro(jobs=2))} == {"a", "b"}


def test_a_stage_replaces_the_list_of_paths_in_use_and_never_writes_over_it(repo):
    pipeline(a={"cmd": "ln .dvc/tmp/rwlock while_it_runs; echo 1 > a.txt"})
    half_written = Path(".dvc/tmp/.rwlock.abcdefgh")  # of a stage that was killed
    half_written.parent.mkdir(exist_ok=True)
    half_written.touch()
    repro()
    assert not half_written.exists()
    assert str(Path("a.txt").absolute()) in json.loads(Path("while_it_runs").read_text())["write"]
    assert not any(json.loads(Path(".dvc/tmp/rwlock").read_text()).values())


def test_no_more_run_at_once_than_asked_for(repo):
    alone = "mkdir taken && sleep 0.2 && rmdir taken && echo 1 > {own}.txt"
    pipeline(**{name: {"cmd": alone.format(own=name)} for name in "abc"})
    assert len(ended(repro(jobs=1))) == 3


def test_the_lock_file_is_what_dvc_would_write_whatever_finishes_first(repo):
    pipeline(
        slow={"cmd": "sleep 0.5; echo 1 > slow.txt", "params": ["rate"]},
        quick={"cmd": "echo 2 > quick.txt"},
        after={"cmd": "cat slow.txt quick.txt > after.txt", "deps": ["slow.txt", "quick.txt"]},
    )
    Path("params.yaml").write_text("rate: 1e-5\nother: 2\n")
    repro(jobs=2)
    ours = Path("dvc.lock").read_bytes()
    Path("dvc.lock").unlink()
    dvc("repro")
    assert Path("dvc.lock").read_bytes() == ours
    assert "nothing to do" in repro()


def test_a_failure_lets_others_finish_and_starts_nothing_after_it(repo):
    pipeline(
        bad={"cmd": "sleep 0.2; echo what is wrong; exit 1"},
        good={"cmd": "sleep 1; echo 1 > good.txt"},
        after_good={"cmd": "echo 1 > after_good.txt", "deps": ["good.txt"]},
        after_bad={"cmd": "echo 1 > after_bad.txt", "deps": ["bad.txt"]},
    )
    told = repro(expected=1)
    assert ended(told) == [("good", "ran")]
    assert "bad failed, exit code 1" in told
    assert "what is wrong" in told
    pipeline(
        bad={"cmd": "echo mended > bad.txt"},
        good={"cmd": "sleep 1; echo 1 > good.txt"},
        after_good={"cmd": "echo 1 > after_good.txt", "deps": ["good.txt"]},
        after_bad={"cmd": "echo 1 > after_bad.txt", "deps": ["bad.txt"]},
    )
    assert {name for name, _ in ended(repro())} == {"bad", "after_bad", "after_good"}


def test_keeping_going_a_failure_stops_only_what_needs_it_and_both_are_named(repo):
    pipeline(
        bad={"cmd": "echo what is wrong; exit 1"},
        good={"cmd": "sleep 1; echo 1 > good.txt"},
        after_good={"cmd": "echo 1 > after_good.txt", "deps": ["good.txt"]},
        after_bad={"cmd": "echo 1 > after_bad.txt", "deps": ["bad.txt"]},
        after_all={"cmd": "echo 1 > after_all.txt", "deps": ["after_bad.txt", "after_good.txt"]},
    )
    told = repro(expected=1, run=[sys.executable, "-c", CODE.format(gpus="()", keep_going=True)])
    assert ended(told) == [("good", "ran"), ("after_good", "ran")]
    assert "bad failed, exit code 1" in told
    assert "what is wrong" in told
    assert "not run: after_bad, after_all" in told


def test_what_did_not_finish_is_told_with_the_reason():
    answers = {"bad": workers.Answer("failed", code=2)}
    needs = {"good": set(), "bad": set(), "after": {"bad", "good"}, "last": {"after", "bad"}}
    plan = scheduling.Plan(dict.fromkeys(needs), needs, done={"good"}, failed=answers)
    assert plan.unfinished() == {"bad": "failed, exit code 2", "after": "not run: needs bad", "last": "not run: needs after, bad"}
    assert plan.ready([]) == []


@pytest.mark.parametrize("per_gpu", [1, 2])
def test_each_stage_that_uses_a_gpu_has_one_to_itself_unless_they_are_to_share(repo, per_gpu):
    # a folder per GPU and place on it: a stage that finds none left, or no GPU, fails
    take = 'for i in $(seq {per_gpu}); do mkdir $CUDA_VISIBLE_DEVICES-$i && taken=$i && break; done; test -n "$taken" && sleep 0.5 && '
    take += "rmdir $CUDA_VISIBLE_DEVICES-$taken && echo $CUDA_VISIBLE_DEVICES > {own}.txt"
    trained = {f"train_{number}": {"cmd": take.format(per_gpu=per_gpu, own=f"train_{number}")} for number in range(6)}
    pipeline(**trained, compare={"cmd": "echo ${CUDA_VISIBLE_DEVICES-none} > compare.txt".replace("${", "\\${")})
    repro(jobs=6, run=[sys.executable, "-c", CODE.format(gpus=f"['first', 'second'], {per_gpu}", keep_going=False)])
    assert {Path(f"train_{number}.txt").read_text().strip() for number in range(6)} == {"first", "second"}
    assert Path("compare.txt").read_text().strip() == os.environ.get("CUDA_VISIBLE_DEVICES", "none")


def test_an_arm_of_several_processes_has_a_gpu_for_each_as_far_as_there_are_so_many(repo):
    trained = {f"train_{name}": {"cmd": f"sleep 0.2; echo $CUDA_VISIBLE_DEVICES > train_{name}.txt"} for name in ("alone", "two", "nine")}
    pipeline(**trained)
    processes = "lambda stage: dict(train_two=2, train_nine=9).get(stage, 1)"
    repro(jobs=3, run=[sys.executable, "-c", CODE.format(gpus=f"['a', 'b', 'c'], 1, {processes}", keep_going=False)])
    taken = {name: Path(f"train_{name}.txt").read_text().strip().split(",") for name in ("alone", "two", "nine")}
    assert (len(taken["alone"]), len(taken["two"])) == (1, 2)
    assert not {*taken["alone"]} & {*taken["two"]}  # side by side
    assert sorted(taken["nine"]) == ["a", "b", "c"]


def test_a_users_mistake_in_a_stage_gives_exit_code_2(repo):
    pipeline(bad={"cmd": "echo to mend; exit 2"})
    assert "to mend" in repro(expected=2)


def test_a_worker_that_is_killed_is_a_failure_and_not_a_hang(repo):
    pipeline(bad={"cmd": "kill -9 $PPID; sleep 30"}, after={"cmd": "echo 1 > after.txt", "deps": ["bad.txt"]})
    assert "bad failed" in repro(expected=1)


def test_a_stage_that_ran_out_of_memory_is_told_of_and_recorded_until_it_succeeds(repo):
    pipeline(bad={"cmd": "echo MemoryError; exit 1"})
    told = repro(expected=1)
    assert "bad: out of memory" in told
    assert "MemoryError" in told.partition("found:")[2]
    assert Path(".ftbench/failures/bad.json").exists()
    pipeline(bad={"cmd": "echo 1 > bad.txt"})
    repro()
    assert not Path(".ftbench/failures/bad.json").exists()


def test_a_pipeline_that_dvc_cannot_read_is_said_in_its_words(repo):
    pipeline(one={"cmd": "echo ${missing} > one.txt"})
    Path("params.yaml").write_text("rate: 1\n")
    assert "Could not find 'missing'" in repro(expected=1)
