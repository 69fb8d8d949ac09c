"""What the steps of a training spend their time on: kinds of operations, shares, and a stage as DVC has it. Nothing here is timed."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks/profile_steps.py"
STEPPING = """\
import sys, torch
from pathlib import Path
layer = torch.nn.Linear(64, 64)
optimiser = torch.optim.AdamW(layer.parameters(), fused=True)
for _ in range(int(sys.argv[1])):
    torch.nn.functional.gelu(layer(torch.ones(8, 64))).sum().backward()
    optimiser.step()
Path("ended").touch()
"""


@pytest.fixture(scope="module")
def steps():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    yield importlib.import_module("profile_steps")
    sys.path.remove(str(ROOT / "benchmarks"))


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("aten::addmm", "matrix products"), ("aten::mm", "matrix products"), ("aten::bmm", "matrix products"),
        ("aten::_scaled_dot_product_flash_attention_for_cpu_backward", "fused attention, softmax"),
        ("aten::_softmax", "fused attention, softmax"),
        ("aten::_log_softmax", "loss"), ("aten::nll_loss_forward", "loss"), ("aten::native_layer_norm_backward", "normalisation"),
        ("aten::gelu_backward", "activation"), ("aten::bernoulli_", "dropout"), ("aten::embedding_dense_backward", "embedding"),
        ("aten::_foreach_mul_", "optimiser"), ("aten::_fused_adamw_", "optimiser"), ("bitsandbytes::dequantize_4bit", "4-bit"),
        ("aten::copy_", "copies and casts"), ("aten::mul", "other operations"), ("aten::add_", "other operations"),
    ],
)  # fmt: skip
def test_an_operation_is_of_the_kind_that_its_name_says(steps, operation, kind):
    assert steps.kind(operation) == kind


def test_seconds_of_operations_are_summed_by_kind_and_the_rest_is_pythons(steps):
    named = {"autograd::engine::evaluate_function: AddmmBackward0": 0.5, "AddmmBackward0": 0.5, "Optimizer.step#AdamW.step": 0.5}
    found = steps.by_kind({"aten::mm": 3.0, "aten::addmm": 1.0, "aten::mul": 2.0, **named}, seconds=10.0)
    assert {name: taken for name, taken in found.items() if taken} == {"matrix products": 4.0, "other operations": 2.0, steps.PYTHON: 4.0}
    assert sum(found.values()) == 10.0
    with pytest.raises(ValueError, match="operations of 3"):
        steps.by_kind({"aten::mm": 3.0}, seconds=1.0)


def test_the_table_shows_shares_and_what_takes_most_first(steps):
    kinds = {**dict.fromkeys([*steps.KINDS, steps.OTHER, steps.PYTHON], 0.0), "matrix products": 1.0, "loss": 3.0}
    environment = {"processor": "a processor", "num_cores": 2, "num_threads": 1}
    lines = steps.rendered({"stages": {"a": {"steps": 8, "seconds": 4.0, "kinds": kinds}}, "environment": environment}).splitlines()
    assert lines[:5] == ["| share of a step | `a` |", "|---|---:|", "| loss | 75% |", "| matrix products | 25% |", "| ms a step | 500 |"]
    assert lines[-1] == "8 steps of each, one stage at a time, 1 threads. Measured on: a processor, 2 cores."


def stage(steps, folder: Path, num_steps: object):
    """A stage whose script makes some steps, as DVC would have it."""
    from types import SimpleNamespace

    script = folder / "stepping.py"
    script.write_text(STEPPING, encoding="utf-8")
    return SimpleNamespace(addressing="stepping", cmd=f"python stepping.py {num_steps}", deps=[SimpleNamespace(fs_path=str(script))])


def test_a_stage_is_profiled_in_a_folder_of_its_own_and_stopped_after_its_steps(steps, tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    (tmp_path / "params.yaml").touch()
    found = steps.measured(stage(steps, tmp_path, 10_000_000))
    assert found["steps"] == steps.STEPS
    assert found["seconds"] > 0
    assert {name for name, taken in found["kinds"].items() if taken > 0} >= {"matrix products", "activation", "optimiser"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["params.yaml", "stepping.py"]


def test_a_stage_of_too_few_steps_is_named(steps, tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    (tmp_path / "params.yaml").touch()
    with pytest.raises(steps.UserError, match=r"stepping\n.*fewer than 50 steps"):
        steps.measured(stage(steps, tmp_path, steps.SKIPPED + steps.STEPS - 1))


def test_a_stage_that_fails_is_told_with_what_it_says(steps, tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    (tmp_path / "params.yaml").touch()
    with pytest.raises(steps.UserError, match=r"it failed, exit code 1:(?s:.)*ValueError: invalid literal"):
        steps.measured(stage(steps, tmp_path, "many"))


def test_a_stage_that_reads_what_is_not_there_is_told_to_run_the_pipeline_first(steps, tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    one = stage(steps, tmp_path, 1)
    (tmp_path / "stepping.py").unlink()
    with pytest.raises(steps.UserError, match="make repro"):
        steps.measured(one)


def test_what_is_no_stage_ends_the_command_with_one_message():
    done = subprocess.run([sys.executable, str(SCRIPT), "train_snli@qkv-nf4"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert "did you mean 'train_snli@qkv-nf4-" in done.stderr
    assert "Traceback" not in done.stderr
