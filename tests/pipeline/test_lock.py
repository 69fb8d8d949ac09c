"""What git holds is the last real `make repro` of this very tree: code, params and tracked results are those that dvc.lock names."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import closure
import pytest
from ruamel.yaml import YAML

from ftbench import params

ROOT = closure.ROOT
MEND = "run `make repro` and commit dvc.lock and reports/, or `dvc commit` where no result can differ"


@pytest.fixture(scope="module")
def lock():
    with (ROOT / "dvc.lock").open() as stream:
        return YAML(typ="safe").load(stream)["stages"]


@pytest.fixture(scope="module")
def tracked():
    return subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def folder_md5(folder: Path) -> str:
    """As DVC hashes a folder: the md5 of its list of files, as compact JSON, sorted by path."""
    listed = ", ".join(
        f'{{"md5": "{md5(path)}", "relpath": "{path.relative_to(folder).as_posix()}"}}'
        for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).parts)
        if path.is_file()
    )
    return hashlib.md5(f"[{listed}]".encode(), usedforsecurity=False).hexdigest() + ".dir"


def test_every_stage_of_the_pipeline_is_in_the_lock_and_no_other(lock):
    from dvc.repo import Repo

    assert set(lock) == {stage.addressing for stage in Repo(str(ROOT)).index.stages}
    assert len(lock) > 150


def test_the_code_is_the_code_that_made_the_results(lock):
    ends = (".py", ".html", ".css", ".js", ".yaml")
    code = {dep["path"]: dep["md5"] for stage in lock.values() for dep in stage["deps"] if dep["path"].endswith(ends)}
    assert len(code) > 60
    changed = [path for path, known in sorted(code.items()) if md5(ROOT / path) != known]
    assert not changed, MEND


def test_the_params_are_those_that_made_the_results(lock):
    raw = params.read(ROOT / "params.yaml")
    recorded = {key: value for stage in lock.values() for key, value in stage.get("params", {}).get("params.yaml", {}).items()}
    assert len(recorded) > 60
    changed = [key for key, value in sorted(recorded.items()) if params.find(raw, *key.split(".")) != value]
    assert not changed, MEND


def test_the_results_in_git_are_those_of_the_lock(lock, tracked):
    outs = {out["path"]: out["md5"] for stage in lock.values() for out in stage["outs"] if out["path"].startswith("reports")}
    kept = {path: known for path, known in outs.items() if any(name == path or name.startswith(f"{path}/") for name in tracked)}
    assert len(kept) > 20
    found = {path: folder_md5(ROOT / path) if known.endswith(".dir") else md5(ROOT / path) for path, known in kept.items()}
    assert found == kept, MEND
