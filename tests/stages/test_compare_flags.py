"""What the compare stage says of trainings that look wrong."""

import json
import shutil

import pyarrow as pa
import pytest
from comparing import compare, read

from ftbench import files


@pytest.fixture
def root(untouched, tmp_path):
    shutil.copytree(untouched, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_what_looks_wrong_in_a_training_is_flagged(compared, root):
    found = read(compared, "comparison.json")["flags"]
    assert found["qkv-nf4"][0] == {
        "seed": 0,
        "flag": "far_start",
        "says": "its loss starts at 2, far from ln 3 = 1.099, which a guess costs",
    }
    assert {one["flag"] for ones in found.values() for one in ones} == {"far_start"}
    assert read(compared, "comparison.json", "alpaca")["flags"] == {}  # a guess at an answer costs something else
    shutil.copy(root / "reports/snli/predictions/zero_shot-0.parquet", root / "kept.parquet")
    table = files.read_parquet(root / "kept.parquet")
    elsewhere = files.read_parquet(root / "reports/snli/predictions/qkv-unquantised-1.parquet")
    others = elsewhere.filter(["/" in split for split in elsewhere["split"].to_pylist()])
    files.write_parquet(root / "reports/snli/predictions/qkv-unquantised-1.parquet", pa.concat_tables([table, others]))
    scores = json.loads((root / "reports/snli/scores/zero_shot-0.json").read_text())
    own = json.loads((root / "reports/snli/scores/qkv-unquantised-1.json").read_text())
    for split in ("test", "validation", "probes"):
        own[split] |= {name: value for name, value in scores[split].items() if name != "wordings"}
        own[split].setdefault("written", {"n": 180, "accuracy": 0.5, "num_invalid": 9})
    files.write_json(
        root / "reports/snli/scores/qkv-unquantised-1.json", {name: one for name, one in own.items() if name != "schema_version"}
    )
    done = compare(root)
    assert done.returncode == 0, done.stderr
    assert [
        (one["seed"], one["flag"]) for one in read(root, "comparison.json")["flags"]["qkv-unquantised"] if one["flag"] != "far_start"
    ] == [(1, "no_effect")]
