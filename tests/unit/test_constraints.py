"""What pyproject.toml declares and constraints.txt pins: all that is imported, to one version each, and not what must not be installed."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
OURS = {"ftbench", *(path.stem for folder in ("tests", "soak") for path in (ROOT / folder).rglob("*.py"))}


@pytest.fixture(scope="module")
def pins() -> dict[str, str]:
    """The version specifier by package name."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(one.name): str(one.specifier) for one in requirements}


@pytest.fixture(scope="module")
def declared() -> dict[str, set[str]]:
    """The names of the packages that the project needs, and of those that each optional group adds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {group: {canonicalize_name(Requirement(line).name) for line in lines} for group, lines in groups.items()}


def imported(folder: str) -> dict[str, str]:
    """The packages of others that the files of a folder import, at their tops or inside functions, each with a file that does."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for name in names(node):
                found.setdefault(name, path.relative_to(ROOT).as_posix())
    return {name: path for name, path in found.items() if name.split(".")[0] not in OURS | sys.stdlib_module_names}


def names(node: ast.AST) -> Iterable[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [str(node.module)] if isinstance(node, ast.ImportFrom) else []


def test_every_package_is_pinned_to_one_version(pins: dict[str, str]) -> None:
    loose = {name: specifier for name, specifier in pins.items() if not specifier.startswith("==") or set(specifier) & set(",*")}
    assert not loose


def test_every_package_that_is_declared_is_pinned(pins: dict[str, str], declared: dict[str, set[str]]) -> None:
    assert {"torch", "pytest"} <= set.union(*declared.values())
    assert not set.union(*declared.values()) - set(pins)  # an unpinned torch alone can bring gigabytes of GPU libraries


@pytest.mark.parametrize(("folder", "groups"), [("src", ["", "ray"]), ("stages", [""]), ("tests", ["", "test"]), ("soak", ["", "test"])])
def test_every_package_that_is_imported_is_declared(declared: dict[str, set[str]], folder: str, groups: list[str]) -> None:
    distributions = importlib.metadata.packages_distributions()
    known = set().union(*(declared[group] for group in groups))
    found = imported(folder)
    assert ("numpy" in found or "torch" in found) is (folder != "stages")  # which import no package but ours
    undeclared = {
        name: path
        for name, path in found.items()
        if not known & {canonicalize_name(distribution) for distribution in distributions.get(name.split(".")[0], [])}
    }
    assert not undeclared


def test_the_package_with_which_bitsandbytes_would_fetch_code_is_absent(pins: dict[str, str]) -> None:
    assert "bitsandbytes" in pins
    assert "kernels" not in pins  # bitsandbytes asks it for a compiled kernel from the hub on some processors, and does without it
