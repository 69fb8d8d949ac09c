"""A hub on the loopback to which the client in this process is connected, and a model that is pinned to one of its commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hub_server
import pytest
from hub_server import Hub

from ftbench.schema_models import HubModel

NOBODY = "http://127.0.0.1:9"  # the discard service, which no machine runs any more
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MODEL = {
    "source": "hub",
    "architecture": "llama",
    "licence": "MIT",
    "gated": False,
    "repository": "someone/model",
    "revision": COMMIT,
    "dimensions": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 600},
}


@contextmanager
def connected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub without a repository, where the client in this process looks for its own; its cache is empty, and nobody is logged in."""
    from huggingface_hub import close_session

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with hub_server.running() as hub:
        # the client reads its environment when it is imported, which may be long ago
        template = hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        constants = {"ENDPOINT": hub.endpoint, "HUGGINGFACE_CO_URL_TEMPLATE": template, "HF_HUB_OFFLINE": False}
        constants |= {"HF_HUB_CACHE": str(tmp_path / "cache"), "HF_TOKEN_PATH": str(tmp_path / "token")}
        for name, value in constants.items():
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
        close_session()
        yield hub
    close_session()


def model(**changes: Any) -> HubModel:
    return HubModel.model_validate({**MODEL, **changes})
