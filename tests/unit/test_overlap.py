from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from ftbench import files, overlap
from ftbench.errors import UserError

PAIR = {"snli/test/1": ("A man is sleeping.", "A person is asleep.")}


@pytest.mark.parametrize(
    "document",
    [
        "A man is sleeping. A person is asleep.",
        "Premise: A man is sleeping.\nHypothesis: A person is asleep.\nRelation: entailment",
        "a person is ASLEEP. So: A  man is\nsleeping.",
    ],
)
def test_a_text_with_both_sentences_holds_the_example(document: str) -> None:
    assert overlap.shared(["Nothing here.", document], PAIR) == [("snli/test/1", 1)]


@pytest.mark.parametrize(
    "document",
    [
        "A man is sleeping.",
        "A person is asleep.",
        "A man is sleeping on a bed. A person is asleep.",
        "A human is sleeping. A person is asleep.",
        "",
    ],
)
def test_a_text_without_both_sentences_does_not(document: str) -> None:
    assert overlap.shared([document], PAIR) == []


def test_sentences_in_two_documents_are_no_example() -> None:
    assert overlap.shared(["A man is sleeping.", "A person is asleep."], PAIR) == []


def test_a_short_answer_counts_only_as_a_word() -> None:
    example = {"alpaca/test/1": ("What is six plus one?", "", "7")}
    assert overlap.shared(["What is six plus one? 17"], example) == []
    assert overlap.shared(["What is six plus one? 7."], example) == [("alpaca/test/1", 0)]


def test_an_instruction_with_another_input_is_another_example() -> None:
    example = {"alpaca/test/1": ("Classify the mood.", "I love it", "positive")}
    assert overlap.shared(["Classify the mood. I like it: positive"], example) == []
    assert overlap.shared(["Classify the mood. I love it: positive"], example) == [("alpaca/test/1", 0)]


def test_an_example_shorter_than_the_key_is_found_too() -> None:
    assert overlap.shared(["It says: go on. Yes or no."], {"a": ("Go on.", "Yes")}) == [("a", 0)]


def test_each_example_is_told_once_with_the_first_document() -> None:
    assert overlap.shared(["A man is sleeping. A person is asleep."] * 3, PAIR) == [("snli/test/1", 0)]


def test_examples_come_from_every_test_split(tmp_path: Path) -> None:
    folder = tmp_path / "multinli"
    for split, premise in (("test_matched", "One."), ("test_mismatched", "Two."), ("train", "Three.")):
        table = pa.table({"id": ["7"], "premise": [premise], "hypothesis": ["Four."], "label": [0]})
        files.write_parquet(folder / f"{split}.parquet", table)
    assert dict(overlap.test_examples(folder)) == {
        "multinli/test_matched/7": ("One.", "Four."),
        "multinli/test_mismatched/7": ("Two.", "Four."),
    }


def test_instructions_without_an_input_are_read_too(tmp_path: Path) -> None:
    table = pa.table({"id": ["7"], "instruction": ["Sing."], "input": pa.array([None], pa.string()), "output": ["La."]})
    files.write_parquet(tmp_path / "test.parquet", table)
    assert [parts for _, parts in overlap.test_examples(tmp_path)] == [("Sing.", "", "La.")]


def test_a_data_set_without_a_test_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no test split"):
        list(overlap.test_examples(tmp_path))


def test_a_test_split_with_other_columns_is_refused(tmp_path: Path) -> None:
    files.write_parquet(tmp_path / "test.parquet", pa.table({"id": ["7"], "text": ["x"]}))
    with pytest.raises(UserError, match="columns id, text"):
        list(overlap.test_examples(tmp_path))
