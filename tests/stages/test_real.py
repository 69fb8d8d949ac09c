"""examples/real.yaml: the check always, and a run on 200 rows of each file where the files are there."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chained
from ruamel.yaml import YAML
from shared_data import SHARED_DATA, needs_shared_data

from ftbench import baselines, checks, files, grid, params
from ftbench.schema_datasets import FileDataset

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/real.yaml"
ROWS = 200
ARMS = {"snli": "qkv-nf4", "multinli": "lora-own", "multinli_llm": "study_layer-last_token", "alpaca": "bloom_3b-equal"}  # one of each kind


def test_the_example_is_a_whole_params_file_that_fits_together() -> None:
    raw = params.read(EXAMPLE)
    studies = checks.everything(raw, ROOT)
    shipped = params.read(ROOT / "params.yaml")["studies"]
    assert {name: study.factors for name, study in studies.items()} == {name: study["factors"] for name, study in shipped.items()}
    assert all(isinstance(grid.dataset(raw, name), FileDataset) for name in raw["real"]["datasets"])


def test_the_examples_miniatures_read_no_file_and_no_row_that_is_a_test() -> None:
    datasets = params.read(EXAMPLE)["real"]["datasets"]
    read = [file for found in datasets["pretraining"]["files"].values() for file in found]
    for name in ("snli", "multinli", "alpaca"):
        for split, tests in datasets[name]["files"].items():
            for test, text in itertools.product(tests if split.startswith("test") else (), read):
                apart = test["path"] != text["path"] or text.get("last_row", 10**9) < test.get("first_row", 1)
                assert apart, (name, split, text)


def test_the_check_finds_the_scripts_for_a_params_file_that_lies_elsewhere() -> None:
    command = [sys.executable, "-m", "ftbench.cli", "check", "--params", "examples/real.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "selected: real" in done.stdout


def first_rows(root: Path, settings: dict[str, Any]) -> None:
    """Cut every file of a data set to its first rows, and its ranges of rows to fit; write their hashes into the settings."""
    for file in (file for found in settings["files"].values() for file in found):
        source, path = SHARED_DATA / Path(file["path"]).relative_to("data_sources"), root / file["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if file["format"] == "json":
            path.write_text(json.dumps(json.loads(source.read_text(encoding="utf-8"))[:ROWS]), encoding="utf-8")
        else:
            with source.open(encoding="utf-8") as stream:
                path.write_text("".join(itertools.islice(stream, ROWS)), encoding="utf-8")
        file["sha256"] = files.sha256_file(path)
        ranges = {"last_row": {1667: 90, 50000: 150}, "first_row": {1669: 92, 50001: 151}}
        file |= {key: ranges[key][file[key]] for key in ranges if key in file}


def shortened(block: Any) -> None:
    """Every arm below a block trains for two steps."""
    if isinstance(block, dict):
        if "optim" in block:
            block.pop("num_train_epochs", None)
            block |= {"max_steps": 2, "per_device_train_batch_size": 8}
        for value in block.values():
            shortened(value)


def commands(raw: dict[str, Any]) -> Iterator[list[str]]:
    scripts = ROOT / "stages"
    for name in raw["real"]["datasets"]:
        yield [f"{scripts}/prepare.py", "--dataset", name, "--out", f"data/{name}"]
    for study, arm in ARMS.items():
        design = grid.study(raw, study)
        model, data = grid.model_of(design, arm), f"data/{design.dataset}"
        base, report = f"models/base/{model}", f"reports/{study}"
        tests = [f"data/{name}" for name in ("snli", "multinli", "alpaca")]
        yield [f"{scripts}/checkpoint.py", "--model", model, "--data", "data/pretraining", "--tests", *tests, "--out", base]
        common = ["--study", study, "--arm", arm, "--seed", "0", "--data", data, "--base", base]
        folder = f"models/{study}/{arm}-0"
        train = ["--out", folder, "--curve", f"{report}/c.csv", "--cost", f"{report}/t.json", "--resources", f"{report}/r.csv"]
        yield [f"{scripts}/train_{grid.method_of(design, arm)}.py", *common, *train]
        evaluated = ["--predictions", f"{report}/p.parquet", "--scores", f"{report}/s.json", "--cost", f"{report}/e.json"]
        if design.method == "sft":
            yield [f"{scripts}/evaluate_answers.py", *common, "--model", folder, *evaluated]
            continue
        other = "multinli" if design.dataset == "snli" else "snli"
        yield [f"{scripts}/evaluate_nli.py", *common, "--model", folder, "--transfer", f"data/{other}", *evaluated]
    scored = ["--predictions", "reports/snli/b.parquet", "--scores", "reports/snli/b.json", "--cost", "reports/snli/b-cost.json"]
    named = ["--study", "snli", "--baseline", "hypothesis_only", "--data", "data/snli", "--base", "models/base/phi_2"]
    yield [f"{scripts}/baseline.py", *named, *scored]


@needs_shared_data
def test_the_example_runs_on_real_text_from_the_files_to_the_scores(tmp_path: Path) -> None:
    raw = params.read(EXAMPLE)
    real = raw["real"]
    for name, dataset in real["datasets"].items():
        first_rows(tmp_path, dataset)
        dataset["splits"] |= {"validation": 20} | ({"train": 100, "test": 40} if name == "alpaca" else {})
    for model in real["models"].values():
        model["pretraining"] |= {"max_steps": 3, "warmup_steps": 1, "per_device_train_batch_size": 4}
        model["dimensions"] |= {"hidden_size": 32, "num_hidden_layers": 2}
        model["tokenizer"]["vocab_size"] = 1000
    for study in ARMS:
        shortened(real[study])
    real["alpaca"]["evaluation"]["max_new_tokens"] = 4
    YAML().dump(raw, tmp_path / "params.yaml")
    done = chained.run(tmp_path, commands(raw))
    assert done.returncode == 0, done.stdout + done.stderr
    card = files.read_json(tmp_path / "data/pretraining/card.json")
    assert card["splits"]["train"]["num_rows"] > 400
    assert files.read_json(tmp_path / "reports/snli/s.json")["test"]["n"] == ROWS
    baseline = files.read_json(tmp_path / "reports/snli/b.json")["test"]
    assert set(baseline["shallow"]) == set(baselines.SHALLOW)
    assert all(0 < accuracy < 1 for accuracy in baseline["shallow"].values())
    assert baseline["accuracy"] == baseline["shallow"]["hypothesis_ngrams"]
    scores = files.read_json(tmp_path / "reports/multinli/s.json")
    assert set(scores) == {"test_matched", "validation", "probes", "snli/test"}
    assert scores["test_matched"]["n"] == ROWS
    assert 0 <= files.read_json(tmp_path / "reports/multinli_llm/s.json")["test_matched"]["accuracy"] <= 1
    assert files.read_json(tmp_path / "reports/alpaca/s.json")["test"]["n"] == 40
