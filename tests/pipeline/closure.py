"""The import closure of a stage script: the files of this repository that running it can load."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Files that are read or loaded by their path instead of being imported, by the module that does so.
BY_PATH = {
    "src/ftbench/answers.py": ["src/ftbench/metrics/answers.py"],
    "src/ftbench/ledger.py": ["src/ftbench/claims.yaml"],
    "src/ftbench/report_html.py": ["src/ftbench/report.css", "src/ftbench/report.html", "src/ftbench/report.js"],
    "src/ftbench/scores.py": ["src/ftbench/metrics/classification.py"],
}


def of(script: str) -> set[str]:
    """The script itself and every file of `ftbench` that it imports, at its top or inside a function, directly or through others.

    What stands under `if TYPE_CHECKING:` never runs, and is left out.
    """
    found: set[str] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [*_imported(path), *BY_PATH.get(path, [])]
    return found


@cache
def _imported(path: str) -> list[str]:
    if not path.endswith(".py"):
        return []
    names: set[str] = set()
    _collect(ast.parse((ROOT / path).read_text(encoding="utf-8")), names)
    return sorted({file for name in names for file in _files(name)})


def _collect(node: ast.AST, names: set[str]) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            for other in child.orelse:
                _collect(other, names)
        elif isinstance(child, ast.Import):
            names.update(alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{ast.unparse(child)}: imports name the package in full"
            names.update([str(child.module), *(f"{child.module}.{alias.name}" for alias in child.names)])
        else:
            _collect(child, names)


def _files(name: str) -> list[str]:
    # importing a module runs the packages above it first
    parts = name.split(".")
    if parts[0] != "ftbench":
        return []
    packages = [Path("src", *parts[:end], "__init__.py") for end in range(1, len(parts) + 1)]
    return [path.as_posix() for path in (*packages, Path("src", *parts).with_suffix(".py")) if (ROOT / path).is_file()]
