"""`ftbench diff` on two runs worked by hand."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from worked_runs import case, cases, cells, changed, cost, entry, run, scored, snapshot

from ftbench import diff
from ftbench.diff_files import Snapshot
from ftbench.errors import UserError


@pytest.fixture
def before() -> dict[str, Any]:
    return run()


def test_an_unchanged_run_gives_one_line(before):
    found = changed(before, copy.deepcopy(before))
    assert found.page == "No score, setting, result, cost, failure case or verdict changed from main to the workspace.\n"
    assert found.regressions == []


# ---- Scores -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mean", "half", "verdict", "regressions"),
    [  # the half-widths 0.03 and 0.04 as squares give 0.05
        (0.649, 0.04, "yes, worse", ["lora"]),
        (0.651, 0.04, "no", []),
        (0.751, 0.04, "yes, better", []),
        (0.749, 0.04, "no", []),
    ],
)
def test_a_difference_is_beyond_noise_where_it_exceeds_both_half_widths_added_as_squares(before, mean, half, verdict, regressions):
    found = changed(before, scored(mean, half))
    assert [move.entry for move in found.regressions] == regressions
    (row,) = cells(found.page, "nli", "lora", "accuracy")
    difference = {0.649: "−5.1 points", 0.651: "−4.9 points", 0.751: "+5.1 points", 0.749: "+4.9 points"}[mean]
    assert row[3] == "70.0 % (67.0–73.0)"
    assert row[5:] == [difference, verdict]


def test_of_a_loss_less_is_better(before):
    loss = {"primary_metric": "bits_per_byte", "lower_is_better": True}
    before["comparison"] |= {**loss, "entries": {"lora": entry(0.5, 0.03), "majority": entry(2.0, 0.03)}}
    after = copy.deepcopy(before)
    after["comparison"]["entries"] = {"lora": entry(0.4, 0.04), "majority": entry(2.1, 0.04)}
    found = changed(before, after)
    assert cells(found.page, "nli", "lora", "bits_per_byte")[0][3:] == [
        "0.500 (0.470–0.530)", "0.400 (0.360–0.440)", "−0.100", "yes, better",
    ]  # fmt: skip
    assert cells(found.page, "nli", "majority")[0][5:] == ["+0.100", "yes, worse"]
    assert [str(move) for move in found.regressions] == ["nli/majority: bits_per_byte 2.000 → 2.100"]


def test_what_moved_by_less_than_is_printed_is_only_counted(before):
    page = changed(before, scored(0.70001, 0.03)).page
    assert "1 primary score moved by less than the printed digits show." in page
    assert not cells(page, "nli", "lora", "accuracy")


def test_an_arm_that_came_and_one_that_went_are_listed_and_are_no_regression(before):
    after = copy.deepcopy(before)
    del after["comparison"]["entries"]["lora"]
    after["comparison"]["entries"]["qlora"] = entry(0.5, 0.02)
    found = changed(before, after)
    assert cells(found.page, "nli", "qlora") == [["nli", "qlora", "new", "50.0 % (48.0–52.0)"]]
    assert cells(found.page, "nli", "lora", "gone") == [["nli", "lora", "gone", "70.0 % (67.0–73.0)"]]
    assert found.regressions == []


def test_other_scores_stand_where_they_changed_at_the_printed_digits(before):
    after = copy.deepcopy(before)
    after["metrics"]["lora"] |= {"nll": 0.7, "accuracy_ci_low": 0.1}
    after["metrics"]["majority"]["nll"] = 1.0986
    page = changed(before, after).page
    assert cells(page, "name") == [["name", "nll"]]
    assert cells(page, "lora") == [["lora", "0.610 → 0.700"]]
    assert cells(page, "majority") == [["majority", "– → 1.099"]]
    after["metrics"] = copy.deepcopy(before["metrics"])
    after["metrics"]["lora"]["nll"] = 0.61001
    assert changed(before, after).page.startswith("No score")


def test_other_numbers_of_examples_are_named_and_not_compared(before):
    after = scored(0.2, 0.01)
    after["comparison"]["entries"]["lora"]["n"] = 500
    found = changed(before, after)
    assert "Scores of `nli`/`lora` are not compared: its n was 1000 and is 500." in found.page
    assert found.regressions == []


@pytest.mark.parametrize(("key", "value"), [("dataset", "snli"), ("split", "validation"), ("primary_metric", "macro_f1")])
def test_another_data_set_split_or_metric_is_named_and_not_compared(before, key, value):
    after = scored(0.2, 0.01)
    was = before["comparison"][key]
    after["comparison"][key] = value
    found = changed(before, after)
    assert f"Scores of `nli` are not compared: its {key.replace('_', ' ')} was {was} and is {value}." in found.page
    assert found.regressions == []


def test_other_files_of_a_data_set_and_other_seeds_are_named(before):
    after = scored(0.6, 0.01)
    after["outs"]["data/nli"] = "d2.dir"
    after["comparison"]["entries"]["lora"]["seeds"] = [0, 1]
    found = changed(before, after)
    assert "The files of data set `nli` changed, so that examples may differ between the two runs of `nli`" in found.page
    assert "`nli`/`lora` had the seeds \\[0, 1, 2\\] and has \\[0, 1\\]." in found.page
    assert "1 data set changed: `nli`." in found.page
    assert [move.entry for move in found.regressions] == ["lora"]


def test_another_scale_is_refused(before):
    after = copy.deepcopy(before)
    after["comparison"]["scale"] = "paper"
    with pytest.raises(UserError) as error:
        changed(before, after)
    assert [problem.where for problem in error.value.problems] == ["reports/nli/comparison.json", "reports/ledger.json"]
    assert error.value.problems[0].found == "scale offline at main, paper in the workspace"


# ---- The rest ---------------------------------------------------------------------------------------------------------------------


def test_a_param_stands_under_its_dotted_key_and_a_list_is_one_value(before):
    after = copy.deepcopy(before)
    after["params"]["offline"]["nli"] = {"lora": {"r": 16, "target_modules": ["q"], "bias": True}}
    page = changed(before, after).page
    assert cells(page, "offline.nli.lora.r") == [["offline.nli.lora.r", "8", "16"]]
    assert cells(page, "offline.nli.lora.target_modules")[0][1:] == ['\\["q", "v"\\]', '\\["q"\\]']
    assert cells(page, "offline.nli.lora.bias")[0][1:] == ["–", "true"]
    assert "0 arms and baselines ran; 0 primary scores moved" in page


def test_a_param_that_turns_from_1_to_true_has_changed(before):
    before["params"]["offline"] = {"flag": 1}
    after = copy.deepcopy(before)
    after["params"]["offline"] = {"flag": True}
    assert cells(changed(before, after).page, "offline.flag") == [["offline.flag", "1", "true"]]


def test_an_arm_that_ran_is_told_by_what_changed_first(before):
    after = copy.deepcopy(before)
    after["outs"] |= {"models/nli/lora-0": "m2.dir", "reports/nli/predictions/lora-0.parquet": "p2", "models/base/roberta": "b2.dir"}
    after["outs"] |= {"reports/nli/costs/majority-0-evaluate.json": "e2", "models/nli/full-own-0": "m3.dir"}
    after["comparison"]["entries"]["full-own"] = entry(0.7, 0.1)
    page = changed(before, after).page
    assert cells(page, "nli", "other model") == [["nli", "other model", "1 of 3", "lora"]]
    assert cells(page, "nli", "the same results again") == [["nli", "the same results again", "1 of 3", "majority"]]
    assert cells(page, "nli", "new") == [["nli", "new", "1 of 3", "full-own"]]
    assert "1 base model changed: `roberta`." in page
    assert "3 arms and baselines ran (1 to the same results); 0 primary scores" in page


def test_other_predictions_of_the_same_model_are_told_from_another_model(before):
    after = copy.deepcopy(before)
    after["outs"]["reports/nli/predictions/lora-0.parquet"] = "p2"
    page = changed(before, after).page
    assert cells(page, "nli", "other predictions")[0][2:] == ["1 of 2", "lora"]
    assert "1 arm or baseline ran; " in page


def test_times_and_memory_stand_from_a_tenth_on_and_counts_from_one(before):
    after = copy.deepcopy(before)
    after["cost"]["entries"]["lora"] = cost(21.9, 5.4e8)  # +9.5 % and +8 %
    assert changed(before, after).page.startswith("No score")
    after["cost"]["entries"]["lora"] = cost(15.0, 6e8, 41_476.0, 222_000.0)
    page = changed(before, after).page
    assert cells(page, "nli", "lora", "training")[0][3:] == ["20.0 s", "15.0 s", "−25 %"]
    assert cells(page, "nli", "lora", "peak memory")[0][3:] == ["500.0 MB", "600.0 MB", "+20 %"]
    assert cells(page, "nli", "lora", "trained parameters")[0][3:] == ["41,475", "41,476", "+1"]
    assert cells(page, "nli", "lora", "bytes on disk")[0][3:] == ["222,766", "222,000", "−766"]
    assert "other machines" not in page
    after["cost"]["environments"] = [{"processor": "two"}]
    assert "Measured on other machines or with other packages than before: `nli`." in changed(before, after).page


def test_failure_cases_show_their_counts_and_what_is_newly_listed(before):
    after = copy.deepcopy(before)
    after["comparison"]["cases"]["lora"] = cases(380.5, 70, 100, case(1), *(case(number) for number in range(2, 9)))
    page = changed(before, after).page
    assert cells(page, "lora", "zero_shot") == [["lora", "zero_shot", "50.0 → 70.0", "100.0", "400.0 → 380.5"]]
    listed = cells(page, "lora", "introduced")
    assert [row[2] for row in listed] == ["test-2", "test-3", "test-4", "test-5", "test-6"]
    assert listed[0][3:] == ["A cat sits . / A cat .", "entailment", "neutral", "neutral"]
    assert "Newly listed examples of nli: 5 of 7" in page


def test_cases_against_another_base_are_named_and_not_compared(before):
    after = copy.deepcopy(before)
    after["comparison"]["cases"]["lora"]["base"]["against"] = "untrained_head"
    assert "Cases of `nli`/`lora` are not compared: its base is another one." in changed(before, after).page


def test_hostile_text_in_an_example_stays_text(before):
    hostile = "<img src=x onerror=alert(1)> | `code` [click](https://evil.example) @everyone \x1b[31m\u202e\n# heading"
    after = copy.deepcopy(before)
    after["comparison"]["cases"]["lora"] = cases(400, 50, 100, case(1), case(2, hostile, "| x |\n\n# owned"))
    (row,) = [line for line in changed(before, after).page.splitlines() if "test-2" in line]
    assert "&lt;img src=x" in row
    assert row.count("|") == 8  # seven cells
    for markup in ("<img", "`code`", "[click](", "https://", "@everyone", "\x1b", "\u202e"):
        assert markup not in row.replace("\\`", "").replace("\\[", "").replace("\\]", "")


def test_a_hostile_name_in_a_sentence_stays_text(before):
    after = copy.deepcopy(before)
    for one in (before, after):
        one["comparison"]["entries"]["<b>`x`"] = entry(0.5, 0.1)
    after["comparison"]["entries"]["<b>`x`"]["n"] = 1
    page = changed(before, after).page
    assert "`nli`/&lt;b&gt;\\`x\\` are not compared" in page


def test_a_verdict_that_flipped_stands_with_ours_before_and_after(before):
    after = copy.deepcopy(before)
    after["claims"]["lora_helps"] |= {"verdict": "contradicted", "ours": None}
    page = changed(before, after).page
    assert cells(page, "nli", "lora_helps") == [["nli", "lora_helps", "LoRA helps", "holds", "contradicted", "0.1235", "–"]]
    assert "1 verdict of the ledger flipped. Scale offline." in page


def test_another_number_under_the_same_verdict_is_no_flip(before):
    after = copy.deepcopy(before)
    after["claims"]["lora_helps"]["ours"] = 0.2
    assert changed(before, after).page.startswith("No score")


def test_a_study_that_came_or_went_is_named(before):
    two = snapshot(before)
    with_more = Snapshot("main", two.params, two.outs, two.claims, "offline", {**two.studies, "extra": two.studies["nli"]})
    assert "Study `extra` is new." in diff.compare(two, with_more).page
    assert "Study `extra` is gone." in diff.compare(with_more, two).page
