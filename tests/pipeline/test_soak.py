"""The soak in small: a few kills and one round of edits on a small project, with nothing lost and nothing left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "soak"


@pytest.mark.parametrize(
    ("script", "options", "key", "counted"),
    [
        ("kills.py", ["--kills", "3", "--no-hardships", "--studies", "snli"], "kills", "kills"),
        ("edits.py", ["--rounds", "1"], "edits", "rounds"),
    ],
)
def test_what_was_disturbed_or_edited_ends_with_the_same_bytes(
    tmp_path: Path, script: str, options: list[str], key: str, counted: str
) -> None:
    out = tmp_path / "reliability.json"
    out.write_text('{"schema_version": 1, "another": {"n": 1}}')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    done = subprocess.run(
        [sys.executable, str(SOAK / script), "--out", str(out), *options],
        env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    found = json.loads(out.read_text())
    assert found["another"] == {"n": 1}
    assert found[key]["faults"] == 0
    assert found[key][counted] == int(options[1])
    assert found[key]["outputs_compared"] > 10
