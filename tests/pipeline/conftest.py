"""One shrunken pipeline, reproduced once and shared by all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import shrunken


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, cut down and reproduced by `ftbench repro`, each stage of it seeing only the params that it declares.

    A test that changes it puts it back.
    """
    folder = shrunken.copy(tmp_path_factory.mktemp("pipeline"))
    shrunken.hide_what_is_not_declared(folder)
    (folder / "printed").write_text(shrunken.run(folder, "ftbench", "repro", "--jobs", "2"), encoding="utf-8")
    shrunken.commit(folder)
    return folder
