"""A project as small as can be that still has every kind of stage: two studies of one arm, in a folder of its own.

It is the tests' shrunken copy of the repository without the other studies, with a checkpoint after every training step, so that a run
that was cut short has something to go on from.
"""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/pipeline"))

import shrunken

STUDIES = {"snli": "phi_2", "alpaca": "bloom_3b"}  # each with its base model
MEASURED = ("reports/*/costs/*", "reports/*/resources/*", "reports/*/usage/*", "reports/*/cost.json", "reports/*/cost.csv")
# pages that show seconds and memory: they are compared where the measurements are the same ones
OF_BOTH = (
    "reports/README.md",
    "reports/index.html",
    "reports/ledger.json",
    "reports/*/README.md",
    "reports/*/figures/*",
    "reports/figures/*",
)
STEPS = 12  # of a training


def settings(studies: Sequence[str]) -> dict[str, Any]:
    """params.yaml of the small project."""
    raw = shrunken.settings()
    offline = raw["offline"]
    raw["studies"] = {name: raw["studies"][name] for name in studies}
    raw["offline"] = {name: offline[name] for name in ("datasets", "models", *studies)}
    raw["offline"]["datasets"] = {name: offline["datasets"][name] for name in (*studies, "pretraining")}
    raw["offline"]["models"] = {name: offline["models"][name] for name in (STUDIES[study] for study in studies)}
    raw["studies"]["snli"]["baselines"] = ["majority", "zero_shot"] if len(studies) > 1 else ["majority"]
    for block in (offline["snli"]["qkv"]["training"], offline["alpaca"]["bloom_3b"]["training"]["equal"]):
        block["max_steps"] = STEPS
    return raw


def pipeline(path: Path, studies: Sequence[str]) -> None:
    """Cut dvc.yaml down to what the small project has."""
    yaml = YAML(typ="safe", pure=True)
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = 10**6
    content = yaml.load(path.read_text(encoding="utf-8"))
    content.pop("plots")
    kept = {"prepare", "checkpoint", "compare", "account", "report"} | ({"compare_alpaca"} if "alpaca" in studies else set())
    kept |= {f"{kind}_{study}" for kind in ("train", "evaluate", "baseline") for study in studies}
    kept |= {"baseline_alpaca_three_shot"} if "alpaca" in studies else set()
    content["stages"] = stages = {name: stage for name, stage in content["stages"].items() if name in kept}
    stages["prepare"]["matrix"]["dataset"] = [*studies, "pretraining"]
    stages["checkpoint"]["matrix"]["model"] = [STUDIES[study] for study in studies]
    stages["compare"]["foreach"] = {"snli": stages["compare"]["foreach"]["snli"]}
    others = "|".join(name for name in shrunken.FACTORS if name not in studies)
    gone = re.compile(rf"(?:data|reports)/(?:{others})(?:/|$)")
    for stage in stages.values():
        stage = stage.get("do", stage)
        stage["cmd"] = re.sub(rf" --transfer data/(?:{others})(?= )| data/(?:{others})(?= )", "", stage["cmd"])
        for key in ("deps", "outs"):
            paths = [one if isinstance(one, str) else next(iter(one)) for one in stage.get(key, [])]
            stage[key] = [one for one, path in zip(stage.get(key, []), paths, strict=True) if not gone.match(path)]
    with path.open("w", encoding="utf-8") as stream:
        yaml.dump(content, stream)


def make(folder: Path, studies: Sequence[str] = tuple(STUDIES), checkpoint_every_step: bool = True) -> Path:
    """The small project in a new folder, not yet run."""
    folder.mkdir(parents=True)
    shrunken.copy(folder)
    shrunken.write(folder, settings(studies))
    pipeline(folder / "dvc.yaml", studies)
    if checkpoint_every_step:
        module = folder / "src/ftbench/training.py"
        text, number = re.subn(r"^CHECKPOINT_SECONDS = \S+", "CHECKPOINT_SECONDS = 0.0", module.read_text(encoding="utf-8"), flags=re.M)
        assert number == 1
        module.write_text(text, encoding="utf-8")
    return folder


def start(folder: Path, *options: str, **given: Any) -> subprocess.Popen[str]:
    """`ftbench repro` in a project, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "ftbench.cli", "repro", *options],
        cwd=folder,
        env={**shrunken.environment(folder), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        **given,
    )


def repro(folder: Path, *options: str, expected: int = 0) -> str:
    """Run `ftbench repro` in a project to its end, and return what it told."""
    return shrunken.run(folder, "ftbench", "repro", "--jobs", "2", *options, expected=expected)


def results(folder: Path, stages: Set[str] | None = None) -> dict[str, str]:
    """{output: hash} of all that is a function of data, params and code alone, as dvc.lock has it; of some stages, or of all."""
    lock = YAML(typ="safe", pure=True).load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    kept = [stage for name, stage in lock.items() if stages is None or name in stages]
    outs = {out["path"]: out["md5"] for stage in kept for out in stage.get("outs", [])}
    return {path: md5 for path, md5 in sorted(outs.items()) if not is_measured(path)}


def is_measured(path: str) -> bool:
    """Whether an output holds seconds or memory, or is a page that shows them."""
    return any(fnmatch.fnmatch(f"{path}{end}", pattern) for pattern in (*MEASURED, *OF_BOTH) for end in ("", "/"))


def left_behind(folder: Path) -> list[str]:
    """What a run that has ended well must not leave: paths in use, scratch checkpoints, temporary files, records of failures."""
    found = []
    in_use = folder / ".dvc/tmp/rwlock"
    if in_use.exists() and any(json.loads(in_use.read_text(encoding="utf-8")).values()):
        found.append(".dvc/tmp/rwlock names paths in use")
    for place in (".ftbench/scratch", ".ftbench/failures"):
        found += [path.relative_to(folder).as_posix() for path in (folder / place).glob("*")]
    for top in ("data", "models", "reports"):
        for path in (folder / top).rglob(".*"):
            if path.name not in (".gitignore", ".gitkeep"):
                found.append(path.relative_to(folder).as_posix())
    return found + [path.relative_to(folder).as_posix() for name in (".dvc.lock.*", ".dvc/tmp/.rwlock.*") for path in folder.glob(name)]


def differing(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """The outputs that two runs do not have alike."""
    return sorted(path for path in {*ours, *theirs} if ours.get(path) != theirs.get(path))


def check(folder: Path, expected: Mapping[str, str]) -> tuple[int, list[str]]:
    """How many results a project that was brought to its end has, and what is wrong: results that differ, and what must not be left."""
    found = results(folder)
    faults = [f"{folder.name}: {path} differs" for path in differing(found, expected)]
    faults += [f"{folder.name}: {path} was left" for path in left_behind(folder)]
    if "nothing to do" not in repro(folder):
        faults.append(f"{folder.name}: another run finds something to do")
    shrunken.run(folder, "dvc", "status")  # no lock keeps DVC out
    return len(found), faults
