"""Writing the sha256 of local files into params.yaml, its comments and its order kept."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftbench import files, params
from ftbench.errors import Problem, UserError

WIDTH = 4096  # ruamel folds longer lines


def write(path: Path = params.PATH) -> list[str]:
    """Hash every file of every `source: file`, write what differs into params.yaml, and return one line per change.

    Paths are relative to the folder of params.yaml. Raises UserError, before anything is written, naming every file that is not there.
    """
    from ruamel.yaml import YAML

    params.read(path)  # refuses what must not be there, by line
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.representer.add_representer(type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null"))
    content = yaml.load(path.read_text(encoding="utf-8"))
    changed: list[str] = []
    found: list[Problem] = []
    for place, entry, file in _entries(content, path.parent, found):
        if not file.is_file():
            found.append(Problem(params.at(*place), f"{file}: no such file", mend="mend the path, or put the file there"))
            continue
        digest = files.sha256_file(file)
        if entry.get("sha256") != digest:
            changed.append(f"{params.at(*place, 'sha256')}: {entry.get('sha256')} -> {digest}")
            entry["sha256"] = digest
    if found:
        raise UserError(found)
    if changed:
        stream = io.StringIO()
        yaml.dump(content, stream)
        files.write_text(path, stream.getvalue())
    return changed


def _entries(content: Any, root: Path, found: list[Problem]) -> Iterator[tuple[tuple[Any, ...], Any, Path]]:
    for scale, section, name, source in _sources(content):
        place = (scale, section, name, "files")
        listed = source.get("files")
        if section == "datasets" and isinstance(listed, dict):
            for split, entries in listed.items():
                for index, entry in enumerate(entries if isinstance(entries, list) else []):
                    if isinstance(entry, dict) and isinstance(entry.get("path"), str):
                        yield (*place, split, index), entry, root / entry["path"]
                    else:
                        found.append(Problem(params.at(*place, split, index), params.shown(entry), "a mapping with a path"))
        if section == "models":
            yield from _folder(place, source, root, found)


def _sources(content: Any) -> Iterator[tuple[str, str, str, Any]]:
    for scale, blocks in content.items():
        for section in ("datasets", "models"):
            entries = blocks.get(section) if scale != "studies" and isinstance(blocks, dict) else None
            for name, source in entries.items() if isinstance(entries, dict) else ():
                if isinstance(source, dict) and source.get("source") == "file":
                    yield scale, section, name, source


def _folder(place: tuple[Any, ...], source: Any, root: Path, found: list[Problem]) -> Iterator[tuple[tuple[Any, ...], Any, Path]]:
    folder = root / str(source.get("path", ""))
    if not isinstance(source.get("path"), str) or not folder.is_dir():
        found.append(
            Problem(params.at(*place[:-1], "path"), f"{source.get('path')}: no such folder", mend="mend the path, or put the folder there")
        )
        return
    there = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    listed = source.get("files")
    old = {entry.get("path"): entry for entry in listed if isinstance(entry, dict)} if isinstance(listed, list) else {}
    if list(old) != there:
        source["files"] = [old.get(name, {"path": name}) for name in there]
    for index, entry in enumerate(source["files"]):
        yield (*place, index), entry, folder / entry["path"]
