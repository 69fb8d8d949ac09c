"""Downloads through the real client, over HTTP, from a server on the loopback that speaks the hub's protocol."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import described
import hub_server
import pytest
import torch
from hub_client import COMMIT, MODEL, NOBODY, connected, model
from hub_server import Hub, Repository
from safetensors.torch import load, load_file

from ftbench import checkpoints, files, weights
from ftbench.errors import UserError

STAGE = Path(__file__).parents[2] / "stages" / "checkpoint.py"
FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
INTRUDERS = (
    "modeling_llama.py", "tokenizer.py", "tokenizer_llama.py", "vocab.py", "vocab.pkl", "tokenizer.pkl", "training_args.bin",
    "optimizer.pth", "original/model-1.safetensors", "README.md",
)  # fmt: skip


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub without a repository, where the client in this process looks for its own."""
    with connected(tmp_path, monkeypatch) as hub:
        yield hub


@pytest.fixture
def published(hub: Hub, tiny_base: Callable[[str], Path]) -> Repository:
    """A checkpoint on the hub, at one commit."""
    repository = Repository(COMMIT, {name: (tiny_base("llama") / name).read_bytes() for name in FILES})
    hub.repositories["models/someone/model"] = repository
    return repository


def fetch(**changes: Any) -> Path:
    return checkpoints.from_hub("llama_3_8b", model(**changes))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refusal(**changes: Any) -> str:
    with pytest.raises(UserError) as caught:
        fetch(**changes)
    [problem] = caught.value.problems
    return str(problem)


# ---- what is asked for -----------------------------------------------------------------------------------------------------------------


def test_the_pinned_commit_is_what_is_asked_for_and_no_branch(hub: Hub, published: Repository) -> None:
    published.names = ()  # the branch has moved on
    folder = fetch()
    assert content(folder) == published.files
    assert folder.name == COMMIT
    assert hub.requests
    assert all(f"/{COMMIT}" in request for request in hub.requests)


def test_safetensors_are_preferred_and_nothing_that_could_hold_code_is_asked_for(hub: Hub, published: Repository) -> None:
    published.files |= dict.fromkeys([*INTRUDERS, "pytorch_model.bin", "pytorch_model.bin.index.json"], b"never")
    assert set(content(fetch())) == set(FILES)
    assert hub.asked == set(FILES)


def as_pytorch(repository: Repository, save: Callable[[dict[str, torch.Tensor]], Any]) -> dict[str, torch.Tensor]:
    tensors = load(repository.files.pop("model.safetensors"))
    stream = io.BytesIO()
    torch.save(save(tensors), stream)
    repository.files["pytorch_model.bin"] = stream.getvalue()
    return tensors


def test_a_repository_of_pytorch_weights_alone_is_fetched_and_converted_once(hub: Hub, published: Repository) -> None:
    tensors = as_pytorch(published, dict)
    published.files |= dict.fromkeys(INTRUDERS, b"never")
    converted = checkpoints.with_safetensors(fetch(), "key")
    assert hub.asked == {*FILES, "pytorch_model.bin"} - {"model.safetensors"}
    written = load_file(converted / "model.safetensors")
    assert {name: tensor.tolist() for name, tensor in written.items()} == {name: tensor.tolist() for name, tensor in tensors.items()}
    facts = checkpoints.verify("llama_3_8b", "llama", converted)
    assert facts["num_parameters"] == sum(tensor.numel() for tensor in tensors.values())
    before = [(path.name, path.stat().st_mtime_ns) for path in sorted(converted.iterdir())]
    hub.requests.clear()
    assert checkpoints.with_safetensors(fetch(), "key") == converted
    assert [(path.name, path.stat().st_mtime_ns) for path in sorted(converted.iterdir())] == before
    assert hub.requests == []


def test_pytorch_weights_that_hold_more_than_tensors_are_refused(published: Repository) -> None:
    as_pytorch(published, lambda tensors: {**tensors, "path": Path("anything")})
    folder = fetch()
    with pytest.raises(UserError, match=r"(?s)pytorch_model\.bin.*the restricted loader rejects it"):
        checkpoints.with_safetensors(folder, "key")
    assert not (weights.CONVERTED / "key").exists()


# ---- downloads that go wrong -----------------------------------------------------------------------------------------------------------


def test_a_download_that_breaks_off_is_resumed_where_it_stopped(hub: Hub, published: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)  # what a break loses at most: 10 MiB, more than the model
    monkeypatch.setattr("time.sleep", lambda _: None)
    hub.cut = {"model.safetensors": [10_000]}
    assert content(fetch()) == published.files
    got = [request for request in hub.requests if request.startswith("GET /cdn/")]
    path = f"GET /cdn/models/someone/model/{COMMIT}/model.safetensors"
    assert got == [path, f"{path} bytes=8192-"]


def test_a_download_that_always_breaks_off_says_so_and_leaves_nothing_half_done(
    hub: Hub, published: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    hub.cut = {"model.safetensors": [10_000] * 6}
    assert "the hub cannot be reached: peer closed connection" in refusal()
    assert content(fetch()) == published.files


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_not_what_the_hub_announced_is_refused_until_it_is_deleted_as_told(
    hub: Hub, published: Repository, name: str
) -> None:
    hub.instead = {name: published.files[name][:-3] + b"  \n"}
    for _ in range(2):  # what has been refused once is not taken from the cache
        message = refusal()
        assert f"/{name}\n" in message
        assert "as the hub published it" in message
    told = message.split("delete ")[1].removesuffix(" and run this again")
    Path(told).unlink()
    hub.instead = {}
    assert content(fetch()) == published.files


def test_a_file_of_another_size_than_announced_is_refused_by_name(hub: Hub, published: Repository) -> None:
    hub.instead = {"model.safetensors": published.files["model.safetensors"][:-3]}
    with pytest.raises(OSError, match=r"should be of size \d+ but has size \d+ \(.*model\.safetensors\)"):
        fetch()
    hub.instead = {}
    assert content(fetch()) == published.files


@pytest.mark.parametrize("name", FILES)
def test_a_checkpoint_that_came_in_part_is_completed_and_no_file_is_fetched_twice(hub: Hub, published: Repository, name: str) -> None:
    (fetch() / name).unlink()
    hub.asked.clear()
    assert content(fetch()) == published.files
    assert hub.asked == {name}


@pytest.mark.parametrize("name", ["tokenizer_config.json", "tokenizer.json"])
def test_a_cache_of_an_older_client_that_lost_a_file_is_completed(published: Repository, name: str) -> None:
    folder = fetch()
    shutil.rmtree(folder.parents[1] / "trees")  # which older clients do not keep
    (folder / name).resolve().unlink()
    from huggingface_hub import _tree_cache

    _tree_cache._IN_MEMORY_TREE_CACHE.clear()
    assert content(fetch()) == published.files


# ---- what the hub refuses --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "hf_of_a_stranger"])
def test_a_gated_repository_without_access_says_what_to_do(
    published: Repository, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    published.gated = True
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    message = refusal()
    assert message.startswith("models.llama_3_8b\n")
    assert f"someone/model at {COMMIT}: a gated repository, and no access to it" in message
    assert "accept its licence at https://huggingface.co/someone/model, then `hf auth login` or set HF_TOKEN" in message


def test_a_gated_repository_is_fetched_with_the_token_of_someone_with_access(
    published: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.gated = True
    monkeypatch.setenv("HF_TOKEN", hub_server.TOKEN)
    assert content(fetch()) == published.files


@pytest.mark.usefixtures("published")
def test_a_token_that_the_hub_does_not_accept_is_named_as_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    assert (
        "the hub does not accept the token\n  allowed: a valid token, or none\n  mend:    `hf auth login` again, or mend or unset HF_TOKEN"
        in refusal()
    )


@pytest.mark.usefixtures("published")
def test_an_unknown_repository_is_named() -> None:
    assert f"someone/modle at {COMMIT}: no such repository" in refusal(repository="someone/modle")


@pytest.mark.usefixtures("published")
def test_an_unknown_revision_is_named_with_its_repository() -> None:
    message = refusal(revision="f" * 40)
    assert f"someone/model at {'f' * 40}: no such revision" in message
    assert "https://huggingface.co/someone/model/commits/main" in message


@pytest.mark.parametrize(("lost", "named"), [("config.json", "no config.json"), ("tokenizer.json", "no tokenizer")])
def test_a_repository_that_lacks_what_a_checkpoint_needs_says_which(published: Repository, lost: str, named: str) -> None:
    del published.files[lost]
    assert f"someone/model at {COMMIT}: {named}" in refusal()


# ---- without the hub -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["safetensors", "pytorch"])
def test_a_warm_cache_needs_no_request(hub: Hub, published: Repository, kind: str) -> None:
    if kind == "pytorch":
        as_pytorch(published, dict)
    folder = fetch()
    hub.requests.clear()
    assert fetch() == folder
    assert hub.requests == []


def test_a_warm_cache_needs_no_hub(published: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fetch()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert fetch() == folder
    assert content(folder) == published.files


@pytest.mark.usefixtures("published")
def test_a_cold_or_half_filled_cache_without_the_hub_says_what_to_do(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "the hub cannot be reached: Cannot reach http" in (message := refusal())
    assert "connect, unset HF_HUB_OFFLINE, or name a local folder with `source: file`" in message
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    (fetch() / "tokenizer_config.json").unlink()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "the hub cannot be reached" in refusal()


def test_a_hub_that_nobody_answers_for_or_that_is_out_of_order_says_why(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)  # the client tries again for 24 seconds
    hub.down = 503
    assert "the hub cannot be reached: Server error '503" in refusal()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", NOBODY)
    assert "the hub cannot be reached: " in refusal()


def test_the_stage_finds_the_hub_by_its_environment_and_the_second_time_by_its_cache_alone(
    hub: Hub, published: Repository, tmp_path: Path
) -> None:
    (tmp_path / "params.yaml").write_text(json.dumps({"scale": "paper", "paper": {"models": {"llama_3_8b": MODEL}}}))
    command = [sys.executable, str(STAGE), "--model", "llama_3_8b", "--data", "none", "--tests", "none", "--out"]
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_ENDPOINT": hub.endpoint, "OMP_NUM_THREADS": "1"}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    for number, offline in enumerate("01"):
        hub.requests.clear()
        hub.asked.clear()
        done = subprocess.run(
            [*command, f"base{number}"], cwd=tmp_path, env={**environment, "HF_HUB_OFFLINE": offline}, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert hub.asked == (set() if number else set(published.files))
        assert bool(hub.requests) == (offline == "0")
    manifest = files.read_json(tmp_path / "base0" / "manifest.json")
    assert (manifest["repository"], manifest["revision"], manifest["converted_from_pytorch"]) == ("someone/model", COMMIT, False)
    assert set(manifest["files"]) == set(FILES)
    assert not set(manifest) - described.fields("models/base/<model>/")
    assert manifest == files.read_json(tmp_path / "base1" / "manifest.json")


@pytest.mark.parametrize("module", ["ftbench.sources", "ftbench.checkpoints"])
def test_what_talks_to_the_hub_tells_it_nothing_of_its_user(module: str) -> None:
    program = f"import {module}; from huggingface_hub import constants; print(constants.HF_HUB_DISABLE_TELEMETRY)"
    environment = {name: value for name, value in os.environ.items() if name not in ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
