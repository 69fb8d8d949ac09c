"""The rows of the benchmarks: what each is made of, and when it finds its two ways to differ. Nothing here is timed."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ftbench import errors, files, params

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _benchmarks_are_found():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def timing():
    return importlib.import_module("timing")


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
    outs = [{"path": "reports/snli/predictions/b.parquet", "md5": "1"}, {"path": "reports/snli/costs/c.json", "md5": "2", "size": 3}]
    (tmp_path / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"evaluate": {"cmd": "e", "outs": outs}}}))
    found = repro.helper().results(tmp_path)
    assert sorted(found) == ["dvc.lock", "models/base/a/config.json", "reports/snli/predictions/b.parquet"]
    kept = [{"path": "reports/snli/predictions/b.parquet", "md5": "1"}, {"path": "reports/snli/costs/c.json"}]  # seconds differ
    assert json.loads(found["dvc.lock"]) == {"evaluate": {"cmd": "e", "outs": kept}}
    assert repro.difference(found, found) == ""
    changed = {**found, "models/base/a/config.json": b"y"}
    assert repro.difference(found, changed) == "1 of 3 result files differ, models/base/a/config.json among them"
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


def test_the_least_seconds_of_an_evaluation_are_its_products_at_the_processors_peak(monkeypatch):
    devices, made = importlib.import_module("devices"), importlib.import_module("made")
    monkeypatch.setattr(devices, "matrix_peak", lambda dtype, _: {"torch.float32": 1e9}[str(dtype)])
    row = importlib.import_module("rows.nli_evaluation").row(made.Options(Path("models"), quick=True), "float32", 1e-4, None)
    per_block = 4 * 384 * 384 + 2 * 384 * 1536  # query, key, value and output; into the MLP and out of it
    nothing = np.zeros((1, 3))
    num_tokens = row.figures(nothing, nothing)["least_seconds"] * 1e9 / (2 * 6 * per_block)
    assert num_tokens == pytest.approx(round(num_tokens))
    assert 64 * 10 < num_tokens < 64 * 128  # of 64 pairs of at most 128


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_peak_is_two_operations_for_each_of_n_cubed_over_the_fastest_product(monkeypatch, dtype):
    devices = importlib.import_module("devices")
    monkeypatch.setattr(devices, "SIDE", {"cpu": 4})
    times = iter([0.0, 3.0, 0.0, 2.0, 0.0, 4.0, 0.0, 5.0, 0.0, 6.0])
    monkeypatch.setattr(devices.time, "perf_counter", lambda: next(times))
    assert devices.matrix_peak(getattr(torch, dtype), torch.device("cpu")) == 2 * 4**3 / 2.0


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
