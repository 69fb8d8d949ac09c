"""A prompt with solved examples in front, to the byte, and where the answer after it ends."""

from __future__ import annotations

import pytest

from ftbench import few_shot, schema
from ftbench.errors import UserError
from ftbench.inference import Answer

TEMPLATE = {
    "with_input": "Below is a task {{so}}.\n\n### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n",
    "without_input": "Below is a task.\n\n### Instruction:\n{instruction}\n\n### Response:\n",
}
SETTINGS = schema.Text.model_validate({"max_length": 64, "template": TEMPLATE})
SOLVED = [("Add.", "1, 2", "3"), ("Name a {colour}.", "", "Red.")]
BARE = schema.InstructionTemplate(with_input="{instruction}\n{input}\nAnswer:", without_input="{instruction}\nAnswer:")


def cut(text, solved=SOLVED, template=SETTINGS.template, stopped=True):
    found = few_shot.until_next_example(Answer(text, 9, stopped), template, solved)
    assert found.num_tokens == 9
    return found.text, found.stopped


def test_examples_stand_before_the_prompt_with_their_answers_and_a_blank_line_between_any_two():
    assert few_shot.prompt(SETTINGS, "Who?", "", SOLVED) == (
        "Below is a task {so}.\n\n### Instruction:\nAdd.\n\n### Input:\n1, 2\n\n### Response:\n3\n\n"
        "Below is a task.\n\n### Instruction:\nName a {colour}.\n\n### Response:\nRed.\n\n"
        "Below is a task.\n\n### Instruction:\nWho?\n\n### Response:\n"
    )


def test_without_examples_it_is_the_prompt_of_every_other_model():
    assert few_shot.prompt(SETTINGS, "Who?", " \n", ()) == "Below is a task.\n\n### Instruction:\nWho?\n\n### Response:\n"


def test_what_opens_a_prompt_is_every_line_before_the_instruction():
    assert few_shot.openings(SETTINGS.template) == {"Below is a task {so}.", "Below is a task.", "### Instruction:"}
    assert few_shot.openings(BARE) == set()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Blue.\n\n### Instruction:\nAnother", "Blue."),
        ("Blue.\n### Instruction:\nAnother", "Blue."),
        ("Blue.\n  Below is a task. And so on", "Blue."),
        ("Blue.\n \t\nmore", "Blue."),
        ("### Instruction:\nAnother", ""),
        ("a\nb\n\nc", "a\nb"),
    ],
)
def test_an_answer_ends_where_the_next_example_would_begin_and_has_then_not_stopped(text, kept):
    assert cut(text) == (kept, False)


def test_an_answer_that_ends_by_itself_before_that_is_left_as_it_is():
    assert cut("Blue ### Instruction: in a line.\nYes.") == ("Blue ### Instruction: in a line.\nYes.", True)
    assert cut("Blue.", stopped=False) == ("Blue.", False)
    assert cut("") == ("", True)


def test_a_blank_line_ends_no_answer_where_a_solved_one_holds_a_blank_line():
    lists = [("List.", "", "a\n\nb")]
    assert cut("one\n\ntwo\n\n### Instruction:\nmore", lists) == ("one\n\ntwo", False)
    assert cut("one\n\ntwo", lists) == ("one\n\ntwo", True)
    assert cut("one\n\ntwo", lists, BARE) == ("one\n\ntwo", True)


def test_a_template_without_words_before_the_instruction_leaves_the_blank_line():
    assert cut("Blue.\nAnswer: no\n\nmore", template=BARE) == ("Blue.\nAnswer: no", False)


def test_hostile_answers_are_cut_like_others():
    assert cut("\x1b[31mred\x1b[0m <b>\u202e\n\n### Instruction:") == ("\x1b[31mred\x1b[0m <b>\u202e", False)
    assert cut("a " * 50_000) == (("a " * 50_000).strip(), False)
    assert cut("\n" * 100_000) == ("", False)
    assert cut(" \n\t" * 30_000 + "x") == ("", False)


def test_the_same_seed_draws_the_same_different_rows():
    train = {"id": [str(number) for number in range(10)]}
    drawn = few_shot.drawn("here", train, 3, seed=1)
    assert drawn == few_shot.drawn("here", train, 3, seed=1)
    assert len(set(drawn)) == 3
    assert sorted(few_shot.drawn("here", train, 10, seed=1)) == list(range(10))
    assert few_shot.drawn("here", train, 0, seed=1) == []


def test_more_examples_than_train_holds_are_one_readable_message():
    with pytest.raises(UserError) as caught:
        few_shot.drawn("params.yaml: offline.alpaca.three_shot.num_examples", {"id": ["a"]}, 2, seed=0)
    [problem] = caught.value.problems
    assert (problem.where, problem.found) == ("params.yaml: offline.alpaca.three_shot.num_examples", "2 examples")
    assert problem.allowed == "at most 1, the rows of train"
