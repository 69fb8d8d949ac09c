"""A token of the hub that is planted in the environment stands in nothing that a stage prints, writes, logs or records of a failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hub_server
import pytest
from hub_server import TOKEN, Hub, Repository

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
STRANGER, UNKNOWN = "hf_of_a_stranger", "hf_planted_and_never_to_be_seen"
FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
ROWS = b"".join(b'{"premise": "a %d", "hypothesis": "b", "label": %d}\n' % (number, number % 3) for number in range(4))
DATA = {
    "source": "hub", "task": "nli", "licence": "CC0-1.0", "repository": "someone/pairs", "revision": COMMIT, "seed": 0,
    "splits": {"train": None, "validation": 1, "test": None}, "files": {"train": ["train.jsonl"], "test": ["test.jsonl"]},
    "labels": {"entailment": 0, "neutral": 1, "contradiction": 2}, "max_malformed_share": 0.0,
}  # fmt: skip
MODEL = {
    "source": "hub", "architecture": "llama", "licence": "MIT", "gated": True, "repository": "someone/model", "revision": COMMIT,
    "dimensions": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 600},
}  # fmt: skip
CHECKPOINT = ["stages/checkpoint.py", "--model", "m", "--data", "none", "--tests", "none", "--out", "models/base/m"]
PREPARE = ["stages/prepare.py", "--dataset", "d", "--out", "data/d"]
WITHOUT_WAITING = (
    "import runpy, sys, time; time.sleep = lambda _: None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.fixture
def hub(tiny_base: Callable[[str], Path]) -> Iterator[Hub]:
    """A hub with a gated model and a gated data set."""
    with hub_server.running() as hub:
        base = tiny_base("llama")
        hub.repositories["models/someone/model"] = Repository(COMMIT, {name: (base / name).read_bytes() for name in FILES}, gated=True)
        hub.repositories["datasets/someone/pairs"] = Repository(
            COMMIT, {"train.jsonl": ROWS, "test.jsonl": ROWS.replace(b"a ", b"c ")}, gated=True
        )
        yield hub


def ran(root: Path, hub: Hub, token: str, command: list[str], model: dict[str, Any] = MODEL) -> tuple[int, str]:
    """Run a stage or `ftbench` with a token in the environment; its exit code, and all that it said."""
    (root / "params.yaml").write_text(json.dumps({"scale": "s", "s": {"datasets": {"d": DATA}, "models": {"m": model}}}))
    environment = {**os.environ, "HF_HOME": str(root / "home"), "HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
    environment |= {"HF_TOKEN": token, "HUGGING_FACE_HUB_TOKEN": token, "HF_DEBUG": "1", "HF_HUB_VERBOSITY": "debug"}
    environment |= {"DATASETS_VERBOSITY": "debug", "TRANSFORMERS_VERBOSITY": "debug", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    place = (
        ["-m", "ftbench.cli", *command[1:]] if command[0] == "ftbench" else ["-c", WITHOUT_WAITING, str(ROOT / command[0]), *command[1:]]
    )
    done = subprocess.run([sys.executable, *place], cwd=root, env=environment, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


def places(root: Path, token: str) -> list[str]:
    """The files below a folder that hold a token, whatever they are."""
    return [str(path.relative_to(root)) for path in sorted(root.rglob("*")) if path.is_file() and token.encode() in path.read_bytes()]


def test_the_search_for_a_token_finds_one_in_any_file(tmp_path: Path) -> None:
    (tmp_path / "a" / ".b").mkdir(parents=True)
    (tmp_path / "a" / ".b" / "c.bin").write_bytes(b"\0\xff" + TOKEN.encode() + b"\0")
    assert places(tmp_path, TOKEN) == ["a/.b/c.bin"]


@pytest.mark.parametrize(("token", "code"), [(TOKEN, 0), (STRANGER, 2), (UNKNOWN, 2)])
def test_a_checkpoint_stage_with_a_token_neither_says_nor_writes_it(hub: Hub, tmp_path: Path, token: str, code: int) -> None:
    found, said = ran(tmp_path, hub, token, CHECKPOINT)
    assert found == code, said
    assert hub.requests
    assert token not in said
    assert places(tmp_path, token) == []
    assert (tmp_path / ".ftbench/failures").is_dir() == (code != 0)


@pytest.mark.parametrize(("token", "code"), [(TOKEN, 0), (STRANGER, 2)])
def test_a_stage_that_prepares_data_with_a_token_neither_says_nor_writes_it(hub: Hub, tmp_path: Path, token: str, code: int) -> None:
    found, said = ran(tmp_path, hub, token, PREPARE)
    assert found == code, said
    assert hub.requests
    assert token not in said
    assert places(tmp_path, token) == []


def test_a_hub_that_is_out_of_order_gets_the_token_into_no_traceback(hub: Hub, tmp_path: Path) -> None:
    hub.down = 503
    code, said = ran(tmp_path, hub, UNKNOWN, PREPARE)
    assert code != 0
    assert list((tmp_path / ".ftbench/failures").iterdir())
    assert UNKNOWN not in said
    assert places(tmp_path, UNKNOWN) == []


@pytest.mark.parametrize("token", [TOKEN, UNKNOWN])
def test_pins_are_asked_for_with_a_token_that_is_neither_said_nor_written(hub: Hub, tmp_path: Path, token: str) -> None:
    _, said = ran(tmp_path, hub, token, ["ftbench", "pin"], model={**MODEL, "revision": "main"})
    assert hub.requests
    assert token not in said
    assert places(tmp_path, token) == []
