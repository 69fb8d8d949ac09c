import csv
import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import fabricated
import numpy as np
import pyarrow as pa
import pytest

from ftbench import files, text

REPOSITORY = Path(__file__).parents[2]
DRAWN = ("confusion/qkv-nf4.csv", "calibration/qkv-nf4.csv", "cost.csv")
METRICS = {
    "accuracy",
    "accuracy_ci_low",
    "accuracy_ci_high",
    "macro_f1",
    "nll",
    "brier",
    "ece",
    "nll_scaled",
    "brier_scaled",
    "ece_scaled",
    "n",
    "seeds",
}


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
    root = tmp_path_factory.mktemp("compare")
    fabricated.write(root)
    return root


@pytest.fixture
def root(untouched, tmp_path):
    shutil.copytree(untouched, tmp_path, dirs_exist_ok=True)
    return tmp_path


def compare(root, study="snli", **options):
    command = [sys.executable, REPOSITORY / "stages/compare.py", "--study", study, "--out", f"reports/{study}"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, **options)


def read(root, name, study="snli"):
    return json.loads((root / "reports" / study / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def compared(untouched, tmp_path_factory):
    root = tmp_path_factory.mktemp("compared")
    shutil.copytree(untouched, root, dirs_exist_ok=True)
    for study in ("snli", "alpaca"):
        done = compare(root, study)
        assert done.returncode == 0, done.stderr
    return root


def test_metrics_hold_every_arm_and_baseline_as_rounded_scalars(compared):
    metrics = read(compared, "metrics.json")
    assert set(metrics) - {"schema_version"} == {"qkv-nf4", "qkv-unquantised", "majority", "hypothesis_only", "zero_shot"}
    assert set(metrics["qkv-nf4"]) == METRICS
    assert (metrics["qkv-nf4"]["seeds"], metrics["majority"]["seeds"], metrics["majority"]["n"]) == (3, 1, 180)
    assert metrics["majority"]["accuracy"] == round(1 / 3, 6)
    low, high = metrics["qkv-nf4"]["accuracy_ci_low"], metrics["qkv-nf4"]["accuracy_ci_high"]
    assert 0 < low < metrics["qkv-nf4"]["accuracy"] < high < 1


def test_answers_have_bits_per_byte_with_an_interval_and_the_fifteen_answers(compared):
    metrics = read(compared, "metrics.json", "alpaca")["open_llama_3b-study"]
    assert metrics["bits_per_byte_ci_low"] < metrics["bits_per_byte"] < metrics["bits_per_byte_ci_high"]
    assert {"perplexity", "exact_match", "token_f1", "stopped", "n", "seeds"} <= set(metrics)
    assert {"repetition", "looping", "length_ratio", "mean_tokens"} <= set(metrics)
    answers = read(compared, "answers.json", "alpaca")
    assert len(answers["questions"]) == 2
    assert [one["stopped"] for one in answers["answers"]["bloom_3b"]] == [True, False]
    assert [one["id"] for one in answers["rubrics"]] == ["australia", "equation"]
    assert [one["passed"] for one in answers["answers"]["bloom_3b"]] == [False, True]  # it says x = 4 to both
    assert (answers["num_passed"]["bloom_3b"], answers["num_scored"]) == (1, 2)
    assert metrics["questions_passed"] == 0.5


def test_answers_stand_beside_the_untouched_base_and_the_base_with_examples_group_by_group(compared):
    found = read(compared, "comparison.json", "alpaca")
    assert set(found["entries"]) == {"open_llama_3b-study", "bloom_3b-study", "open_llama_3b", "bloom_3b", "open_llama_3b_three_shot"}
    assert set(found["by_kind"]["stopped"]) == {"facts", "arithmetic"}
    assert (set(found["by_pool"]["token_f1"]), set(found["by_input"]["token_f1"])) == ({"knowledge"}, {"without_input"})
    assert set(found["by_length"]["token_f1"]) == {"short"}
    gains = found["gains"]["by_pool"]["exact_match"]["knowledge"]
    assert {arm: set(beside) for arm, beside in gains.items()} == {
        "open_llama_3b-study": {"open_llama_3b", "open_llama_3b_three_shot"},
        "bloom_3b-study": {"bloom_3b"},
    }
    entries = found["by_pool"]["exact_match"]["knowledge"]
    one = gains["open_llama_3b-study"]["open_llama_3b"]
    assert one["difference"] == pytest.approx(entries["open_llama_3b-study"]["mean"] - entries["open_llama_3b"]["mean"])
    assert one["low"] < one["difference"] < one["high"]


def test_the_prompts_of_params_are_named_by_their_hashes(compared):
    prompts = {"with_input": "Do: {instruction}\nWith: {input}\nDone:", "without_input": "Do: {instruction}\nDone:"}
    named = read(compared, "comparison.json", "alpaca")["made_of"]["templates"]
    assert named == {name: text.prompt_hash(prompt) for name, prompt in prompts.items()}
    assert "templates" not in read(compared, "comparison.json")["made_of"]
    assert set(read(compared, "comparison.json", "alpaca")["floors"]["bloom_3b"]) == {"nll", "n"}


def test_the_means_are_those_of_the_scores_files(compared):
    by_seed = [read(compared, f"scores/qkv-nf4-{seed}.json")["test"]["accuracy"] for seed in range(3)]
    assert read(compared, "metrics.json")["qkv-nf4"]["accuracy"] == pytest.approx(np.mean(by_seed), abs=1e-6)
    assert read(compared, "comparison.json")["entries"]["qkv-nf4"]["by_seed"] == pytest.approx(by_seed)


def test_arms_alike_share_a_group_and_the_base_is_told_apart(compared):
    comparison = read(compared, "comparison.json")
    assert comparison["bases"] == {"qkv-nf4": "zero_shot", "qkv-unquantised": "zero_shot"}
    assert sorted(comparison["groups"][0]) == ["qkv-nf4", "qkv-unquantised"]
    against_base = next(row for row in comparison["tests"] if (row["a"], row["b"]) == ("qkv-nf4", "zero_shot"))
    assert against_base["told_apart"]
    assert [row["seed_a"] for row in against_base["mcnemar"]] == [0, 1, 2]
    assert read(compared, "comparison.json", "alpaca")["bases"]["bloom_3b-study"] == "bloom_3b"
    assert read(compared, "comparison.json", "alpaca")["lower_is_better"]


def test_shallow_controls_come_from_baselines_and_from_the_hypothesis_baselines_scores(compared):
    shallow = read(compared, "comparison.json")["shallow"]
    assert set(shallow) == {"majority", "hypothesis_only", "premise_only", "overlap"}
    assert shallow["premise_only"]["mean"] == pytest.approx(0.4)
    assert shallow["premise_only"]["low"] < 0.4


def test_failure_cases_carry_their_text_and_add_up(compared):
    comparison = read(compared, "comparison.json")
    against_base = comparison["cases"]["qkv-nf4"]["base"]
    assert against_base["against"] == "zero_shot"
    shift = comparison["entries"]["qkv-nf4"]["mean"] - comparison["entries"]["zero_shot"]["mean"]
    counts = {kind: one["count"] for kind, one in against_base["counts"].items()}
    assert counts["corrected"] - counts["introduced"] == pytest.approx(180 * shift)
    by_label = against_base["by"]["label"]
    assert sum(cells["corrected"] for cells in by_label.values()) == pytest.approx(counts["corrected"])
    assert len(against_base["examples"]["corrected"]) == 5
    example = against_base["examples"]["corrected"][0]
    assert (example["seeds_agreeing"], example["after"]) == (3, example["gold"])
    assert example["premise"].startswith("Premise ")
    assert "reference" not in comparison["cases"]["qkv-nf4"]


def test_calibration_is_before_and_after_scaling_with_bins_that_hold_every_pair_of_every_seed(compared):
    found = read(compared, "comparison.json")["calibration"]
    assert set(found) == {"qkv-nf4", "qkv-unquantised", "majority", "hypothesis_only", "zero_shot"}
    one = found["qkv-nf4"]
    assert [len(one["temperature"]), len(found["majority"]["temperature"])] == [3, 1]
    sure = found["majority"]  # 80 % sure and right once in three: the best it can say is a third each
    assert sure["before"]["nll"] == pytest.approx(-(np.log(0.8) + 2 * np.log(0.1)) / 3)
    assert (sure["at_bound"], one["at_bound"]) == (True, False)
    assert sure["after"]["nll"] == pytest.approx(np.log(3), abs=0.01)
    for key in ("reliability_before", "reliability_after"):
        assert sum(part["share"] for part in one[key]) == pytest.approx(1)
    accuracy = read(compared, "comparison.json")["entries"]["qkv-nf4"]["mean"]
    assert sum(part["share"] * part["accuracy"] for part in one["reliability_after"]) == pytest.approx(accuracy)
    assert one["reliability_before"][0]["confidence"] == pytest.approx(0.8)  # as the probabilities were made up
    metrics = read(compared, "metrics.json")["qkv-nf4"]
    assert (metrics["nll_scaled"], metrics["ece_scaled"]) == pytest.approx((one["after"]["nll"], one["after"]["ece"]), abs=1e-6)


def test_transfer_holds_the_arms_alone_and_probes_hold_everybody(compared):
    comparison = read(compared, "comparison.json")
    assert list(comparison["transfer"]) == ["multinli/test_matched"]
    assert sorted(comparison["transfer"]["multinli/test_matched"]) == ["majority", "qkv-nf4", "qkv-unquantised"]
    assert comparison["transfer"]["multinli/test_matched"]["majority"]["mean"] == pytest.approx(1 / 3)
    assert comparison["transfer"]["multinli/test_matched"]["qkv-nf4"]["n"] == 60
    assert [pair["gold"] for pair in comparison["probes"]["pairs"]] == ["neutral"] * 2 + ["contradiction"] * 2 + ["neutral"] * 2
    said = comparison["probes"]["said"]
    assert set(said) == set(comparison["entries"])
    assert said["qkv-nf4"][0] == ["entailment", "neutral", "contradiction"]  # one label per seed
    assert said["majority"][1] == ["neutral"]


def test_seeds_agree_as_their_predictions_do(compared):
    comparison = read(compared, "comparison.json")
    majority = {"same_label": 1, "all_right": pytest.approx(1 / 3), "all_wrong": pytest.approx(2 / 3), "num_labels": [1]}
    assert comparison["agreement"]["majority"] == majority
    one = comparison["agreement"]["qkv-nf4"]
    assert one["all_right"] < comparison["entries"]["qkv-nf4"]["mean"] < 1 - one["all_wrong"]
    assert one["num_labels"] == [3, 3, 3]


def test_what_is_written_freely_is_a_mean_over_seeds_and_of_prompts_by_wording(compared):
    comparison = read(compared, "comparison.json")
    assert comparison["written"] == {name: {"accuracy": 0.5, "num_invalid": 9, "n": 180} for name in ("qkv-nf4", "qkv-unquantised")}
    assert comparison["wordings"]["zero_shot"][0]["written"]["num_invalid"] == 12


def test_errors_are_counted_by_what_can_be_seen_of_a_pair(compared):
    by = read(compared, "comparison.json")["cases"]["qkv-nf4"]["base"]["by"]
    assert {"overlap", "negation", "numbers", "length"} <= set(by)
    for trait in ("overlap", "negation", "numbers", "length"):
        assert sum(cells["n"] for cells in by[trait].values()) == 180


def test_costs_are_means_with_ratios_to_the_reference(compared):
    entries = read(compared, "cost.json")["entries"]
    assert entries["qkv-nf4"]["train_seconds"] == 11.0
    assert entries["qkv-unquantised"]["ratio_to_reference"]["train_seconds"] == pytest.approx(21 / 11)
    assert entries["qkv-nf4"]["by_seed"]["train_seconds_without_evaluation"] == [9.0, 10.0, 11.0]
    assert entries["zero_shot"]["train_seconds"] is None
    assert "seconds" not in json.dumps(read(compared, "metrics.json"))
    counts = ("num_epochs", "examples_per_step", "num_steps", "num_examples", "num_tokens", "num_truncated", "num_4bit_layers")
    assert [entries["qkv-nf4"][name] for name in counts] == [3, 16, 100, 1600, 32000, 0, 8]


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


@pytest.mark.parametrize(
    ("text", "said"), [("", "an empty file"), ("seconds,cpu_percent,resident_bytes,gpu_percent,gpu_bytes\n", "no samples")]
)
def test_resources_that_are_empty_stop_it_with_their_path(root, text, said):
    (root / "reports/snli/resources/qkv-nf4-1.csv").write_text(text, encoding="utf-8")
    done = compare(root)
    assert done.returncode == 2
    assert "reports/snli/resources/qkv-nf4-1.csv" in done.stderr
    assert said in done.stderr
    assert not (root / "reports/snli/metrics.json").exists()
    for folder in ("usage", "confusion", "calibration", "cost.csv"):
        assert not (root / "reports/snli" / folder).exists()


def test_the_same_inputs_give_the_same_bytes(compared, root):
    assert compare(root).returncode == 0
    for name in ("metrics.json", "comparison.json", "cost.json", "curves/qkv-nf4.csv", "usage/qkv-nf4.csv", *DRAWN):
        assert (root / "reports/snli" / name).read_bytes() == (compared / "reports/snli" / name).read_bytes()


def test_missing_files_are_all_named_and_nothing_is_left_half_made(root):
    (root / "reports/snli/predictions/qkv-nf4-1.parquet").unlink()
    (root / "reports/snli/scores/majority-0.json").unlink()
    done = compare(root)
    assert done.returncode == 2
    assert "predictions/qkv-nf4-1.parquet" in done.stderr
    assert "scores/majority-0.json" in done.stderr
    assert not (root / "reports/snli/metrics.json").exists()


def partial(root, *gone):
    """Compare what is left of snli without some predictions, in a folder of its own."""
    out = root / ".ftbench/partial/snli"
    shutil.copytree(root / "reports/snli", out)
    for stem in gone:
        (out / f"predictions/{stem}.parquet").unlink()
    command = [sys.executable, REPOSITORY / "stages/compare.py", "--study", "snli", "--out", out, "--partial"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False), out


def test_a_partial_comparison_leaves_out_what_lacks_a_file_and_names_it(compared, root):
    done, out = partial(root, "qkv-nf4-1", "majority-0")
    assert done.returncode == 0, done.stderr
    found = json.loads((out / "comparison.json").read_text())
    whole = read(compared, "comparison.json")
    assert whole["reference"] == "qkv-nf4"
    assert found["reference"] is None
    assert found["absent"] == ["qkv-nf4", "majority"]
    assert set(found["entries"]) == set(whole["entries"]) - {"qkv-nf4", "majority"}
    assert found["orphans"] == []  # its other files are no strangers
    assert "absent" not in whole
    assert not (root / "reports/snli/metrics.json").exists()


def test_a_partial_comparison_of_all_files_is_the_whole_one(compared, root):
    done, out = partial(root)
    assert done.returncode == 0, done.stderr
    assert (out / "comparison.json").read_bytes() == (compared / "reports/snli/comparison.json").read_bytes()


def test_a_partial_comparison_never_stands_where_git_keeps_the_whole_one(compared, root):
    shutil.copytree(compared / "reports/snli", root / "reports/snli", dirs_exist_ok=True)
    before = {path: path.read_bytes() for path in (root / "reports/snli").rglob("*") if path.is_file()}
    command = [sys.executable, REPOSITORY / "stages/compare.py", "--study", "snli", "--out", "reports/snli", "--partial"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "elsewhere than under reports/" in done.stderr
    assert {path: path.read_bytes() for path in (root / "reports/snli").rglob("*") if path.is_file()} == before


def test_a_partial_comparison_of_no_arm_is_refused(root):
    arms = [path.stem for path in (root / "reports/snli/predictions").glob("*-*-*.parquet")]
    done, out = partial(root, *arms)
    assert done.returncode == 2
    assert "no arm of the study has all its files" in done.stderr
    assert not (out / "metrics.json").exists()


def paths(root):
    return {path.relative_to(root).as_posix() for path in (root / "reports").rglob("*")}


def test_a_disk_that_fills_is_the_machines_fault_and_leaves_nothing_half_made(compared, root):
    limit = (compared / "reports/snli/comparison.json").stat().st_size - 1
    assert limit > (compared / "reports/snli/metrics.json").stat().st_size  # which is written before
    before = paths(root)
    done = compare(root, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert paths(root) == before


def test_a_file_of_no_arm_is_named_and_not_read(root):
    shutil.copy(root / "reports/snli/predictions/qkv-nf4-0.parquet", root / "reports/snli/predictions/gone-nf4-0.parquet")
    done = compare(root)
    assert done.returncode == 0
    assert "predictions/gone-nf4-0.parquet belongs to no arm" in done.stderr
    assert read(root, "comparison.json")["orphans"] == ["predictions/gone-nf4-0.parquet"]
    assert "gone-nf4" not in read(root, "metrics.json")


def change(root, stem, column, edit):
    path = root / "reports/snli/predictions" / f"{stem}.parquet"
    table = files.read_parquet(path)
    values = table.column(column).to_pylist()
    edit(values)
    index = table.column_names.index(column)
    files.write_parquet(path, table.set_column(index, column, pa.array(values, table.schema.field(column).type)))


@pytest.mark.parametrize(
    ("stem", "column"), [("zero_shot-0", "example_hash"), ("qkv-nf4-1", "example_hash"), ("qkv-unquantised-2", "prompt_hash")]
)
def test_predictions_of_other_examples_or_prompts_are_not_paired(root, stem, column):
    change(root, stem, column, lambda values: values.__setitem__(7, "0" * 64))
    done = compare(root)
    assert done.returncode == 2
    assert f"{stem}.parquet" in done.stderr
    assert f"differ in {column}" in done.stderr


def test_arms_that_read_other_prompts_are_not_paired(root):
    for seed in range(3):
        change(root, f"qkv-unquantised-{seed}", "prompt_hash", lambda values: values.__setitem__(7, "0" * 64))
    done = compare(root)
    assert done.returncode == 2
    assert "qkv-unquantised-0.parquet" in done.stderr
    assert "prompt_hash" in done.stderr


def test_a_prediction_edited_by_hand_is_found_out(root):
    change(root, "qkv-nf4-0", "predicted", lambda values: values.__setitem__(3, (values[3] + 1) % 3))
    done = compare(root)
    assert done.returncode == 2
    assert "scores/qkv-nf4-0.json: test.accuracy" in done.stderr


def test_a_score_edited_by_hand_is_found_out(root):
    path = root / "reports/snli/scores/qkv-nf4-2.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["test"]["nll"] -= 0.01
    path.write_text(json.dumps(content), encoding="utf-8")
    done = compare(root)
    assert done.returncode == 2
    assert "qkv-nf4-2.json: test.nll" in done.stderr


def test_a_temperature_edited_by_hand_is_found_out(root):
    path = root / "reports/snli/scores/qkv-nf4-1.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["test"]["scaled"]["temperature"] *= 1.01
    path.write_text(json.dumps(content), encoding="utf-8")
    done = compare(root)
    assert done.returncode == 2
    assert "qkv-nf4-1.json: test.scaled.temperature" in done.stderr


def test_arms_that_were_tested_on_other_pairs_elsewhere_do_not_stand_side_by_side(root):
    for seed in range(3):
        path = root / f"reports/snli/predictions/qkv-unquantised-{seed}.parquet"
        table = files.read_parquet(path)
        own = [split != "multinli/test_matched" for split in table["split"].to_pylist()]
        files.write_parquet(path, table.filter(own))
    done = compare(root)
    assert done.returncode == 2
    assert "qkv-unquantised" in done.stderr
    assert "multinli/test_matched" in done.stderr


def test_data_that_changed_since_the_evaluation_is_refused(root):
    path = root / "data/snli/test.parquet"
    table = files.read_parquet(path)
    files.write_parquet(path, table.slice(1))
    done = compare(root)
    assert done.returncode == 2
    assert "test.parquet" in done.stderr


def test_compare_starts_without_torch(root):
    script = (
        "import runpy, sys\n"
        "sys.argv = ['compare.py', '--study', 'snli', '--out', 'reports/snli']\n"
        f"runpy.run_path({str(REPOSITORY / 'stages/compare.py')!r}, run_name='__main__')\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'transformers', 'datasets', 'evaluate', 'sklearn'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
