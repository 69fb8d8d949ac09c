"""`ftbench repro --engine ray` on a cluster of two nodes in this machine: the same bytes, a node that dies midway, failures, Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from shell_pipelines import dvc, empty_repository, ended, pipeline, repro

from ftbench import ray_engine, resources
from ftbench.errors import UserError

RUN = """
import sys
from ftbench import ray_engine, scheduling
with ray_engine.cluster(sys.argv[1], None, {}, 1, lambda stage: 1, print) as place:
    sys.exit(scheduling.repro(place, keep_going=sys.argv[2] == "keep"))
"""
QUICK = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
STARTED: list[subprocess.Popen[str]] = []
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture
def repo(tmp_path, monkeypatch):
    """An empty DVC repository, as the current folder."""
    return empty_repository(tmp_path, monkeypatch)


class Nodes:
    """A head and a second node, of one core each; a node that was killed is replaced for the next test."""

    def __init__(self):
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False, "_system_config": QUICK})
        self.second = self.cluster.add_node(**NODE)

    def kill_second(self) -> None:
        self.cluster.remove_node(self.second, allow_graceful=False)
        self.second = None


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path_factory.mktemp("site")))
        patch.delenv("RAY_ADDRESS", raising=False)
        nodes = Nodes()
        yield nodes
        nodes.cluster.shutdown()


@pytest.fixture
def nodes(two_nodes):
    if two_nodes.second is None:
        two_nodes.second = two_nodes.cluster.add_node(**NODE)
    yield two_nodes
    for process in STARTED:
        process.kill()  # a test that failed must not keep the cores
    STARTED.clear()


def start(nodes: Nodes, *options: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", RUN, nodes.cluster.address, *(options or ("stop",))]
    STARTED.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True))
    return STARTED[-1]


def finish(process: subprocess.Popen[str], expected: int = 0) -> str:
    told, _ = process.communicate(timeout=120)
    assert process.returncode == expected, told
    return told


def until(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.txt"))} | {"dvc.lock": (folder / "dvc.lock").read_bytes()}


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z" if Path("/proc").is_dir() else True


def waiting(name: str) -> str:
    # notes every start and its process, then waits for a file that the test makes
    return f"echo $$ >> {name}.starts; until test -e go; do sleep 0.1; done; cat params.yaml > {name}.txt; echo {name} >> {name}.txt"


def test_a_node_that_dies_midway_costs_a_second_try_and_no_byte(repo, nodes):
    Path("params.yaml").write_text("rate: 1e-5\n")
    pipeline(
        first={"cmd": "echo made > first.txt"},
        a={"cmd": waiting("a"), "deps": ["first.txt"], "params": ["rate"]},
        b={"cmd": waiting("b"), "deps": ["first.txt"], "params": ["rate"]},
        last={"cmd": "cat a.txt b.txt > last.txt", "deps": ["a.txt", "b.txt"]},
    )
    process = start(nodes)
    until(lambda: all(Path(f"{name}.starts").exists() and Path(f"{name}.starts").read_text().strip() for name in "ab"))
    nodes.kill_second()
    pids = [int(line) for name in "ab" for line in Path(f"{name}.starts").read_text().splitlines()]
    until(lambda: sum(map(alive, pids)) == 1)  # what the dead node ran does not go on beside its second try
    Path("go").touch()
    told = finish(process)
    assert len(re.findall(r"^[ab]: lost after .*; it is started again$", told, re.MULTILINE)) == 1
    assert {name for name, how in ended(told) if how == "ran"} == {"first", "a", "b", "last"}
    assert sorted(len(Path(f"{name}.starts").read_text().splitlines()) for name in "ab") == [1, 2]
    assert "up to date" in dvc("status")
    assert not any(json.loads(Path(".dvc/tmp/rwlock").read_text()).values())  # no lock on a path stays behind
    ours = contents(Path())
    for path in [*Path().glob("*.txt"), Path("dvc.lock")]:
        path.unlink()
    shutil.rmtree(".dvc/cache")
    repro()
    assert contents(Path()) == ours


def test_a_stage_that_fails_is_not_tried_again_and_its_output_is_shown(repo, nodes):
    pipeline(
        bad={"cmd": "echo once >> bad.starts; echo to mend; exit 2"},
        good={"cmd": "echo 1 > good.txt"},
        after_bad={"cmd": "echo 1 > after_bad.txt", "deps": ["bad.txt"]},
    )
    told = finish(start(nodes, "keep"), expected=2)
    assert Path("bad.starts").read_text() == "once\n"
    assert ended(told) == [("good", "ran")]
    assert "bad failed, exit code 2" in told
    assert "to mend" in told
    assert "not run: after_bad" in told


def test_a_stage_whose_process_is_killed_is_a_failure_and_not_a_hang(repo, nodes):
    pipeline(bad={"cmd": "kill -9 $PPID; sleep 30"})
    assert "bad failed" in finish(start(nodes), expected=1)


def test_ctrl_c_ends_the_stages_on_every_node_and_lets_them_clean_up(repo, nodes):
    trapped = "trap 'echo 1 > {own}.cleaned; exit 130' INT; echo $$ > {own}.pid; while true; do sleep 0.1; done"
    pipeline(done={"cmd": "echo 1 > done.txt"}, **{own: {"cmd": trapped.format(own=own), "deps": ["done.txt"]} for own in "ab"})
    process = start(nodes)
    until(lambda: all(Path(f"{own}.pid").exists() and Path(f"{own}.pid").read_text().strip() for own in "ab"))
    process.send_signal(signal.SIGINT)
    assert "interrupted" in finish(process, expected=130)
    assert not any(alive(int(Path(f"{own}.pid").read_text())) for own in "ab")
    assert all(Path(f"{own}.cleaned").exists() for own in "ab")
    assert "done:" in Path("dvc.lock").read_text()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1", "ray://127.0.0.1:1"])
def test_a_cluster_that_does_not_answer_is_said(repo, address):
    with pytest.raises(UserError, match="ray start --head"), ray_engine.cluster(address, None, {}, 1, lambda stage: 1, print):
        pass


def test_without_ray_the_message_says_how_to_install_it(repo, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"\.\[ray\]"), ray_engine.cluster(None, None, {}, 1, lambda stage: 1, print):
        pass


def test_a_machine_that_sees_another_folder_under_that_path_runs_nothing_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_engine, "SEEN_WITHIN", 0.1)
    monkeypatch.setattr(ray_engine, "LOOK_EVERY", 0.01)
    (tmp_path / ".ftbench").mkdir()
    for here in ("another", None):
        if here:
            (tmp_path / ray_engine.SEEN.format(here)).touch()
        found = ray_engine.on_node(str(tmp_path), "mine", {}, "stage", False)
        assert (found["how"], found["code"]) == ("failed", 2)
        assert "must be shared" in found["said"]
        shutil.rmtree(tmp_path / ".ftbench", ignore_errors=True)


TASK = """
import json, sys
from pathlib import Path
from ftbench import ray_engine, workers
workers.LOGS.mkdir(parents=True)
Path(ray_engine.SEEN.format("mine")).touch()
print(json.dumps(ray_engine.on_node(str(Path.cwd()), "mine", {"OMP_NUM_THREADS": "3"}, "a", False)))
"""


def test_a_task_runs_a_stage_with_the_drivers_threads_and_answers_what_it_wrote(repo):
    pipeline(a={"cmd": "echo $OMP_NUM_THREADS > a.txt"})
    done = subprocess.run([sys.executable, "-c", TASK], capture_output=True, text=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    assert (found["how"], found["code"]) == ("ran", 0)
    assert [out["path"] for out in found["entry"]["a"]["outs"]] == ["a.txt"]
    assert Path("a.txt").read_text() == "3\n"
    assert not Path("dvc.lock").exists()  # which the driver writes


def test_a_task_s_stage_replaces_the_list_of_paths_in_use_and_never_writes_over_it(repo):
    pipeline(a={"cmd": "ln .dvc/tmp/rwlock while_it_runs; echo 1 > a.txt"})
    subprocess.run([sys.executable, "-c", TASK], capture_output=True, check=True, timeout=60)
    assert str(Path("a.txt").absolute()) in json.loads(Path("while_it_runs").read_text())["write"]


def test_a_stage_ends_with_its_task_though_the_tasks_children_are_killed_before_it(repo):
    import psutil

    pipeline(a={"cmd": "echo $$ > pid; sleep 60"})
    task = subprocess.Popen([sys.executable, "-c", TASK], stdout=subprocess.DEVNULL)
    until(lambda: Path("pid").exists() and Path("pid").read_text().strip())
    for child in psutil.Process(task.pid).children():  # as a worker of Ray's does when it notices that its node died
        child.kill()
    task.kill()
    task.wait()
    until(lambda: not alive(int(Path("pid").read_text())))


def test_an_interrupted_task_lets_its_stage_clean_up(repo):
    pipeline(a={"cmd": "trap 'echo 1 > cleaned; exit 130' INT; echo $$ > pid; while true; do sleep 0.1; done"})
    task = subprocess.Popen([sys.executable, "-c", TASK], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: Path("pid").exists() and Path("pid").read_text().strip())
    task.send_signal(signal.SIGINT)
    task.wait(timeout=30)
    assert Path("cleaned").exists()
    assert not alive(int(Path("pid").read_text()))


def test_locks_of_an_earlier_try_go_and_those_of_other_stages_stay(repo):
    from dvc.repo import Repo

    pipeline(a={"cmd": "echo 1 > a.txt"})
    found, pid = Repo(), os.getpid()
    mine, other = ({"pid": pid, "cmd": f"ftbench repro {name}"} for name in ("a", "b"))
    held = Path(found.tmp_dir) / "rwlock"
    held.parent.mkdir(exist_ok=True)
    held.write_text(json.dumps({"write": {"/w/a": mine, "/w/b": other}, "read": {"/w/both": [mine, other], "/w/mine": [mine]}}))
    ray_engine.forget_locks(found, "a")
    assert json.loads(held.read_text()) == {"write": {"/w/b": other}, "read": {"/w/both": [other]}}


def test_what_a_stage_asks_for_is_its_threads_its_share_of_a_gpu_and_the_memory_that_is_predicted(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    arms = {"multinli": {"lora-own": {"host_bytes": {"predicted": 1000}, "step_bytes": {"peak": 30}}}}
    allowance = 2**30
    asked = {
        ("train_multinli@lora-own-0", True): {"CPU": 2, "GPU": 0.5, "memory": allowance + 1000},
        ("evaluate_multinli@lora-own-12", False): {"CPU": 2, "memory": allowance + 1030},
        ("train_multinli@lora-shared-0", False): {"CPU": 2},  # not accounted for yet
        ("compare@multinli", True): {"CPU": 2},
        ("account", True): {"CPU": 2},
        ("checkpoint@phi_2", True): {"CPU": 2, "GPU": 0.5},
        ("baseline_alpaca_three_shot@bloom_3b", True): {"CPU": 2, "GPU": 0.5},
    }
    for (stage, gpu), expected in asked.items():
        assert ray_engine._asked(resources.of(stage, arms, gpu), per_gpu=2) == expected
    several = {True: {"CPU": 4, "GPU": 4, "memory": 4 * (allowance + 1000)}, False: {"CPU": 4, "memory": 4 * (allowance + 1030)}}
    for gpu, expected in several.items():
        assert ray_engine._asked(resources.of("train_multinli@lora-own-0", arms, gpu, processes=4), per_gpu=2) == expected
    assert ray_engine._fits({"CPU": 2, "memory": 10}, {"CPU": 2.0, "memory": 10.0})
    assert not ray_engine._fits({"CPU": 2, "GPU": 1}, {"CPU": 2.0})
