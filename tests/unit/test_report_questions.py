"""From one entry in questions.py to answers.json, metrics.json, the report and the chat; and how the page shows verdicts."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ftbench import answers, asking, chat, cli, comparison_answers, inference, questions, report, report_questions, tables, trained_arm
from ftbench.asking import Reply
from ftbench.predictions import Entry, Predictions
from ftbench.questions import QUESTIONS, Question
from ftbench.report_data import Study
from ftbench.rubrics import Open, says
from ftbench.schema import Evaluation

HOSTILE = "<script>alert(1)</script> | `x`\n# heading \x1b[31m\u202e" + "long " * 20_000
DOCUMENT = Path(__file__).parents[2] / "docs/adding-things.md"


@pytest.fixture
def added() -> Question:
    """The entry that the document shows."""
    [snippet] = re.findall(r"```python\n(Question\(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    question = eval(snippet, vars(questions))  # noqa: S307  our own document
    assert isinstance(question, Question)
    return question


def asked(put: tuple[Question, ...], texts: dict[str, list[list[str]]]) -> dict[str, Any]:
    """`compare` on answers {entry: [seeds][questions]}: answers.json, and the metrics that it adds."""
    columns = {"instruction": np.array([question.text for question in put], dtype=object)}
    said = {
        name: Predictions(columns, {"text": np.array(seeds, dtype=object), "stopped": np.ones((len(seeds), len(put)), dtype=bool)})
        for name, seeds in texts.items()
    }
    metrics: dict[str, Any] = {name: {"n": 1} for name in texts}
    comparison_answers._add_questions_passed(metrics, said)
    grid = SimpleNamespace(scale="offline", rows=[Entry(name, True, tuple(range(len(seeds)))) for name, seeds in texts.items()])
    return {"answers": comparison_answers._answers_to_questions(grid, said), "metrics": metrics}


def page(content: dict[str, Any]) -> str:
    return tables.markdown(report_questions.questions(Study("alpaca", {}, {"scale": "offline"}, {}, {}, answers=content)))


def test_one_entry_is_asked_scored_reported_and_put_by_the_chat(
    added: Question, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = (*QUESTIONS, added)
    for module, name in ((questions, "QUESTIONS"), (answers, "FIFTEEN"), (chat, "QUESTIONS")):
        monkeypatch.setattr(module, name, more)
    # asked
    features = [SimpleNamespace() for _ in more]
    monkeypatch.setattr(answers.text, "instruction_prompt", lambda settings, instruction, given: instruction)
    monkeypatch.setattr(
        answers.text,
        "encode_prompts",
        lambda tokenizer, prompts, longest: SimpleNamespace(features=features[: len(prompts)], num_truncated=0),
    )
    monkeypatch.setattr(answers.text, "encode_answers", lambda *_: SimpleNamespace(features=[]))
    monkeypatch.setattr(inference, "answer_loss", lambda *_: [])
    monkeypatch.setattr(
        inference, "generate", lambda model, tokenizer, given, *_: [SimpleNamespace(text="Au", num_tokens=1, stopped=True)] * len(given)
    )
    nothing = {name: [] for name in ("id", "instruction", "input", "output", "kind")}
    evaluation = Evaluation.model_construct(per_device_eval_batch_size=2, max_new_tokens=4)
    rows, _ = answers.rows(None, None, nothing, SimpleNamespace(max_length=9), evaluation, 0)
    assert [row["id"] for row in rows] == [question.id for question in more]
    # scored
    found = asked(more, {"arm": [[row["text"] for row in rows]]})
    content = found["answers"]
    assert (content["questions"][-1], content["rubrics"][-1]["id"]) == (added.text, "gold")
    assert content["answers"]["arm"][-1] == {"text": "Au", "stopped": True, "checks": [True, True], "passed": True}
    assert (content["num_passed"], content["num_scored"]) == ({"arm": 1}, 14)
    assert found["metrics"]["arm"] == {"n": 1, "questions_passed": round(1 / 14, 6)}
    # reported
    shown = page(content)
    assert f"{len(more)}. {added.text}" in shown
    assert "An answer passes if it gives Au, its letters in this case; does not give silver's." in shown
    assert "1 of 14" in shown
    # put by the chat
    monkeypatch.setattr(trained_arm, "read", lambda folder, base, kinds: None)
    monkeypatch.setattr(asking, "names", lambda arm: ("arm-0", "base"))
    monkeypatch.setattr(asking, "load", lambda arm, longest: _ag)
    monkeypatch.setattr(sys, "stdin", io.StringIO("/questions\n"))
    cli.main(["chat", "arm"])
    assert capsys.readouterr().out.endswith(
        f'> {added.text}\n\n(rubric: failed on "gives Au, its letters in this case"; on "does not give silver\'s")\n\n'
    )


def _ag(question: str, given: str, untouched: bool, show: Callable[[str], None]) -> Reply:
    return Reply("Ag", [])


MINE = (
    Question("one", "Is it | one?", "facts", (says("says one", "one"), says("says two: of these", "two"))),
    Question("two", "What do you think?", "facts", Open("it asks for an opinion")),
    Question("three", "Is it <b>two</b>?", "facts", (says("says two", "two"),)),
)


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "QUESTIONS", MINE)


@pytest.mark.usefixtures("mine")
def test_an_arm_of_several_seeds_shows_its_first_and_scores_all() -> None:
    found = asked(MINE, {"a": [["one", "", "two"], ["one, two", "", "two"]], "b": [["", "I do", "no"]]})
    content = found["answers"]
    assert [(one["checks"], one["passed"]) for one in content["answers"]["a"]] == [([True, False], False), ([], None), ([True], True)]
    assert [one["passed"] for one in content["answers"]["b"]] == [False, None, False]
    assert (content["num_passed"], content["num_scored"]) == ({"a": 1, "b": 0}, 2)
    assert found["metrics"] == {"a": {"n": 1, "questions_passed": 0.75}, "b": {"n": 1, "questions_passed": 0.0}}


@pytest.mark.usefixtures("mine")
def test_a_question_that_was_taken_out_again_is_not_scored_and_without_scored_ones_there_is_no_share() -> None:
    found = asked((Question("", "Was it?", "", Open("")),), {"a": [["one"]]})
    assert found["answers"]["rubrics"] == [{"id": "", "checks": [], "open": "it is no longer among the questions"}]
    assert found["metrics"] == {"a": {"n": 1}}


@pytest.mark.usefixtures("mine")
def test_the_page_has_one_table_of_all_verdicts_and_then_each_rubric_in_words_with_its_answers() -> None:
    shown = page(asked(MINE, {"a": [["one", "yes", "two"]], "b": [["", "no", "no"]]})["answers"])
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown.splitlines() if line.startswith("| ")]
    assert cells[:3] == [["model", "1", "2", "3", "passed"], ["`a`", "no", "–", "yes", "1 of 2"], ["`b`", "no", "–", "no", "0 of 2"]]
    assert cells[4] == ["`a`", "one", "yes", '1 of 2; failed on "says two"']
    assert cells[5] == ["`b`", "", "yes", '0 of 2; failed on "says one"; on "says two"']
    assert [cells[7][3], cells[10][3], cells[11][3]] == ["–", "passed", '0 of 1; failed on "says two"']
    assert "1. Is it &#124; one? An answer passes if it says one; says two: of these." in shown
    assert "2. What do you think? Not scored, an open question: it asks for an opinion." in shown


@pytest.mark.usefixtures("mine")
def test_hostile_answers_and_questions_come_out_inert_and_short() -> None:
    content = asked(MINE, {"a": [[HOSTILE] * 3]})["answers"]
    blocks = report_questions.questions(Study("alpaca", {}, {"scale": "offline"}, {}, {}, answers=content))
    for shown, own in ((tables.markdown(blocks), 0), (report.html_page([("alpaca", "Alpaca", blocks)]), 1)):
        assert shown.lower().count("<script") == own  # the page's script is its own
        assert "<script>alert" not in shown
        assert "<b>" not in shown
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", shown)
    assert len(tables.markdown(blocks)) < 8000
    assert max(line.count("|") for line in tables.markdown(blocks).splitlines() if line.startswith("| `a`")) == 6


def test_a_study_without_questions_has_no_such_page() -> None:
    assert report_questions.questions(Study("snli", {}, {"scale": "offline"}, {}, {})) == []
