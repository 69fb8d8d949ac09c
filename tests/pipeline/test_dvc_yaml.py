"""dvc.yaml says what the scripts do: the code they import, the params they read, and what of their outputs is kept where."""

from __future__ import annotations

import fnmatch
import json
import re
from collections import defaultdict

import closure
import pytest

from ftbench import grid, params

ROOT = closure.ROOT
GROUPS = {
    "prepare",
    "checkpoint",
    "compare",
    "compare_alpaca",
    "baseline_alpaca_three_shot",
    "account",
    "report",
    *(
        f"{what}_{study}"
        for study in ("snli", "multinli", "multinli_controls", "multinli_llm", "prompting", "alpaca")
        for what in ("train", "evaluate", "baseline")
        if (what, study) != ("baseline", "multinli_controls")  # it has none: a group without members
    ),
}
NAME_IT = "name every arm under `plots:` of dvc.yaml, in each drawing as its siblings are"
EXPENSIVE = ("prepare", "checkpoint", "train_", "evaluate_", "baseline_")


@pytest.fixture(scope="module")
def stages():
    """Every stage of the pipeline, by group."""
    from dvc.repo import Repo

    groups = defaultdict(list)
    for stage in Repo(str(ROOT)).index.stages:
        groups[stage.name.split("@")[0]].append(stage)
    return groups


@pytest.fixture(scope="module")
def raw():
    return params.read(ROOT / "params.yaml")


def code(stage):
    """The module files that a stage declares."""
    from dvc.dependency import ParamsDependency

    paths = [dep.def_path for dep in stage.deps if not isinstance(dep, ParamsDependency)]
    return {path for path in paths if path.startswith(("src/", "stages/"))}


def keys(stage):
    """The keys of params.yaml that a stage declares."""
    from dvc.dependency import ParamsDependency

    return [key for dep in stage.deps if isinstance(dep, ParamsDependency) for key in dep.params]


def script(stage):
    return re.search(r"stages/\w+\.py", stage.cmd)[0]


def test_the_stage_groups_are_those_of_the_design(stages):
    assert set(stages) == GROUPS


def test_the_number_of_stages_follows_from_the_grid(stages, raw):
    studies = {name: grid.study(raw, name) for name in raw["studies"]}
    trained = sum(len(grid.arms(study)) * len(study.seeds) for study in studies.values())
    baselines = sum(len(grid.baselines(study)) for study in studies.values())
    assert sum(map(len, stages.values())) == 4 + 6 + 2 * trained + baselines + len(studies) + 2


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_declared_code_is_what_the_scripts_import(stages, group):
    """A group lists its modules once, so they are those that any of its members' scripts imports; each has only its own script."""
    scripts = {script(stage) for stage in stages[group]}
    wanted = set().union(*(closure.of(one) for one in scripts)) - scripts
    for stage in stages[group]:
        declared = code(stage) - {script(stage)}
        assert script(stage) in code(stage)
        assert not wanted - declared, f"{stage.name} imports, but does not declare: {', '.join(sorted(wanted - declared))}"
        assert not declared - wanted, f"{stage.name} declares, but does not import: {', '.join(sorted(declared - wanted))}"


def test_every_script_is_run_by_a_stage_of_some_group(stages):
    run = {script(stage) for group in stages.values() for stage in group}
    assert run == {path.relative_to(ROOT).as_posix() for path in (ROOT / "stages").glob("*.py")}


def test_no_stage_depends_on_a_folder_of_code(stages):
    declared = {path for group in stages.values() for stage in group for path in code(stage)}
    assert len(declared) > 50
    assert not [path for path in declared if not (ROOT / path).is_file()]


def test_every_stage_declares_the_scale(stages):
    assert not [stage.name for group in stages.values() for stage in group if "scale" not in keys(stage) and stage.name != "account"]


def test_every_setting_of_the_scale_is_declared_by_a_stage(stages, raw):
    """A setting that no stage declares could be changed without anything becoming stale."""
    declared = {key for group in stages.values() for stage in group for key in keys(stage)}

    def lacking(block, place):
        if place in declared:
            return []
        if not isinstance(block, dict) or not block:
            return [place]
        return [name for key, value in block.items() for name in lacking(value, f"{place}.{key}")]

    settings = {name: block for name, block in raw[raw["scale"]].items() if name != "sweeps"}  # they only say what `ftbench sweep` tries
    assert not lacking(settings, raw["scale"])


def test_no_stage_but_the_account_of_everything_reads_the_sweeps(stages):
    assert not [stage.name for group in stages.values() for stage in group if any("sweeps" in key for key in keys(stage))]


def test_the_report_depends_on_the_sweeps_of_every_study_that_has_one(stages, raw):
    swept = {sweep["study"] for scale in grid.scales(raw) for sweep in raw[scale].get("sweeps", {}).values()}
    assert {f"reports/{study}/sweeps" for study in swept} <= {dep.def_path for dep in stages["report"][0].deps}


def test_what_is_expensive_is_kept_in_the_cache(stages):
    """One out without cache would keep the stage out of the run cache: going back to an earlier value would train again."""
    outs = [(group, out) for group, members in stages.items() if group.startswith(EXPENSIVE) for stage in members for out in stage.outs]
    assert len(outs) > 300
    assert not [str(out) for _, out in outs if not out.use_cache]


def test_what_people_read_is_kept_in_git(stages):
    outs = [out for group, members in stages.items() if not group.startswith(EXPENSIVE) for stage in members for out in stage.outs]
    assert len(outs) > 30
    assert not [str(out) for out in outs if out.use_cache]


def test_git_ignores_just_what_dvc_keeps(stages):
    lines = (ROOT / ".gitignore").read_text().splitlines()
    ignored = [line.strip("/") for line in lines if line.startswith(("/data", "/models", "/reports"))]
    for group in stages.values():
        for out in (out for stage in group for out in stage.outs):
            inside = any(fnmatch.fnmatch(out.def_path, f"{pattern}/*") for pattern in ignored)
            assert inside == out.use_cache, out.def_path


def test_every_study_has_one_metrics_file(stages, raw):
    metrics = [str(out) for group in stages.values() for stage in group for out in stage.outs if out.metric]
    assert sorted(metrics) == sorted(f"reports/{study}/metrics.json" for study in raw["studies"])


@pytest.mark.parametrize(
    "drawn",
    [
        "curves: loss", "curves: eval_loss", "curves: learning_rate", "curves: grad_norm", "usage: resident_bytes", "usage: cpu_percent",
        "usage: gpu_bytes", "usage: gpu_percent",
    ],
)  # fmt: skip
def test_what_is_drawn_over_each_other_is_of_all_arms(raw, drawn):
    folder, column = drawn.split(": ")
    found = re.findall(rf"reports/(\w+)/{folder}/([\w-]+)\.csv: {column}\n", (ROOT / "dvc.yaml").read_text())
    arms = [(study, arm) for study in raw["studies"] for arm in grid.arms(grid.study(raw, study))]
    assert len(arms) >= 28
    assert sorted(found) == sorted(arms), NAME_IT


@pytest.mark.parametrize("drawn", ["confusion: gold", "calibration: accuracy", "curves: eval_accuracy"])
def test_confusion_calibration_and_validation_accuracy_are_drawn_of_all_arms_on_pairs(stages, raw, drawn):
    folder, column = drawn.split(": ")
    found = re.findall(rf"reports/(\w+)/{folder}/([\w-]+)\.csv: {column}\n", (ROOT / "dvc.yaml").read_text())
    arms = [(study, arm) for study in raw["studies"] if study != "alpaca" for arm in grid.arms(grid.study(raw, study))]
    assert len(arms) >= 22
    assert sorted(found) == sorted(arms), NAME_IT
    outs = {out.def_path for stage in stages["compare"] for out in stage.outs if out.plot}
    assert {f"reports/{study}/{folder}" for study, _ in arms} <= outs
    read = [dep.def_path for dep in stages["report"][0].deps if dep.def_path.endswith(f"/{folder}")]
    assert bool(read) == (folder == "curves")  # the others stand in comparison.json


def test_every_template_holds_what_dvc_fills_in_and_dvc_yaml_uses_it():
    paths = sorted((ROOT / ".dvc/plots").glob("*.json"))
    templates = {path.stem: json.loads(path.read_text()) for path in paths}
    assert set(templates) == set(re.findall(r" template: (\w+)\n", (ROOT / "dvc.yaml").read_text()))
    for name, template in templates.items():
        assert template["data"] == {"values": "<DVC_METRIC_DATA>"}, name
        assert template["title"]["text"] == "<DVC_METRIC_TITLE>", name
        for axis in ("X", "Y"):
            assert f'"field": "<DVC_METRIC_{axis}>"' in (ROOT / f".dvc/plots/{name}.json").read_text(), name


def test_scores_are_drawn_against_cost_in_the_words_of_every_study(stages, raw):
    outs = {out.def_path: out.plot for name in ("compare", "compare_alpaca") for stage in stages[name] for out in stage.outs}
    labels = {study: outs[f"reports/{study}/cost.csv"]["y_label"] for study in raw["studies"]}
    assert labels == {study: grid.study(raw, study).primary_metric for study in raw["studies"]}
    assert "reports/snli/cost.csv" not in {dep.def_path for dep in stages["report"][0].deps}


@pytest.mark.parametrize("name", ["confusion", "calibration", "calibration_arms"])
def test_revisions_stand_side_by_side_each_arm_under_its_own_name(name):
    """Vega-Lite puts cells of a grid under wrong headers where its rows or columns have a `sort`; by itself it sorts them by name.

    DVC takes `filename` out of the points of a single file where a template holds any anchor that DVC may leave out.
    """
    text = (ROOT / f".dvc/plots/{name}.json").read_text()
    facet = json.loads(text)["facet"]
    assert facet["column"]["field"] == "rev"
    assert not [place for place, one in facet.items() if "sort" in one]
    if "datum.filename" in text:
        assert set(re.findall(r"<DVC_METRIC_(\w+)>", text)) == {"DATA", "TITLE", "X", "Y", "X_LABEL", "Y_LABEL"}


def test_a_group_without_members_is_ready_for_the_first():
    """Its script and modules are those of the other groups of baselines, though DVC does not see them yet."""
    text = (ROOT / "dvc.yaml").read_text()
    lists = {
        group: set(re.findall(r"src/ftbench/[\w/]+\.py", text[text.index(f"\n  {group}:\n") :].split("    outs:")[0]))
        for group in ("baseline_multinli", "baseline_multinli_controls")
    }
    assert len(lists["baseline_multinli"]) > 20
    assert lists["baseline_multinli_controls"] == lists["baseline_multinli"]


def test_every_base_model_is_kept_from_the_tests_of_every_study(stages, raw):
    wanted = {f"data/{grid.study(raw, name).dataset}" for name in raw["studies"]}
    assert len(stages["checkpoint"]) == len(raw[raw["scale"]]["models"])
    for stage in stages["checkpoint"]:
        assert set(re.search(r"--tests ((?:data/\w+ ?)+)", stage.cmd)[1].split()) == wanted
        assert wanted <= {dep.def_path for dep in stage.deps}
