"""`ftbench predict` around a model: files checked before it, chunks, what is written and said. The model is in `tests/stages`."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ftbench import cli, pair_files, predict, progress, schema
from ftbench.errors import Problem, UserError

SHARES = np.array([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.05, 0.15, 0.8]])  # what the stand-in says for each label
ADDED = ["predicted", "probability_entailment", "probability_neutral", "probability_contradiction"]
Chunks = list[list[str]]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chunks:
    """In place of an arm: it takes a hypothesis with "not" for a contradiction, one with "may" for neutral. Returns what it was handed."""
    seen: Chunks = []

    def judge(pairs: Any) -> predict.Scored:
        hypotheses = [pair["hypothesis"] for pair in pairs]
        seen.append(hypotheses)
        labels = np.array([2 if "not" in text else 1 if "may" in text else 0 for text in hypotheses])
        return predict.Scored(labels, SHARES[labels], sum("long" in text for text in hypotheses))

    arm = predict.Arm({"settings": {"only": None}}, schema.Text(max_length=64), Path("arm"), Path("base"))
    monkeypatch.setattr(predict, "read_arm", lambda model, base: arm)
    monkeypatch.setattr(predict, "load", lambda arm, batch_size: judge)
    monkeypatch.chdir(tmp_path)
    return seen


def run(*words: str) -> int:
    try:
        cli.main(["predict", "arm", *words])
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


def score(source: str, out: str, *words: str) -> int:
    return run("--file", source, "--out", out, *words)


def write(path: str, *rows: Any) -> None:
    Path(path).write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8")


def read_csv(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


def read_lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def row(hypothesis: str = "It is.", **others: Any) -> dict[str, Any]:
    return {"premise": "A man sleeps.", "hypothesis": hypothesis, **others}


def left() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


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


# ---- What is refused ------------------------------------------------------------------------------------------------------------


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
