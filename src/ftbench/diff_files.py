"""The files of a run that git keeps, read from the workspace or as they were at a revision. Neither DVC's cache nor a network is needed."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftbench import files, params
from ftbench.errors import Problem, UserError, nearest

LOCK, LEDGER, REPORTS = "dvc.lock", "reports/ledger.json", "reports"
OF_A_STUDY = ("metrics.json", "comparison.json", "cost.json")
KEPT = re.compile(r"params\.yaml|dvc\.lock|reports/ledger\.json|reports/[^/]+/(metrics|comparison|cost)\.json")
COMPARISON = ("scale", "dataset", "split", "primary_metric", "lower_is_better", "entries")  # what no comparison of scores can do without
WORKSPACE = "the workspace"


@dataclass(frozen=True)
class StudyFiles:
    """The three files of one study."""

    metrics: Mapping[str, Any]
    comparison: Mapping[str, Any]
    cost: Mapping[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """A run as git keeps it: `outs` are the outputs in dvc.lock, path to md5; `claims` the ledger's, by id; `ledger_scale` its scale."""

    label: str
    params: Mapping[str, Any]
    outs: Mapping[str, str]
    claims: Mapping[str, Any]
    ledger_scale: str | None
    studies: Mapping[str, StudyFiles]


# ---- Where the files come from ----------------------------------------------------------------------------------------------------


def workspace() -> Snapshot:
    """The files as they lie in the working folder. Raises UserError with every file that is missing or broken."""
    return read(Path(), WORKSPACE)


def at(revision: str) -> Snapshot:
    """The files at a revision, of the folder that this runs in.

    Raises UserError outside a git repository, for a revision that is unknown, and with every file that is missing or broken there.
    """
    commit = _commit(revision)
    listed = _git("ls-tree", "-r", "--name-only", "-z", commit, "--", "params.yaml", LOCK, REPORTS).decode("utf-8", "replace")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in filter(KEPT.fullmatch, listed.split("\0")):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(_git("show", f"{commit}:./{path}"))
        label = revision if commit.startswith(revision) else f"{revision} ({commit[:10]})"
        try:
            return read(folder, label)
        except UserError as error:
            # the file's own advice, to run something, is none for what lies in git's history
            mend = "name a revision that holds the results of a run, in the folder where params.yaml lies"
            raise UserError([_there(problem, folder, revision, mend) for problem in error.problems]) from None


def _there(problem: Problem, folder: Path, revision: str, mend: str) -> Problem:
    return Problem(problem.where.replace(f"{folder}{os.sep}", f"{revision}:"), problem.found, problem.allowed, mend)


def _commit(revision: str) -> str:
    _git("rev-parse", "--git-dir")  # says first whether this is a repository at all
    try:
        if not revision.startswith("-"):  # which git would take for an option
            return _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").decode().strip()
    except UserError:
        pass
    known = _git("for-each-ref", "--format=%(refname:short)").decode("utf-8", "replace").split()
    mend = nearest(revision, known) or "fetch it first; a shallow clone holds its last commits alone (`git fetch --unshallow`)"
    raise UserError(
        Problem("REV", f"{params.shown(revision)}, which git does not know", "a commit, branch or tag of this repository", mend)
    )


def _git(*words: str) -> bytes:
    try:
        done = subprocess.run(["git", *words], capture_output=True, check=False, env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError:
        raise UserError(Problem("git", "not installed", mend="install git, which holds what this compares with")) from None
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UserError(Problem(f"git {words[0]}", said[0] if said else f"exit status {done.returncode}", "a git repository with commits"))
    return done.stdout


# ---- What they hold ---------------------------------------------------------------------------------------------------------------


def read(folder: Path, label: str) -> Snapshot:
    """The snapshot in a folder. Raises UserError with every file that is missing, broken or without what a comparison needs."""
    problems: list[Problem] = []

    def attempt(reader: Callable[[Path], Any], path: str, ok: Callable[[Any], str] = lambda _: "") -> Any:
        try:
            content = reader(folder / path)
            lacking = ok(content)
        except UserError as error:
            problems.extend(error.problems)
            return {}
        if lacking:
            problems.append(Problem(str(folder / path), lacking, "a file that `dvc repro` wrote", "run `dvc repro`, which writes it"))
            return {}
        return content

    raw = attempt(params.read, "params.yaml")
    outs = attempt(_outs, LOCK)
    ledger = attempt(files.read_json, LEDGER, lambda content: _mappings(content.get("claims"), "claims"))
    found = sorted({path.parent.name for path in folder.glob(f"{REPORTS}/*/*.json") if path.name in OF_A_STUDY})
    studies = {
        name: StudyFiles(
            attempt(files.read_json, f"{REPORTS}/{name}/metrics.json", _scores),
            attempt(files.read_json, f"{REPORTS}/{name}/comparison.json", _lacking),
            attempt(files.read_json, f"{REPORTS}/{name}/cost.json", lambda content: _mappings(content.get("entries"), "entries")),
        )
        for name in found
    }
    if not studies:
        problems.append(Problem(str(folder / REPORTS), "no study's results", "a study's " + ", ".join(OF_A_STUDY), "run `dvc repro`"))
    if problems:
        raise UserError(problems)
    return Snapshot(label, raw, outs, ledger["claims"], ledger.get("scale"), studies)


def _outs(path: Path) -> dict[str, str]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        stages = content["stages"].values()
        return {str(out["path"]): str(out.get("md5", "")) for stage in stages for out in stage.get("outs", [])}
    except FileNotFoundError:
        raise UserError(Problem(str(path), "no such file", mend="run `dvc repro`, which writes it")) from None
    except (YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(Problem(str(path), f"not a lock file of DVC's: {type(error).__name__}", mend="run `dvc repro`")) from None


def _mappings(value: Any, what: str) -> str:
    fine = isinstance(value, Mapping) and all(isinstance(item, Mapping) for item in value.values())
    return "" if fine else f"no `{what}` by name"


def _scores(metrics: Mapping[str, Any]) -> str:
    wrong = [name for name, row in metrics.items() if not isinstance(row, Mapping) or not all(map(_is_number, row.values()))]
    return f"no numbers by name under {', '.join(wrong)}" if wrong else ""


def _lacking(comparison: Mapping[str, Any]) -> str:
    missing = [key for key in COMPARISON if key not in comparison]
    if missing:
        return f"no {', '.join(missing)}"
    if lacking := _mappings(comparison["entries"], "entries"):
        return lacking
    without = [name for name, one in comparison["entries"].items() if not all(_is_number(one.get(key)) for key in ("mean", "low", "high"))]
    return f"no mean with low and high of {', '.join(without)}" if without else ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
