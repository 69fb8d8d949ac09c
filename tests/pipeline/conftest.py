"""One shrunken pipeline, reproduced once and shared by all tests of this folder, and a tab of a real browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import browser
import pytest
import shrunken

from ftbench.report_html import Card, html_page


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


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    """A tab of a real browser, the same for all tests of a module."""
    executable = browser.found()
    if executable is None:
        if os.environ.get("GITHUB_ACTIONS"):
            pytest.fail("no Chromium: the hosted runners have one")
        pytest.skip("no Chromium")
    with browser.page(executable, tmp_path_factory.mktemp("browser") / "profile") as opened:
        yield opened


@pytest.fixture
def opened(tab: browser.Page, tmp_path: Path) -> Callable[..., browser.Page]:
    """Opens a page of these sections and cards at the size of a desk, and gives the tab."""

    def open_(sections: Any, cards: Sequence[Card] = (), **look: Any) -> browser.Page:
        path = tmp_path / "page.html"
        path.write_text(html_page(sections, cards), encoding="utf-8")
        tab.look(**{"width": 1200, **look})
        tab.open(path)
        return tab

    return open_
