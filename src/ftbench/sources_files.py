"""Readers of the formats that publishers use: JSON lines, a JSON list, TSV, CSV, Parquet and plain text, each row with its place.

Every reader streams: memory does not grow with the file. A row that cannot be read is yielded as a sentence that says why;
a file that cannot be read any further (truncated, another encoding, a column missing) raises UserError.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ftbench import sources_parquet
from ftbench.errors import Problem, UserError
from ftbench.sources_parquet import Row

LONGEST_ROW = 16 * 2**20  # bytes; a "row" longer than this is a file of another format, and must not fill the memory
PIECE = 2**18  # characters read at once from a JSON list
REENCODE = "save the file as UTF-8"
TRUNCATED = "the file ends in the middle of a row"


def read(path: Path, file_format: str, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Stream the rows of a file as (place, fields or what is wrong with the row).

    `columns` are the columns that the caller needs: a format with a header must name them all, and Parquet reads no others.
    Raises UserError for a file that is not of `file_format`.
    """
    yield from READERS[file_format](path, columns)


def _lines(path: Path) -> Iterator[tuple[int, str | None, bool]]:
    """(Number from 1, text without its line end or None if it is not UTF-8, whether a line end follows) of each line that is not blank."""
    with path.open("rb") as stream:
        _refuse_wide_encoding(path, stream)
        number = 0
        while raw := stream.readline(LONGEST_ROW):
            number += 1
            complete = raw.endswith(b"\n")
            if not complete and len(raw) == LONGEST_ROW:
                raise UserError(Problem(f"{path}:{number}", f"a line longer than {LONGEST_ROW:,} bytes", mend="check the file's `format`"))
            if number == 1:
                raw = raw.removeprefix(codecs.BOM_UTF8)
            try:
                text = raw.decode("utf-8").removesuffix("\n").removesuffix("\r")
            except UnicodeDecodeError:
                yield number, None, complete
                continue
            if text and not text.isspace():
                yield number, text, complete


def _refuse_wide_encoding(path: Path, stream: BinaryIO) -> None:
    start = stream.read(4)
    stream.seek(0)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or start[1:2] == b"\0" or start[:1] == b"\0":
        raise UserError(Problem(f"{path}:1", "text in UTF-16 or UTF-32, or a binary file", allowed="UTF-8", mend=REENCODE))


def _once(pairs: list[tuple[str, Any]]) -> Row:
    """The fields of a JSON object, or what is wrong with it: json alone would keep the last of two values and say nothing."""
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    names = [name for name, _ in pairs]
    return _Fault(f"the key {next(name for name in names if names.count(name) > 1)!r:.80} twice")


class _Fault(str):
    __slots__ = ()


def _json_object(text: str) -> Row:
    try:
        fields = json.loads(text, object_pairs_hook=_once)
    except ValueError as error:
        return f"not JSON: {error}"
    except RecursionError:
        return "not JSON: nested too deeply"
    return _object(fields)


def _object(item: Any) -> Row:
    return item if isinstance(item, (dict, _Fault)) else f"a JSON {type(item).__name__}, not an object"


def _read_json_lines(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    for number, text, complete in _lines(path):
        row = "not UTF-8" if text is None else _json_object(text)
        if not complete and isinstance(row, str):
            raise UserError(Problem(f"{path}:{number}", f"{TRUNCATED} ({row})", mend="fetch the file again"))
        yield f"{path}:{number}", row


def _read_tsv(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Tab-separated with a header and no quoting: in SNLI and MultiNLI a quote is part of the sentence."""
    header: list[str] = []
    for number, text, complete in _lines(path):
        if not header:
            header = (text or "").split("\t")
            sources_parquet.require(path, header, columns)
            continue
        row: Row = "not UTF-8"
        if text is not None:
            fields = text.split("\t")
            row = dict(zip(header, fields, strict=False))
            # a row may leave out trailing columns (annotators who gave no label), but none that is needed
            if len(fields) > len(header) or any(column not in row for column in columns):
                row = f"{len(fields)} columns where the header has {len(header)}"
        if not complete and isinstance(row, str):
            raise UserError(Problem(f"{path}:{number}", f"{TRUNCATED} ({row})", mend="fetch the file again"))
        yield f"{path}:{number}", row
    if not header:
        raise UserError(Problem(str(path), "no header line", allowed="a first line that names the columns"))


def _read_csv(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    with path.open("rb") as raw:
        _refuse_wide_encoding(path, raw)
    csv.field_size_limit(LONGEST_ROW)
    # bytes that are not UTF-8 become surrogates, which the cleaning reports as a malformed row
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        header: list[str] = []
        while True:
            number = reader.line_num + 1  # where the row starts; a quoted field may hold line ends
            try:
                fields = next(reader, None)
            except csv.Error as error:
                if not header:
                    raise UserError(
                        Problem(f"{path}:{number}", f"a header that is not CSV: {error}", mend="check the file's `format`")
                    ) from None
                if "unexpected end" in str(error) or "field limit" in str(error):
                    found = "a quote that is opened here or in a row below is never closed"
                    raise UserError(
                        Problem(f"{path}:{number}", found, mend="double each quote inside a field, or fetch the file again")
                    ) from None
                yield f"{path}:{number}", f"not CSV: {error}"
                continue
            if fields is None:
                break
            if not header:
                header = fields
                sources_parquet.require(path, header, columns)
            elif len(fields) == len(header):
                yield f"{path}:{number}", dict(zip(header, fields, strict=True))
            elif fields:
                yield f"{path}:{number}", f"{len(fields)} columns where the header has {len(header)}"
    if not header:
        raise UserError(Problem(str(path), "no header line", allowed="a first line that names the columns"))


def _read_json_list(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """One JSON list of objects, as Alpaca is published, decoded item by item."""
    with path.open("rb") as raw:
        _refuse_wide_encoding(path, raw)
    decoder, gap = json.JSONDecoder(object_pairs_hook=_once, parse_int=_integer), re.compile(r"[ \t\r\n,]*")
    number, opened = 1, False  # `number` is the line of `buffer[position]`
    buffer, position = "", 0
    with path.open(encoding="utf-8-sig", errors="surrogateescape") as stream:
        while piece := stream.read(max(PIECE, len(buffer) - position)):  # doubling keeps the work linear in the length of an item
            buffer, position = buffer[position:] + piece, 0
            while True:
                start = gap.match(buffer, position).end()  # type: ignore[union-attr]
                number += buffer.count("\n", position, start)
                position = start
                if position == len(buffer):
                    break
                if not opened:
                    if buffer[position] != "[":
                        raise UserError(
                            Problem(f"{path}:{number}", "no JSON list", allowed="[{...}, {...}]", mend="check the file's `format`")
                        )
                    position, opened = position + 1, True
                    continue
                if buffer[position] == "]":
                    if buffer[position + 1 :].strip() or stream.read(PIECE).strip():
                        raise UserError(Problem(f"{path}:{number}", "text after the end of the JSON list", mend="fetch the file again"))
                    return
                try:
                    item, end = decoder.raw_decode(buffer, position)
                except (json.JSONDecodeError, RecursionError) as error:
                    if len(buffer) - position < LONGEST_ROW:
                        break  # the rest of the item may be in the next piece
                    raise UserError(_broken(path, number, error)) from None
                if end == len(buffer) and not isinstance(item, (dict, _Fault)):
                    break  # a number may go on in the next piece
                yield f"{path}:{number}", _object(item)
                number += buffer.count("\n", position, end)
                position = end
    try:
        decoder.raw_decode(buffer, position)
    except (json.JSONDecodeError, RecursionError) as error:
        if buffer[position:].strip():
            raise UserError(_broken(path, number, error)) from None
    raise UserError(Problem(f"{path}:{number}", "the JSON list is not closed: the file is truncated", mend="fetch the file again"))


def _integer(digits: str) -> int | float:
    """A whole number; one that Python refuses to read is no label and no id of anybody's."""
    return int(digits) if len(digits) < 100 else math.inf


def _broken(path: Path, number: int, error: json.JSONDecodeError | RecursionError) -> Problem:
    reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
    return Problem(f"{path}:{number}", f"not JSON, or truncated, in the item that starts here: {reason}", mend="fetch the file again")


def _read_text(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """One document a line, as the column `text`."""
    sources_parquet.require(path, ["text"], columns)
    for number, text, _ in _lines(path):
        yield f"{path}:{number}", "not UTF-8" if text is None else {"text": text}


READERS: dict[str, Callable[[Path, Sequence[str]], Iterator[tuple[str, Row]]]] = {
    "jsonl": _read_json_lines,
    "json": _read_json_list,
    "tsv": _read_tsv,
    "csv": _read_csv,
    "parquet": sources_parquet.read,
    "txt": _read_text,
}


def names(path: Path, file_format: str) -> list[str]:
    """The columns of a file: Parquet's schema, or the keys of its first twenty readable rows, in order. Raises UserError as `read` does."""
    if file_format == "parquet":
        return sources_parquet.names(path)
    readable = (row for _, row in read(path, file_format, []) if isinstance(row, dict))
    return list(dict.fromkeys(key for row in itertools.islice(readable, 20) for key in row))
