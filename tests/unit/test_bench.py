"""The benchmarks of speed: what they count, what they refuse to count, and what they keep. Nothing here is timed."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import described
import numpy as np
import pytest

from ftbench import costs, errors, files, params

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


# ------------------------------------------------------------------------------------------------------------------- the README
def test_the_readmes_table_is_what_the_record_gives(page):
    record = ROOT / "reports/benchmarks.json"
    rows = files.read_json(record)["rows"] if record.exists() else {}
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert page.rewritten(text, rows) == text, "run python benchmarks/page.py"


def test_the_table_shows_each_row_with_its_spread_its_bars_and_what_missed(timing, page):
    def record(**changed):
        machine = Machine(ours=[1, 1], alternative=[3, 3])
        return {**timing.measure(row(timing, machine, **changed), 1, machine.clock), "environment": costs.environment()}

    one = record(figures=lambda *_: {"bytes": 30.0}, at_most={"bytes": 40})
    two = record(bar=4.0, work="a | b")
    lines = page.block({"one": one, "two": two, "three": {"not_run": "no <net>", "environment": two["environment"]}}).splitlines()
    assert lines[0] == "| row | work | against | ours | theirs | ratio (from, to) | bar | found |"
    assert lines[2] == "| one | some work | another way | 1.00 s | 3.00 s | 3.00 (3.00, 3.00) | 2; bytes at most 40 | passes; bytes 30 |"
    assert lines[3] == "| two | a \\| b | another way | 1.00 s | 3.00 s | 3.00 (3.00, 3.00) | 4 | MISSED: 3.00 times, below 4 |"
    assert lines[4] == "| three |  |  |  |  |  |  | not run: no &lt;net> |"
    assert lines[6].startswith("Measured on: ")


def test_only_what_stands_between_the_marks_is_rewritten_and_twice_is_once(page):
    text = f"before\n{page.START}\nold\n{page.END}\nafter\n"
    assert page.rewritten(text, {}) == f"before\n{page.START}\n{page.NOTHING}\n{page.END}\nafter\n"
    assert page.rewritten(page.rewritten(text, {}), {}) == page.rewritten(text, {})


@pytest.mark.parametrize("text", ["", "{start}", "{end} {start}", "{start} {start} {end}", "{start} {end} {end}"])
def test_a_page_whose_marks_are_not_there_once_and_in_order_is_left_alone(page, text):
    with pytest.raises(errors.UserError, match="not one block"):
        page.rewritten(text.format(start=page.START, end=page.END), {})


def test_every_row_is_described_and_every_row_that_is_described_exists(bench):
    table = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8").partition("## The rows")[2].partition("\n\nWhat the")[0]
    named = [name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1] if "|" in line else "")]
    assert sorted(named) == sorted(bench.ROWS)


# ------------------------------------------------------------------------------------------------------------------- the rows
def test_an_encoder_that_is_not_there_is_missed_in_words(tmp_path):
    with pytest.raises(errors.UserError, match=r"no config.json in it"):
        importlib.import_module("made").encoder([], tmp_path)


def test_a_real_encoder_takes_the_miniatures_place_with_a_head_of_three_labels_and_no_dropout(tiny_base):
    model, tokenizer = importlib.import_module("made").encoder([], tiny_base("roberta"))
    assert model.config.id2label == {0: "entailment", 1: "neutral", 2: "contradiction"}
    assert model.config.hidden_dropout_prob == model.config.attention_probs_dropout_prob == 0
    assert tokenizer.padding_side == "right"
    assert str(model.dtype) == "torch.float32"


def test_batches_are_drawn_evenly_from_the_order_of_a_whole_epoch():
    nli = importlib.import_module("rows.nli_training")
    lengths = [10 + index % 90 for index in range(nli.BATCH * nli.EPOCH)]
    drawn = nli.some_batches(lengths, 8)
    assert len(set(drawn)) == len(drawn) == 8 * nli.BATCH
    batches = [[lengths[index] for index in drawn[start : start + nli.BATCH]] for start in range(0, len(drawn), nli.BATCH)]
    assert max(max(batch) - min(batch) for batch in batches) <= 4  # like lengths together
    assert abs(np.mean([length for batch in batches for length in batch]) - np.mean(lengths)) < 3  # and all lengths are there


def test_an_accuracy_that_the_number_of_pairs_cannot_tell_apart_is_no_worse():
    worse = importlib.import_module("rows.nli_training").worse
    right = np.array([1.0] * 60 + [0.0] * 40)
    assert worse(right, right) == ""
    assert worse(right, np.roll(right, 5)) == ""  # as many, of other pairs
    assert worse(np.zeros(100), right) == "the accuracy differs by 0.600, more than 0.096"  # 1.96 * sqrt(0.6 * 0.4 / 100)


def test_trainings_that_learn_something_else_or_from_other_tokens_are_told_apart():
    difference = importlib.import_module("rows.sft").difference
    ours = {"num_tokens": 9, "before": np.array([1.0, 2.0]), "curve": [10.0, 8.0, 6.0]}
    assert difference(ours, {**ours, "curve": [10.0, 8.3, 6.2]}) == ""
    assert difference(ours, {**ours, "curve": [10.0, 8.5, 6.2]}) == "the held-out loss differs by 0.5, more than 0.4"  # a tenth of 4
    assert difference(ours, {**ours, "num_tokens": 8}) == "9 trained tokens, or other 8"
    assert "differs by 0.1 before training" in difference(ours, {**ours, "before": np.array([1.0, 2.1])})
    assert "no two curves of a falling loss" in difference({**ours, "curve": [10.0, 10.0, 10.0]}, ours)


def test_a_row_that_needs_trl_says_how_to_install_it_where_it_is_not(monkeypatch):
    sft, timing, made = (importlib.import_module(name) for name in ("rows.sft", "timing", "made"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(timing.NotRunError, match=re.escape("pip install --constraint constraints.txt '.[bench]'")):
        sft.row(made.Options(Path("models")))


def test_steps_of_another_loss_or_another_number_are_told():
    difference = importlib.import_module("rows.qlora_step").difference
    assert difference({"losses": [2.0, 1.5]}, {"losses": [2.01, 1.49]}) == ""
    assert difference({"losses": [2.0, 1.5]}, {"losses": [2.0, 1.25]}) == "the loss of a step differs by 0.25"
    assert difference({"losses": [2.0]}, {"losses": [2.0, 1.5]}) == "1 steps, or other 2"


def test_result_files_that_differ_between_two_runs_are_counted(tmp_path):
    repro = importlib.import_module("rows.repro")
    for name in ("models/base/a/config.json", "reports/snli/predictions/b.parquet", "reports/snli/costs/c.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    found = repro.results(tmp_path)
    assert sorted(found) == ["models/base/a/config.json", "reports/snli/predictions/b.parquet"]
    assert repro.difference(found, found) == ""
    changed = {**found, "models/base/a/config.json": b"y"}
    assert repro.difference(found, changed) == "1 of 2 result files differ, models/base/a/config.json among them"
    assert repro.difference({}, {}) == "no result file"


def test_a_command_that_had_something_to_do_is_no_measure_of_nothing():
    idle = importlib.import_module("rows.repro").idle
    assert idle("nothing to do: every stage is up to date", "Data and pipelines are up to date.") == ""
    assert idle("2 stages to bring up to date", "Running stage 'a':") == "ftbench repro had something to do, dvc repro had something to do"


def test_a_checkout_without_results_does_not_begin_to_make_them(tmp_path, monkeypatch):
    repro, timing, made = (importlib.import_module(name) for name in ("rows.repro", "timing", "made"))
    monkeypatch.setattr(made, "ROOT", tmp_path)
    with pytest.raises(timing.NotRunError, match="run `make repro` first"):
        repro.nothing_to_do(made.Options(Path("models")))


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


@pytest.mark.parametrize(("dataset", "tests"), [("snli", ["test"]), ("multinli", ["test_matched", "test_mismatched"])])
def test_the_stage_and_the_alternative_keep_the_same_rows_and_drop_those_they_should(tmp_path, monkeypatch, dataset, tests):
    prepare, made = importlib.import_module("rows.prepare"), importlib.import_module("made")
    monkeypatch.setattr(prepare, "QUICK_ROWS", 2000)
    one = getattr(prepare, dataset)(made.Options(Path("models"), quick=True))
    ours, other = one.ours()(), one.alternative()()
    assert one.difference(ours, other) == ""
    held_out = {"snli": 36, "multinli": 50}[dataset]  # 10,000 of 550,000 and of 393,000 in proportion
    assert one.sizes["num_rows"] == {"train": 2000, **dict.fromkeys(["validation", *tests], held_out)}
    read = params.read(ours["folder"] / "card.json")["read"]
    # 7, 107, ... 1907 have no gold label; 10 and 11 are test's
    assert read["train"]["dropped"]["no_gold_label"] == 20
    assert read["train"]["dropped"]["in_evaluation_split"] == 2
    assert read["train"]["dropped"]["duplicate"] > 0
    assert read["train"]["dropped"]["conflicting_labels"] > 0
    changed = {**other, "folder": tmp_path}
    for split in ("train", "validation", *tests):
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
