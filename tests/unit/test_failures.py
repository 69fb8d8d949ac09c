"""What is said of a stage that failed: out of memory with what was predicted."""

from __future__ import annotations

from pathlib import Path

import fabricated
import pytest

from ftbench import cli, failures, files, partial_report, stage


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """params.yaml of a study, and its accounting at the scale offline."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(fabricated.PARAMS, encoding="utf-8")
    arms = {"qkv-nf4": {"step_bytes": {"peak": 57_137_340, "peak_with_recomputation": 32_094_348}}}
    files.write_json(failures.ACCOUNTING, {"scales": {"offline": {"snli": arms}}})
    (tmp_path / "log").write_text("Running stage\ntorch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\nthe end\n")
    return tmp_path


def test_out_of_memory_names_the_arm_what_was_predicted_and_what_to_change(root: Path) -> None:
    said = failures.told("train_snli@qkv-nf4-2", 1, Path("log"))
    assert "train_snli@qkv-nf4-2 failed, exit code 1" in said
    assert "snli.qkv-nf4, seed 2: out of memory" in said
    assert "found:     torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB" in said
    assert "predicted: 57.1 MB on the GPU at the peak of a training step" in said
    assert "32.1 MB with gradient_checkpointing" in said
    for setting in ("per_device_train_batch_size", "gradient_accumulation_steps", "gradient_checkpointing", "max_length", "--jobs 1"):
        assert setting in said.partition("change:")[2]
    record = files.read_json(stage.FAILURES / "train_snli@qkv-nf4-2.json")
    assert record["out_of_memory"] is True
    assert record["predicted"] == {"peak": 57_137_340, "peak_with_recomputation": 32_094_348}
    failures.forget("train_snli@qkv-nf4-2")
    assert not list(stage.FAILURES.iterdir())


@pytest.mark.parametrize(
    "text",
    [
        "MemoryError",
        "RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: you tried",
        "[Errno 12] Cannot allocate memory",
        "train_qlora_label: RankError: rank 1 of 2 was ended by SIGKILL, as when out of memory",
    ],
)
def test_other_words_for_it_are_known(root: Path, text: str) -> None:
    (root / "log").write_text(text)
    assert "out of memory" in failures.told("train_snli@qkv-nf4-0", 1, Path("log"))


def test_a_stage_that_the_kernel_killed_is_taken_for_out_of_memory(root: Path) -> None:
    (root / "log").write_text("Running stage\n")
    said = failures.told("evaluate_snli@qkv-nf4-0", 137, Path("log"))
    assert "killed by signal 9, as the kernel does where memory runs out" in said
    assert "per_device_eval_batch_size" in said


def test_without_accounting_it_says_so(root: Path) -> None:
    failures.ACCOUNTING.unlink()
    assert "nothing is accounted for it in reports/accounting.json" in failures.told("train_snli@qkv-nf4-0", 1, Path("log"))
    assert failures.predicted("compare@snli") is None


def test_another_failure_is_told_without_a_word_of_memory(root: Path) -> None:
    (root / "log").write_text("train_lora: to mend:\nlearning_rate\n")
    said = failures.told("train_snli@qkv-nf4-0", 2, Path("log"))
    assert "memory" not in said
    assert files.read_json(stage.FAILURES / "train_snli@qkv-nf4-0.json")["said"] == "learning_rate"


def test_a_stage_that_left_no_log_is_told_of_all_the_same(root: Path) -> None:
    assert "train_snli@qkv-nf4-0 failed" in failures.told("train_snli@qkv-nf4-0", 1, Path("nowhere"))


def test_ctrl_c_before_anything_runs_is_one_line_and_not_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.params, "read", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli.main(["check"])
    assert ended.value.code == 130
    assert capsys.readouterr().err == "\nftbench check: interrupted\n"


def test_a_partial_comparison_that_fails_leaves_its_log_and_no_record_of_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("stages", ".ftbench/failures", ".ftbench/logs"):
        (tmp_path / folder).mkdir(parents=True)
    (stage.FAILURES / "train_snli.txt").write_text("of a stage")
    script = "import pathlib, sys\npathlib.Path('.ftbench/failures/compare.txt').write_text('no scores')\nsys.exit('no scores')\n"
    (tmp_path / "stages/compare.py").write_text(script)
    assert partial_report._stage("compare") is False
    assert [path.name for path in stage.FAILURES.iterdir()] == ["train_snli.txt"]
    assert Path(".ftbench/logs/partial-compare.log").read_text() == "no scores\n"
