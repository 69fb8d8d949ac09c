import numpy as np

from ftbench import calibration, plot_tables


def test_a_confusion_is_nine_rows_with_shares_of_each_gold_label():
    # 4 entailments of which two seeds call 3 and 2 right, 3 neutral pairs, and a gold label without pairs
    counts = [[2.5, 1.0, 0.5], [1.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
    assert plot_tables.confusion(counts).splitlines() == [
        "gold,predicted,count,share",
        "entailment,entailment,2.5,0.625",
        "entailment,neutral,1.0,0.25",
        "entailment,contradiction,0.5,0.125",
        "neutral,entailment,1.0,0.333333",
        "neutral,neutral,2.0,0.666667",
        "neutral,contradiction,0.0,0.0",
        "contradiction,entailment,0.0,",
        "contradiction,neutral,0.0,",
        "contradiction,contradiction,0.0,",
    ]


def test_calibration_is_a_row_per_bin_of_raw_and_of_scaled_probabilities():
    # three pairs 70 % sure, two of them right, and one 90 % sure and right; halving the scores brings them to sqrt(p) / sum of sqrt(p)
    sure = np.log([[0.7, 0.2, 0.1]] * 3 + [[0.9, 0.05, 0.05]])
    gold = [0, 0, 1, 0]
    one = {
        "reliability_before": calibration.reliability(sure, gold),
        "reliability_after": calibration.reliability(calibration.scaled(sure, 2.0), gold),
    }
    # 0.836660 / (0.836660 + 0.447214 + 0.316228) and 0.948683 / (0.948683 + 2 x 0.223607)
    assert plot_tables.calibration(one).splitlines() == [
        "probabilities,confidence,accuracy,share",
        "raw,0.7,0.666667,0.75",
        "raw,0.9,1.0,0.25",
        "scaled,0.522879,0.666667,0.75",
        "scaled,0.679623,1.0,0.25",
    ]


def test_every_arm_and_baseline_has_its_table():
    bins = [{"share": 1.0, "confidence": 0.5, "accuracy": 0.5}]
    content = {
        "confusion": {"a": [[1, 0, 0]] * 3, "majority": [[1, 0, 0]] * 3},
        "calibration": {name: {"reliability_before": bins, "reliability_after": bins} for name in ("a", "majority")},
    }
    found = plot_tables.of_pairs(content)
    assert {folder: sorted(tables) for folder, tables in found.items()} == {
        "confusion": ["a", "majority"],
        "calibration": ["a", "majority"],
    }


def test_a_cost_that_was_not_measured_or_is_nothing_has_no_row_and_a_baseline_none_at_all():
    score = {"mean": 0.75, "low": 0.7, "high": 0.8000000001}
    costs = {"train_peak_gpu_allocated_bytes": None, "train_peak_resident_bytes": 1024.0, "parameters_trained": 0, "train_seconds": 2 / 3}
    entries = {"a": {**score, "trained": True}, "majority": {**score, "trained": False}}
    assert plot_tables.against_cost(entries, {"a": costs, "majority": dict.fromkeys(costs)}).splitlines() == [
        "arm,measure,cost,score,low,high",
        "a,peak memory (bytes),1024.0,0.75,0.7,0.8",
        "a,training time (seconds),0.666667,0.75,0.7,0.8",
    ]


def test_scores_are_a_row_per_arm_and_baseline_with_their_interval():
    score = {"mean": 0.75, "low": 0.7, "high": 0.8000000001}
    assert plot_tables.scores({"a": {**score, "trained": True}, "majority": {**score, "trained": False}}).splitlines() == [
        "entry,kind,score,low,high",
        "a,arm,0.75,0.7,0.8",
        "majority,baseline,0.75,0.7,0.8",
    ]
