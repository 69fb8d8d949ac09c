"""params.yaml and dvc.lock as DVC reads and writes them, but not anew for every stage."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ftbench import files

LOCK_FILE = Path("dvc.lock")


class LockFile:
    """dvc.lock, held in memory: entries in `waiting` are written with the next `write`."""

    def __init__(self, order: Iterable[str]):
        """`order`: the stages as dvc.yaml lists them."""
        from dvc.utils.serialize import load_yaml

        self.contents: dict[str, Any] = load_yaml(LOCK_FILE) if LOCK_FILE.exists() else {}
        self.place = {name: index for index, name in enumerate(order)}
        self.waiting: dict[str, Any] = {}

    def write(self) -> None:
        """Write dvc.lock, atomically and in DVC's format: in the order of dvc.yaml, whatever finished first.

        Entries of stages that are gone stay at the end, as DVC leaves them.
        """
        from dvc.utils.serialize import dump_yaml

        if not self.waiting:
            return
        stages = {**self.contents.get("stages", {}), **self.waiting}
        ordered = sorted(stages, key=lambda name: self.place.get(name, len(self.place)))
        self.contents = {"schema": "2.0", **self.contents, "stages": {name: stages[name] for name in ordered}}
        with files.written_atomically(LOCK_FILE) as temporary:
            dump_yaml(temporary, self.contents)
        self.waiting = {}  # only now: a full disk must not lose them


def parse_params_once() -> None:
    """From here on DVC, in this process and those it forks, parses params.yaml when it has changed and not for every stage."""
    from dvc.dependency import param
    from dvc.utils.serialize import load_path

    parsed: dict[str, tuple[tuple[int, int], Any]] = {}

    def read(fs: Any, path: str, key_paths: list[str] | None = None, flatten: bool = False, **kwargs: Any) -> Any:
        assert flatten or not key_paths  # as a stage's params are read; nothing else here reads them
        found = os.stat(path)
        stamp = (found.st_mtime_ns, found.st_size)
        if path not in parsed or parsed[path][0] != stamp:
            parsed[path] = (stamp, load_path(path, fs))
        content = parsed[path][1]
        values = {key: _value(content, key.split(".")) for key in key_paths or ()}
        return {key: value for key, (there, value) in values.items() if there} if key_paths else content

    param.read_param_file = read


def _value(content: Any, keys: list[str]) -> tuple[bool, Any]:
    for key in keys:
        if not isinstance(content, Mapping) or key not in content:
            return False, None
        content = content[key]
    return True, content
