"""The invalidation table: which edits make which stages stale, and that taking an edit back makes none."""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import shrunken
from dvc.dependency import param

from ftbench import dvc_files, params

Edit = Callable[[Path], None]


def setting(key: str, value: Any) -> Edit:
    """The edit that gives a key of params.yaml a value."""

    def edit(folder: Path) -> None:
        raw = params.read(folder / "params.yaml")
        *above, last = key.split(".")
        block = raw
        for name in above:
            block = block[name]
        assert block.get(last) != value
        block[last] = value
        shrunken.write(folder, raw)

    return edit


def appended(name: str, text: str = "\n# edited\n") -> Edit:
    """The edit that adds a line to a file."""

    def edit(folder: Path) -> None:
        with (folder / name).open("a", encoding="utf-8") as stream:
            stream.write(text)

    return edit


def new_level(folder: Path) -> None:
    """The edit that gives multinli another method, with settings of its own."""
    raw = params.read(folder / "params.yaml")
    raw["studies"]["multinli"]["factors"]["method"].append("top_layers")
    raw["offline"]["multinli"]["top_layers"] = {**raw["offline"]["multinli"]["lora"], "adapter": {"num_top_layers": 1}}
    shrunken.write(folder, raw)


# what is edited: how; the stages that are stale at once; those that what they write could make stale after them (patterns)
TABLE = {
    "one hyperparameter of one arm": (
        setting("offline.snli.qkv.adapter.r", 8),
        ["train_snli@qkv-nf4-0", "account"],
        ["evaluate_snli@qkv-nf4-0", "compare@snli", "report"],
    ),
    "the learning rate that lora-own alone uses": (
        setting("offline.multinli.lora.learning_rate.own", 0.004),
        ["train_multinli@lora-own-0", "account"],
        ["evaluate_multinli@lora-own-0", "compare@multinli", "report"],
    ),
    "one method's script": (
        appended("stages/train_lora.py"),
        ["train_multinli@lora-*"],
        ["evaluate_multinli@lora-*", "compare@multinli", "report"],
    ),
    "a script of evaluation": (appended("stages/evaluate_answers.py"), ["evaluate_alpaca@*"], ["compare_alpaca", "report"]),
    "the statistics": (appended("src/ftbench/statistics.py"), ["compare@*", "compare_alpaca"], ["report"]),
    "a study's evaluation batch": (
        setting("offline.multinli.evaluation.per_device_eval_batch_size", 16),
        ["evaluate_multinli@*", "baseline_multinli@*", "account"],
        ["compare@multinli", "report"],
    ),
    "the longest answer": (
        setting("offline.alpaca.evaluation.max_new_tokens", 5),
        ["evaluate_alpaca@*", "baseline_alpaca*", "account"],
        ["compare_alpaca", "report"],
    ),
    "the examples in front of the untouched models": (
        setting("offline.alpaca.three_shot.seed", 99),
        ["baseline_alpaca_three_shot@*", "account"],
        ["compare_alpaca", "report"],
    ),
    "a new seed": (
        setting("studies.multinli.seeds", [0, 1]),
        ["train_multinli@*-1", "evaluate_multinli@*-1", "compare@multinli", "report", "account"],
        [],
    ),
    "a new level": (
        new_level,
        ["train_multinli@top_layers-*", "evaluate_multinli@top_layers-*", "compare@multinli", "report", "account"],
        [],
    ),
    "the generator of pairs": (
        appended("src/ftbench/pairs.py"),
        ["prepare@*"],
        ["checkpoint@*", "train_*", "evaluate_*", "baseline_*", "compare*", "report"],
    ),
    "the size of one data set": (
        setting("offline.datasets.snli.splits.train", 60),
        ["prepare@snli", "account"],
        # bases come out the same if the tests did, and then nothing of the other studies follows
        ["checkpoint@*", "train_*", "evaluate_*", "baseline_*", "compare*", "report"],
    ),
    "the settings of one base model": (
        setting("offline.models.bloom_3b.pretraining.seed", 99),
        ["checkpoint@bloom_3b", "account"],
        ["train_alpaca@*", "evaluate_alpaca@*", "baseline_alpaca*", "compare_alpaca", "report"],
    ),
    "a scale that is not selected": (setting("larger", {"datasets": {}}), ["account"], ["report"]),
    "what a sweep tries": (setting("offline.sweeps.learning_rate.values", [0.001, 0.002]), ["account"], ["report"]),
    "the template of the report": (appended("src/ftbench/report.html", "<!-- edited -->\n"), ["report"], []),
    "the claims": (appended("src/ftbench/claims.yaml"), ["report"], []),
    "a comment in params.yaml": (appended("params.yaml"), [], []),
    "the README": (appended("README.md"), [], []),
    "a file that no stage knows": (appended("notes.txt"), [], []),
}


def stale() -> tuple[set[str], set[str]]:
    """The stages that DVC calls stale in the current folder, and those that depend on them."""
    import networkx as nx
    from dvc.repo import Repo

    repo = Repo()
    with repo.lock:
        graph = repo.index.graph
        changed = {stage for stage in graph if stage.status()}
    after = set().union(*(nx.ancestors(graph, stage) for stage in changed)) - changed
    return {stage.addressing for stage in changed}, {stage.addressing for stage in after}


def matching(names: set[str], patterns: list[str]) -> set[str]:
    return {name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}


@contextlib.contextmanager
def edited(folder: Path, edit: Edit) -> Iterator[None]:
    """The copy after an edit; when the block ends, every file is as it was."""
    code = [path for top in ("src", "stages") for path in (folder / top).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    before = {path: path.read_bytes() for path in [folder / "params.yaml", folder / "README.md", *code]}
    try:
        edit(folder)
        yield
    finally:
        for path, content in before.items():
            if path.read_bytes() != content:
                path.write_bytes(content)
        (folder / "notes.txt").unlink(missing_ok=True)


@pytest.fixture
def inside(pipeline, monkeypatch):
    """The reproduced pipeline, as the current folder."""
    monkeypatch.chdir(pipeline)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(pipeline / ".dvc/tmp/site"))
    monkeypatch.setattr(param, "read_param_file", param.read_param_file)  # put back at the end
    dvc_files.parse_params_once()  # a third of the time
    return pipeline


@pytest.mark.parametrize("what", TABLE)
def test_just_the_expected_stages_become_stale(inside, what):
    edit, wanted_at_once, wanted_after = TABLE[what]
    with edited(inside, edit):
        at_once, after = stale()
    assert at_once == matching(at_once | after, wanted_at_once), "stale at once"
    assert after == matching(at_once | after, wanted_after) - at_once, "stale after them"
    for pattern in [*wanted_at_once, *wanted_after]:
        assert matching(at_once | after, [pattern]), f"no stage {pattern}"


def test_taking_every_edit_back_leaves_nothing_stale(inside):
    for edit, _, _ in TABLE.values():
        with edited(inside, edit):
            pass
    assert stale() == (set(), set())
