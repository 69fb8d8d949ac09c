"""The shrunken pipeline end to end: what a run leaves, what a change and its undoing run again, and what DVC's commands show of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import shrunken

from ftbench import params

CHANGED = "offline.multinli.lora.learning_rate.own"
FOLLOWING = {"train_multinli@lora-own-0", "evaluate_multinli@lora-own-0", "compare@multinli", "account", "report"}


@contextlib.contextmanager
def changed(folder: Path, edit) -> Iterator[None]:
    """params.yaml as `edit` leaves it, until the block ends."""
    path = folder / "params.yaml"
    before = path.read_bytes()
    raw = params.read(path)
    edit(raw)
    shrunken.write(folder, raw)
    try:
        yield
    finally:
        path.write_bytes(before)


def ran(printed: str) -> set[str]:
    """The stages that a `dvc repro` ran."""
    return set(re.findall(r"^Running stage '(.+)':", printed, re.MULTILINE))


def test_every_stage_runs_on_the_params_that_it_declares(pipeline):
    """The fixture hides from each stage what it does not declare; a stage that reads more would have stopped."""
    told = (pipeline / "printed").read_text()
    ended = re.findall(r"^\[\d+/(\d+)\] (\S+): ran, [\d.]+ s$", told, re.MULTILINE)
    declared = json.loads((pipeline / "declared.json").read_text())
    assert {name for _, name in ended} == set(declared)
    assert {int(total) for total, _ in ended} == {len(declared)}
    assert len(declared) >= 35


def test_a_stage_that_does_not_declare_what_it_reads_stops_and_names_it(tmp_path):
    """Or the test above could not fail."""
    folder = shrunken.copy(tmp_path)
    text = (folder / "dvc.yaml").read_text()
    (folder / "dvc.yaml").write_text(text.replace("      - ${scale}.datasets.${item.dataset}\n", "", 1))
    shrunken.hide_what_is_not_declared(folder)
    assert json.loads((folder / "declared.json").read_text())["prepare@alpaca"] == ["scale"]
    printed = shrunken.run(folder, "dvc", "repro", "prepare@alpaca", expected=255)
    assert 'prepare: to mend:\nparams.yaml: scale\n  found:   "offline"\n  allowed: a block of that name' in printed
    assert not (folder / "data/alpaca").exists()


def test_a_run_leaves_what_people_read(pipeline):
    for study in shrunken.FACTORS:
        metrics = json.loads((pipeline / f"reports/{study}/metrics.json").read_text())
        assert metrics
        assert (pipeline / f"reports/{study}/README.md").read_text().startswith(f"# Study {study}")
    assert json.loads((pipeline / "reports/accounting.json").read_text())["scales"]["offline"]
    assert json.loads((pipeline / "reports/alpaca/answers.json").read_text())["answers"]


def test_a_token_of_the_hub_stands_in_no_file_of_a_whole_run(pipeline):
    """Neither in outputs nor in logs, DVC's notes or its cache."""
    files = [path for path in pipeline.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {"logs", "tmp", "cache", "reports", "models"} <= {part for path in files for part in path.relative_to(pipeline).parts}
    assert len(files) > 300
    assert [str(path) for path in files if shrunken.TOKEN.encode() in path.read_bytes()] == []


def test_git_sees_what_people_read_and_not_what_dvc_keeps(pipeline):
    tracked = shrunken.run(pipeline, "git", "ls-files").splitlines()
    assert {"dvc.lock", "reports/README.md", "reports/multinli/metrics.json", "reports/multinli/usage/lora-own.csv"} <= set(tracked)
    assert not [path for path in tracked if path.startswith(("data/", "models/")) or re.search("/(predictions|costs|resources)/", path)]
    assert not [path for path in tracked if path.endswith("/.gitignore") and path.startswith("reports")]


def test_several_at_once_give_the_same_bytes_as_dvc_repro_one_by_one_on_all_params(pipeline, tmp_path):
    other = shrunken.copy(tmp_path)
    printed = shrunken.run(other, "dvc", "repro", "evaluate_snli@qkv-nf4-0")
    assert {"checkpoint@phi_2", "train_snli@qkv-nf4-0", "evaluate_snli@qkv-nf4-0"} < ran(printed)
    ours, theirs = shrunken.results(pipeline), shrunken.results(other)
    assert {"reports/snli/predictions/qkv-nf4-0.parquet", "models/snli/qkv-nf4-0/adapter_model.safetensors"} <= set(theirs)
    assert [name for name, content in theirs.items() if ours[name] != content and name != "dvc.lock"] == []
    whole, part = shrunken.locked(pipeline), shrunken.locked(other)
    assert set(part) == ran(printed)
    for stage in (*whole.values(), *part.values()):
        stage["deps"] = [entry for entry in stage["deps"] if entry["path"] != "src/ftbench/params.py"]  # which the fixture changes
    assert {name: whole[name] for name in part} == part


def test_a_second_run_has_nothing_to_do(pipeline):
    before = (pipeline / "dvc.lock").read_bytes()
    assert "nothing to do" in shrunken.run(pipeline, "ftbench", "repro")
    assert ran(shrunken.run(pipeline, "dvc", "repro")) == set()
    assert (pipeline / "dvc.lock").read_bytes() == before


def test_a_change_runs_what_depends_on_it_and_undoing_it_trains_nothing(pipeline):
    before = shrunken.results(pipeline)

    def edit(raw):
        raw["offline"]["multinli"]["lora"]["learning_rate"]["own"] = 0.0035  # no other test's value: what one has run, DVC finds again

    with changed(pipeline, edit):
        told = shrunken.run(pipeline, "ftbench", "repro", "--jobs", "2")
        assert set(re.findall(r"^\[\d+/\d+\] (\S+): ran", told, re.MULTILINE)) == FOLLOWING
        assert CHANGED in shrunken.run(pipeline, "dvc", "params", "diff")
        after = shrunken.results(pipeline)
        moved = {name for name in before if before[name] != after[name]}
        assert "models/multinli/lora-own-0/adapter_model.safetensors" in moved
        assert {name.split("/")[-1].split(".")[0] for name in moved if name.startswith("reports")} == {"lora-own-0"}
    printed = shrunken.run(pipeline, "dvc", "repro")
    assert ran(printed) == {"compare@multinli", "account", "report"}
    assert len(re.findall(r"is cached - skipping run", printed)) == 2
    assert shrunken.results(pipeline) == before
    assert "Data and pipelines are up to date" in shrunken.run(pipeline, "dvc", "status")


def test_keeping_going_past_an_arm_that_fails_leaves_a_partial_report_elsewhere_that_names_it(pipeline):
    script = pipeline / "stages/train_lora.py"
    whole = script.read_text()
    start = "def main(job: arms.Job) -> None:\n"
    assert start in whole
    script.write_text(whole.replace(start, start + '    if job.arm == "lora-own":\n        raise RuntimeError("made to fail")\n'))
    partial = pipeline / ".ftbench/partial"
    try:
        told = shrunken.run(pipeline, "ftbench", "repro", "--jobs", "2", "--keep-going", expected=1)
    finally:
        script.write_text(whole)
    assert "RuntimeError: made to fail" in told
    assert "evaluate_multinli@lora-shared-0" in re.findall(r"^\[\d+/\d+\] (\S+):", told, re.MULTILINE)
    assert re.search(r"^not run: .*evaluate_multinli@lora-own-0.*report", told, re.MULTILINE)
    assert "partial report, of what finished: .ftbench/partial/README.md" in told
    assert shrunken.run(pipeline, "git", "status", "--porcelain", "reports") == ""  # the whole one is as it was
    front = (partial / "README.md").read_text()
    assert "This report is partial" in front
    assert re.search(r"train_multinli(@|&#64;)lora-own-0 +\| failed, exit code 1", front)
    assert "Partial: without `lora-own`, which did not finish." in (partial / "multinli/README.md").read_text()
    metrics = json.loads((partial / "multinli/metrics.json").read_text())
    assert "lora-shared" in metrics
    assert "lora-own" not in metrics  # though the evaluation of an earlier run lies in the workspace
    assert (partial / "snli/metrics.json").read_bytes() == (pipeline / "reports/snli/metrics.json").read_bytes()
    told = shrunken.run(pipeline, "ftbench", "repro")
    assert re.search(r"train_multinli@lora-own-0: (restored|unchanged)", told)
    assert shrunken.run(pipeline, "git", "status", "--porcelain", "reports") == ""


def test_arms_trained_on_a_cluster_whose_node_dies_midway_are_those_trained_here(pipeline, tmp_path, monkeypatch):
    from ray.cluster_utils import Cluster

    def edit(raw):
        raw["offline"]["multinli"]["lora"]["training"]["weight_decay"] = 0.0123  # of both arms

    other = tmp_path / "other"
    try:
        with changed(pipeline, edit):
            shutil.copytree(pipeline, other, symlinks=True)
            shutil.rmtree(other / ".ftbench")
            path = os.pathsep.join([str(other / "src"), os.environ.get("PYTHONPATH", "")])
            environment = {**shrunken.environment(other), "PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0"}
            for name, value in environment.items():
                monkeypatch.setenv(name, value)  # before the nodes start: they hand it to the stages
            one_core = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
            cluster = Cluster(initialize_head=True, head_node_args={**one_core, "include_dashboard": False})
            try:
                second = cluster.add_node(**one_core)
                words = [sys.executable, "-m", "ftbench.cli", "repro", "--engine", "ray", "--address", cluster.address]
                process = subprocess.Popen(words, cwd=other, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                logs = [other / f".ftbench/logs/train_multinli@lora-{rate}-0.log" for rate in ("own", "shared")]
                deadline = time.monotonic() + 60
                while not all(log.exists() for log in logs):
                    assert process.poll() is None, process.communicate()[0]
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                cluster.remove_node(second, allow_graceful=False)
                told, _ = process.communicate(timeout=300)
            finally:
                cluster.shutdown()
            assert process.returncode == 0, told
            assert len(re.findall(r"^train_multinli@lora-\w+-0: lost after .*; it is started again$", told, re.MULTILINE)) == 1
            monkeypatch.undo()
            told = shrunken.run(pipeline, "ftbench", "repro", "--jobs", "2")
            assert set(re.findall(r"^\[\d+/\d+\] (train_\S+): ran", told, re.MULTILINE)) == {
                "train_multinli@lora-own-0",
                "train_multinli@lora-shared-0",
            }
            ours, theirs = shrunken.results(pipeline), shrunken.results(other)
            assert [name for name, content in ours.items() if theirs[name] != content] == []
            assert set(ours) == set(theirs)
    finally:
        shrunken.run(pipeline, "ftbench", "repro")


def test_an_experiment_from_the_command_line_is_the_same_change_and_the_readmes_commands_show_it(pipeline):
    before, expected = shrunken.results(pipeline), params.read(pipeline / "params.yaml")
    expected["offline"]["multinli"]["lora"]["learning_rate"]["own"] = 0.004
    try:
        printed = shrunken.run(pipeline, "dvc", "exp", "run", "-S", f"{CHANGED}=4e-3")
        assert ran(printed) == FOLLOWING
        raw = params.read(pipeline / "params.yaml")
        assert json.dumps(raw) == json.dumps(expected)  # nothing else changed, and no factor its place
        assert isinstance(params.find(raw, *CHANGED.split(".")), float)
        assert "lora-own" in shrunken.run(pipeline, "dvc", "metrics", "diff")
        shrunken.run(pipeline, "dvc", "plots", "diff")
        assert "reports/multinli/curves/lora-own.csv" in (pipeline / "dvc_plots/index.html").read_text()
    finally:
        shrunken.run(pipeline, "git", "reset", "--quiet", "--hard")
        shrunken.run(pipeline, "dvc", "checkout")
        for ref in shrunken.run(pipeline, "git", "for-each-ref", "--format=%(refname)", "refs/exps").split():
            shrunken.run(pipeline, "git", "update-ref", "-d", ref)
    assert shrunken.results(pipeline) == before
    assert "Data and pipelines are up to date" in shrunken.run(pipeline, "dvc", "status")


def test_removing_an_arm_names_the_files_that_it_leaves(pipeline):
    def edit(raw):
        raw["studies"]["multinli"]["factors"]["rate"].remove("own")
        del raw["offline"]["multinli"]["lora"]["learning_rate"]["own"]

    with changed(pipeline, edit):
        printed = shrunken.run(pipeline, "dvc", "repro", "--single-item", "compare@multinli")
    assert "predictions/lora-own-0.parquet belongs to no arm" in printed
    comparison = json.loads((pipeline / "reports/multinli/comparison.json").read_text())
    assert "predictions/lora-own-0.parquet" in comparison["orphans"]
    assert "lora-own" not in json.loads((pipeline / "reports/multinli/metrics.json").read_text())
    shrunken.run(pipeline, "dvc", "repro", "--single-item", "compare@multinli")


def test_a_mistake_in_params_stops_before_anything_runs(pipeline):
    def edit(raw):
        raw["offline"]["snli"]["qkv"]["training"]["optim"] = "adamv_torch_fused"
        raw["offline"]["multinli"]["lora"]["learning_rate"]["own"] = -1.0

    with changed(pipeline, edit):
        printed = shrunken.run(pipeline, "ftbench", "repro", expected=2)
    assert "did you mean 'adamw_torch_fused'?" in printed
    assert CHANGED in printed


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["dag"], r"train_multinli@lora-own-0"),
        (["dag", "--mermaid", "--collapse-foreach-matrix"], r"evaluate_alpaca"),
        (["metrics", "show"], r"reports/multinli/metrics.json"),
        (["metrics", "diff", "--all"], r"lora-own.accuracy\b"),
        (["stage", "list"], r"train_snli@qkv-nf4-0 +an arm of snli"),
    ],
)
def test_dvc_shows_the_pipeline(pipeline, command, shown):
    assert re.search(shown, shrunken.run(pipeline, "dvc", *command))


def test_dvc_draws_every_arm_and_the_arms_over_each_other(pipeline, tmp_path):
    shrunken.run(pipeline, "dvc", "plots", "show", "--out", str(tmp_path))
    page = (tmp_path / "index.html").read_text()
    specifications = [json.loads(one) for one in re.findall(r"var spec = (\{.*?\});\n", page, re.DOTALL)]
    titles = [one["title"]["text"] for one in specifications]
    assert "reports/multinli/curves/lora-own.csv" in titles
    overlaid = next(one for one in specifications if one["title"]["text"].endswith("multinli, training loss"))
    assert {row["filename"] for row in overlaid["data"]["values"]} >= {"lora-own.csv", "lora-shared.csv"}
    assert overlaid["encoding"]["y"]["field"] == "loss"
    assert "reports/multinli/usage/lora-own.csv" in titles
    used = next(one for one in specifications if one["title"]["text"].endswith("multinli, resident memory"))
    assert {row["filename"] for row in used["data"]["values"]} >= {"lora-own.csv", "lora-shared.csv"}
    assert used["encoding"]["detail"]["field"] == "seed"
    for folder in ("confusion", "calibration"):
        assert f"reports/multinli/{folder}/lora-own.csv" in titles
        found = next(one for one in specifications if one["title"]["text"].endswith(f"multinli, {folder}"))
        assert {row["filename"] for row in found["data"]["values"]} >= {"lora-own.csv", "lora-shared.csv"}
    assert "reports/multinli/cost.csv" in titles
    # of the one arm of a study, too, the file's name is left, from which the chart has the arm's
    alone = next(one for one in specifications if one["title"]["text"].endswith("prompting, confusion"))
    assert {row["filename"] for row in alone["data"]["values"]} == {"reports/prompting/confusion/soft_prompt.csv"}
    assert len(alone["data"]["values"]) == 9
