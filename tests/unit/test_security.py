"""What SECURITY.md promises of the sources: no pickle, no code of others, no shell; and that what the page names exists."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "stages", "benchmarks", "soak", ".ci")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
RUNNING = {"eval", "exec", "compile", "__import__"}
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
ARCHIVES = {"tarfile", "zipfile"}  # nothing is unpacked, so that nothing can be unpacked outside its folder
LOADERS = {"yaml": {"load", "load_all", "unsafe_load", "full_load"}, "torch": {"load"}, "np": {"load"}, "numpy": {"load"}}
# where a pickle is named for a reason: errors of the restricted loader; pickles that the soak makes to see them refused
MAY_NAME_PICKLE = {"src/ftbench/weights.py", "soak/spoilt_models.py"}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call of a file, by the dotted name of what is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def faults(path: Path, name: str) -> list[str]:
    """What a source file does that SECURITY.md promises it does not."""
    found = []
    theirs = "import yaml" in path.read_text(encoding="utf-8")  # PyYAML; ruamel's objects are also called yaml
    for called, node in calls(path):
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        owner, _, last = called.rpartition(".")
        if called in RUNNING or called in ("os.system", "os.popen"):
            found.append(f"{called} at line {node.lineno}")
        if options.get("shell", "False") != "False":
            found.append(f"a shell at line {node.lineno}")
        if (
            last in LOADERS.get(owner, ())
            and (owner != "yaml" or theirs)
            and not (owner == "torch" and options.get("weights_only") == "True")
        ):
            found.append(f"{called} at line {node.lineno}")
        if last in ("load", "loads", "Unpickler") and owner in PICKLES:
            found.append(f"{called} at line {node.lineno}")
        if options.get("trust_remote_code", "False") != "False" or options.get("allow_pickle", "False") != "False":
            found.append(f"code or pickles of others at line {node.lineno}")
        if last == "YAML" and options.get("typ") not in ("'safe'", None):
            found.append(f"an unsafe YAML at line {node.lineno}")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        imported += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        roots = {one.split(".")[0] for one in imported}
        if roots & ARCHIVES or (roots & PICKLES and name not in MAY_NAME_PICKLE):
            found.append(f"import of {', '.join(sorted(roots))} at line {node.lineno}")
    return found


def test_no_source_reads_a_pickle_runs_text_or_uses_a_shell():
    assert len(SOURCES) > 100
    found = {str(path.relative_to(ROOT)): faults(path, path.relative_to(ROOT).as_posix()) for path in SOURCES}
    assert not {name: said for name, said in found.items() if said}


@pytest.mark.parametrize(
    "line",
    [
        "eval(text)",
        "exec(text)",
        "os.system(name)",
        "subprocess.run(name, shell=True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "import pickle",
        "from dill import load",
        "import tarfile",
        "import yaml; yaml.load(text)",
        "np.load(path, allow_pickle=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "YAML(typ='unsafe')",
        "pickle.loads(text)",
    ],
)
def test_the_search_finds_what_it_looks_for(tmp_path: Path, line: str):
    (tmp_path / "one.py").write_text(line + "\n")
    assert faults(tmp_path / "one.py", "one.py")
    (tmp_path / "two.py").write_text("torch.load(path, weights_only=True)\nsubprocess.run([name], shell=False)\nYAML(typ='safe')\n")
    assert not faults(tmp_path / "two.py", "two.py")


def test_every_load_of_a_model_or_a_tokenizer_refuses_code_and_the_network():
    """Where options are handed on, they come from a mapping in the same file that says both."""
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        for called, node in calls(path):
            if not called.endswith(".from_pretrained") or "Peft" in called:
                continue
            options = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            said = text if None in options else str(options)
            for needed in ("trust_remote_code", "local_files_only"):
                assert needed in said, (path.name, node.lineno, needed)


def test_the_rules_of_security_are_in_make_lint_and_each_that_is_off_says_why():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lint = tomllib.loads(text)["tool"]["ruff"]["lint"]
    assert "S" in lint["select"]
    off = [rule for rule in lint["ignore"] if re.fullmatch(r"S\d+", rule)]
    assert off
    for rule in off:
        assert re.search(rf'"{rule}",(?: "S\d+",)*  # \w+', text), f"{rule} is off without a reason"
    assert not [rule for rules in lint["per-file-ignores"].values() for rule in rules if rule.startswith("S")]
    assert re.search(r"^lint:.*\n\t\$\(BIN\)/ruff check \.$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_audit_reads_every_pin_and_fails_where_it_gets_no_answer():
    recipe = re.search(r"^audit:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[1]
    assert "pip-audit --requirement constraints.txt" in recipe
    assert "--strict" in recipe
    assert "make audit" not in (ROOT / ".ci/run").read_text(encoding="utf-8")  # it needs the network


def test_what_the_page_names_exists_and_every_promise_is_held_by_a_file():
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:src|stages|tests|soak|docs|\.github)/[\w./-]*)`", page)
    assert len(set(named)) > 12
    assert not [path for path in named if not (ROOT / path).exists()]
    rows = [line for line in page.splitlines() if line.startswith("|")][2:]
    assert len(rows) >= 10
    for row in rows:
        _, promise, where, held, _ = re.split(r"(?<!\\)\|", row)
        assert promise.strip()
        assert "`src/" in where or "`.github/" in where, promise
        assert "`tests/" in held or "`soak/" in held, promise
    assert "](SECURITY.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
