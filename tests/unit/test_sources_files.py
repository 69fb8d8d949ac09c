"""The readers of publishers' formats: what each lets pass, and what it refuses with the line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from published_files import SNLI_HEADER, written

from ftbench import sources_files
from ftbench.errors import UserError


def rows(path: Path, columns: list[str] | None = None, file_format: str | None = None) -> list[tuple[str, Any]]:
    placed = sources_files.read(path, file_format or path.suffix[1:], columns or [])
    return [(place.removeprefix(str(path)), row) for place, row in placed]


# ------------------------------------------------------------------------------------------------------------------ JSON lines
def test_json_lines_may_start_with_a_byte_order_mark_end_in_crlf_and_hold_blank_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": "\xc3\xa9"}')
    assert rows(path) == [(":1", {"a": 1}), (":3", {"a": "é"})]


def test_a_line_separator_inside_a_sentence_does_not_end_the_row(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"a": "one\u2028two\x85three"}\n')
    assert rows(path) == [(":1", {"a": "one\u2028two\x85three"})]


def test_each_bad_json_line_is_named_and_the_rows_after_it_are_still_read(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", b'{"a": 1}\n{"a": \n[1]\n{"a": "\xff"}\n' + b"[" * 100_000 + b'\n{"a": 2}\n')
    found = rows(path)
    assert [place for place, _ in found] == [":1", ":2", ":3", ":4", ":5", ":6"]
    assert [row for _, row in found if isinstance(row, dict)] == [{"a": 1}, {"a": 2}]
    assert found[1][1].startswith("not JSON: ")
    assert [found[2][1], found[3][1], found[4][1]] == ["a JSON list, not an object", "not UTF-8", "not JSON: nested too deeply"]


def test_json_lines_cut_off_in_the_middle_of_a_row_are_refused_with_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"a": 1}\n{"a": "begi')
    with pytest.raises(UserError, match=r"a\.jsonl:2\n  found:   the file ends in the middle of a row"):
        rows(path)


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_files, "LONGEST_ROW", 100)
    with pytest.raises(UserError, match="a line longer than 100 bytes"):
        rows(written(tmp_path, "a.jsonl", "x" * 200))


@pytest.mark.parametrize("file_format", ["jsonl", "json", "csv", "tsv", "txt"])
def test_text_in_utf_16_is_refused_in_every_text_format(tmp_path: Path, file_format: str) -> None:
    with pytest.raises(UserError, match="UTF-16") as caught:
        rows(written(tmp_path, f"a.{file_format}", '{"a": 1}'.encode("utf-16")))
    assert caught.value.problems[0].mend == "save the file as UTF-8"


# ------------------------------------------------------------------------------------------------------------------- JSON list
def test_a_json_list_is_read_item_by_item_across_pieces_with_the_line_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [{"instruction": 'say "]" and\nstop', "output": "x" * size} for size in (0, 5, 50, 500)]
    path = written(tmp_path, "a.json", "\ufeff" + json.dumps(items, indent=1))
    expected = [(":2", items[0]), (":6", items[1]), (":10", items[2]), (":14", items[3])]
    for piece in (1, 7, 64, 2**18):
        monkeypatch.setattr(sources_files, "PIECE", piece)
        assert rows(path) == expected


def test_items_of_a_json_list_that_are_no_objects_are_malformed_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_files, "PIECE", 2)
    found = rows(written(tmp_path, "a.json", '[{"a": 1}, 12345, "b", null]'))
    expected = [{"a": 1}, "a JSON int, not an object", "a JSON str, not an object", "a JSON NoneType, not an object"]
    assert [row for _, row in found] == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": 1},\n {"a": "be', r"a\.json:2\n  found:   not JSON, or truncated, in the item that starts here"),
        ('[{"a": 1},\n {"a": 2}', r"a\.json:2\n  found:   the JSON list is not closed: the file is truncated"),
        ('[{"a": 1},\n {a: 2}]', r"a\.json:2\n  found:   not JSON, or truncated"),
        ('{"a": 1}', "no JSON list"),
        ("[] []", "text after the end of the JSON list"),
        ("", "the JSON list is not closed"),
    ],
)
def test_a_json_list_that_is_broken_is_refused_with_the_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        rows(written(tmp_path, "a.json", content))


# ---------------------------------------------------------------------------------------------------------------------- tables
def test_quotes_in_tsv_are_part_of_the_sentence(tmp_path: Path) -> None:
    content = f'{SNLI_HEADER}\nneutral\t(\t"A man" says "hi\tHe says "\tc\tp1\tneutral\t\n-\t(\tThe "end\tx\tc\tp2\t\t\n'
    found = rows(written(tmp_path, "a.tsv", content), ["gold_label", "sentence1", "sentence2", "pairID"])
    assert [(place, row["sentence1"], row["sentence2"]) for place, row in found] == [
        (":2", '"A man" says "hi', 'He says "'),
        (":3", 'The "end', "x"),
    ]


def test_a_tsv_row_may_lack_trailing_annotators_but_no_needed_column_and_may_not_be_too_long(tmp_path: Path) -> None:
    full = "neutral\t(\tp\th\tc\tid"
    path = written(tmp_path, "a.tsv", f"{SNLI_HEADER}\r\n{full}\r\nneutral\t(\tp\r\n{full}\ta\tb\tc\r\n")
    found = rows(path, ["gold_label", "sentence1", "sentence2", "pairID"])
    assert found[0][1] == {
        "gold_label": "neutral", "sentence1_binary_parse": "(", "sentence1": "p", "sentence2": "h", "captionID": "c", "pairID": "id",
    }  # fmt: skip
    assert [row for _, row in found[1:]] == ["3 columns where the header has 8", "9 columns where the header has 8"]


def test_a_tsv_file_cut_off_in_the_middle_of_a_row_is_refused_with_the_line(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", f"{SNLI_HEADER}\nneutral\t(\tp\th\tc\tid\t\t\nneutral\t(\tA ma")
    with pytest.raises(UserError, match=r"a\.tsv:3\n  found:   the file ends in the middle of a row"):
        rows(path, ["sentence1", "sentence2"])


@pytest.mark.parametrize(("file_format", "separator"), [("csv", ","), ("tsv", "\t")])
def test_every_missing_column_of_a_header_is_named_at_once_with_the_nearest_name(tmp_path: Path, file_format: str, separator: str) -> None:
    path = written(tmp_path, f"a.{file_format}", separator.join(["premis", "hypothesis", "label"]) + "\n")
    with pytest.raises(UserError) as caught:
        rows(path, ["premise", "gold"])
    assert [problem.found for problem in caught.value.problems] == ["no column 'premise'", "no column 'gold'"]
    assert caught.value.problems[0].mend == "did you mean 'premis'?"


def test_csv_fields_may_hold_commas_quotes_and_line_ends_and_rows_are_named_by_their_first_line(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", '\ufeffpremise,label\r\n"one, ""two""\nthree",1\r\n\r\n"x"y,2\r\nz\r\nw,3\r\n')
    found = rows(path, ["premise", "label"])
    assert found[0] == (":2", {"premise": 'one, "two"\nthree', "label": "1"})
    assert found[1][0] == ":5"
    assert found[1][1].startswith("not CSV: ")
    assert found[2:] == [(":6", "1 columns where the header has 2"), (":7", {"premise": "w", "label": "3"})]


def test_a_csv_quote_that_is_never_closed_is_refused_with_the_line_where_its_row_starts(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", 'premise,label\na,1\n"b,2\nc,1\n')
    with pytest.raises(UserError, match=r"a\.csv:3\n  found:   a quote .* is never closed"):
        rows(path, ["premise"])


@pytest.mark.parametrize("file_format", ["csv", "tsv"])
def test_a_table_without_a_header_line_is_refused(tmp_path: Path, file_format: str) -> None:
    with pytest.raises(UserError, match="no header line"):
        rows(written(tmp_path, f"a.{file_format}", ""))


def test_parquet_rows_are_numbered_and_only_the_needed_columns_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"premise": ["a", "b"], "label": [0, None], "extra": [1.5, 2.5]}), path)
    assert rows(path, ["premise", "label"]) == [(", row 1", {"premise": "a", "label": 0}), (", row 2", {"premise": "b", "label": None})]
    with pytest.raises(UserError, match="no column 'hypothesis'"):
        rows(path, ["hypothesis"])


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"premise": ["a", "b"]}), path)
    path.write_bytes(path.read_bytes()[:-20])
    for read in (lambda: rows(path, ["premise"]), lambda: sources_files.names(path, "parquet")):
        with pytest.raises(UserError, match="not readable as Parquet"):
            read()


def test_plain_text_is_one_document_a_line(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "One.\n\n  Two.\n")
    assert rows(path, ["text"]) == [(":1", {"text": "One."}), (":3", {"text": "  Two."})]


# ---------------------------------------------------------------------------------------------- what json, csv and Parquet let pass
def test_a_key_that_stands_twice_in_an_object_is_a_malformed_row_in_both_kinds_of_json(tmp_path: Path) -> None:
    twice = '{"a": 1, "b": 2, "a": 3}'
    assert rows(written(tmp_path, "a.jsonl", twice + '\n{"a": 4}\n')) == [(":1", "the key 'a' twice"), (":2", {"a": 4})]
    assert rows(written(tmp_path, "a.json", f'[{twice},\n{{"a": 4}}]')) == [(":1", "the key 'a' twice"), (":2", {"a": 4})]


def test_a_whole_number_that_python_refuses_to_read_ends_in_no_traceback(tmp_path: Path) -> None:
    digits = "9" * 5000
    assert rows(written(tmp_path, "a.jsonl", f'{{"a": {digits}}}\n'))[0][1].startswith("not JSON: ")
    assert rows(written(tmp_path, "a.json", f'[{{"a": {digits}}}, {{"a": 12}}]')) == [(":1", {"a": float("inf")}), (":1", {"a": 12})]


@pytest.mark.parametrize(("file_format", "separator"), [("csv", ","), ("tsv", "\t")])
def test_a_header_that_names_a_needed_column_twice_is_refused(tmp_path: Path, file_format: str, separator: str) -> None:
    path = written(tmp_path, f"a.{file_format}", separator.join("aba") + "\n" + separator.join("123") + "\n")
    with pytest.raises(UserError, match=r":1\n  found:   the column 'a' more than once\n  allowed: a, b, a"):
        rows(path, ["a", "b"])
    assert rows(path, ["b"]) == [(":2", {"a": "3", "b": "2"})]


def test_a_header_that_is_no_csv_is_refused_and_the_next_line_is_not_taken_for_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=":1\n  found:   a header that is not CSV"):
        rows(written(tmp_path, "a.csv", '"a";"b"\na,b\n1,2\n'))


def test_a_csv_field_of_a_megabyte_is_a_field(tmp_path: Path) -> None:
    assert rows(written(tmp_path, "a.csv", "a,b\n" + "x" * 2**20 + ",y\n"), ["a"]) == [(":2", {"a": "x" * 2**20, "b": "y"})]


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.duration("ms")])
def test_parquet_values_that_python_has_no_object_for_are_refused(tmp_path: Path, kind: pa.DataType) -> None:
    pq.write_table(pa.table({"a": pa.array([2**62], kind)}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match="not readable as Parquet"):
        rows(tmp_path / "a.parquet", ["a"])
