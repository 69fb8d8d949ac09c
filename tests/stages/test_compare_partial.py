"""What the compare stage makes of a study of which some did not finish."""

import json
import shutil
import subprocess
import sys

import pytest
from comparing import REPOSITORY, read


@pytest.fixture
def root(untouched, tmp_path):
    shutil.copytree(untouched, tmp_path, dirs_exist_ok=True)
    return tmp_path


def partial(root, *gone):
    """Compare what is left of snli without some predictions, in a folder of its own."""
    out = root / ".ftbench/partial/snli"
    shutil.copytree(root / "reports/snli", out)
    for stem in gone:
        (out / f"predictions/{stem}.parquet").unlink()
    command = [sys.executable, REPOSITORY / "stages/compare.py", "--study", "snli", "--out", out, "--partial"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False), out


def test_a_partial_comparison_leaves_out_what_lacks_a_file_and_names_it(compared, root):
    done, out = partial(root, "qkv-nf4-1", "majority-0")
    assert done.returncode == 0, done.stderr
    found = json.loads((out / "comparison.json").read_text())
    whole = read(compared, "comparison.json")
    assert whole["reference"] == "qkv-nf4"
    assert found["reference"] is None
    assert found["absent"] == ["qkv-nf4", "majority"]
    assert set(found["entries"]) == set(whole["entries"]) - {"qkv-nf4", "majority"}
    assert found["orphans"] == []  # its other files are no strangers
    assert "absent" not in whole
    assert not (root / "reports/snli/metrics.json").exists()


def test_a_partial_comparison_of_all_files_is_the_whole_one(compared, root):
    done, out = partial(root)
    assert done.returncode == 0, done.stderr
    assert (out / "comparison.json").read_bytes() == (compared / "reports/snli/comparison.json").read_bytes()


def test_a_partial_comparison_never_stands_where_git_keeps_the_whole_one(compared, root):
    shutil.copytree(compared / "reports/snli", root / "reports/snli", dirs_exist_ok=True)
    before = {path: path.read_bytes() for path in (root / "reports/snli").rglob("*") if path.is_file()}
    command = [sys.executable, REPOSITORY / "stages/compare.py", "--study", "snli", "--out", "reports/snli", "--partial"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "elsewhere than under reports/" in done.stderr
    assert {path: path.read_bytes() for path in (root / "reports/snli").rglob("*") if path.is_file()} == before


def test_a_partial_comparison_of_no_arm_is_refused(root):
    arms = [path.stem for path in (root / "reports/snli/predictions").glob("*-*-*.parquet")]
    done, out = partial(root, *arms)
    assert done.returncode == 2
    assert "no arm of the study has all its files" in done.stderr
    assert not (out / "metrics.json").exists()
