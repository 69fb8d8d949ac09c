"""Rubrics on hostile answers: judged like any other, within bounds, and never run."""

from __future__ import annotations

import pytest

from ftbench import rubrics
from ftbench.questions import QUESTIONS
from ftbench.rubrics import passed, verdicts

RUBRICS = {question.id: question.rubric for question in QUESTIONS}
ADD = "def add(a, b):\n    return [x + y for x, y in zip(a, b)]"
HOSTILE = {
    "escapes": "\x1b[31mx\x1b[0m\x00\x1b]0;",
    "a long line": "canberra in area pi r 2 " * 5000,
    "one word": "a" * 100_000,
    "spaces": " " * 100_000,
    "line breaks": "\n" * 100_000,
    "stars": "**" * 50_000,
    "digits": "x = " + "4" * 100_000,
    "zeros": "x = 4." + "0" * 100_000 + "1",
    "ligatures": "\ufdfa" * 100_000,
    "brackets": "def f(a, b): return " + "(" * 100_000,
    "fenced brackets": "```\n" + "{[" * 50_000,
    "signs": "def f(a, b): return " + "-" * 100_000 + "1",
    "negations": "def f(a, b): return " + "not " * 4000 + "1",
    "sums": "def f(a, b): return " + "1+" * 9900 + "1",
    "attributes": "def f(a, b): return a" + ".a" * 9000,
    "functions": "def f(a, b): return a +\n" * 5000,
    "fences": "```\n" * 25_000,
    "a number": "def f(a, b): return a + " + "1" * 15_000,
    "nothing": "def f(a, b): return a + b\0",
    "surrogates": "def f(a, b): return a + '\ud800'",
    "indented": "".join(f"{' ' * depth}if a:\n" for depth in range(150)),
    "lambdas": "lambda a, b: " * 1500 + "1",
    "else": "x = " + "1 if a else " * 1500 + "1",
    "blank lines": "def f(a, b):\n" + " \t \n" * 20_000,
    "strings": "def f(a, b): return f'" + "{a!r:" * 35,
    "not": "not, " * 20_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_judged_like_any_other(name: str) -> None:
    for question in QUESTIONS:
        found = verdicts(question.rubric, HOSTILE[name])
        assert len(found) == len(rubrics.described(question.rubric)["checks"])
    assert not passed(RUBRICS["sum_vectors"], HOSTILE[name])


def test_python_is_read_and_never_run(tmp_path) -> None:
    mark = tmp_path / "mark"
    code = f"open({str(mark)!r}, 'w')\n{ADD}\nadd(1, open({str(mark)!r}, 'w'))"
    assert passed(RUBRICS["sum_vectors"], code) is True
    assert not mark.exists()
