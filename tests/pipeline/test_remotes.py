"""The shrunken pipeline in fresh clones: the gates of a pull request, and what a remote must hold for a report without training."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import shrunken

LOCK_GATE, REPORT_GATE = (shrunken.ROOT / f".ci/{gate}_gate.py" for gate in ("lock", "report"))
DOCUMENT = shrunken.ROOT / "docs/remotes.md"
STUDIES = sorted(shrunken.FACTORS)
COMPARED_AND_REPORTED = {*(f"compare@{study}" for study in STUDIES if study != "alpaca"), "compare_alpaca", "report"}


@pytest.fixture
def clone(pipeline, tmp_path) -> Path:
    """A fresh clone of the reproduced pipeline: what git holds, and nothing that DVC keeps."""
    folder = tmp_path / "clone"
    shrunken.run(tmp_path, "git", "clone", "--quiet", str(pipeline), str(folder))
    assert not (folder / "data").exists()
    assert not (folder / "models").exists()
    return folder


@pytest.fixture(scope="module")
def store(pipeline, tmp_path_factory) -> Path:
    """A folder to which the pipeline was pushed by the commands of the document: under `all` whole, under `results` without weights."""
    folder = tmp_path_factory.mktemp("store")
    use(pipeline, folder / "all")
    run(pipeline, shown("dvc push"))
    (pipeline / ".dvc/config.local").unlink()
    apart = tmp_path_factory.mktemp("apart") / "clone"
    shrunken.run(folder, "git", "clone", "--quiet", str(pipeline), str(apart))
    use(apart, folder / "all")
    run(apart, shown("dvc pull"))
    keep_weights_apart(apart, folder / "results")
    run(apart, shown("dvc push --remote storage"))
    return folder


def shown(pattern: str) -> str:
    """The one command of the document that is like this."""
    lines = re.findall(r"^(dvc .*?)(?: +#.*)?$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    (found,) = [line for line in lines if re.fullmatch(pattern, line)]
    return found


def use(folder: Path, remote: Path) -> None:
    """Make a folder the clone's remote, in the file that git does not see."""
    shrunken.run(folder, "dvc", "remote", "add", "--local", "--force", "--default", "storage", str(remote))
    assert shrunken.run(folder, "git", "status", "--porcelain") == ""


def keep_weights_apart(folder: Path, remote: Path) -> None:
    """Give the trained arms to a remote of their own, as the document says, and everything else to a folder."""
    use(folder, remote)
    (line,) = re.findall(r"^sed .*$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    run(folder, line)
    assert (folder / "dvc.yaml").read_text(encoding="utf-8").count("{remote: weights}") == len(STUDIES)
    shrunken.run(folder, "dvc", "remote", "add", "--local", "weights", str(remote.with_name("nowhere")))


def run(folder: Path, command: str) -> str:
    """Run a line of the document as a reader's shell does."""
    return shrunken.run(folder, "bash", "-c", command.replace("dvc ", f"{sys.executable} -m dvc ", 1))


def edit_comparison_and_report(folder: Path) -> None:
    """Change the code that compares and the code that reports, neither so that a result differs."""
    for name, text in {"src/ftbench/statistics.py": "\n# edited\n", "src/ftbench/report.py": "\n# edited\n"}.items():
        with (folder / name).open("a", encoding="utf-8") as stream:
            stream.write(text)


def ran(printed: str) -> set[str]:
    """The stages that a `dvc repro` or an `ftbench repro` ran."""
    return {one or other for one, other in re.findall(r"^Running stage '(.+)':|^\[\d+/\d+\] (\S+): ran", printed, re.MULTILINE)}


def gate(folder: Path, script: Path, expected: int) -> str:
    return shrunken.run(folder, sys.executable, str(script), expected=expected)


# ---- The gates of a pull request ----------------------------------------------------------------------------------------------------


def test_the_lock_gate_opens_where_the_lock_is_that_of_the_tree(clone):
    assert re.search(r"^lock gate: none of \d\d stages would run$", gate(clone, LOCK_GATE, 0), re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "edit", "stale"),
    [
        (
            "stages/train_lora.py",
            lambda text: f"{text}\n# edited\n",
            ["train_multinli@lora-shared-0", "train_multinli@lora-own-0", "evaluate_multinli@lora-own-0", "compare@multinli", "report"],
        ),
        ("params.yaml", lambda text: text.replace("max_new_tokens: 4", "max_new_tokens: 5"), ["evaluate_alpaca@bloom_3b-equal-0"]),
        ("dvc.yaml", lambda text: text.replace("report.py --out reports", "report.py --out ./reports"), ["report"]),
        ("reports/multinli/metrics.json", lambda text: text.replace("0.", "0.9", 1), ["compare@multinli"]),
        ("dvc.lock", lambda text: re.sub(r"^  report:\n(    .*\n|  -.*\n)+", "", text, flags=re.MULTILINE), ["report"]),
    ],
)  # fmt: skip
def test_the_lock_gate_names_the_stages_that_would_run(clone, name: str, edit: Callable[[str], str], stale: list[str]):
    path = clone / name
    before = path.read_text(encoding="utf-8")
    path.write_text(edit(before), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != before
    told = gate(clone, LOCK_GATE, 1)
    assert "lock gate: dvc.lock is not that of this tree" in told
    named = set(re.findall(r"^  (\S+)$", told, re.MULTILINE))
    assert set(stale) <= named
    assert not [name for name in named if name.startswith(("prepare", "checkpoint", "train_snli"))]
    assert "make repro" in told


def test_the_lock_gate_stays_shut_where_dvc_cannot_say(clone):
    (clone / "dvc.yaml").write_text("stages: [", encoding="utf-8")
    assert "lock gate: DVC: " in gate(clone, LOCK_GATE, 1)
    (clone / "dvc.yaml").write_text("stages: {}\n", encoding="utf-8")
    assert "lock gate: dvc.yaml holds no stage" in gate(clone, LOCK_GATE, 1)


def test_the_report_gate_opens_in_a_clone_without_data_and_shuts_where_a_page_was_edited(clone):
    assert "byte for byte" in gate(clone, REPORT_GATE, 0)
    with (clone / "reports/README.md").open("a", encoding="utf-8") as stream:
        stream.write("Everything is better.\n")
    shrunken.commit(clone)
    told = gate(clone, REPORT_GATE, 1)
    assert " M reports/README.md\n" in told
    assert "index.html" not in told
    assert "make report" in told


def test_the_report_gate_shuts_where_a_figure_was_never_added_and_where_nothing_can_be_built(clone):
    shrunken.run(clone, "git", "rm", "--quiet", "--cached", "reports/figures/overview.svg")
    assert "?? reports/figures/overview.svg\n" in gate(clone, REPORT_GATE, 1)
    (clone / "reports/multinli/metrics.json").write_text("{", encoding="utf-8")
    assert "report gate: the report cannot be built" in gate(clone, REPORT_GATE, 1)


# ---- Remotes ------------------------------------------------------------------------------------------------------------------------


def test_a_clone_with_everything_pulled_has_nothing_to_run_and_builds_the_report_of_its_origin(clone, store):
    use(clone, store / "all")
    run(clone, shown("dvc pull"))
    assert "nothing to do" in shrunken.run(clone, "ftbench", "repro")
    edit_comparison_and_report(clone)
    assert ran(shrunken.run(clone, "ftbench", "repro", "--jobs", "2")) == COMPARED_AND_REPORTED
    assert shrunken.run(clone, "git", "status", "--porcelain", "--", "reports") == ""


@pytest.mark.parametrize("command", ["dvc", "ftbench"])
def test_a_clone_with_the_predictions_and_no_weights_compares_and_reports_again_without_training(clone, store, command):
    keep_weights_apart(clone, store / "results")
    shrunken.run(clone, "dvc", "pull", "--remote", "storage", expected=1)  # which is why the document says --allow-missing
    run(clone, shown("dvc pull --remote .*"))
    assert (clone / "models/base/roberta_large").is_dir()
    assert not [path for path in clone.glob("models/[!b]*/**/*") if path.is_file()]
    assert ran(shrunken.run(clone, command, "repro", "--allow-missing")) == set()
    edit_comparison_and_report(clone)
    assert ran(shrunken.run(clone, command, "repro", "--allow-missing")) == COMPARED_AND_REPORTED
    assert shrunken.run(clone, "git", "status", "--porcelain", "--", "reports") == ""
    assert "none of" in gate(clone, LOCK_GATE, 0)
