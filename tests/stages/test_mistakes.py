"""What a user or a machine gets wrong, met by the stages after `prepare` (for it: test_prepare_mistakes.py): the exit code, one readable
block with the place of the mistake, and no half-written output. Scripts run in this process: most stop before anything is loaded."""

from __future__ import annotations

import errno
import json
import resource
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ftbench import files

STAGES = Path(__file__).parents[2] / "stages"
TRAINING = {"max_steps": 1, "per_device_train_batch_size": 2, "eval_strategy": "no"}
LORA = {"r": 2, "lora_alpha": 4, "lora_dropout": 0.0, "target_modules": ["query"]}
Stopped = Callable[[list[str]], tuple[int, str]]


@pytest.fixture
def root(tmp_path: Path, tiny_base: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml, data and a base model of its own, all of them right; the current directory."""
    import pyarrow as pa

    settings(tmp_path, {})
    for split in ("train", "validation", "test"):
        rows = {"id": ["a", "b", "c"], "premise": ["A man."] * 3, "hypothesis": ["A dog.", "A boy.", "A girl."]}
        named = {"genre": pa.nulls(3, pa.string()), "phenomenon": pa.nulls(3, pa.string())}
        table = pa.table({**rows, "label": pa.array([0, 1, 2], pa.int8()), **named})
        files.write_parquet(tmp_path / f"data/d/{split}.parquet", table)
    shutil.copytree(tiny_base("roberta"), tmp_path / "base")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(root: Path, change: dict[str, Any]) -> None:
    arm = {"adapter": LORA, "training": TRAINING, "learning_rate": 1e-3, **change}
    study = {"text": {"max_length": 32}, "evaluation": {"per_device_eval_batch_size": 2}, "lora": arm}
    design = {"question": "?", "model": "m", "dataset": "d", "factors": {"method": ["lora"]}, "baselines": ["majority"], "seeds": [0]}
    studies = {"s": {**design, "primary_metric": "accuracy", "reference": None}}
    (root / "params.yaml").write_text(json.dumps({"scale": "tiny", "studies": studies, "tiny": {"s": study}}, indent=1))


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Stopped:
    """Run a command that must stop; its exit code and what it said. Nothing may be left of its outs."""

    def run(command: list[str]) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as exit:
            runpy.run_path(command[0], run_name="__main__")
        left = [str(path) for path in Path("out").rglob("*") if path.is_file()] if Path("out").exists() else []
        assert left == [], "half-written output"
        assert isinstance(exit.value.code, int)
        return exit.value.code, capsys.readouterr().err

    return run


def train(arm: str = "lora") -> list[str]:
    named = ["--study", "s", "--arm", arm, "--seed", "0", "--data", "data/d", "--base", "base"]
    outs = ["--out", "out/arm", "--curve", "out/c.csv", "--cost", "out/t.json", "--resources", "out/r.csv"]
    return [str(STAGES / "train_lora.py"), *named, *outs]


def majority() -> list[str]:
    named = ["--study", "s", "--baseline", "majority", "--data", "data/d", "--base", "base"]
    return [str(STAGES / "baseline.py"), *named, "--predictions", "out/p.parquet", "--scores", "out/s.json", "--cost", "out/e.json"]


@pytest.mark.parametrize(
    ("change", "where", "mend"),
    [
        ({"learning_rate": -1e-3}, "params.yaml: tiny.s.lora.learning_rate", "greater than 0"),
        ({"training": {**TRAINING, "optim": "adamw_torc"}}, "params.yaml: tiny.s.lora.training.optim", "did you mean 'adamw_torch'?"),
        ({"training": {**TRAINING, "max_step": 3}}, "params.yaml: tiny.s.lora.training.max_step", "did you mean 'max_steps'?"),
        ({"adapter": {**LORA, "r": 0}}, "params.yaml: tiny.s.lora.adapter.r", "greater than or equal to 1"),
        ({"learning_rate": {"shared": 1e-3}}, "params.yaml: tiny.s.lora.learning_rate", "a level of its other factor"),
    ],
)
def test_a_setting_that_cannot_be_is_named_with_its_key(
    root: Path, stopped: Stopped, change: dict[str, Any], where: str, mend: str
) -> None:
    settings(root, change)
    code, said = stopped(train())
    assert code == 2
    assert where in said
    assert mend in said
    assert "Traceback" not in said


def test_mistakes_of_one_arm_are_named_all_at_once(root: Path, stopped: Stopped) -> None:
    settings(root, {"learning_rate": -1, "training": {**TRAINING, "optim": "x"}, "adapter": {**LORA, "r": 0}})
    code, said = stopped(train())
    assert code == 2
    assert said.count("found:") == 3


def test_a_misspelt_level_is_refused_with_the_nearest(root: Path, stopped: Stopped) -> None:
    code, said = stopped(train("lorra"))
    assert (code, "did you mean 'lora'?" in said) == (2, True)


@pytest.mark.parametrize("name", ["data/d/train.parquet", "base/manifest.json", "params.yaml"])
@pytest.mark.parametrize("make", [train, majority])
def test_a_missing_file_is_named(root: Path, stopped: Stopped, name: str, make: Callable[[], list[str]]) -> None:
    (root / name).unlink()
    code, said = stopped(make())
    assert (code, f"{name}\n  found:   no such file" in said) == (2, True), said


@pytest.mark.parametrize("name", ["data/d/train.parquet", "base/manifest.json"])
def test_a_truncated_file_is_named(root: Path, stopped: Stopped, name: str) -> None:
    whole = (root / name).read_bytes()
    (root / name).write_bytes(whole[: len(whole) // 2])
    code, said = stopped(train())
    assert (code, f"{name}\n  found:   not readable as" in said) == (2, True), said


@pytest.mark.parametrize(("label", "rows", "says"), [(7, 3, "label\n  found:   7\n  allowed: 0, 1, 2"), (0, 0, "no rows")])
def test_a_label_that_is_none_and_an_empty_split_are_refused(root: Path, stopped: Stopped, label: int, rows: int, says: str) -> None:
    import pyarrow as pa

    table = files.read_parquet(root / "data/d/train.parquet").slice(0, rows)
    labels = pa.array([label] * rows, pa.int8())
    files.write_parquet(root / "data/d/train.parquet", table.set_column(table.column_names.index("label"), "label", labels))
    code, said = stopped(train())
    assert (code, says in said) == (2, True), said


def test_a_base_that_was_changed_into_one_without_anything_to_pad_with_is_refused(root: Path, stopped: Stopped) -> None:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (root / "base" / name).exists():
            content = json.loads((root / "base" / name).read_text())
            for token in ("pad_token", "eos_token", "bos_token", "cls_token", "sep_token", "unk_token", "mask_token"):
                content.pop(token, None)
            (root / "base" / name).write_text(json.dumps({**content, "tokenizer_class": "PreTrainedTokenizerFast"}))
    code, said = stopped(train())
    assert code == 2, said
    assert "pad token" in said
    assert "Traceback" not in said


def test_a_disk_that_fills_while_an_arm_is_written_is_the_machines_fault(
    root: Path, stopped: Stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ftbench import adapters

    def half(model: object, folder: Path, *_: object) -> NoReturn:
        (folder / "adapter_model.safetensors").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(adapters, "save", half)
    code, said = stopped(train())
    assert (code, "No space left on device" in said) == (1, True), said
    assert not list((root / "out").glob(".*")), "no temporary folder either"


def test_a_disk_that_fills_while_predictions_are_written_is_the_machines_fault(root: Path) -> None:
    def no_file_above_two_kilobytes() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))

    done = subprocess.run(
        [sys.executable, *majority()], cwd=root, preexec_fn=no_file_above_two_kilobytes, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "File too large" in done.stderr
    assert not [path for path in (root / "out").rglob("*") if path.is_file()]
