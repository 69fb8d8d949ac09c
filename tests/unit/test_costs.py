"""The record of what a stage cost."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ftbench import costs, files


def test_a_record_holds_seconds_memory_and_what_it_ran_on(tmp_path: Path) -> None:
    import torch

    with costs.measure(tmp_path / "resources.csv") as record:
        time.sleep(0.6)
        record["num_examples"] = 5
        record["seconds"] = {"training": 0.5}
    assert 0.6 <= record["seconds"]["total"] < 5
    assert record["seconds"]["training"] == 0.5
    memory = record["memory"]
    assert 0 < memory["mean_resident_bytes"] <= memory["p99_resident_bytes"] <= memory["peak_resident_bytes"]
    environment = record["environment"]
    assert environment["num_threads"] == torch.get_num_threads()
    assert environment["versions"]["torch"].startswith("2.")
    assert environment["processor"]
    assert json.loads(files.canonical_json(record))["num_examples"] == 5
    lines = (tmp_path / "resources.csv").read_text().splitlines()
    assert lines[0] == "seconds,cpu_percent,resident_bytes,gpu_percent,gpu_bytes"
    seconds = [float(line.split(",")[0]) for line in lines[1:]]
    assert len(seconds) >= 3, "at either end and every quarter of a second between"
    assert seconds == sorted(seconds)


def test_a_record_of_a_process_without_torch_does_not_load_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    environment = costs.environment()
    assert "torch" not in sys.modules
    assert (environment["num_threads"], environment["gpu"], environment["deterministic_algorithms"]) == (3, None, None)
    assert environment["versions"]["torch"], "what is installed is said all the same"


def test_results_do_not_depend_on_the_number_of_cores_unless_a_user_asks_for_threads() -> None:
    import os
    import subprocess
    import sys

    def threads(**asked: str) -> str:
        named = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = {name: value for name, value in os.environ.items() if name not in named} | asked
        command = [sys.executable, "-c", "import ftbench, torch; print(torch.get_num_threads())"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    assert threads() == "1"
    assert threads(OMP_NUM_THREADS="2", MKL_NUM_THREADS="2") == "2"


def test_a_block_that_fails_writes_nothing_and_leaves_no_thread(tmp_path: Path) -> None:
    import threading

    before = threading.active_count()
    with pytest.raises(ValueError, match="broken"), costs.measure(tmp_path / "resources.csv"):
        raise ValueError("broken")
    assert threading.active_count() == before
    assert list(tmp_path.iterdir()) == []


def test_what_is_saved_is_counted_from_the_files_themselves(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file(
        {"a": torch.zeros(3, 4), "b": torch.zeros(5), "c": torch.tensor(1.0)}, tmp_path / "weights.safetensors", metadata={"format": "pt"}
    )
    (tmp_path / "config.json").write_text("{}")
    size = (tmp_path / "weights.safetensors").stat().st_size + 2
    assert costs.on_disk(tmp_path) == {"bytes": size, "saved_parameters": 3 * 4 + 5 + 1}
