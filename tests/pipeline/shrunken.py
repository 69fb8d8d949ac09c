"""The pipeline in a copy of the repository, cut down until it runs in a minute or two: one or two arms per study, tiny models and data."""

from __future__ import annotations

import fnmatch
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ftbench import params

ROOT = Path(__file__).parents[2]
COPIED = (
    "src",
    "stages",
    "dvc.yaml",
    ".dvc/config",
    ".dvc/plots",
    ".dvc/.gitignore",
    ".dvcignore",
    ".gitignore",
    "README.md",
    "reports/coverage.json",
)
FACTORS = {
    "snli": {"adapter": ["qkv"], "precision": ["nf4"]},
    "multinli": {"method": ["lora"], "rate": ["shared", "own"]},
    "multinli_controls": {"control": ["hypothesis_only"]},
    "multinli_llm": {"method": ["study_layer"], "pooling": ["last_token"]},
    "prompting": {"method": ["soft_prompt"]},
    "alpaca": {"model": ["bloom_3b"], "budget": ["equal"]},
}
BASELINES = {"snli": ["majority"], "multinli": ["untrained_head"], "multinli_llm": [], "prompting": ["zero_shot"], "alpaca": ["bloom_3b"]}
REFERENCES = {"multinli": "lora-shared", "multinli_llm": "study_layer-last_token", "alpaca": "bloom_3b-equal"}
DIMENSIONS = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
TOKEN = "hf_planted_and_in_no_file_of_a_run"  # noqa: S105  nobody's
RESULTS = (
    "models/*",
    "data/*",
    "reports/*/predictions/*",
    "reports/*/scores/*",
    "reports/*/learning/*",
)  # the rest holds seconds and memory
ROWS = {"train": 48, "validation": 12, "test": 30, "test_matched": 30, "test_mismatched": 24}


def settings() -> dict[str, Any]:
    """params.yaml, cut down: every stage group is left, most of it with one member."""
    raw = params.read(ROOT / "params.yaml")
    offline = raw["offline"]
    for name, study in raw["studies"].items():
        study["factors"], study["seeds"] = FACTORS[name], [0]
        study["baselines"] = BASELINES.get(name, study["baselines"])
        study["reference"] = REFERENCES.get(name, study["reference"])
        if study.get("three_shot"):
            study["three_shot"] = ["bloom_3b"]
        levels = [level for names in FACTORS[name].values() for level in names]
        kept = {"text", "evaluation", "three_shot", *levels, *study["baselines"]}
        offline[name] = {key: block for key, block in offline[name].items() if key in kept}
        for level in levels:
            _shorten(offline[name].get(level, {}), levels)
    for dataset in offline["datasets"].values():
        rows = {"train": 900, "validation": 60} if dataset["task"] == "pretraining" else ROWS
        dataset["splits"] = {split: rows[split] for split in dataset["splits"]}
    for model in offline["models"].values():
        model["dimensions"] |= {key: value for key, value in DIMENSIONS.items() if key in model["dimensions"]}
        model["pretraining"] |= {"max_steps": 3, "per_device_train_batch_size": 4, "warmup_steps": 1}
    offline["alpaca"]["evaluation"]["max_new_tokens"] = 4
    offline["multinli"]["lora"]["training"] |= {"eval_strategy": "steps", "eval_steps": 2}  # a sweep reads the last validation
    offline["sweeps"] = {"learning_rate": offline["sweeps"]["learning_rate"]}  # the others are of arms that are left out
    own = offline["multinli"]["lora"]["learning_rate"]["own"]
    offline["sweeps"]["learning_rate"] |= {"arms": ["lora-own"], "values": [own / 2, own], "seeds": [0]}
    return {"scale": "offline", "studies": raw["studies"], "offline": offline}


def _shorten(block: dict[str, Any], levels: list[str]) -> None:
    # two steps; of a setting that depends on another factor, the levels that are left
    for setting, value in block.items():
        if isinstance(value, dict) and set(value) & set(levels):
            block[setting] = {level: one for level, one in value.items() if level in levels}
    training = block.get("training", {})
    for one in [training] if "optim" in training else training.values():
        for key in ("num_train_epochs", "eval_steps"):
            one.pop(key, None)
        one |= {"max_steps": 2, "per_device_train_batch_size": 4, "logging_steps": 1, "eval_strategy": "no"}


def write(folder: Path, content: Mapping[str, Any]) -> None:
    """Write a params.yaml."""
    stream, yaml = io.StringIO(), YAML(typ="safe", pure=True)
    yaml.sort_base_mapping_type_on_output = False  # the order of factors makes the names of arms
    yaml.dump(dict(content), stream)
    (folder / "params.yaml").write_text(stream.getvalue(), encoding="utf-8")


def copy(folder: Path) -> Path:
    """A copy of the repository in `folder`, cut down and committed to a git repository of its own."""
    for name in COPIED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, target)
    for study in ("multinli", "alpaca"):
        (folder / f"reports/{study}/sweeps").mkdir(parents=True)
        (folder / f"reports/{study}/sweeps/.gitkeep").touch()  # the report depends on the folder, which git keeps only with a file in it
    write(folder, settings())
    run(folder, "git", "init", "--quiet")
    return folder


def commit(folder: Path) -> None:
    """Commit everything in the copy."""
    run(folder, "git", "add", "--all")
    run(folder, "git", "-c", "user.name=tests", "-c", "user.email=tests@localhost", "commit", "--quiet", "--message", "as it is")


def run(folder: Path, *command: str, expected: int = 0) -> str:
    """Run a command in the copy, on the copy's code, and return what it printed; `dvc` and `ftbench` are this environment's."""
    known = {"dvc": [sys.executable, "-m", "dvc"], "ftbench": [sys.executable, "-m", "ftbench.cli"]}
    done = subprocess.run(
        [*known.get(command[0], command[:1]), *command[1:]],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == expected, f"{' '.join(command)} gave {done.returncode}:\n{done.stdout[-6000:]}"
    return done.stdout


def environment(folder: Path) -> dict[str, str]:
    """The environment of a command in the copy."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "GIT_"))}
    own = {"PATH": path, "PYTHONPATH": str(folder / "src"), "DVC_SITE_CACHE_DIR": str(folder / ".dvc/tmp/site"), "HF_HUB_OFFLINE": "1"}
    return {**kept, **own, "HF_TOKEN": TOKEN}


def results(folder: Path) -> dict[str, bytes]:
    """The files of a run that are a function of data, params and code alone, by path, and dvc.lock without the hashes of the others."""
    paths = {path.relative_to(folder).as_posix(): path for top in ("data", "models", "reports") for path in (folder / top).rglob("*")}
    found = {
        name: path.read_bytes()
        for name, path in paths.items()
        if path.is_file() and any(fnmatch.fnmatch(name, pattern) for pattern in RESULTS)
    }
    return {**found, "dvc.lock": json.dumps(locked(folder), sort_keys=True).encode()}


def locked(folder: Path) -> dict[str, Any]:
    """dvc.lock as data; of files that hold seconds or memory, and of folders with such files, no hash and no size."""
    stages = YAML(typ="safe", pure=True).load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    for stage in stages.values():
        for entry in (*stage.get("deps", []), *stage.get("outs", [])):
            if entry["path"].startswith("reports/") and not any(fnmatch.fnmatch(entry["path"], pattern) for pattern in RESULTS):
                for key in ("md5", "size", "nfiles"):
                    entry.pop(key, None)
    return dict(stages)


def hide_what_is_not_declared(folder: Path) -> None:
    """From here on each stage of the copy sees a params.yaml that holds only the keys which dvc.yaml declares for it."""
    declared = json.loads(run(folder, sys.executable, "-c", DECLARED))
    (folder / "declared.json").write_text(json.dumps(declared), encoding="utf-8")  # committed, so that experiments have it too
    module = folder / "src/ftbench/params.py"
    module.write_text(module.read_text(encoding="utf-8") + HIDING, encoding="utf-8")


# {stage: the keys of params.yaml that it declares, [] for all of them}
DECLARED = """
import json
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
found = {}
for stage in Repo().index.stages:
    found[stage.addressing] = [key for dep in stage.deps if isinstance(dep, ParamsDependency) for key in dep.params]
print(json.dumps(found))
"""

# what follows `read` in the copy's ftbench/params.py
HIDING = """

_read_whole = read


def read(path=PATH):
    import os

    raw, stage = _read_whole(path), os.environ.get("DVC_STAGE")
    keys = stage and json.loads(Path("declared.json").read_text())[stage]
    if not keys:
        return raw
    cut = {}
    for key in keys:
        *folders, last = key.split(".")
        source, target = raw, cut
        for folder in folders:
            source, target = source[folder], target.setdefault(folder, {})
        target[last] = source[last]
    return cut
"""
