"""What the compare stage does not compare: files that are missing, empty, edited, or of other examples."""

import json
import resource
import shutil

import pyarrow as pa
import pytest
from comparing import compare, read

from ftbench import files


@pytest.fixture
def root(untouched, tmp_path):
    shutil.copytree(untouched, tmp_path, dirs_exist_ok=True)
    return tmp_path


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
    for folder in ("usage", "confusion", "calibration", "cost.csv", "scores.csv"):
        assert not (root / "reports/snli" / folder).exists()


def test_missing_files_are_all_named_and_nothing_is_left_half_made(root):
    (root / "reports/snli/predictions/qkv-nf4-1.parquet").unlink()
    (root / "reports/snli/scores/majority-0.json").unlink()
    done = compare(root)
    assert done.returncode == 2
    assert "predictions/qkv-nf4-1.parquet" in done.stderr
    assert "scores/majority-0.json" in done.stderr
    assert not (root / "reports/snli/metrics.json").exists()


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


def swapped(values, wanted):
    """Two rows of one gold label and different values, in each other's place."""
    first, second = wanted
    values[first], values[second] = values[second], values[first]


def test_predictions_that_changed_places_are_found_out_though_every_score_stays_the_same(root):
    table = files.read_parquet(root / "reports/snli/predictions/qkv-nf4-0.parquet").to_pydict()
    rows = [row for row, split in enumerate(table["split"]) if split == "test"]
    wanted = next(
        (one, other)
        for one in rows
        for other in rows
        if table["gold"][one] == table["gold"][other] and table["predicted"][one] != table["predicted"][other]
    )
    change(root, "qkv-nf4-0", "predicted", lambda values: swapped(values, wanted))
    done = compare(root)
    assert done.returncode == 2
    assert "predictions/qkv-nf4-0.parquet: test\n  found:   2 rows, first row" in done.stderr
    assert "the likeliest label" in done.stderr


def test_a_probability_edited_by_hand_is_found_out(root):
    def edit(values):
        values[0] -= 1e-3
        values[3] += 1e-3  # of the same label: the mean stays

    change(root, "qkv-nf4-1", "log_probability_entailment", edit)
    done = compare(root)
    assert done.returncode == 2
    assert "qkv-nf4-1" in done.stderr


def test_an_answer_edited_by_hand_is_found_out(root):
    path = root / "reports/alpaca/predictions/bloom_3b-study-0.parquet"
    table = files.read_parquet(path)
    texts = table.column("text").to_pylist()
    row = table.column("exact_match").to_pylist().index(True)
    texts[row] += " And more."
    files.write_parquet(path, table.set_column(table.column_names.index("text"), "text", pa.array(texts)))
    done = compare(root, "alpaca")
    assert done.returncode == 2
    assert f"bloom_3b-study-0.parquet: test.exact_match\n  found:   1 rows, first row {row}" in done.stderr


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
