"""The suite may skip for three reasons, named in conftest.py; for any other a skip is a failure."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

TESTS = """\
import pytest

def test_without_a_gpu():
    pytest.skip("no GPU")

@pytest.mark.skipif(True, reason="../shared/data is absent")
def test_without_the_shared_data():
    pass

@pytest.mark.xfail(reason="known")
def test_that_fails_as_expected():
    assert False

@pytest.mark.skip(reason="not today")
def test_put_off():
    pass

def test_without_a_package():
    pytest.importorskip("no_such_package")

def test_that_passes():
    pass
"""
MODULE = """\
import pytest
pytest.skip("the whole file", allow_module_level=True)
"""


def run(folder: Path) -> str:
    shutil.copy(Path(__file__).parents[1] / "conftest.py", folder / "conftest.py")
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "--rootdir", str(folder), "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


def test_a_skip_for_another_reason_than_a_missing_gpu_or_the_missing_data_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(TESTS)
    out = run(tmp_path)
    assert "1 failed, 1 passed, 2 skipped, 1 xfailed, 1 error" in out  # a mark skips before the test starts: an error
    assert sorted(re.findall(r"^(?:FAILED|ERROR) test_some.py::(\w+)", out, re.MULTILINE)) == ["test_put_off", "test_without_a_package"]
    assert "skipped because: not today" in out
    assert "allowed reasons: no GPU; ../shared/data is absent; no Chromium" in out


def test_a_file_that_skips_itself_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "test_whole.py").write_text(MODULE)
    out = run(tmp_path)
    assert "1 error" in out
    assert "skipped because: the whole file" in out
