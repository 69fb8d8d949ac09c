"""`ftbench repro` on pipelines of shell commands: order, several at once, failure, interruption, the run cache."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ftbench import scheduling, workers

CODE = "import sys; from ftbench import scheduling, workers; place = workers.here(int(sys.argv[1]), {gpus}); "
CODE += "sys.exit(scheduling.repro(place, keep_going={keep_going}))"
RUN = [sys.executable, "-c", CODE.format(gpus="()", keep_going=False)]


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """An empty DVC repository, as the current folder."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / ".dvc/tmp/site"))
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    analytics = false\n")
    (tmp_path / ".dvc/.gitignore").write_text("*\n")
    return tmp_path


def pipeline(**stages: dict) -> None:
    """Write dvc.yaml: of each stage its command, and its deps, outs or params; without outs, one named after it."""
    written = {name: {"outs": [f"{name}.txt"], **stage} for name, stage in stages.items()}
    yaml = YAML(typ="safe", pure=True)
    yaml.sort_base_mapping_type_on_output = False
    with Path("dvc.yaml").open("w") as stream:
        yaml.dump({"stages": written}, stream)


def repro(jobs: int = 2, expected: int = 0, run: list[str] = RUN) -> str:
    done = subprocess.run([*run, str(jobs)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert done.returncode == expected, done.stdout
    return done.stdout


def ended(told: str) -> list[tuple[str, str]]:
    """(stage, how it ended) in the order in which they did."""
    return re.findall(r"^\[\d+/\d+\] (\S+): (\w+),", told, re.MULTILINE)


def dvc(*words: str) -> str:
    return subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True, check=True).stdout


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


def test_going_back_to_an_earlier_value_restores_what_it_gave(repo):
    pipeline(one={"cmd": "cat params.yaml > one.txt", "params": ["rate"], "deps": ["input"]})
    Path("input").write_text("same")
    for rate, how in (("1", "ran"), ("2", "ran"), ("1", "restored")):
        Path("params.yaml").write_text(f"rate: {rate}\n")
        assert ended(repro()) == [("one", how)]
        assert Path("one.txt").read_text() == f"rate: {rate}\n"


@pytest.mark.parametrize("out", ["one.txt", "folder"])
def test_what_was_cut_off_in_the_cache_is_made_anew_and_not_restored(repo, out):
    """DVC believes an object that nobody may write; it would restore a half of it."""
    command = "cat params.yaml > one.txt" if out == "one.txt" else "mkdir folder && cat params.yaml > folder/one.txt"
    pipeline(one={"cmd": command, "params": ["rate"], "outs": [out]})
    made = {}
    for rate in ("first", "other"):
        before = set(Path(".dvc/cache/files").rglob("*"))
        Path("params.yaml").write_text(f"rate: {rate}\n")
        repro()
        made[rate] = [path for path in set(Path(".dvc/cache/files").rglob("*")) - before if path.is_file()]
    for path in made["first"]:
        if not path.name.endswith(".dir"):
            path.chmod(0o644)
            path.write_text("rate: fir")
            path.chmod(0o444)
    Path("params.yaml").write_text("rate: first\n")
    assert ended(repro()) == [("one", "ran")]
    assert (Path(out) if out == "one.txt" else Path(out) / "one.txt").read_text() == "rate: first\n"
    assert [path.read_text() for path in made["first"] if not path.name.endswith(".dir")] == ["rate: first\n"]
    assert "nothing to do" in repro()


def test_what_a_stage_that_is_gone_has_left_is_taken_away_and_comes_back_with_it(repo):
    made = "mkdir -p all && echo 1 > all/{0}.txt"
    Path("input").write_text("same")  # DVC's run cache is for stages that read something
    one, other = ({"cmd": made.format(name), "outs": [f"all/{name}.txt"], "deps": ["input"]} for name in ("one", "other"))
    folder = {"cmd": "mkdir folder && echo 2 > folder/a", "outs": ["folder"], "deps": ["input"]}
    reader = {"cmd": "ls all > reader.txt", "deps": ["all"]}
    pipeline(one=one, other=other, folder=folder, reader=reader)
    repro(jobs=1)
    repro(jobs=1)  # DVC cannot know that the reader reads what the others make
    Path("all/mine.txt").write_text("of no stage")
    pipeline(one=one, reader=reader)
    told = repro()
    assert "all/other.txt: of a stage that is gone" in told
    assert "folder: of a stage that is gone" in told
    assert sorted(path.name for path in Path("all").iterdir()) == [".gitignore", "mine.txt", "one.txt"]
    assert not Path("folder").exists()
    pipeline(one=one, other=other, folder=folder, reader=reader)
    told = repro(jobs=1)
    assert ("other", "restored") in ended(told)
    assert Path("folder/a").read_text() == "2\n"


def test_what_a_stage_that_is_gone_has_left_stays_where_another_reads_it_or_it_is_a_link(repo):
    pipeline(one={"cmd": "mkdir data && echo 1 > data/a", "outs": ["data"]}, other={"cmd": "echo 2 > other.txt"})
    repro()
    kept = Path("other.txt").read_text()
    (place,) = [path for path in Path(".dvc/cache/files").rglob("*") if path.is_file() and path.read_text() == kept]
    Path("other.txt").unlink()
    Path("other.txt").symlink_to(place)  # as with DVC's cache.type symlink
    pipeline(reader={"cmd": "cat data/a > reader.txt", "deps": ["data/a"]})
    assert "gone" not in repro()
    assert Path("data/a").read_text() == "1\n"
    assert place.read_text() == kept


def test_what_was_edited_since_a_stage_that_is_gone_made_it_stays(repo):
    pipeline(one={"cmd": "echo 1 > one.txt"}, other={"cmd": "echo 2 > other.txt"})
    repro()
    Path("other.txt").unlink()
    Path("other.txt").write_text("edited")
    pipeline(one={"cmd": "echo 1 > one.txt"})
    assert "gone" not in repro()
    assert Path("other.txt").read_text() == "edited"


def test_an_output_that_was_edited_or_cut_off_is_made_or_restored_again(repo):
    pipeline(one={"cmd": "cat params.yaml > one.txt", "params": ["rate"]})
    Path("params.yaml").write_text("rate: 1\n")
    repro()
    for text in ("rate: 2\n", "ra", ""):
        Path("one.txt").unlink()
        Path("one.txt").write_text(text)
        assert len(ended(repro())) == 1
        assert Path("one.txt").read_text() == "rate: 1\n"


def test_a_stage_that_ran_out_of_memory_is_told_of_and_recorded_until_it_succeeds(repo):
    pipeline(bad={"cmd": "echo MemoryError; exit 1"})
    told = repro(expected=1)
    assert "bad: out of memory" in told
    assert "MemoryError" in told.partition("found:")[2]
    assert Path(".ftbench/failures/bad.json").exists()
    pipeline(bad={"cmd": "echo 1 > bad.txt"})
    repro()
    assert not Path(".ftbench/failures/bad.json").exists()


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


def test_what_follows_an_output_that_came_out_the_same_does_not_run(repo):
    pipeline(
        one={"cmd": "echo same > one.txt", "params": ["rate"]},
        two={"cmd": "cat one.txt > two.txt", "deps": ["one.txt"]},
    )
    Path("params.yaml").write_text("rate: 1\n")
    repro()
    Path("params.yaml").write_text("rate: 2\n")
    assert ended(repro()) == [("one", "ran"), ("two", "unchanged")]


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


def test_a_pipeline_that_dvc_cannot_read_is_said_in_its_words(repo):
    pipeline(one={"cmd": "echo ${missing} > one.txt"})
    Path("params.yaml").write_text("rate: 1\n")
    assert "Could not find 'missing'" in repro(expected=1)
