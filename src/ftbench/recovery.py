"""What a run that was killed leaves behind, put right before the next one looks at anything.

A kill can leave names of paths in DVC's list of those in use, that list half written, and temporary files beside outputs. The first two
would stop the next run until somebody deleted them; the last would be hashed with the folders in which they lie.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import psutil

from ftbench import dvc_files, files
from ftbench import stage as stage_script

SETTLING = 0.5  # seconds
FORGOTTEN = 7 * 86400.0  # seconds
OURS = r"\.{name}\.[a-z0-9_]{{8}}"  # as tempfile names what `files` writes
DVCS = r"({name})?\.[A-Za-z0-9_-]{{22}}\.tmp"


def mend_paths_in_use(folder: Path, hardlink_lock: bool = False) -> bool:
    """Take from DVC's list of paths in use, in its folder for temporary files, whatever no living process holds; True if any is left.

    The caller holds the repository's lock; `hardlink_lock` is DVC's setting of that name.
    """
    from dvc.lock import make_lock

    path = folder / "rwlock"
    if not path.exists():
        return False
    with make_lock(str(folder / "rwlock.lock"), tmp_dir=str(folder), hardlink_lock=hardlink_lock):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            written = {name: one for name, one in content.get("write", {}).items() if _lives(one)}
            read = {name: [one for one in found if _lives(one)] for name, found in content.get("read", {}).items()}
        except (ValueError, AttributeError, TypeError, KeyError):  # half written
            written, read = {}, {}
        kept = {"write": written, "read": {name: found for name, found in read.items() if found}}
        with files.written_atomically(path) as temporary:
            temporary.write_text(json.dumps(kept), encoding="utf-8")
    return any(kept.values())


def replace_paths_in_use() -> None:
    """From here on DVC, in this process and those it forks, replaces its list of paths in use and does not write over it.

    Else a stage whose process is killed in the midst of it, alone or with its node, leaves half a list, on which all other stages fail.
    """
    from dvc import rwlock

    edit = rwlock._edit_rwlock
    rwlock._edit_rwlock = lambda folder, fs, hardlink: edit(folder, SimpleNamespace(join=fs.join, open=_read_or_replaced), hardlink)


@contextmanager
def _read_or_replaced(path: str, mode: str = "r", encoding: str = "utf-8") -> Iterator[IO[str]]:
    if mode == "r":
        with Path(path).open(encoding=encoding) as stream:
            yield stream
        return
    with files.written_atomically(Path(path)) as temporary, temporary.open(mode, encoding=encoding) as stream:
        yield stream


def _lives(holder: dict[str, Any]) -> bool:
    # the number of a process that is gone may by now be another's
    try:
        words = psutil.Process(int(holder["pid"])).cmdline()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    return any(re.search("python|dvc|ftbench", word) for word in words)


def unfinished(outs: Iterable[Path]) -> list[Path]:
    """The temporary files and folders beside outputs that were being written when their writer was killed."""
    by_folder: dict[Path, list[str]] = {}
    for out in outs:
        by_folder.setdefault(out.parent, []).append(re.escape(out.name))
    found = []
    for folder, names in by_folder.items():
        either = "|".join(names)
        pattern = re.compile(f"{OURS.format(name=f'(?:{either})')}|{DVCS.format(name=either)}")
        found += sorted(path for path in folder.glob("*") if pattern.fullmatch(path.name))
    return found


def forgotten(scratch: Path, seconds: float = FORGOTTEN) -> list[Path]:
    """The folders of trainings that were cut short and that nobody has gone on with for so long: of settings since given up."""
    return sorted(path for path in scratch.glob("*") if time.time() - path.stat().st_mtime > seconds)


def clear(repo: Any) -> list[str]:
    """Put right what killed runs have left in a DVC repository, whose lock the caller holds, and take away what no stage makes any more.

    Returns the outputs of stages that are gone which were taken away: DVC's cache keeps them.
    """
    root = Path(repo.root_dir)
    outs = [Path(out.fs_path) for stage in repo.index.stages for out in stage.outs]
    if mend_paths_in_use(Path(repo.tmp_dir), repo.config["core"].get("hardlink_lock", False)):  # another DVC may be writing
        return []
    gone = ownerless(repo, outs)
    written = [*outs, root / dvc_files.LOCK_FILE, Path(repo.tmp_dir) / "rwlock"]
    stage_script.remove([*unfinished(written), *forgotten(stage_script.SCRATCH), *gone])
    return [str(path.relative_to(root)) for path in gone]


def ownerless(repo: Any, outs: Iterable[Path]) -> list[Path]:
    """Outputs that dvc.lock has of stages that are gone, as long as the cache holds just these bytes.

    Left where they are they would be hashed with the folders that a comparison reads, and a run from scratch does not have them. What git
    tracks stays, what another stage reads as it is, and a link, which may lead to the cache's only copy.
    """
    from dvc.utils.serialize import load_yaml

    root, lock = Path(repo.root_dir), Path(repo.root_dir) / dvc_files.LOCK_FILE
    stages = {stage.addressing for stage in repo.index.stages}
    contents = load_yaml(str(lock)).get("stages", {}) if lock.exists() else {}
    entries = [out for name, stage in contents.items() if name not in stages for out in stage.get("outs", [])]
    owned = {path.resolve() for path in outs}
    read = {Path(dep.fs_path).resolve() for stage in repo.index.stages for dep in stage.deps}
    found = []
    for entry in entries:
        place = root / entry["path"]
        path = place.parent.resolve() / place.name
        related = any(path == own or path in own.parents or own in path.parents for own in owned)
        needed = any(path == one or path in one.parents for one in read)
        inside = path.is_relative_to(root.resolve()) and not path.is_relative_to(root.resolve() / ".dvc")
        if related or needed or not inside or path.is_symlink() or not path.exists() or _is_tracked(repo, path):
            continue
        if _is_kept(repo, path, str(entry.get("md5", ""))):
            found.append(path)
    return found


def _is_tracked(repo: Any, path: Path) -> bool:
    from dvc.scm import NoSCM

    return not isinstance(repo.scm, NoSCM) and bool(repo.scm.is_tracked(str(path)))


def _is_kept(repo: Any, path: Path, name: str) -> bool:
    # whether the cache holds an output as it is here
    def there(one: str) -> Path:
        return Path(repo.cache.local.oid_to_path(one))

    if not name or not there(name).exists():
        return False
    if not name.endswith(".dir"):
        return path.is_file() and _md5(path) == name
    wanted = {entry["relpath"]: entry["md5"] for entry in json.loads(there(name).read_bytes())}
    files_here = {one.relative_to(path).as_posix(): _md5(one) for one in path.rglob("*") if one.is_file()} if path.is_dir() else {}
    return files_here == wanted and all(there(one).exists() for one in wanted.values())


def broken_objects(stage: Any) -> list[Path]:
    """The objects of DVC's cache for a stage's outputs whose bytes are not those that their names are the hash of.

    DVC itself believes an object that nobody may write.
    """
    found = []
    for out in stage.outs:
        if not out.use_cache or not out.hash_info or out.hash_info.name != "md5":
            continue
        object_of = stage.repo.cache.local.oid_to_path
        names = [out.hash_info.value]
        if names[0].endswith(".dir"):
            try:
                names += [entry["md5"] for entry in json.loads(Path(object_of(names[0])).read_bytes())]
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError):
                found.append(Path(object_of(names[0])))
                continue
        paths = {name: Path(object_of(name)) for name in names}
        found += [path for name, path in paths.items() if path.exists() and _differs(path, name.removesuffix(".dir"))]
    return found


def reproduce(stage: Any, allow_missing: bool) -> tuple[bool, bool]:
    """Bring a stage up to date as DVC does.

    Returns whether anything was done, and whether the stage ran since the cache held a broken object of what was restored or written.
    """
    done = bool(stage.reproduce(allow_missing=allow_missing))
    broken = broken_objects(stage) if done else []
    if broken:
        print("not what their names in the cache say, and removed, so that the stage runs anew:", *broken, flush=True)
        stage_script.remove(broken)
        stage.reproduce(force=True, allow_missing=allow_missing)
    return done, bool(broken)


def _differs(path: Path, md5: str) -> bool:
    if _md5(path) == md5:
        return False
    time.sleep(SETTLING)  # another stage may be putting the same object there
    return path.exists() and _md5(path) != md5


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
