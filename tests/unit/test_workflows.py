"""The workflows ask for no more than they need, run nothing that someone could swap, and a linter in `make lint` says so."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftbench import params

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
WRITERS = {("comment.yml", "comment"): {"actions": "read", "contents": "read", "pull-requests": "write"}}
ANYONES = r"\$\{\{[^}]*\b(?:title|body|head_ref|head_branch|head_sha|ref|ref_name|login|label|message|inputs)\b"


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in params.read(path)["jobs"].items():
            yield path.name, name, job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for file, _, job in jobs():
        for step in job["steps"]:
            yield file, step


def zizmor(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the linter as `make lint` does, on another folder."""
    (line,) = re.findall(r"^\t\$\(BIN\)/(zizmor .*)\.github$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    program, *options = line.split()
    found = shutil.which(program, path=str(Path(sys.executable).parent)) or shutil.which(program)
    assert found, "zizmor is not installed: it is in the extra `test`"
    return subprocess.run([found, *options, str(folder)], capture_output=True, text=True, check=False, timeout=60)


def test_there_are_workflows():
    assert {path.name for path in WORKFLOWS} == {"test.yml", "results.yml", "comment.yml", "gpu.yml", "audit.yml"}


def test_every_action_is_pinned_by_a_commit_with_its_version_beside_it():
    lines = [line for path in WORKFLOWS for line in path.read_text(encoding="utf-8").splitlines() if "uses:" in line]
    assert len(lines) > 8
    assert not [line for line in lines if not re.search(r"uses: actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)]
    versions = {tuple(re.findall(r"uses: (\S+)@(\w+) # (\S+)", line)[0]) for line in lines}
    assert len(versions) == len({action for action, _, _ in versions}), "one commit per action"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_workflow_starts_from_reading_at_most_and_never_runs_a_pull_request_with_a_token(path):
    workflow = params.read(path)
    assert workflow["permissions"] in ({}, {"contents": "read"})
    assert "concurrency" in workflow
    assert "pull_request_target" not in path.read_text(encoding="utf-8")
    assert "secrets." not in path.read_text(encoding="utf-8")
    if "pull_request" in workflow["on"]:
        assert "github.token" not in path.read_text(encoding="utf-8")


def test_only_the_comment_may_be_written_and_by_the_default_branch_alone():
    assert {(file, name): job["permissions"] for file, name, job in jobs() if "permissions" in job} == WRITERS
    assert list(params.read(ROOT / ".github/workflows/comment.yml")["on"]) == ["workflow_run"]
    checkout = next(step for file, step in steps() if file == "comment.yml" and "checkout" in step.get("uses", ""))
    assert checkout["with"] == {"persist-credentials": False}  # no `ref`: the default branch


def test_every_job_ends_by_itself_and_no_checkout_leaves_a_token_behind():
    assert not [(file, name) for file, name, job in jobs() if "timeout-minutes" not in job]
    checkouts = [step["with"] for _, step in steps() if "actions/checkout@" in step.get("uses", "")]
    assert len(checkouts) >= 5
    assert all(one["persist-credentials"] is False for one in checkouts)


def test_no_text_of_others_becomes_part_of_a_command():
    assert not [step["run"] for _, step in steps() if "${{" in step.get("run", "")]
    assert re.search(ANYONES, "echo ${{ github.event.pull_request.title }}")  # what it would look like


def test_the_linter_finds_nothing_in_the_workflows():
    done = zizmor(ROOT / ".github")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    steps:\n", "    stepz:\n"),  # not a workflow
        ("runs-on: ubuntu-24.04", "run-on: ubuntu-24.04"),
        ("name: test\n", "name: [test\n"),  # not YAML
        ("- run: make lint", '- run: echo "${{ github.event.pull_request.title }}"'),
        ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7"),
        ("          persist-credentials: false\n", "          fetch-depth: 1\n"),
        ("  pull_request:\n", "  pull_request_target:\n"),
        ("permissions:\n  contents: read\n", "permissions: write-all\n"),
    ],
)
def test_the_linter_finds_what_is_broken_or_dangerous(tmp_path, old, new):
    text = (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")
    assert old in text
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "test.yml").write_text(text.replace(old, new), encoding="utf-8")
    assert zizmor(tmp_path / ".github").returncode != 0
