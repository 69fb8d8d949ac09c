"""The data files that are spoilt, good: rows of one split in each format that publishers use."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 12
LABELS = ("entailment", "neutral", "contradiction")
WORDS = {label: label for label in LABELS}
NUMBERS = {label: number for number, label in enumerate(LABELS)}


@dataclass(frozen=True)
class Format:
    """A publisher's file: its format in params.yaml, task, and settings beside; the rows that it holds, and how it writes them."""

    file_format: str
    task: str
    block: dict[str, Any]
    rows: list[dict[str, Any]]
    write: Callable[[list[dict[str, Any]]], bytes]
    text: str  # the column that mutants spoil
    label: str = ""


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    """The rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8", "surrogatepass")


def tsv_table(rows: list[dict[str, Any]]) -> bytes:
    """The rows as TSV, without quoting."""
    return "".join("\t".join(map(str, line)) + "\n" for line in (rows[0], *(row.values() for row in rows))).encode()


def csv_table(rows: list[dict[str, Any]]) -> bytes:
    """The rows as CSV, every field in quotes."""
    lines = (rows[0], *(row.values() for row in rows))
    return "".join(",".join('"' + str(value).replace('"', '""') + '"' for value in line) + "\r\n" for line in lines).encode()


def parquet_table(rows: list[dict[str, Any]]) -> bytes:
    """The rows as Parquet."""
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream)
    return stream.getvalue()


def _official(number: int, split: str, genre: bool) -> dict[str, Any]:
    label = LABELS[number % 3]
    first, second = f'{split}: a man says "no" to {number} dogs, é', f"the man's {number} dogs, \u201cyes\u201d"
    row: dict[str, Any] = {"annotator_labels": [label], "gold_label": label, "pairID": f"{split}{number}", "sentence1": first}
    row |= {"sentence1_parse": f"(ROOT {first})", "sentence2": second}
    return row | ({"genre": "fiction", "promptID": str(number)} if genre else {})


def _flat(number: int, split: str) -> dict[str, Any]:
    row = _official(number, split, genre=True)
    return {
        "gold_label": row["gold_label"],
        "sentence1_parse": "( x )",
        **{k: row[k] for k in ("sentence1", "sentence2", "pairID", "genre")},
    }


def plain_row(number: int, split: str) -> dict[str, Any]:
    """A pair with a number for its label."""
    return {"premise": f"{split} premise {number}, é", "hypothesis": f'hypothesis "{number}"', "label": number % 3}


def _asked(number: int, split: str) -> dict[str, Any]:
    return {"instruction": f"{split}: name {number} things", "input": "" if number % 2 else f"é {number}", "output": f"Things: {number}."}


def formats(split: str) -> dict[str, Format]:
    """Every format with the rows of one split."""

    def rows(make: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
        return [make(number) for number in range(ROWS)]

    nli = {"labels": WORDS}
    flat = rows(lambda number: _flat(number, split))
    plain = rows(lambda number: plain_row(number, split))
    document = {"columns": ["text"], "kind": "prose"}
    texts = rows(lambda number: {"text": f"{split}: sentence {number}, é."})

    def as_list(rows: list[dict[str, Any]]) -> bytes:
        return json.dumps(rows, indent=4, ensure_ascii=False).encode()

    def as_text(rows: list[dict[str, Any]]) -> bytes:
        return "".join(f"{row['text']}\n" for row in rows).encode()

    official = [rows(lambda number, genre=genre: _official(number, split, genre)) for genre in (False, True)]
    asked = rows(lambda number: _asked(number, split))
    return {
        "snli_jsonl": Format("jsonl", "nli", nli, official[0], json_lines, "sentence1", "gold_label"),
        "multinli_jsonl": Format("jsonl", "nli", nli, official[1], json_lines, "sentence2", "gold_label"),
        "multinli_tsv": Format("tsv", "nli", nli, flat, tsv_table, "sentence1", "gold_label"),
        "pairs_csv": Format("csv", "nli", {"labels": NUMBERS}, plain, csv_table, "premise", "label"),
        "hub_parquet": Format("parquet", "nli", {"labels": NUMBERS}, plain, parquet_table, "premise", "label"),
        "alpaca_json": Format("json", "instructions", {}, asked, as_list, "output"),
        "pretraining_txt": Format("txt", "pretraining", document, texts, as_text, "text"),
        "pretraining_jsonl": Format("jsonl", "pretraining", document, texts, json_lines, "text"),
    }


def plain_rows(split: str) -> list[dict[str, Any]]:
    """The rows of a split with numbers for labels."""
    return [plain_row(number, split) for number in range(ROWS)]
