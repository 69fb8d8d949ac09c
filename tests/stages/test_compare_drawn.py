"""The tables that the compare stage writes for DVC to draw, and the curves that the report draws."""

import csv

from comparing import read


def test_scores_stand_beside_each_kind_of_cost_that_was_measured(compared):
    with (compared / "reports/snli/cost.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["arm", "measure", "cost", "score", "low", "high"]
    assert {row["arm"] for row in rows} == {"qkv-nf4", "qkv-unquantised"}
    metrics = read(compared, "metrics.json")["qkv-nf4"]
    found = {row["measure"]: row for row in rows if row["arm"] == "qkv-nf4"}
    assert "peak GPU memory (bytes)" not in found
    one = found["training time (seconds)"]
    assert (float(one["cost"]), float(one["score"]), float(one["high"])) == (11, metrics["accuracy"], metrics["accuracy_ci_high"])
    rows = (compared / "reports/alpaca/cost.csv").read_text(encoding="utf-8").splitlines()
    assert {row.split(",")[0] for row in rows[1:]} == {"open_llama_3b-study", "bloom_3b-study"}


def test_curves_of_all_seeds_stand_in_one_csv_with_stable_columns(compared):
    with (compared / "reports/snli/curves/qkv-nf4.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["seed", "step", "epoch", "loss", "learning_rate", "grad_norm", "eval_loss", "eval_accuracy"]
    assert {row["seed"] for row in rows} == {"0", "1", "2"}
    assert sorted(path.name for path in (compared / "reports/snli/curves").iterdir()) == ["qkv-nf4.csv", "qkv-unquantised.csv"]


def test_usage_of_all_seeds_stands_in_one_csv_of_few_rows_apart_from_results(compared):
    folder = compared / "reports/snli/usage"
    assert sorted(path.name for path in folder.iterdir()) == ["qkv-nf4.csv", "qkv-unquantised.csv"]
    rows = (folder / "qkv-nf4.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "seed,seconds,cpu_percent,resident_bytes,gpu_percent,gpu_bytes"
    assert len(rows) == 1 + 3 * 50
    # 200 samples in 50 bins: the first holds 4 of them, the most memory is that of the last, and the first stands for no time
    assert rows[1] == "0,0.75,100.0,900000030,,"
    for name in ("metrics.json", "comparison.json", "curves/qkv-nf4.csv"):
        text = (compared / "reports/snli" / name).read_text(encoding="utf-8")
        assert "cpu_percent" not in text, name
        assert "9000000" not in text, name


def test_confusion_and_calibration_of_every_entry_of_pairs_stand_in_files_that_say_what_the_comparison_says(compared):
    content = read(compared, "comparison.json")
    for folder in ("confusion", "calibration"):
        paths = (compared / "reports/snli" / folder).iterdir()
        assert sorted(path.stem for path in paths) == ["hypothesis_only", "majority", "qkv-nf4", "qkv-unquantised", "zero_shot"]
        assert not (compared / "reports/alpaca" / folder).exists()
    rows = (compared / "reports/snli/confusion/majority.csv").read_text(encoding="utf-8").splitlines()
    # all of the 180 pairs, 60 per label, are called entailment
    assert rows[:3] == ["gold,predicted,count,share", "entailment,entailment,60.0,1.0", "entailment,neutral,0.0,0.0"]
    assert len(rows) == 1 + 9
    rows = (compared / "reports/snli/calibration/qkv-nf4.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "probabilities,confidence,accuracy,share"
    accuracy = content["entries"]["qkv-nf4"]["mean"]
    assert rows[1] == f"raw,0.8,{round(accuracy, 6)},1.0"  # every pair is 80 % sure, as the probabilities were made up
    assert len(rows) == 2 + len(content["calibration"]["qkv-nf4"]["reliability_after"])


def test_scores_of_every_arm_and_baseline_stand_with_their_intervals(compared):
    for study, metric in (("snli", "accuracy"), ("alpaca", "bits_per_byte")):
        with (compared / "reports" / study / "scores.csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert list(rows[0]) == ["entry", "kind", "score", "low", "high"]
        metrics = read(compared, "metrics.json", study)
        assert sorted(row["entry"] for row in rows) == sorted(read(compared, "comparison.json", study)["entries"])
        for row in rows:
            own = metrics[row["entry"]]
            assert [float(row[name]) for name in ("score", "low", "high")] == [own[f"{metric}{end}"] for end in ("", "_ci_low", "_ci_high")]
