"""`ftbench predict` around a model: chunks, what is written and said. The model is in `tests/stages`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from predicting import ADDED, Chunks, left, read_csv, read_lines, row, score, stand_in, write

from ftbench import pair_files, progress


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chunks:
    """In place of an arm, in an empty folder: returns what it was handed."""
    return stand_in(tmp_path, monkeypatch)


# ---- What is written ------------------------------------------------------------------------------------------------------------


def test_rows_keep_their_order_and_columns_and_get_the_label_and_its_probabilities(model: Chunks) -> None:
    write("in.jsonl", row("It is not.", id=7, nested={"a": [1, None]}), row("It may be.", note=None), row(id="x"))
    assert score("in.jsonl", "out.jsonl") == 0
    first, second, third = read_lines("out.jsonl")
    assert first == row("It is not.", id=7, nested={"a": [1, None]}, **dict(zip(ADDED, ["contradiction", 0.05, 0.15, 0.8], strict=True)))
    assert second == row("It may be.", note=None, **dict(zip(ADDED, ["neutral", 0.2, 0.5, 0.3], strict=True)))
    assert list(third) == ["premise", "hypothesis", "id", *ADDED]


def test_json_lines_become_csv_with_every_column_that_any_row_has(model: Chunks) -> None:
    write("in.jsonl", row("It is not.", nested={"a": [1, "é"]}, sure=True), row(number=0.5, nested=None))
    assert score("in.jsonl", "out.csv") == 0
    first, second = read_csv("out.csv")
    assert list(first) == ["premise", "hypothesis", "nested", "sure", "number", *ADDED]
    assert (first["nested"], first["sure"], first["number"]) == ('{"a": [1, "é"]}', "true", "")
    assert (second["nested"], second["sure"], second["number"], second["probability_entailment"]) == ("", "", "0.5", "0.7")


def test_csv_with_a_byte_order_mark_and_line_breaks_in_quotes_reads_back_as_it_was(model: Chunks) -> None:
    premise = 'A "man",\r\nwho\rsleeps\nhere'
    Path("in.csv").write_bytes(('\ufeffpremise,hypothesis,note\r\n"' + premise.replace('"', '""') + '",It may be.,=1+1\r\n').encode())
    assert score("in.csv", "out.csv") == 0
    assert score("in.csv", "out.jsonl") == 0
    assert [line["premise"] for line in read_lines("out.jsonl")] == [premise]
    assert [(line["premise"], line["note"], line["predicted"]) for line in read_csv("out.csv")] == [(premise, "=1+1", "neutral")]
    assert score("out.csv", "again.csv") == 2  # it has the columns already
    assert left() == ["in.csv", "out.csv", "out.jsonl"]


def test_a_file_is_read_in_chunks_of_eight_batches_and_few_long_texts_make_one_too(model: Chunks, monkeypatch: pytest.MonkeyPatch) -> None:
    hypotheses = [f"It is {number}." for number in range(20)]
    write("in.jsonl", *map(row, hypotheses))
    assert score("in.jsonl", "out.jsonl", "--batch-size", "1") == 0
    assert [len(chunk) for chunk in model] == [8, 8, 4]
    assert [line["hypothesis"] for line in read_lines("out.jsonl")] == hypotheses
    model.clear()
    monkeypatch.setattr(pair_files, "LONGEST_CHUNK", 60)  # three rows of 13 + 8 characters
    assert score("in.jsonl", "out.jsonl", "--batch-size", "1", "--force") == 0
    assert [len(chunk) for chunk in model[:3]] == [3, 3, 3]


# ---- What is said ---------------------------------------------------------------------------------------------------------------


def test_labelled_rows_are_scored_with_an_interval_and_a_table_of_gold_against_predicted(
    model: Chunks, capsys: pytest.CaptureFixture[str]
) -> None:
    gold = ["entailment", 0, "2", "neutral", -1, None, ""]
    write("in.jsonl", row(label=gold[0]), row(label=gold[1]), row("It is not.", label=gold[2]), row("It is not.", label=gold[3]))
    with Path("in.jsonl").open("a") as stream:
        stream.writelines(json.dumps(row("long", label=label)) + "\n" for label in gold[4:])
    assert score("in.jsonl", "out.csv") == 0
    said = capsys.readouterr().out.splitlines()
    # Three of four: a variance of 0.0625 is that of three items. Wilson's interval for 0.75 of 3 is 0.6096 ± 0.3535.
    assert said[0] == "pairs scored: 7, written to out.csv"
    assert said[1] == "3 of 7 longer than this arm's 64 tokens, and cut."
    assert said[2] == "accuracy 75.0 % (95 % interval 25.6 % to 96.3 %), n = 4; 3 without a gold label left out"
    assert [line.split() for line in said[6:]] == [
        ["entailment", "2", "0", "0"],
        ["neutral", "0", "0", "1"],
        ["contradiction", "0", "0", "1"],
    ]
    assert said[4].split() == ["gold,", "then", "predicted:", "entailment", "neutral", "contradiction"]


def test_without_a_gold_label_no_accuracy_is_made_up(model: Chunks, capsys: pytest.CaptureFixture[str]) -> None:
    write("plain.jsonl", row())
    write("unlabelled.jsonl", row(label="-"))
    assert score("plain.jsonl", "a.csv") == score("unlabelled.jsonl", "b.csv") == 0
    assert capsys.readouterr().out.splitlines() == [
        "pairs scored: 1, written to a.csv",
        "pairs scored: 1, written to b.csv",
        "no pair has a gold label: no accuracy",
    ]


def test_progress_is_a_line_now_and_then_and_at_the_end(model: Chunks, capsys: pytest.CaptureFixture[str]) -> None:
    write("in.jsonl", *[row()] * 30)
    assert score("in.jsonl", "out.jsonl", "--batch-size", "1") == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("30 / 30 rows")
    times = iter([0.0, 4.0, 11.0, 12.0, 20.0])
    stream = io.StringIO()
    report = progress.reporter(2000, stream, lambda: next(times))
    for done in (400, 1100, 1200, 2000):
        report(done)
    assert stream.getvalue() == "1,100 / 2,000 rows, 100.0 rows/s\n2,000 / 2,000 rows, 100.0 rows/s\n"


def test_on_a_terminal_progress_stays_on_one_line() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    times, stream = iter([0.0, 1.0, 2.0]), Terminal()
    report = progress.reporter(4, stream, lambda: next(times))
    report(1)
    report(4)
    assert [line.strip() for line in stream.getvalue().split("\r")] == ["", "1 / 4 rows, 1.0 rows/s", "4 / 4 rows, 2.0 rows/s"]
    assert stream.getvalue().count("\n") == 1
