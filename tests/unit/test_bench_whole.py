"""What a whole run takes, read off what it printed, and what the paper scale would take, worked out."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import described
import pytest

from ftbench import errors, files, grid, params

ROOT = Path(__file__).parents[2]
LOG = """3 stages to bring up to date, 2 at once; what each prints is in .ftbench/logs/
[1/3] prepare@snli: ran, 1.5 s
[2/3] train_snli@qkv-nf4-0: ran, 20.0 s
[3/3] train_snli@qkv-nf4-1: ran, 30.5 s
3 of 3 stages done in 40.0 s
"""


@pytest.fixture(scope="module", autouse=True)
def _benchmarks_are_found():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def whole_run():
    return importlib.import_module("whole_run")


@pytest.fixture(scope="module")
def on_paper():
    return importlib.import_module("on_paper")


def test_the_seconds_of_stages_are_summed_by_kind(whole_run):
    found = whole_run.profile(LOG)
    assert found["kinds"] == {"prepare": {"stages": 1, "seconds": 1.5}, "train_snli": {"stages": 2, "seconds": 50.5}}
    assert (found["seconds"], found["stages"], found["place"], found["missed"]) == (40.0, 3, "2 at once", [])
    assert found["busy"] == pytest.approx(1.3)  # 52 seconds of stages in 40


@pytest.mark.parametrize(("seconds", "missed"), [("1200.0", []), ("1201.4", ["1,201 s, above 1,200"])])
def test_a_run_of_more_than_twenty_minutes_is_missed_in_words(whole_run, seconds, missed):
    assert whole_run.profile(LOG.replace("40.0", seconds))["missed"] == missed


def test_a_run_of_another_number_of_stages_at_once_is_not_judged(whole_run):
    found = {**whole_run.profile(LOG.replace("40.0", "9999.0").replace("2 at once", "64 at once")), "starts": {}}
    assert (found["missed"], found["bar_seconds"]) == ([], None)
    environment = {"processor": "a processor", "num_cores": 64}
    assert "64 at once, in 166.7 minutes; no bar for as many." in whole_run.rendered({**found, "environment": environment})


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("nf4-1: ran", "nf4-1: restored", "1 stages that did not run, such as train_snli@qkv-nf4-1"),
        ("3 of 3", "2 of 3", "2 of 3 stages done"),
        ("[1/3] prepare@snli: ran, 1.5 s\n", "", "3 of 3 stages done, 2 lines of stages"),
        ("3 of 3 stages done in 40.0 s\n", "", "1 runs begun and 0 ended"),
        (LOG, LOG + LOG, "2 runs begun and 2 ended"),
        (LOG, "", "0 runs begun and 0 ended"),
    ],
)
def test_a_log_that_is_not_of_one_whole_run_is_refused(whole_run, before, after, said):
    with pytest.raises(errors.UserError, match=said):
        whole_run.profile(LOG.replace(before, after))


def test_the_table_of_a_run_shows_shares_and_what_takes_longest_first(whole_run):
    environment = {"processor": "a processor", "num_cores": 2}
    lines = whole_run.rendered({**whole_run.profile(LOG), "starts": {}, "environment": environment}).splitlines()
    said = "3 stages, 2 at once, in 0.7 minutes; the bar is 20: passes. On average 1.30 were at work. Measured on: a processor, 2 cores."
    assert lines[0] == said
    assert lines[4:] == ["| `train_snli` | 2 | 50 | 97% |", "| `prepare` | 1 | 2 | 3% |"]


def test_the_starts_of_all_stages_are_worked_out_from_the_row_that_measures_some(whole_run):
    row = {"median_seconds": 1.0, "alternative_median_seconds": 30.0, "sizes": {"num_starts": 2}}
    found = whole_run.starts({"start_up": row}, whole_run.profile(LOG)["kinds"])
    assert found == {"stages": 2, "fork_seconds": 0.5, "python_seconds": 15.0}  # `prepare` loads no model
    content = {**whole_run.profile(LOG), "starts": found, "environment": {"processor": "a processor", "num_cores": 2}}
    said = "A start took 0.50 s when the row `start_up` was measured: 1 of the 52 s of all stages together, for the 2 that load models."
    assert f"{said} A Python of its own took 15.00 s, which would have been 30." in whole_run.rendered(content)
    assert whole_run.starts({}, {}) == whole_run.starts({"start_up": {"not_run": "a GPU"}}, {}) == {}


@pytest.mark.parametrize(("name", "said"), [("repro.log", "one run, to its end"), ("none.log", "no such file")])
def test_a_log_that_cannot_be_used_ends_the_command_with_one_message_and_leaves_the_record(tmp_path, name, said):
    (tmp_path / "repro.log").write_text("nothing\n", encoding="utf-8")
    record = ROOT / "reports/whole_run.json"
    before = record.read_bytes()
    words = [sys.executable, str(ROOT / "benchmarks/whole_run.py"), str(tmp_path / name)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert record.read_bytes() == before


def test_a_free_gpu_takes_the_first_stage_that_is_ready(on_paper):
    a, b, c = on_paper.Stage("a", 3), on_paper.Stage("b", 2), on_paper.Stage("c", 2)
    work = [a, b, c, *(on_paper.Stage(f"evaluate {after}", 1, after) for after in (0, 1, 2))]
    assert on_paper.hours(work, 1) == 10  # all of it
    # two: a until 3; b until 2, then c until 4; a's evaluation 3 to 4, those of b and c 4 to 5
    assert on_paper.hours(work, 2) == 5
    assert on_paper.hours(work, 3) == 4  # a, and its evaluation
    assert on_paper.hours(work, 64) == 4


def test_a_gpu_waits_where_no_training_has_ended(on_paper):
    stage = on_paper.Stage
    assert on_paper.hours([stage("a", 5), stage("its evaluation", 2, 0)], 8) == 7
    # an evaluation in the order before a training is taken first once it is ready: a until 1, its evaluation until 4, c from 2 to 8
    assert on_paper.hours([stage("a", 1), stage("its evaluation", 3, 0), stage("b", 2), stage("c", 6)], 2) == 8


def test_what_an_arm_takes_is_worked_out_from_its_operations_and_from_how_evaluation_weighed_offline(on_paper, monkeypatch):
    raw = {
        "studies": {"snli": {"dataset": "snli", "seeds": [0, 1]}, "alpaca": {"dataset": "alpaca", "seeds": [0]}},
        "offline": {"datasets": {"snli": {"splits": {"train": 10, "test": 100}}}},
        "paper": {"datasets": {"snli": {"splits": {"train": 10, "test": None}}}},
    }
    monkeypatch.setattr(on_paper, "examples_per_step", lambda *_: 10)
    monkeypatch.setattr(on_paper, "PUBLISHED_TEST_ROWS", {"snli": 500})
    run = {"run": {"num_operations": 3600 * 10**13, "num_steps": 100}}
    # offline an example takes 0.01 s to evaluate and 0.04 s to train on: a quarter
    costs = {"snli": {"qkv": {"evaluate_seconds": 1.0, "train_seconds_without_evaluation": 40.0, "num_examples": 1000}}}
    found = on_paper.stages(raw, {"alpaca": {"bloom": run}, "snli": {"qkv": run}}, costs, teraflops=10)
    assert [(stage.name, stage.after) for stage in found] == [
        ("train_snli@qkv-0", None), ("train_snli@qkv-1", None), ("evaluate_snli@qkv-0", 0), ("evaluate_snli@qkv-1", 1),
        ("train_alpaca@bloom-0", None),
    ]  # fmt: skip
    hours = [stage.hours for stage in found]
    assert hours == pytest.approx(
        [1.0, 1.0, 0.125, 0.125, 1.0]
    )  # 3.6e16 operations at 1e13 a second; half as many examples, a quarter each
    record = on_paper.record(found, 10, [1, 2])
    assert record["hours_by_gpus"] == pytest.approx({"1": 3.25, "2": 2.125})
    assert record["busy_share_by_gpus"] == pytest.approx({"1": 1.0, "2": 3.25 / 4.25})
    assert record["longest"] == {"stage": "train_snli@qkv-0", "hours": pytest.approx(1.0)}


def test_the_shipped_paper_scale_is_worked_out_whole(on_paper):
    raw = params.read(ROOT / "params.yaml")
    accounts = files.read_json(ROOT / "reports/accounting.json")["scales"]["paper"]
    costs = {study: files.read_json(ROOT / f"reports/{study}/cost.json")["entries"] for study in accounts}
    work = on_paper.stages(raw, accounts, costs, 100.0)
    runs = {study: len(grid.arms(grid.study(raw, study))) * len(raw["studies"][study]["seeds"]) for study in raw["studies"]}
    assert sum(runs.values()) == 72
    assert [len([stage for stage in work if (stage.after is None) == first]) for first in (True, False)] == [72, 72 - runs["alpaca"]]
    assert all(stage.hours > 0 for stage in work)


@pytest.mark.parametrize(
    ("name", "page"), [("on_paper", "docs/cluster.md"), ("whole_run", "docs/benchmarks.md"), ("profile_steps", "docs/benchmarks.md")]
)
def test_pages_are_in_step_with_their_records_whose_fields_are_described(name, page):
    script, blocks = importlib.import_module(name), importlib.import_module("blocks")
    record, text = files.read_json(ROOT / script.RECORD), (ROOT / page).read_text(encoding="utf-8")
    assert blocks.rewritten(text, script.START, script.rendered(record), page) == text, f"run python benchmarks/{name}.py"
    assert set(record) - described.fields(script.RECORD.as_posix()) == set()
