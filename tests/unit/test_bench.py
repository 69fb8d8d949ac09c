"""The benchmarks of speed: what they count, what they refuse to count, and what they keep. Nothing here is timed."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import described
import pytest
from clockwork import Machine, row

from ftbench import errors, files

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


@pytest.fixture(scope="module")
def page():
    return importlib.import_module("page")


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


def test_a_row_without_a_bar_is_shown_and_not_judged(timing, page):
    machine = Machine(ours=[1, 2], alternative=[1, 1])
    record = timing.measure(row(timing, machine, bar=None), 1, machine.clock)
    assert (record["ratio"], record["passed"]) == (0.5, True)
    assert page.cells("some", record)[-2:] == ["none", "passes"]


def test_the_largest_figure_of_all_runs_is_held_against_its_limit(timing):
    sizes = iter([10, 30, 20])
    machine = Machine(ours=[1, 1, 1], alternative=[9, 9, 9])
    one = row(timing, machine, figures=lambda ours, other: {"bytes": next(sizes)}, at_most={"bytes": 25})
    record = timing.measure(one, 2, machine.clock)
    assert record["figures"] == {"bytes": 30}
    assert record["missed"] == ["bytes 30, above 25"]
    assert record["passed"] is False


@pytest.mark.parametrize(("ours", "passed"), [(3.5, True), (3.6, False)])
def test_what_ours_may_take_longer_is_held_against_the_difference_of_the_medians(timing, page, ours, passed):
    machine = Machine(ours=[1, ours, 9, ours], alternative=[1, 3, 1, 3])
    record = timing.measure(row(timing, machine, bar=None, most_extra_seconds=0.5), 3, machine.clock)
    assert record["passed"] is passed
    assert record["missed"] == ([] if passed else ["0.60 s more, above 0.5"])
    assert page.bar(record) == "at most 0.5 s more"


def test_a_row_whose_runs_are_long_is_repeated_less_often_than_asked_and_never_more(timing):
    for own, asked, expected in ((2, 5, 2), (5, 2, 2), (None, 3, 3)):
        machine = Machine(ours=[1] * 6, alternative=[3] * 6)
        assert timing.measure(row(timing, machine, num_repeats=own), asked, machine.clock)["num_repeats"] == expected
        assert machine.ran.count("ours") == expected + 1


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


def test_a_row_keeps_what_the_run_before_found_and_where_they_disagree_it_is_said(bench, timing, page, tmp_path):
    out, reached = tmp_path / "a.json", {"bar": None}
    first = run(bench, timing, ["one", "two"], out, **reached)
    assert [first[name]["before"] for name in ("one", "two")] == [{}, {}]
    assert page.beside_before(first) == "No row was measured so before."
    second = run(bench, timing, ["one", "two", "three"], out, **reached)
    assert second["one"]["before"] == {"passed": True, "ratio": pytest.approx(first["one"]["ratio"])}
    assert page.beside_before(second) == "2 of 3 rows were measured so before, as the run before found them."
    for other in ({"sizes": {"num_rows": 4}}, {"sizes": {"num_rows": 3}, "work": "another"}, {"bar": 1e-9}):
        assert run(bench, timing, ["one"], out, **{**reached, **other})["one"]["before"] == {}  # of other work, or held to another bar
    run(bench, timing, ["one"], out, **reached, difference=lambda *_: "other")
    last = run(bench, timing, ["one"], out, **reached)
    assert last["one"]["before"] == {"passed": False}
    assert page.beside_before(last) == "1 of 1 rows were measured so before, all but 1 as the run before found them: one (missed before)."


def test_texts_are_real_where_a_folder_of_them_lies_beside_the_project(monkeypatch, tmp_path):
    made = importlib.import_module("made")
    monkeypatch.setattr(made, "REAL_TEXTS", tmp_path)
    for name in ("snli/train.jsonl", "snli/test.jsonl", "alpaca/alpaca_data.json"):
        assert made.real_texts() is None  # what would be read is missing
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert made.real_texts() == tmp_path


def test_what_cannot_be_run_is_named_with_its_reason(bench, timing, page, tmp_path):
    def absent():
        raise timing.NotRunError("no checkpoint here")

    records = run(bench, timing, ["one"], tmp_path / "a.json", ours=absent)
    assert records["one"]["not_run"] == "no checkpoint here"
    assert "not run: no checkpoint here" in page.table(records)


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


def test_the_record_in_git_holds_every_row_with_every_field_that_a_run_writes(bench, timing, tmp_path):
    rows = files.read_json(ROOT / bench.RECORD)["rows"]
    assert set(rows) == set(bench.ROWS)
    fields = set(run(bench, timing, ["one"], tmp_path / "a.json")["one"])
    assert {name for name, record in rows.items() if "not_run" not in record and not fields <= set(record)} == set()


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
