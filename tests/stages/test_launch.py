"""Arms that are trained by two processes over loopback: the same examples, losses and weights as one process with their batch."""

from __future__ import annotations

import csv
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftbench import bases, files, preload

STAGES = Path(__file__).parents[2] / "stages"
LABELS = {"entailment": "entailment", "neutral": "neutral", "contradiction": "contradiction"}
PROMPTED = {"max_length": 64, "template": "Premise: {premise}\nHypothesis: {hypothesis}\nRelation:", "labels": LABELS}
INSTRUCTED = {"max_length": 64, "template": {"with_input": "{instruction}\n{input}\nAnswer:", "without_input": "{instruction}\nAnswer:"}}
LORA = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "target_modules": ["q_proj", "v_proj"]}
TRAINING = {
    "num_train_epochs": 2, "gradient_accumulation_steps": 2, "optim": "adamw_torch", "eval_strategy": "steps", "eval_steps": 2,
    "logging_steps": 1, "lr_scheduler_type": "constant",
}  # fmt: skip
TWO = {"launch": {"num_processes": 2}}
NUM_ROWS = 25  # batches of 8 leave one over: the second process has nothing to do then
STUDIES = {"full": ("roberta", "pairs"), "sft": ("llama", "instructions")}


def block(method: str, batch_size: int, **more: Any) -> dict[str, Any]:
    strategy = {"full": "group_by_length", "sft": "random"}[method]
    training = {**TRAINING, "per_device_train_batch_size": batch_size, "train_sampling_strategy": strategy}
    return {
        "adapter": {"full": None, "sft": LORA}[method],
        "training": training,
        "learning_rate": {"full": 0.003, "sft": 0.02}[method],
        **more,
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with params.yaml, in which each method has one arm trained by one process and one by two, and data."""
    import pyarrow as pa

    root = tmp_path_factory.mktemp("root")
    blocks = {
        f"s_{method}": {"text": text, "one": block(method, 8), "two": block(method, 4, **TWO)}
        for method, text in (("full", {"max_length": 64}), ("sft", INSTRUCTED))
    }
    (root / "params.yaml").write_text(json.dumps({"scale": "tiny", "tiny": blocks}, indent=1), encoding="utf-8")
    people = ["A man", "Two dogs", "A woman in a red shirt"]
    deeds = ["is sleeping.", "is riding a bike in the park.", "is not eating at school."]
    pairs = [(f"{who} {deed}", f"{who} {other}") for who in people for deed in deeds for other in deeds]
    for split, rows in (("train", pairs[:NUM_ROWS]), ("validation", pairs[-9:])):
        columns = {"premise": [row[0] for row in rows], "hypothesis": [row[1] for row in rows]}
        labels = pa.array([index % 3 for index in range(len(rows))], pa.int8())
        files.write_parquet(root / "data" / "pairs" / f"{split}.parquet", pa.table({**columns, "label": labels}))
        wrong = pa.array([7] * len(rows), pa.int8())
        files.write_parquet(root / "data" / "wrong" / f"{split}.parquet", pa.table({**columns, "label": wrong}))
        tasks = {"instruction": columns["premise"], "input": [row[1] if index % 2 else "" for index, row in enumerate(rows)]}
        files.write_parquet(root / "data" / "instructions" / f"{split}.parquet", pa.table({**tasks, "output": columns["hypothesis"]}))
    return root


@pytest.fixture(scope="module")
def still_base(tmp_path_factory: pytest.TempPathFactory, tiny_dimensions: dict[str, Any]) -> Callable[[str], Path]:
    """`still_base("roberta")` is a tiny base without dropout, which every process would draw for itself."""

    def build(architecture: str) -> Path:
        folder = tmp_path_factory.mktemp("still") / architecture
        folder.mkdir()
        none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0} if architecture == "roberta" else {}
        dimensions = {**tiny_dimensions[architecture], **none}
        texts = ["A man in a red shirt is sleeping.", "Two dogs are riding a bike in the park.", "A woman is not eating at school."]
        model, tokenizer = bases.new_miniature(architecture, dimensions, 400, texts * 20, seed=0, block_size=64)
        bases.save_miniature(folder, f"still_{architecture}", architecture, model, tokenizer, {"dimensions": dimensions})
        return folder

    return build


def command(method: str, arm: str, base: Path, data: str, out: str) -> list[str]:
    return [
        str(STAGES / f"train_{method}.py"), "--study", f"s_{method}", "--arm", arm, "--seed", "0", "--data", f"data/{data}",
        "--base", str(base), "--out", f"{out}/arm", "--curve", f"{out}/curve.csv", "--cost", f"{out}/cost.json",
        "--resources", f"{out}/resources.csv",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def trained(root: Path, still_base: Callable[[str], Path]) -> Path:
    """The folder where both methods were trained by one process and by two, the latter at the same time: as a command, and in a fork."""
    built = {method: still_base(STUDIES[method][0]) for method in STUDIES}
    words = {
        (method, arm): command(method, arm, built[method], STUDIES[method][1], f"{method}-{arm}")
        for method in STUDIES
        for arm in ("one", "two")
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for method in STUDIES:
            patch.setattr(sys, "argv", words[method, "one"])
            runpy.run_path(words[method, "one"][0], run_name="__main__")
    beside = subprocess.Popen(
        [sys.executable, *words["full", "two"]], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert preload.run_script(words["sft", "two"], str(root), os.environ) == 0
    said = beside.communicate()[0]
    assert beside.returncode == 0, said
    assert said == "", "a script that has nothing to say says nothing"
    return root


def curve(folder: Path) -> dict[str, list[float]]:
    """The columns of a learning curve; a cell that is empty is left out."""
    with (folder / "curve.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {name: [float(row[name]) for row in rows if row[name]] for name in rows[0]}


@pytest.mark.parametrize("method", STUDIES)
def test_two_processes_reach_the_losses_of_one_with_their_batch(method: str, trained: Path) -> None:
    one, two = curve(trained / f"{method}-one"), curve(trained / f"{method}-two")
    # 25 rows in batches of 8 are 4 of them, the last of one row; two are a step, so that two epochs are 4 steps
    assert one["step"] == two["step"] == [1, 2, 3, 4]
    assert one["epoch"] == two["epoch"]
    assert len(one["eval_loss"]) == 2
    for name in ("loss", "grad_norm", "eval_loss"):
        assert two[name] == pytest.approx(one[name], abs=1e-5), name
    assert one["eval_loss"][0] - one["eval_loss"][1] > 0.001, "something was learnt"


@pytest.mark.parametrize("method", STUDIES)
def test_two_processes_leave_the_weights_of_one(method: str, trained: Path) -> None:
    from safetensors.numpy import load_file

    for path in sorted((trained / f"{method}-one" / "arm").glob("*.safetensors")):
        one, two = load_file(path), load_file(trained / f"{method}-two" / "arm" / path.name)
        assert one.keys() == two.keys()
        for name in one.keys() - {name for name in one if name.endswith("key.bias")}:
            # a bias of the keys adds the same to all scores, so its gradient is rounding alone, which Adam makes large
            assert two[name] == pytest.approx(one[name], abs=1e-4), name


@pytest.mark.parametrize("method", STUDIES)
def test_the_record_of_two_processes_counts_what_both_have_seen(method: str, trained: Path) -> None:
    one, two = (files.read_json(trained / f"{method}-{arm}" / "cost.json") for arm in ("one", "two"))
    assert two["examples_per_step"] == one["examples_per_step"] == 16
    assert two["num_examples"] == one["num_examples"] == 2 * NUM_ROWS
    assert two["num_tokens"] == one["num_tokens"]
    assert two["num_steps"] == 4
    settings = [files.read_json(trained / f"{method}-{arm}" / "arm" / "arm.json")["settings"] for arm in ("one", "two")]
    assert "launch" not in settings[0]
    assert settings[1]["launch"] == {"num_processes": 2, "strategy": "ddp"}
    assert sorted(path.name for path in (trained / f"{method}-two").iterdir()) == ["arm", "cost.json", "curve.csv", "resources.csv"]
    assert not list((trained / ".ftbench" / "scratch").iterdir())
    assert not (trained / ".ftbench" / "failures").exists()


# A train script that saves a checkpoint after every step, and runs out of memory at its second validation while a file `crash` is there.
CRASHING = """\
from pathlib import Path
from ftbench import launch

if launch.is_rank():
    from ftbench import training
    training.CHECKPOINT_SECONDS = 0.0
    ours = training.validate_answers
    def crashing(*given):
        validate, calls = ours(*given), []
        def once(model):
            calls.append(model)
            if len(calls) == 2 and Path("crash").exists():
                raise MemoryError("no memory")
            return validate(model)
        return once
    training.validate_answers = crashing
exec(compile(Path(SCRIPT).read_text(), SCRIPT, "exec"))
"""


def test_two_processes_that_crashed_go_on_from_their_checkpoint_and_leave_the_same_bytes(
    root: Path, trained: Path, still_base: Callable[[str], Path]
) -> None:
    words = command("sft", "two", still_base("llama"), "instructions", "crashed")
    (root / "crashing.py").write_text(CRASHING.replace("SCRIPT", repr(words[0])), encoding="utf-8")
    (root / "crash").touch()
    left = []
    for code in (1, 0):
        ran = subprocess.run([sys.executable, "crashing.py", *words[1:]], cwd=root, capture_output=True, text=True)
        assert ran.returncode == code, ran.stderr
        left.append(sorted(path.name for path in (root / ".ftbench" / "scratch").glob("*/checkpoint-*")))
        (root / "crash").unlink(missing_ok=True)
    assert left == [["checkpoint-3"], []], "the fourth step crashed before its own"
    assert files.read_json(root / "crashed" / "cost.json")["resumed"] is True
    for name in ("curve.csv", "arm/adapter_model.safetensors"):
        assert (root / "crashed" / name).read_bytes() == (trained / "sft-two" / name).read_bytes(), name


def test_a_mistake_that_both_processes_find_is_said_once_and_ends_with_2(root: Path, still_base: Callable[[str], Path]) -> None:
    words = command("full", "two", still_base("roberta"), "wrong", "wrong")
    ran = subprocess.run([sys.executable, *words], cwd=root, capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr == (
        "train_full: to mend:\ndata/wrong/train.parquet: label\n  found:   7\n  allowed: 0, 1, 2: entailment, neutral, contradiction\n"
        "  mend:    run `dvc repro prepare`\n"
    )
    [record] = (root / ".ftbench" / "failures").iterdir()
    assert "label\n  found:   7" in record.read_text(encoding="utf-8")
    record.unlink()
    record.parent.rmdir()
    assert not list((root / "wrong").glob("*"))
