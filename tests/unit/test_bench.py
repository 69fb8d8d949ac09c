"""The benchmarks of speed: what they count, what they refuse to count, and what they keep. Nothing here is timed."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import described
import numpy as np
import pytest

from ftbench import errors, files, params

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks/bench.py"


@pytest.fixture(scope="module", autouse=True)
def _benchmarks_are_found():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def bench():
    return importlib.import_module("bench")


@pytest.fixture(scope="module")
def timing():
    return importlib.import_module("timing")


class Machine:
    """A clock that stands still but for what a piece of work takes, and a note of what ran."""

    def __init__(self, **seconds):
        self.seconds = {side: list(values) for side, values in seconds.items()}
        self.now, self.ran = 100.0, []

    def clock(self):
        return self.now

    def work(self, side, output="same"):
        def run():
            self.ran.append(side)
            self.now += self.seconds[side].pop(0)
            return output

        return lambda: run


def row(timing, machine, **changed):
    plain = {
        "work": "some work", "against": "another way", "bar": 2.0, "sizes": {"num_rows": 3},
        "ours": machine.work("ours"), "alternative": machine.work("alternative"),
        "difference": lambda ours, other: "" if ours == other else f"{ours} is not {other}",
    }  # fmt: skip
    return timing.Row(**{**plain, **changed})


def test_the_two_ways_take_turns_at_going_first_after_a_run_that_is_not_timed(timing):
    machine = Machine(ours=[50, 1, 2, 4], alternative=[90, 6, 4, 8])
    record = timing.measure(row(timing, machine), 3, machine.clock)
    assert machine.ran == ["alternative", "ours", "ours", "alternative", "alternative", "ours", "ours", "alternative"]
    assert (record["seconds"], record["alternative_seconds"]) == ([1, 2, 4], [6, 4, 8])


def test_medians_their_ratio_and_its_spread_are_those_worked_by_hand(timing):
    machine = Machine(ours=[50, 1, 2, 4], alternative=[90, 6, 4, 8])
    record = timing.measure(row(timing, machine), 3, machine.clock)
    assert (record["median_seconds"], record["alternative_median_seconds"]) == (2, 6)
    assert record["ratio"] == 3
    assert (record["ratio_low"], record["ratio_high"]) == (2, 6)  # 6 / 1, 4 / 2, 8 / 4
    assert record["passed"] is True
    assert record["missed"] == []


def test_what_a_row_prepares_is_not_timed(timing):
    machine = Machine(ours=[1, 1], alternative=[3, 3])

    def slow_to_prepare():
        machine.now += 1000
        return machine.work("ours")()

    record = timing.measure(row(timing, machine, ours=slow_to_prepare), 1, machine.clock)
    assert record["seconds"] == [1]


def test_without_a_warm_up_the_first_run_counts(timing):
    machine = Machine(ours=[1, 2], alternative=[6, 4])
    record = timing.measure(row(timing, machine, warm_up=False), 2, machine.clock)
    assert machine.ran == ["ours", "alternative", "alternative", "ours"]
    assert record["seconds"] == [1, 2]


@pytest.mark.parametrize(("theirs", "passed"), [(4.0, True), (3.99, False)])
def test_a_bar_is_reached_or_missed_in_words(timing, theirs, passed):
    machine = Machine(ours=[1, 2], alternative=[1, theirs])
    record = timing.measure(row(timing, machine), 1, machine.clock)
    assert record["passed"] is passed
    assert record["missed"] == ([] if passed else ["1.99 times, below 2"])


def test_a_row_without_a_bar_is_shown_and_not_judged(timing, bench):
    machine = Machine(ours=[1, 2], alternative=[1, 1])
    record = timing.measure(row(timing, machine, bar=None), 1, machine.clock)
    assert (record["ratio"], record["passed"]) == (0.5, True)
    assert bench.line("some", record)[-2:] == ["none", "passes"]


def test_the_largest_figure_of_all_runs_is_held_against_its_limit(timing):
    sizes = iter([10, 30, 20])
    machine = Machine(ours=[1, 1, 1], alternative=[9, 9, 9])
    one = row(timing, machine, figures=lambda ours, other: {"bytes": next(sizes)}, at_most={"bytes": 25})
    record = timing.measure(one, 2, machine.clock)
    assert record["figures"] == {"bytes": 30}
    assert record["missed"] == ["bytes 30, above 25"]
    assert record["passed"] is False


def test_other_output_is_refused_before_anything_is_timed(timing):
    machine = Machine(ours=[1], alternative=[100])
    record = timing.measure(row(timing, machine, alternative=machine.work("alternative", "else")), 5, machine.clock)
    assert machine.ran == ["alternative", "ours"]
    assert record["difference"] == "same is not else"
    assert record["passed"] is False
    assert not {"seconds", "ratio"} & set(record)


def test_other_output_in_a_later_run_leaves_no_time_either(timing):
    said = iter(["same", "same", "else"])
    machine = Machine(ours=[1, 1, 1], alternative=[9, 9, 9])
    record = timing.measure(row(timing, machine, alternative=lambda: lambda: next(said)), 3, machine.clock)
    assert record["difference"] == "same is not else"
    assert "ratio" not in record


# ------------------------------------------------------------------------------------------------------------------- the file
def run(bench, timing, names, out, quick=False, **changed):
    made = importlib.import_module("made")

    def find(name):
        machine = Machine(ours=[1, 1], alternative=[3, 3])
        return lambda options: row(timing, machine, **changed)

    return bench.run(names, made.Options(Path("models"), None, quick), 1, out, find)


def test_a_row_that_is_run_takes_its_place_beside_those_that_were(bench, timing, tmp_path):
    out = tmp_path / "deep/benchmarks.json"
    run(bench, timing, ["one", "two"], out)
    before = files.read_json(out)["rows"]
    run(bench, timing, ["two"], out, work="other work")
    after = files.read_json(out)["rows"]
    assert set(after) == {"one", "two"}
    assert after["one"] == before["one"]
    assert (before["two"]["work"], after["two"]["work"]) == ("some work", "other work")
    assert out.read_text() == files.canonical_json({"rows": after})


def test_what_cannot_be_run_is_named_with_its_reason(bench, timing, tmp_path):
    def absent():
        raise timing.NotRunError("no checkpoint here")

    records = run(bench, timing, ["one"], tmp_path / "a.json", ours=absent)
    assert records["one"]["not_run"] == "no checkpoint here"
    assert "not run: no checkpoint here" in bench.table(records)


def test_small_sizes_are_marked_and_refused_as_the_record(bench, timing, tmp_path):
    assert run(bench, timing, ["one"], tmp_path / "a.json", quick=True)["one"]["quick"] is True
    with pytest.raises(errors.UserError, match="a record is of the whole sizes"):
        run(bench, timing, ["one"], bench.RECORD, quick=True)


@pytest.mark.parametrize("quick", [True, False])
def test_small_and_whole_sizes_are_not_mixed_in_one_file(bench, timing, tmp_path, quick):
    run(bench, timing, ["one"], tmp_path / "a.json", quick=quick)
    with pytest.raises(errors.UserError, match="rows of one kind"):
        run(bench, timing, ["two"], tmp_path / "a.json", quick=not quick)


def test_every_field_of_a_record_is_described(bench, timing, tmp_path):
    records = run(bench, timing, ["one"], tmp_path / "a.json")
    fields = {"rows", *records["one"], *records["one"]["environment"], "not_run", "difference"}
    assert fields - described.fields("reports/benchmarks.json") == set()


def test_names_that_are_no_rows_are_all_named_with_the_nearest():
    done = subprocess.run([sys.executable, str(SCRIPT), "generatoin", "xyz"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "did you mean 'generation'?" in done.stderr
    assert "'xyz'" in done.stderr
    assert "Traceback" not in done.stderr


def test_rows_run_in_their_own_order_each_once_and_all_where_none_is_named(bench):
    assert bench.chosen(["b", "a", "b"], ["a", "b", "c"]) == ["a", "b"]
    assert bench.chosen([], ["a", "b"]) == ["a", "b"]


def test_every_row_has_its_function(bench):
    assert all(callable(bench.find(name)) for name in bench.ROWS)


# ------------------------------------------------------------------------------------------------------------------- the rows
def test_real_texts_that_are_not_there_are_missed_in_words(tmp_path):
    made = importlib.import_module("made")
    with pytest.raises(errors.UserError, match="no such file"):
        made.pairs(made.Options(Path("models"), tmp_path), "test", 3)


def test_real_pairs_without_a_gold_label_are_passed_over(tmp_path):
    made = importlib.import_module("made")
    rows = [
        {"premise": "a", "hypothesis": "b", "label": -1},
        {"sentence1": "c", "sentence2": "d", "gold_label": "neutral"},
        {"sentence1": "e", "sentence2": "f", "gold_label": "-"},
        {"premise": "g", "hypothesis": "h", "label": 2},
    ]
    (tmp_path / "snli").mkdir()
    (tmp_path / "snli/test.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    pairs = made.pairs(made.Options(Path("models"), tmp_path), "test", 3)
    assert pairs == {"premise": ["c", "g"], "hypothesis": ["d", "h"], "label": [1, 2]}


def test_one_answer_of_many_that_differs_is_counted():
    difference = importlib.import_module("rows.generation").difference
    assert difference({"a": ["x", "y"]}, {"a": ["x", "y"]}) == ""
    assert difference({"a": ["x", "y"], "b": ["z"]}, {"a": ["x", "w"], "b": ["z"]}) == "1 of 2 answers of a differ"


def test_a_label_that_differs_and_a_score_that_is_off_are_told():
    difference = importlib.import_module("rows.nli_evaluation").difference
    ours = np.array([[0.2, 0.8], [0.6, 0.4]])
    assert difference(ours, ours + 1e-5, 1e-4) == ""
    assert difference(ours, ours + 1e-3, 1e-4) == "a probability differs by 0.001"
    assert difference(ours, ours[::-1], 1e-4) == "2 of 2 labels differ"


def test_the_stage_and_the_alternative_keep_the_same_rows_and_drop_those_they_should(tmp_path, monkeypatch):
    prepare, made = importlib.import_module("rows.prepare"), importlib.import_module("made")
    monkeypatch.setattr(prepare, "QUICK_ROWS", 2000)
    one = prepare.row(made.Options(Path("models"), quick=True))
    ours, other = one.ours()(), one.alternative()()
    assert one.difference(ours, other) == ""
    assert one.sizes["num_rows"] == {"train": 2000, "validation": 36, "test": 36}
    read = params.read(ours["folder"] / "card.json")["read"]
    # 7, 107, ... 1907 have no gold label; 10 and 11 are test's
    assert read["train"]["dropped"]["no_gold_label"] == 20
    assert read["train"]["dropped"]["in_evaluation_split"] == 2
    assert read["train"]["dropped"]["duplicate"] > 0
    assert read["train"]["dropped"]["conflicting_labels"] > 0
    changed = {**other, "folder": tmp_path}
    for split in ("train", "validation", "test"):
        table = files.read_parquet(other["folder"] / f"{split}.parquet")
        files.write_parquet(tmp_path / f"{split}.parquet", table.slice(1) if split == "train" else table)
    kept = files.read_parquet(other["folder"] / "train.parquet").num_rows
    assert one.difference(ours, changed) == f"train: {kept:,} rows, or other {kept - 1:,}"


def test_log_likelihoods_differ_in_their_best_label_or_by_more_than_a_thousandth(monkeypatch):
    difference = importlib.import_module("rows.prompt_scoring").difference
    ours = np.array([[-1.0, -2.0], [-3.0, -0.5]])
    assert difference(ours, ours + 1e-4) == ""
    assert difference(ours, ours + 0.25) == "a log-likelihood differs by 0.25 nats"
    assert difference(ours, ours[:, ::-1]) == "2 of 2 predictions differ"


def test_a_page_beside_itself_is_judged_by_its_bytes_and_its_seconds_alone(timing):
    reports = importlib.import_module("rows.reports")
    said = [{"seconds": seconds, "pages": {"a": b"x"}} for seconds in (4.0, 6.0)]
    outcomes = iter(said * 2)
    one = reports.row("a page", lambda: next(outcomes), 5.0, {})
    record = timing.measure(one, 1)
    assert (record["bar"], record["figures"], record["missed"]) == (None, {"slowest_seconds": 6.0}, ["slowest_seconds 6, above 5"])
    assert one.difference(said[0], {"seconds": 1.0, "pages": {"a": b"y", "b": b""}}) == "a differs, b differs"
    assert one.difference({"pages": {}}, {"pages": {}}) == "nothing was written"


def test_the_reports_of_a_checkout_without_results_are_not_timed(monkeypatch, tmp_path, timing):
    reports, made = (importlib.import_module(name) for name in ("rows.reports", "made"))
    monkeypatch.setattr(made, "ROOT", tmp_path)
    with pytest.raises(timing.NotRunError, match="no results in git"):
        reports.report(made.Options(tmp_path))
