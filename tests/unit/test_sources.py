"""The readers of publishers' formats, the verification of files, and the three kinds of source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftbench import files, sources, sources_files
from ftbench.errors import UserError
from ftbench.schema_datasets import FileDataset, GeneratedDataset, HubDataset

SNLI_HEADER = "gold_label\tsentence1_binary_parse\tsentence1\tsentence2\tcaptionID\tpairID\tlabel1\tlabel2"
LABELS = {"entailment": "entailment", "neutral": "neutral", "contradiction": "contradiction"}
REVISION = "cdb5c3d5eed6ead6e5a341c8e56e669bb666725b"


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows(path: Path, columns: list[str] | None = None, file_format: str | None = None) -> list[tuple[str, Any]]:
    placed = sources_files.read(path, file_format or path.suffix[1:], columns or [])
    return [(place.removeprefix(str(path)), row) for place, row in placed]


def pairs_dataset(path: Path, file_format: str, **changes: Any) -> FileDataset:
    file = {"path": str(path), "format": file_format, "sha256": files.sha256_file(path), **changes.pop("file", {})}
    settings = {"source": "file", "task": "nli", "licence": "x", "seed": 0, "splits": {"train": None, "validation": 1, "test": 1}}
    return FileDataset.model_validate({**settings, "files": {"train": [file]}, "labels": LABELS, "max_malformed_share": 0.0, **changes})


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


# --------------------------------------------------------------------------------------------------------------------- sources
def test_official_snli_rows_come_under_our_names_whatever_the_format(tmp_path: Path) -> None:
    tsv = written(tmp_path, "snli_1.0_train.txt", f"{SNLI_HEADER}\nneutral\t(\tA man.\tHe sits.\tc.jpg\tc.jpg#1n\tneutral\t\n")
    official = {
        "annotator_labels": ["neutral"],
        "gold_label": "neutral",
        "sentence1": "A man.",
        "sentence2": "He sits.",
        "pairID": "c.jpg#1n",
    }
    jsonl = written(tmp_path, "snli_1.0_train.jsonl", json.dumps(official) + "\n")
    expected = {"premise": "A man.", "hypothesis": "He sits.", "label": "neutral", "id": "c.jpg#1n"}
    for path, file_format in ((tsv, "tsv"), (jsonl, "jsonl")):
        assert [row for _, row in sources.rows(pairs_dataset(path, file_format), "train")] == [expected]


def test_official_multinli_rows_keep_their_genre(tmp_path: Path) -> None:
    header = "gold_label\tsentence1\tsentence2\tpromptID\tpairID\tgenre\tlabel1"
    path = written(tmp_path, "multinli_1.0_train.txt", f"{header}\nneutral\tp\th\t31193\t31193n\tgovernment\tneutral\n")
    found = [row for _, row in sources.rows(pairs_dataset(path, "tsv"), "train")]
    assert found == [{"premise": "p", "hypothesis": "h", "label": "neutral", "id": "31193n", "genre": "government"}]


def test_columns_named_in_params_are_used_and_wrong_ones_are_all_reported(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text_a,text_b,relation\np,h,neutral\n")
    columns = {"premise": "text_a", "hypothesis": "text_b", "label": "relation"}
    assert [row for _, row in sources.rows(pairs_dataset(path, "csv", columns=columns), "train")] == [
        {"premise": "p", "hypothesis": "h", "label": "neutral"}
    ]
    with pytest.raises(UserError) as caught:
        list(sources.rows(pairs_dataset(path, "csv", columns={"premise": "text_c", "gener": "x"}), "train"))
    assert [problem.found for problem in caught.value.problems] == [
        "no column 'text_c' for 'premise'", "no column 'hypothesis' for 'hypothesis'", "no column 'gold_label' for 'label'",
        "not a column of ours",
    ]  # fmt: skip
    assert caught.value.problems[-1].mend == "did you mean 'genre'?"


def test_a_range_of_rows_lets_one_file_be_train_and_test(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "premise,hypothesis,label\n" + "".join(f"p{n},h,neutral\n" for n in range(1, 6)))
    dataset = pairs_dataset(path, "csv", file={"first_row": 2, "last_row": 3})
    assert [row["premise"] for _, row in sources.rows(dataset, "train") if isinstance(row, dict)] == ["p2", "p3"]


def test_columns_of_a_pretraining_file_become_lines_of_a_document(tmp_path: Path) -> None:
    content = [
        {"instruction": "Add.", "input": "", "output": "3"},
        {"instruction": "Add.", "input": 4, "output": "5"},
        {"instruction": "x"},
    ]
    path = written(tmp_path, "a.json", json.dumps(content))
    file = {"columns": ["instruction", "input", "output"], "kind": "instructions"}
    dataset = pairs_dataset(path, "json", task="pretraining", labels=None, splits={"train": None, "validation": 1}, file=file)
    assert [row for _, row in sources.rows(dataset, "train")] == [
        {"text": "Add.\n3", "kind": "instructions"}, "'input' is int, not text", "no column 'input'",
    ]  # fmt: skip


def test_every_problem_with_the_files_is_found_at_once(tmp_path: Path) -> None:
    good = written(tmp_path, "good.jsonl", "{}\n")
    pinned = {"format": "jsonl", "sha256": files.sha256_file(good)}
    changed = written(tmp_path, "changed.jsonl", "{} \n")
    dataset = FileDataset.model_validate(
        {
            "source": "file", "task": "nli", "licence": "x", "seed": 0, "splits": {"train": None, "validation": None, "test": None},
            "labels": LABELS, "max_malformed_share": 0.0,
            "files": {
                "train": [{"path": str(good), **pinned}, {"path": str(tmp_path / "missing.jsonl"), **pinned}],
                "validation": [{"path": str(tmp_path), **pinned}, {"path": str(changed), **pinned}],
                "test": [{"path": str(good), **pinned}],
            },
        }
    )  # fmt: skip
    found = [problem.found for problem in sources.verify(dataset)]
    assert found == [
        "no such file", "a folder, not a file", f"sha256 {files.sha256_file(changed)}: the file has changed",
        "the same rows for the splits train and test",
    ]  # fmt: skip
    assert "`ftbench pin`" in sources.verify(dataset)[2].mend


def test_generated_pairs_of_the_mismatched_test_come_from_genres_that_training_never_sees() -> None:
    splits = {"train": 6, "validation": 3, "test_matched": 3, "test_mismatched": 3}
    settings = {"source": "generated", "task": "nli", "licence": "x", "seed": 0, "splits": splits}
    dataset = GeneratedDataset.model_validate({**settings, "genres": ["captions"], "mismatched_genres": ["farming"]})
    genres = {split: {row["genre"] for _, row in sources.rows(dataset, split) if isinstance(row, dict)} for split in splits}
    assert genres == {"train": {"captions"}, "validation": {"captions"}, "test_matched": {"captions"}, "test_mismatched": {"farming"}}


def test_two_streams_are_interleaved_evenly_and_completely() -> None:
    assert "".join(sources.interleave(iter("aaaaaa"), 6, iter("bbb"), 3)) == "aabaabaab"
    assert "".join(sources.interleave(iter("aa"), 2, iter(""), 0)) == "aa"
    assert "".join(sources.interleave(iter(""), 0, iter("bb"), 2)) == "bb"


# ------------------------------------------------------------------------------------------------------------------------- hub
def hub_dataset(**labels: int) -> HubDataset:
    files_by_split = {"train": ["plain_text/train-*.parquet"]}
    settings = {"source": "hub", "task": "nli", "licence": "x", "seed": 0, "splits": {"train": None, "validation": 1, "test": 1}}
    pinned = {"repository": "stanfordnlp/snli", "revision": REVISION, "files": files_by_split}
    return HubDataset.model_validate({**settings, **pinned, "labels": labels, "max_malformed_share": 0.0})


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that `datasets` reads by the name of a repository, with the publisher's label names in the file."""
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "stanfordnlp" / "snli" / "plain_text"
    folder.mkdir(parents=True)
    features = datasets.Features({
        "premise": datasets.Value("string"), "hypothesis": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["entailment", "neutral", "contradiction"]),
    })  # fmt: skip
    table = datasets.Dataset.from_dict({"premise": ["p", "q"], "hypothesis": ["h", "i"], "label": [2, -1]}, features=features)
    table.to_parquet(str(folder / "train-00000-of-00001.parquet"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.usefixtures("repository")
def test_a_hub_repository_is_read_through_datasets_by_its_data_files() -> None:
    found = [row for _, row in sources.rows(hub_dataset(entailment=0, neutral=1, contradiction=2), "train")]
    assert found == [{"premise": "p", "hypothesis": "h", "label": 2}, {"premise": "q", "hypothesis": "i", "label": -1}]


@pytest.mark.usefixtures("repository")
def test_label_numbers_that_contradict_the_publishers_names_are_refused() -> None:
    with pytest.raises(UserError, match="the publisher's numbers are entailment: 0, contradiction: 2"):
        list(sources.rows(hub_dataset(entailment=2, neutral=1, contradiction=0), "train"))


def test_the_pinned_revision_is_what_is_asked_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    asked: dict[str, Any] = {}

    def load_dataset(repository: str, **options: Any) -> None:
        asked.update(repository=repository, **options)
        raise datasets.exceptions.DatasetNotFoundError("no such repository")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(UserError, match="not found: no such repository"):
        list(sources.rows(hub_dataset(entailment=0, neutral=1, contradiction=2), "train"))
    assert asked == {
        "repository": "stanfordnlp/snli", "data_files": {"train": ["plain_text/train-*.parquet"]}, "revision": REVISION, "split": "train",
    }  # fmt: skip


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


def test_a_hub_repository_whose_file_is_no_data_is_refused_and_named(repository: Path) -> None:
    for path in repository.iterdir():
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=r"stanfordnlp/snli@.* train\n  found:   not readable: "):
        list(sources.rows(hub_dataset(entailment=0, neutral=1, contradiction=2), "train"))
