"""What the documents name exists: links, files, make targets, commands, keys of params.yaml, fields of result files."""

import copy
import fnmatch
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ftbench import grid, params, schema

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    "README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/adding-things.md", "docs/results-schema.md", "docs/pitfalls.md", "docs/remotes.md",
    "docs/cluster.md", "docs/crashes.md", "docs/reliability.md", "docs/benchmarks.md", "docs/parallel.md",
]  # fmt: skip
CODE_FOLDERS = ("stages/", "src/", "docs/", "tests/", "benchmarks/", "soak/", "examples/", ".github/", ".ci/")
KEPT_ELSEWHERE = ("data/", "models/", "reports/", ".ftbench/")
WRITTEN_BY_A_COMMAND = ["reports/*/sweeps/*.json"]  # and not by a stage
MADE_BY_THE_READER = {"stages/train_ia3.py"}  # the example of a new method
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
PLACEHOLDER = re.compile(r"<\w+>|\$\{[^}]*\}")


def text(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def fenced(document: str, language: str) -> list[str]:
    return [body for found, body in FENCE.findall(text(document)) if found == language]


def spans(document: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", text(document)))


def commands(document: str) -> list[str]:
    lines = [line.split("#")[0].strip() for body in fenced(document, "bash") for line in body.splitlines()]
    return [command for command in [*lines, *spans(document)] if command]


def every(pattern: str) -> list[tuple[str, str]]:
    """(document, what the pattern's group found) over the commands of all documents."""
    return [(document, found) for document in DOCUMENTS for command in commands(document) for found in re.findall(pattern, command)]


@pytest.fixture(scope="module")
def raw():
    return params.read(ROOT / "params.yaml")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_to_a_file(document):
    links = re.findall(r"\]\(([^)#]+)\)", text(document))
    missing = [link for link in links if not link.startswith("https://") and not (ROOT / document).parent.joinpath(link).exists()]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_code_file_that_is_named_exists(document):
    named = {word for span in spans(document) for word in span.split() if word.startswith(CODE_FOLDERS)} - MADE_BY_THE_READER
    missing = [path for path in named if not any(ROOT.glob(PLACEHOLDER.sub("*", path)))]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_result_that_is_named_comes_from_the_pipeline(document):
    made = [PLACEHOLDER.sub("*", path) for path in re.findall(r"(?:data|models|reports)(?:/[\w.${}-]+)+", text("dvc.yaml"))]
    made += WRITTEN_BY_A_COMMAND
    named = {span for span in spans(document) if span.startswith(KEPT_ELSEWHERE) and " " not in span and span.count("/") > 1}
    named -= {span for span in named if span.startswith(".ftbench/")}
    unknown = []
    for span in named:
        path = PLACEHOLDER.sub("x", span).rstrip("/")
        made_here = any(fnmatch.fnmatch(path, pattern) or pattern.startswith(f"{path}/") for pattern in made)
        inside = any(fnmatch.fnmatch(path, f"{pattern}/*") for pattern in made)
        by_pattern = any(_alike(span, pattern) for pattern in made)
        if not (made_here or inside or by_pattern):
            unknown.append(span)
    assert not unknown


def _alike(span: str, pattern: str) -> bool:
    """Whether two paths with placeholders have the same folders, one of either's placeholders standing for the other's word."""
    mine, other = PLACEHOLDER.sub("*", span).rstrip("/").split("/"), pattern.split("/")
    return len(mine) <= len(other) and all(
        fnmatch.fnmatch(one, two) or fnmatch.fnmatch(two, one) for one, two in zip(mine, other, strict=False)
    )


def test_every_make_target_that_is_named_exists():
    targets = set(re.findall(r"^([a-z][\w-]*):", text("Makefile"), re.MULTILINE))
    named = every(r"^make ([a-z][\w-]*)")
    assert {"repro", "test"} <= {target for _, target in named}
    assert not [(document, target) for document, target in named if target not in targets]


def test_a_pull_request_is_checked_by_the_commands_that_contributing_describes():
    assert os.access(ROOT / ".ci/run", os.X_OK)
    targets = set(re.findall(r"^make ([a-z-]+)$", text(".ci/run"), re.MULTILINE))
    jobs = params.read(ROOT / ".github/workflows/test.yml")["jobs"]
    run = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    before_a_push = set(re.findall(r"^\| `make ([a-z-]+)` \|", text("CONTRIBUTING.md"), re.MULTILINE))
    assert sorted(run) == sorted(f"make {target}" for target in before_a_push - {"repro"})
    assert targets == before_a_push - {"repro", "check-lock", "check-report"} == {"lint", "check", "test"}


def test_every_dvc_command_that_is_named_exists():
    from dvc.cli.parser import get_main_parser

    known = next(action.choices for action in get_main_parser()._actions if action.dest == "cmd")
    named = every(r"^dvc ([a-z-]+)")
    assert named
    assert not [(document, command) for document, command in named if command not in known]


def test_every_ray_command_that_is_named_exists():
    from ray.scripts.scripts import cli

    named = every(r"^ray ([a-z]+)")
    assert named
    assert not [(document, command) for document, command in named if command not in cli.commands]


def test_every_ftbench_command_that_is_named_exists():
    from ftbench import cli

    known = next(action.choices for action in cli.parser()._actions if action.dest == "command")
    named = every(r"^ftbench ([a-z]+)")
    assert named
    assert not [(document, command) for document, command in named if command not in known]


def test_every_ftbench_command_line_that_is_shown_is_one_that_it_takes():
    from ftbench import cli

    lines = [line.split("#")[0] for document in DOCUMENTS for body in fenced(document, "bash") for line in body.splitlines()]
    shown = [shlex.split(line)[1:] for line in lines if line.strip().startswith("ftbench ")]
    assert {"plan", "predict", "ask", "chat"} <= {words[0] for words in shown}
    for words in shown:
        cli.parser().parse_args(words)  # exits where it does not take them


def test_every_setting_that_a_command_changes_exists_with_a_value_that_is_allowed(raw):
    changes = every(r"-S ([\w.]+=\S+)")
    assert changes
    for document, change in changes:
        key, value = change.split("=")
        *path, last = key.split(".")
        block = params.find(raw, *path)
        assert last in block, (document, key)
        assert isinstance(block[last], str) or float(value), (document, change)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_key_of_params_that_is_named_exists(document, raw):
    keys = [span for span in spans(document) if re.fullmatch(r"(<scale>|offline|paper|studies)(\.[\w<>]+)+", span)]
    assert not [key for key in keys if not _matches(raw, key.split("."))]


def _matches(block: object, path: list[str]) -> bool:
    """Whether a path of keys exists, `<name>` standing for any key."""
    if not path:
        return True
    if not isinstance(block, dict):
        return False
    names = block if path[0].startswith("<") else [path[0]]
    return any(_matches(block[name], path[1:]) for name in names if name in block)


def test_the_settings_that_are_named_for_arms_exist():
    known = {field for model in (schema.LoraAdapter, schema.PromptAdapter, schema.Training) for field in model.model_fields}
    sentence = re.search(r"Adapters use PEFT's names.*?\n\n", text("docs/adding-things.md"), re.DOTALL).group()
    named = set(re.findall(r"`(\w+)`", sentence))
    assert named
    assert named <= known


def test_the_readme_lists_the_studies_with_their_models(raw):
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|", text("README.md"), re.MULTILINE)
    listed = {study: re.findall(r"`(\w+)`", models) for study, models in rows}
    assert listed == {
        name: [study.model] if study.model else study.factors["model"]
        for name, study in ((name, grid.study(raw, name)) for name in raw["studies"])
    }


def test_the_arm_that_the_readme_adds_passes_the_check(raw):
    from ftbench import checks

    level, sibling, study, *modules = re.search(
        r"example `(\w+)` beside `(\w+)` in the study `(\w+)`.*?`target_modules` to `(\w+)` and `(\w+)`", text("README.md"), re.DOTALL
    ).groups()
    added = copy.deepcopy(raw)
    next(levels for levels in added["studies"][study]["factors"].values() if sibling in levels).append(level)
    for scale in grid.scales(added):
        block = copy.deepcopy(added[scale][study][sibling])
        block["adapter"]["target_modules"] = modules
        added[scale][study][level] = block
    assert f"{level}-nf4" in grid.arms(checks.everything(added, ROOT)[study])


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if name not in ("docs/results-schema.md", "docs/reliability.md")])
def test_no_measured_figure_is_written_by_hand(document):
    by_hand = re.sub(r"<!-- written by .*?<!-- end of what is written -->", "", text(document), flags=re.DOTALL)
    prose = re.sub(r"`[^`]*`", "", FENCE.sub("", by_hand))
    prose = re.sub(r"Python 3\.\d+|Apache 2\.0|YAML 1\.\d", "", prose)
    assert not re.findall(r"\d+\.\d+|\d+ ?%|\d+ (?:seconds|minutes|points)", prose)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_path_of_one_machine_is_written(document):
    assert not re.findall(r"(?<![\w.>-])/(?:home|root|tmp|work|usr|opt|Users|mnt)\b", text(document))


def test_the_fields_of_the_accounts_are_described(raw):
    from ftbench import accounting, printed

    described = set(re.findall(r"`([\w.]+)`", text("docs/results-schema.md")))
    claim = printed.counts()["adapter_qkv_share"]
    record = next(iter(next(iter(accounting.every_arm({**_only(raw, "paper")})["paper"].values())).values()))
    fields = {*claim, *claim["configuration"], *printed.sizes()["mnli_train_examples"], *record, *record["memory_bytes"]}
    fields |= {*record["step_bytes"], *record["host_bytes"], *record["run"]}
    assert not fields - described


def _only(raw, scale):
    return {"scale": scale, "studies": {"snli": raw["studies"]["snli"]}, scale: raw[scale]}


def test_the_metrics_in_git_are_described(raw):
    described = set(re.findall(r"`([\w.]+)`", text("docs/results-schema.md")))
    fields = set()
    paths = list(ROOT.glob("reports/*/metrics.json"))
    assert len(paths) == len(raw["studies"])
    for path in paths:
        for metrics in json.loads(path.read_text()).values():
            fields |= set(metrics) if isinstance(metrics, dict) else set()
    undescribed = {re.sub(r"_(mismatched|ci_low|ci_high)", "", field) for field in fields} - described
    assert not undescribed


def test_the_cheap_commands_of_the_readme_run():
    for command in ([sys.executable, "-m", "ftbench.cli", "check"], ["make", "-n", "repro"], ["make", "-n", "test"]):
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        assert result.returncode == 0, (command, result.stderr)
