"""Pipelines of shell commands in a DVC repository of their own, and how their stages end under `ftbench repro`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

CODE = "import sys; from ftbench import scheduling, workers; place = workers.here(int(sys.argv[1]), {gpus}); "
CODE += "sys.exit(scheduling.repro(place, keep_going={keep_going}))"
RUN = [sys.executable, "-c", CODE.format(gpus="()", keep_going=False)]


def empty_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty DVC repository, as the current folder."""
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / ".dvc/tmp/site"))
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    analytics = false\n")
    (tmp_path / ".dvc/.gitignore").write_text("*\n")
    return tmp_path


def pipeline(**stages: dict) -> None:
    """Write dvc.yaml: of each stage its command, and its deps, outs or params; without outs, one named after it."""
    written = {name: {"outs": [f"{name}.txt"], **stage} for name, stage in stages.items()}
    yaml = YAML(typ="safe", pure=True)
    yaml.sort_base_mapping_type_on_output = False
    with Path("dvc.yaml").open("w") as stream:
        yaml.dump({"stages": written}, stream)


def repro(jobs: int = 2, expected: int = 0, run: list[str] = RUN) -> str:
    done = subprocess.run([*run, str(jobs)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    assert done.returncode == expected, done.stdout
    return done.stdout


def ended(told: str) -> list[tuple[str, str]]:
    """(stage, how it ended) in the order in which they did."""
    return re.findall(r"^\[\d+/\d+\] (\S+): (\w+),", told, re.MULTILINE)


def dvc(*words: str) -> str:
    return subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True, check=True).stdout
