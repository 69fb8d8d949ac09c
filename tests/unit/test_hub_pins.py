"""`ftbench pin` through the real client: the commit that a revision stands for, and what is said where the hub gives none."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_client import COMMIT, MODEL, NOBODY, connected
from hub_server import Hub, Repository

from ftbench import cli, params, pins
from ftbench.errors import UserError
from ftbench.schema_models import HubModel


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub without a repository, where the client in this process looks for its own."""
    with connected(tmp_path, monkeypatch) as hub:
        yield hub


PAGE = """\
paper:
  datasets:
    snli:
      source: hub # as the authors publish it
      repository: someone/pairs
      revision: {snli} # the commit
  models:
    phi_2:
      source: hub
      repository: someone/model
      revision: {phi_2}
      # the shape
      dimensions:
        hidden_size: 32
    # the last of them
    llama_3_8b:
      source: hub
      # whose
      repository: someone/model # and where
{llama_3_8b}
# ---- the end
"""
OTHER = "fedcba9876543210fedcba9876543210fedcba98"


@pytest.fixture
def page(hub: Hub, tmp_path: Path) -> Callable[..., Path]:
    """Writes a params.yaml whose revisions are these, beside a hub that knows two repositories."""
    hub.repositories["models/someone/model"] = Repository(COMMIT, names=("main", "v1.0", "refs/pr/3"))
    hub.repositories["datasets/someone/pairs"] = Repository(OTHER)

    def write(snli: str = OTHER, phi_2: str = COMMIT, llama_3_8b: str | None = COMMIT) -> Path:
        last = "" if llama_3_8b is None else f"      revision: {llama_3_8b}"
        text = PAGE.format(snli=snli, phi_2=phi_2, llama_3_8b=last)
        (tmp_path / "params.yaml").write_text(text.replace("\n\n", "\n"))
        return tmp_path / "params.yaml"

    return write


def test_pin_writes_the_commit_that_a_branch_a_tag_or_nothing_stands_for(hub: Hub, page: Callable[..., Path]) -> None:
    path = page("main", "v1.0", None)
    assert pins.write(path) == [
        f"params.yaml: paper.datasets.snli.revision: main -> {OTHER}",
        f"params.yaml: paper.models.phi_2.revision: v1.0 -> {COMMIT}",
        f"params.yaml: paper.models.llama_3_8b.revision: None -> {COMMIT}",
    ]
    assert path.read_text() == page().read_text()
    assert hub.requests == [
        "GET /api/datasets/someone/pairs/revision/main", "GET /api/models/someone/model/revision/v1.0", "GET /api/models/someone/model",
    ]  # fmt: skip


def test_pin_asks_nothing_about_what_is_pinned_already(hub: Hub, page: Callable[..., Path]) -> None:
    path = page()
    before = path.stat().st_mtime_ns
    assert pins.write(path) == []
    assert path.stat().st_mtime_ns == before
    assert hub.requests == []


def test_pin_names_everything_that_the_hub_does_not_give_and_writes_nothing(hub: Hub, page: Callable[..., Path]) -> None:
    path = page("dev", "main", "1.0")
    path.write_text(path.read_text().replace("someone/model # and", "someone/modle # and"))
    third = """
        third:
          datasets:
            snli:
              source: file
              files: {test: [{path: none.jsonl, format: jsonl}]}
          models:
            phi_2: {source: hub, repository: someone/model, revision: [main]}
            llama_3_8b: {source: hub, repository: a/b/c}
        """
    path.write_text(path.read_text() + textwrap.dedent(third))
    before = path.read_text()
    with pytest.raises(UserError) as caught:
        pins.write(path)
    found = {problem.where.removeprefix("params.yaml: "): str(problem) for problem in caught.value.problems}
    assert set(found) == {
        "paper.datasets.snli.revision", "paper.models.llama_3_8b.revision", "third.datasets.snli.files.test[0]",
        "third.models.phi_2.revision", "third.models.llama_3_8b.revision",
    }  # fmt: skip
    assert "someone/pairs at dev: no such revision" in found["paper.datasets.snli.revision"]
    assert "https://huggingface.co/datasets/someone/pairs/commits/main" in found["paper.datasets.snli.revision"]
    assert "revision 1.0" in found["paper.models.llama_3_8b.revision"]
    assert 'revision ["main"]' in found["third.models.phi_2.revision"]
    assert "owner/name" in found["third.models.llama_3_8b.revision"]
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repositories": {}}, "someone/model at v1.0: no such repository"),
        ({"down": 403}, "403 Forbidden"),
        ({"down": 503}, "the hub cannot be reached: Server error '503"),
        ({"repositories": {"models/someone/model": Repository("short", names=("v1.0",))}}, 'the hub answers with "short"'),
    ],
)
def test_pin_says_why_the_hub_gives_no_commit(hub: Hub, page: Callable[..., Path], change: dict[str, Any], message: str) -> None:
    for name, value in change.items():
        setattr(hub, name, value)
    with pytest.raises(UserError, match=message):
        pins.write(page(phi_2="v1.0"))


def test_pin_without_a_network_exits_with_2_and_one_block(
    page: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = page(phi_2="main")
    for constant, value in (("ENDPOINT", NOBODY), ("HF_HUB_OFFLINE", True)):
        monkeypatch.setattr(f"huggingface_hub.constants.{constant}", value)
        with pytest.raises(SystemExit) as caught:
            cli.main(["pin", "--params", str(path)])
        assert caught.value.code == 2
        error = capsys.readouterr().err
        assert "ftbench pin: to mend:\nparams.yaml: paper.models.phi_2.revision\n  found:   someone/model at main: the hub cannot" in error
        assert "unset HF_HUB_OFFLINE" in error


@pytest.mark.parametrize("revision", ["main", "ef38235", None])
def test_a_revision_that_is_not_pinned_says_how_to_pin_it(revision: str | None) -> None:
    block = {**MODEL, "revision": revision}
    with pytest.raises(UserError, match="run `ftbench pin`, which writes it"):
        params.build(HubModel, block, "paper", "models", "phi_2")
    del block["revision"]
    with pytest.raises(UserError, match="run `ftbench pin`, which writes it"):
        params.build(HubModel, block, "paper", "models", "phi_2")
