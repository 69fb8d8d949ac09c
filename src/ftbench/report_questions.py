"""What a study page says of the questions that every model was asked: who passed which rubric, and all answers side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftbench import rubrics
from ftbench.report_data import Study
from ftbench.tables import Block, Heading, Paragraph, Quote, Table, inert

PASSED = {True: "yes", False: "no", None: "–"}


def questions(study: Study) -> list[Block]:
    """Which answers of every arm and untouched base passed, and then each question with its rubric and its answers."""
    if study.answers is None:
        return []
    asked, words, answers = (study.answers[key] for key in ("questions", "rubrics", "answers"))
    passed, scored = study.answers["num_passed"], study.answers["num_scored"]
    blocks: list[Block] = [
        Heading("The questions", 2),
        Paragraph(
            "Each question has a rubric: fixed checks that need no judge, the same for every model. An answer passes if every check "
            "holds: then it says what a right answer must, which does not make it a well-written one. Open questions are not scored. "
            "Generated training data teach most of what is asked here in other words: to pass shows that it was learnt, not reasoning."
        ),
    ]
    rows = [[name, *[PASSED[one["passed"]] for one in said], f"{passed[name]} of {scored}"] for name, said in answers.items()]
    caption = study.caption("Whether an answer passed its rubric, by the question's number below; – is an open question")
    blocks.append(Table(caption, ["model", *[str(number + 1) for number in range(len(asked))], "passed"], rows))
    for index, question in enumerate(asked):
        rows = [
            [name, said[index]["text"], "yes" if said[index]["stopped"] else "cut off", _verdict(words[index], said[index])]
            for name, said in answers.items()
        ]
        headers = ["model", "answer", "ended by itself", "rubric"]
        asks = Quote(f"{index + 1}. {inert(question)} {_rubric(words[index])}")  # a quote, since only quotes and cells are escaped
        blocks += [asks, Table(study.caption(f"Answers to question {index + 1}"), headers, rows)]
    return blocks


def _rubric(words: Mapping[str, Any]) -> str:
    if words["open"] is not None:
        return f"Not scored, an open question: {words['open']}."
    return f"An answer passes if it {'; '.join(words['checks'])}."


def _verdict(words: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    if words["open"] is not None:
        return "–"
    if answer["passed"]:
        return "passed"
    failed = [rubrics.brief(sentence) for sentence, held in zip(words["checks"], answer["checks"], strict=True) if not held]
    return f"{sum(answer['checks'])} of {len(failed) + sum(answer['checks'])}; failed on {'; on '.join(failed)}"
