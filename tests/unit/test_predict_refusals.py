"""`ftbench predict` around a model: files that are refused before it, and runs that leave what was there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from predicting import Chunks, left, read_csv, row, run, score, stand_in, write

from ftbench import predict
from ftbench.errors import Problem, UserError


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chunks:
    """In place of an arm, in an empty folder: returns what it was handed."""
    return stand_in(tmp_path, monkeypatch)


@pytest.fixture
def refused(model: Chunks, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Score a file, which must be refused before the model sees a row and leave nothing; returns what is said."""

    def run_refused(source: str, out: str = "out.csv", *words: str) -> str:
        before = left()
        assert score(source, out, *words) == 2
        assert left() == before
        assert model == []
        return capsys.readouterr().err

    return run_refused


def test_every_malformed_line_is_named_with_what_is_wrong(refused: Callable[..., str]) -> None:
    write(
        "in.jsonl",
        row(),
        "{no json",
        "[1]",
        {"hypothesis": "It is."},
        {"premise": "  ", "hypothesis": 3},
        row(label="maybe"),
        row(label=1.0),
        row(label=True),
        row(label=3),
        '{"premise": "a", "hypothesis": "b", "x": NaN}',
        '{"premise": "a\\ud800", "hypothesis": "b"}',
        row("a\0b"),
    )
    said = refused("in.jsonl")
    assert "in.jsonl:1\n" not in said
    for number, found in {
        2: "not JSON",
        3: "a JSON list, not an object",
        4: "'premise' is missing",
        5: "'premise' is empty; 'hypothesis' is int, not text",
        6: "the label 'maybe' is none of entailment, 0, neutral, 1, contradiction, 2",
        7: "'label' is float",
        8: "'label' is bool",
        9: "the label '3' is none of",
        10: "NaN or Infinity",
        11: "bytes that are not UTF-8, or half of a surrogate pair",
        12: "'hypothesis' holds a NUL",
    }.items():
        assert f"in.jsonl:{number}\n  found:   {found}" in said


def test_ragged_rows_and_bad_labels_of_csv_are_named_by_the_line_where_they_start(refused: Callable[..., str]) -> None:
    Path("in.csv").write_bytes(b'premise,hypothesis,label\n"a\nb",c,0\n,c,0\na,b\na,b,0,1\na,b,yes\n\na\xff,b,1\n')
    said = refused("in.csv")
    assert "in.csv:4\n  found:   'premise' is empty" in said
    assert "in.csv:5\n  found:   2 columns where the header has 3" in said
    assert "in.csv:6\n  found:   4 columns where the header has 3" in said
    assert "in.csv:7\n  found:   the label 'yes' is none of" in said
    assert "in.csv:9\n  found:   bytes that are not UTF-8" in said
    assert said.count("found:") == 5


def test_of_very_many_mistakes_twenty_are_named_and_the_others_counted(refused: Callable[..., str]) -> None:
    write("in.jsonl", *["nothing"] * 45)
    said = refused("in.jsonl")
    assert said.count("not JSON") == 20
    assert "in.jsonl\n  found:   25 more rows with mistakes" in said


def test_a_header_without_a_text_or_with_a_column_that_the_scores_need_is_refused_once(refused: Callable[..., str]) -> None:
    write("in.csv", "premise,hypotheses,predicted,note,note", "a,b,c,d,e", "a,b,c,d,e")
    said = refused("in.csv")
    assert "no column 'hypothesis'" in said
    assert "did you mean 'hypotheses'?" in said
    assert "a column 'predicted', which is one that the scores are written to: rename it" in said
    assert "the column 'note' more than once" in said
    assert said.count("found:") == 3
    write("in.jsonl", row(), row(probability_neutral=1), row(probability_neutral=1))
    said = refused("in.jsonl")
    assert said.count("found:") == 1
    assert "in.jsonl:2\n  found:   a column 'probability_neutral'" in said


def test_files_without_rows_broken_files_and_other_endings_are_refused(refused: Callable[..., str]) -> None:
    for name, content, found in (
        ("empty.jsonl", b"", "no rows"),
        ("blank.jsonl", b"\n \n", "no rows"),
        ("empty.csv", b"", "no header line"),
        ("header.csv", b"premise,hypothesis\n", "no rows"),
        ("open.csv", b'premise,hypothesis\n"a,b\n', "never closed"),
        ("cut.jsonl", b'{"premise": "a", "hypoth', "ends in the middle of a row"),
        ("wide.csv", "premise,hypothesis\na,b\n".encode("utf-16"), "UTF-16"),
        ("pairs.tsv", b"premise\thypothesis\na\tb\n", "the ending '.tsv'"),
    ):
        Path(name).write_bytes(content)
        assert found in refused(name), name
    assert "no such file" in refused("none.csv")
    write("in.jsonl", row())
    assert "the ending '.parquet'" in refused("in.jsonl", "out.parquet")


def test_an_existing_file_is_replaced_only_when_told_and_never_the_one_that_is_read(
    refused: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    write("in.jsonl", row())
    Path("out.csv").write_text("mine")
    assert "say --force" in refused("in.jsonl")
    assert "the file that is read" in refused("in.jsonl", "./in.jsonl", "--force")
    Path("folder.csv").mkdir()
    assert "is there already" in refused("in.jsonl", "folder.csv", "--force")
    assert Path("out.csv").read_text() == "mine"
    assert score("in.jsonl", "out.csv", "--force") == 0
    assert [line["predicted"] for line in read_csv("out.csv")] == ["entailment"]


def test_all_mistakes_are_told_at_once(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def no_arm(model: Path, base: Path | None) -> predict.Arm:
        raise UserError(Problem("the arm", "is none"))

    monkeypatch.setattr(predict, "read_arm", no_arm)
    write("in.jsonl", row(label="x"))
    said = refused("in.jsonl", "out.txt")
    assert [part in said for part in ("out.txt", "the arm", "in.jsonl:1")] == [True] * 3


def test_what_a_terminal_would_obey_is_stripped_from_what_is_quoted(refused: Callable[..., str]) -> None:
    write("in.csv", "premise,hypothesis,label", "a,b,\x1b[31mred\x07\u202e")
    write("header.csv", "premise\x1b]0;title\x07,hypothesis", "a,b")
    for name in ("in.csv", "header.csv"):
        said = refused(name)
        assert "\x1b" not in said
        assert "\x07" not in said
        assert "\u202e" not in said


def test_an_interrupted_or_failed_run_leaves_what_was_there(
    model: Chunks, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    judge = predict.load(None, 1)  # type: ignore[arg-type]
    write("in.jsonl", *[row(f"It is {number}.") for number in range(20)])
    Path("out.csv").write_text("mine")

    def interrupted(pairs: Any) -> predict.Scored:
        if model:
            raise KeyboardInterrupt
        return judge(pairs)

    monkeypatch.setattr(predict, "load", lambda arm, batch_size: interrupted)
    assert score("in.jsonl", "out.csv", "--batch-size", "1", "--force") == 130
    assert "interrupted, nothing was written" in capsys.readouterr().err
    assert (left(), Path("out.csv").read_text()) == (["in.jsonl", "out.csv"], "mine")

    def edits(pairs: Any) -> predict.Scored:
        write("in.jsonl", *[row(f"It is {number}.") for number in range(21)])
        return judge(pairs)

    monkeypatch.setattr(predict, "load", lambda arm, batch_size: edits)
    assert score("in.jsonl", "out.csv", "--force") == 2
    assert "changed while it was scored" in capsys.readouterr().err
    assert (left(), Path("out.csv").read_text()) == (["in.jsonl", "out.csv"], "mine")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--premise", "a"],
        ["--file", "in.csv"],
        ["--premise", "a", "--hypothesis", "b", "--file", "in.csv"],
        ["--premise", "a", "--out", "out.csv"],
    ],
)
def test_a_pair_or_a_file_is_given_and_not_both(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 2
    assert "allowed: --premise and --hypothesis, or --file and --out" in capsys.readouterr().err


def test_a_bad_file_is_refused_before_torch_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("{}\n")
    words = ["predict", "arm", "--file", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.csv")]
    program = f"""
import sys
from ftbench import cli
try:
    cli.main({words!r})
except SystemExit as stopped:
    print(stopped.code, sorted(name for name in ("torch", "transformers", "peft") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "2 []\n"
    assert "no trained arm" in done.stderr
    assert "in.jsonl:1" in done.stderr
