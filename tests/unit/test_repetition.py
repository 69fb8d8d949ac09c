"""Repetition and loops, by hand."""

from __future__ import annotations

import pytest

from ftbench.repetition import looping, repetition


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0),
        ("a b c d", 0),  # one phrase of four words: nothing to repeat
        ("a b c d e", 0),
        ("a a a a a", 1 / 2),  # two 4-grams, the second as the first
        ("a b c d a b c d", 1 / 5),  # of abcd, bcda, cdab, dabc, abcd the last
        ("A b, c! a B, c!", 2 / 7),  # ten words and marks; of seven runs the last two are again "a b , c" and "b , c !"
    ],
)
def test_the_share_of_four_word_runs_that_were_said_before(text: str, share: float) -> None:
    assert repetition(text) == pytest.approx(share)


@pytest.mark.parametrize(
    "text",
    [
        "one two one two one two",
        "It is so: the cat sat. The cat sat. The cat sat.",
        "the cat sat the cat sat the cat sat the",  # cut off: it ends in "cat sat the", three times
        "ha ha ha ha ha ha",  # "ha ha", three times
        "!!!!!!",
        "\x1b[31m red \x1b[31m red \x1b[31m red",
    ],
)
def test_a_phrase_of_two_or_more_words_three_times_at_the_end_is_a_loop(text: str) -> None:
    assert looping(text) is True


@pytest.mark.parametrize(
    "text",
    [
        "",
        "word",
        "very very very",  # one word, three times
        "Wait...",
        "one two one two",
        "one two one two one two three",  # not at the end
        "one two. one two, one two.",
        "one two one three one two one three",  # twice
    ],
)
def test_what_is_said_twice_or_goes_on_is_none(text: str) -> None:
    assert looping(text) is False


def test_a_line_of_100_kb_takes_no_more_steps_than_a_few_for_each_word() -> None:
    for line in ("ab " * 34_000, "a" * 100_000, "a b " * 12_000 + "c", "a" * 50_000 + " " + "a" * 50_000, "1.1" * 33_000):
        assert looping(line) is line.endswith("ab ")
        assert 0 <= repetition(line) <= 1
    assert repetition("ab " * 34_000) == pytest.approx(1 - 1 / 33_997)
