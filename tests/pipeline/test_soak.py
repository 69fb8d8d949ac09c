"""The soak in small: a few kills, one round of edits and two runs of a small project, with nothing lost and nothing left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import described
import pytest

SOAK = Path(__file__).parents[2] / "soak"


def soak(script: str, out: Path, *options: str) -> dict[str, Any]:
    """Run a script of the soak beside a record of others, and return its own."""
    out.write_text('{"schema_version": 1, "another": {"n": 1}}')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    done = subprocess.run(
        [sys.executable, str(SOAK / script), "--out", str(out), *options],
        env=environment, cwd=out.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    found: dict[str, Any] = json.loads(out.read_text())
    assert found.pop("another") == {"n": 1}
    assert found.pop("schema_version") == 1
    [own] = found.values()
    assert own["faults"] == 0
    assert own["outputs_compared"] > 10
    assert own.keys() <= described.fields("reports/reliability.json")
    return own  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("script", "options", "counted"),
    [
        ("kills.py", ["--kills", "3", "--no-hardships", "--studies", "snli"], "kills"),
        ("edits.py", ["--rounds", "1"], "rounds"),
    ],
)
def test_what_was_disturbed_or_edited_ends_with_the_same_bytes(tmp_path: Path, script: str, options: list[str], counted: str) -> None:
    assert soak(script, tmp_path / "reliability.json", *options)[counted] == int(options[1])


def test_two_runs_of_a_small_project_give_the_same_results_and_given_the_same_measurements_the_same_pages(tmp_path: Path) -> None:
    assert soak("repeat.py", tmp_path / "reliability.json", "--small")["pages_compared"] > 10
