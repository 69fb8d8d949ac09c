"""The columns of a file that a reader needs, and the reader of Parquet, whose schema says them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ftbench.errors import Problem, UserError, nearest

Row = dict[str, Any] | str  # the fields of a row, or what is wrong with it


def printable(names: Sequence[str]) -> list[str]:
    """The names of a file's columns as a message may show them: a terminal would obey the escapes in one."""
    return [name if name.isprintable() else ascii(name) for name in names]


def require(path: Path, found: Sequence[str], columns: Sequence[str]) -> None:
    """Raises UserError for every column of `columns` that a file has not, or more than once."""
    shown, mend = printable(found), "name the columns in `columns`"
    said = ", ".join(shown)
    if missing := [column for column in columns if column not in found]:
        raise UserError([Problem(f"{path}:1", f"no column '{one}'", said, nearest(one, shown) or mend) for one in missing])
    if twice := [column for column in columns if found.count(column) > 1]:
        mend = "name the columns apart"
        raise UserError([Problem(f"{path}:1", f"the column '{one}' more than once", said, mend) for one in printable(twice)])


def read(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Stream the rows of a Parquet file as (place, fields), these columns alone. Raises UserError for a file that is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            require(path, file.schema_arrow.names, columns)
            number = 0
            for batch in file.iter_batches(batch_size=4096, columns=list(columns), use_threads=False):
                for fields in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", fields
    except (pa.ArrowException, ValueError, OverflowError, OSError) as error:  # values that Python has no object for, too
        raise UserError(_no_parquet(path, error)) from None


def _no_parquet(path: Path, error: Exception) -> Problem:
    return Problem(str(path), f"not readable as Parquet: {error}", mend="fetch the file again, or check its `format`")


def names(path: Path) -> list[str]:
    """The columns of a Parquet file. Raises UserError for a file that is none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise UserError(_no_parquet(path, error)) from None
