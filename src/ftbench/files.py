"""Reading and writing: atomic, canonical, and with a readable error for a file that is not what it should be."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftbench.errors import Problem, UserError

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1
SIGNIFICANT_DIGITS = 10  # enough for every statistic here, and blind to the last bits of a float


@contextmanager
def written_atomically(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and is removed when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def directory_written_atomically(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends well, and is removed when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _canonical(value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _canonical(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_canonical(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):  # a numpy scalar
        value = value.item()
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}: only finite numbers may be written")
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    return value


def canonical_json(payload: Mapping[str, Any]) -> str:
    """`payload` as canonical JSON: sorted keys, no NaN, ten significant digits, `schema_version` added."""
    content = _canonical({"schema_version": SCHEMA_VERSION, **payload}, "")
    return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with written_atomically(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, payload: Mapping[str, Any]) -> None:
    """Write `payload` as canonical JSON, atomically. Raises ValueError for a number that is not finite."""
    write_text(path, canonical_json(payload))


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file that this project wrote. Raises UserError if it is missing, truncated or of another schema."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(Problem(str(path), "no such file", mend="run `dvc repro`, which writes it")) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(Problem(str(path), f"not readable as JSON: {error}", mend="delete it and run `dvc repro`")) from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise UserError(Problem(str(path), f"schema_version {version}", allowed=str(SCHEMA_VERSION), mend="delete it and run `dvc repro`"))
    content.pop("schema_version")
    return content


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet with `schema_version` in its metadata, atomically; the same table gives the same bytes."""
    import pyarrow.parquet as pq

    metadata = {**(table.schema.metadata or {}), b"schema_version": str(SCHEMA_VERSION).encode()}
    with written_atomically(path) as temporary:
        pq.write_table(table.replace_schema_metadata(metadata), temporary, compression="zstd")


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """A Parquet file that this project wrote. Raises UserError if it is missing, broken or lacks a column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, columns=columns, use_threads=False)
    except FileNotFoundError:
        raise UserError(Problem(str(path), "no such file", mend="run `dvc repro`, which writes it")) from None
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        raise UserError(Problem(str(path), f"not readable as Parquet: {error}", mend="delete it and run `dvc repro`")) from None


def sha256_text(*parts: str) -> str:
    """The SHA-256 of some strings; no two lists of strings share one (each part is length-prefixed)."""
    digest = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
