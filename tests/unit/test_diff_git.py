"""`ftbench diff` on a git repository of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from worked_runs import cells, run, scored

from ftbench import cli, diff_files


def git(root: Path, *words: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"]
    subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)


def write(root: Path, of: dict[str, Any]) -> None:
    study = root / "reports" / "nli"
    study.mkdir(parents=True, exist_ok=True)
    for name in ("metrics", "comparison", "cost"):
        (study / f"{name}.json").write_text(json.dumps({"schema_version": 1, **of[name]}))
    ledger = {"schema_version": 1, "scale": of["comparison"]["scale"], "claims": of["claims"]}
    (root / "reports" / "ledger.json").write_text(json.dumps(ledger))
    (root / "params.yaml").write_text(json.dumps(of["params"]))
    outs = [{"path": path, "hash": "md5", "md5": md5} for path, md5 in of["outs"].items()]
    (root / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": {"all": {"cmd": "x", "outs": outs}}}))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the run committed on `main`, as the working folder."""
    for key in [key for key in os.environ if key.startswith("GIT_")]:
        monkeypatch.delenv(key)
    git(tmp_path, "init", "-q", "-b", "main")
    write(tmp_path, run())
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "A run")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_git_holds_reads_like_what_lies_in_the_workspace(repository):
    held, lying = diff_files.at("HEAD"), diff_files.workspace()
    assert held.label.startswith("HEAD (")
    assert (held.params, held.outs, held.claims, held.studies) == (lying.params, lying.outs, lying.claims, lying.studies)
    assert held.outs == run()["outs"]


def test_an_unchanged_tree_gives_one_line_and_exit_0(repository, capsys):
    cli.main(["diff", "--fail-on", "regression"])
    out = capsys.readouterr().out
    assert out.startswith("No score, setting, result, cost, failure case or verdict changed from HEAD (")
    assert out.count("\n") == 1


def test_a_regression_exits_with_3_only_where_it_is_asked_for(repository, capsys):
    write(repository, scored(0.5, 0.03))
    cli.main(["diff"])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main(["diff", "main", "--fail-on", "regression"])
    assert ended.value.code == 3
    said = capsys.readouterr()
    assert cells(said.out, "nli", "lora", "accuracy")[0][5:] == ["−20.0 points", "yes, worse"]
    assert said.err == "ftbench diff: worse beyond noise: nli/lora: accuracy 70.0 % → 50.0 %\n"


def test_two_revisions_are_compared_without_the_workspace(repository, capsys):
    git(repository, "checkout", "-q", "-b", "better")
    write(repository, scored(0.9, 0.03))
    git(repository, "commit", "-qam", "Better")
    write(repository, scored(0.1, 0.03))
    cli.main(["diff", "main", "better", "--fail-on", "regression"])
    assert cells(capsys.readouterr().out, "nli", "lora", "accuracy")[0][5:] == ["+20.0 points", "yes, better"]


def test_it_compares_the_folder_that_it_runs_in(repository, monkeypatch, capsys):
    write(repository / "inner", scored(0.8, 0.03))
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "A second one")
    write(repository / "inner", scored(0.6, 0.03))
    monkeypatch.chdir(repository / "inner")
    cli.main(["diff"])
    assert cells(capsys.readouterr().out, "nli", "lora", "accuracy")[0][3:5] == ["80.0 % (77.0–83.0)", "60.0 % (57.0–63.0)"]


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        cli.main(["diff", *words])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    return said.err


@pytest.mark.parametrize("revision", ["mian", "HEAD~9", "HEAD:params.yaml", "a b", ""])
def test_an_unknown_revision_is_refused(repository, capsys, revision):
    said = refused(capsys, revision)
    assert f"found:   {json.dumps(revision)}, which git does not know" in said
    assert ("did you mean 'main'?" in said) == (revision == "mian")


def test_a_revision_that_looks_like_an_option_never_reaches_git(repository, capsys):
    assert "which git does not know" in refused(capsys, "--", f"--output={repository / 'owned'}")
    assert not (repository / "owned").exists()


def test_a_folder_outside_git_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    assert "not a git repository" in refused(capsys)


def test_files_that_are_missing_at_the_revision_are_all_named(repository, capsys):
    for path in ("dvc.lock", "reports/ledger.json", "reports/nli/cost.json"):
        git(repository, "rm", "-q", "--cached", path)
    git(repository, "commit", "-q", "-m", "Without")
    said = refused(capsys)
    for path in ("dvc.lock", "reports/ledger.json", "reports/nli/cost.json"):
        assert f"HEAD:{path}\n  found:   no such file" in said
    assert "name a revision that holds the results of a run" in said


def test_a_broken_file_in_the_workspace_is_refused(repository, capsys):
    (repository / "reports" / "nli" / "metrics.json").write_text("{")
    (repository / "dvc.lock").write_text("stages: [1")
    broken = run()["comparison"]
    del broken["split"], broken["dataset"]
    (repository / "reports" / "nli" / "comparison.json").write_text(json.dumps({"schema_version": 1, **broken}))
    said = refused(capsys)
    assert "reports/nli/metrics.json\n  found:   not readable as JSON" in said
    assert "dvc.lock\n  found:   not a lock file of DVC's: ParserError" in said
    assert "reports/nli/comparison.json\n  found:   no dataset, split" in said


def test_another_scale_than_before_exits_with_2(repository, capsys):
    after = run()
    after["comparison"]["scale"] = "paper"
    write(repository, after)
    assert "found:   scale offline at HEAD (" in refused(capsys)


def test_ftbench_diff_starts_without_torch(repository):
    code = "import sys; from ftbench import cli; cli.main(['diff']); assert not {'torch', 'numpy', 'pyarrow'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
