"""`ftbench chat` around a model: commands, interrupts, history, a terminal. The model is in `tests/stages/test_ask.py`."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ftbench import asking, chat, cli, trained_arm
from ftbench.asking import Reply
from ftbench.errors import Problem, UserError
from ftbench.questions import QUESTIONS, Question
from ftbench.rubrics import Open, remark, says

# ---- A conversation -------------------------------------------------------------------------------------------------------------


def answer(question: str, given: str, untouched: bool, show: Callable[[str], None]) -> Reply:
    """In place of a model: it says who it is and what it was asked, and "stop" is where the user presses Ctrl-C."""
    show("Base: " if untouched else "Arm: ")
    if question == "stop":
        raise KeyboardInterrupt
    if question == "full":
        raise UserError(Problem("--max-new-tokens 9", "the GPU's memory is full"))
    show(f"{question}|{given}")
    return Reply(f"{'Base' if untouched else 'Arm'}: {question}|{given}", ["cut off after 9 tokens"] if question == "long" else [])


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Pipe lines into `ftbench chat`; returns the lines that it prints, blank ones and the first left out."""
    monkeypatch.setattr(trained_arm, "read", lambda folder, base, kinds: None)
    monkeypatch.setattr(asking, "names", lambda arm: ("arm-0", "base"))
    monkeypatch.setattr(asking, "load", lambda arm, max_new_tokens: answer)

    def run(*lines: str, options: tuple[str, ...] = ()) -> list[str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        cli.main(["chat", "arm", *options])
        first, *others = capsys.readouterr().out.splitlines()
        assert "each question stands alone" in first
        return [line for line in others if line]

    return run


def test_each_line_is_a_question_until_the_input_ends(talk: Callable[..., list[str]]) -> None:
    assert talk("Who?", "", "  ", " /etc?", "long") == [
        "> Who?",
        "Arm: Who?|",
        "> ",
        "> ",
        ">  /etc?",
        "Arm: /etc?|",
        "> long",
        "Arm: long|",
        "(cut off after 9 tokens)",
    ]
    assert talk() == []
    assert talk("/quit", "Who?") == ["> /quit"]
    assert talk("/quit now", "Who?")[1:] == ["/quit takes nothing after it", "> Who?", "Arm: Who?|"]


def test_compare_shows_the_base_below_until_it_is_said_again(talk: Callable[..., list[str]]) -> None:
    said = talk("/compare", "Who?", "/compare", "Why?")
    assert said[1] == "the base's answers are shown: base"
    assert said[3:7] == ["arm-0:", "Arm: Who?|", "base:", "Base: Who?|"]
    assert said[-1] == "Arm: Why?|"
    assert talk("Who?", options=("--compare",))[1:] == ["arm-0:", "Arm: Who?|", "base:", "Base: Who?|"]


def test_an_input_is_the_next_questions_alone(talk: Callable[..., list[str]]) -> None:
    said = talk("/input Two dogs.", "Who?", "Who?", "/input a", "/input", "Who?")
    assert [line for line in said if line.startswith("Arm")] == ["Arm: Who?|Two dogs.", "Arm: Who?|", "Arm: Who?|"]


def test_an_unknown_command_names_the_nearest_and_is_no_question(talk: Callable[..., list[str]]) -> None:
    said = talk("/comapre", "/xyz", "/\x1b[31mred", "/help")
    assert said[1].startswith("no command /comapre: did you mean '/compare'?")
    assert said[3].startswith("no command /xyz (/help lists them")
    assert not [line for line in said if "\x1b" in line or line.startswith("Arm")]
    assert [line.split()[0] for line in said[-6:]] == chat.NAMES


def test_ctrl_c_stops_an_answer_and_not_the_conversation(talk: Callable[..., list[str]]) -> None:
    said = talk("/compare", "stop", "Who?", "/history")
    assert said[3:6] == ["arm-0:", "Arm: ", "(stopped)"]  # and the base is not asked
    assert said[7:11] == ["arm-0:", "Arm: Who?|", "base:", "Base: Who?|"]
    assert said[12:] == ["> stop", "arm-0: Arm:  (stopped)", "> Who?", "arm-0: Arm: Who?|", "base: Base: Who?|"]


def test_full_memory_ends_an_answer_and_not_the_conversation(talk: Callable[..., list[str]]) -> None:
    said = talk("full", "Who?")
    assert "  found:   the GPU's memory is full" in said
    assert said[-1] == "Arm: Who?|"


def test_history_shows_what_was_asked_with_its_input(talk: Callable[..., list[str]]) -> None:
    assert talk("/history")[1:] == ["nothing was asked yet"]
    assert talk("/input dogs", "Who?", "/history")[-3:] == ["> Who?", "(input: dogs)", "arm-0: Arm: Who?|dogs"]


def test_the_fifteen_are_put_in_order_by_a_command_or_an_option(talk: Callable[..., list[str]]) -> None:
    wanted = [
        line
        for question in QUESTIONS
        for line in (
            f"> {question.text}",
            f"Arm: {question.text}|",
            f"(rubric: {remark(question.rubric, f'Arm: {question.text}|')})",
        )
    ]
    assert len(wanted) == 3 * len(QUESTIONS) >= 45
    assert talk("/questions")[1:] == wanted
    assert talk("Who?", options=("--questions",)) == [*wanted, "> Who?", "Arm: Who?|"]


def test_ctrl_c_stops_all_fifteen(talk: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "QUESTIONS", [QUESTIONS[0], replace(QUESTIONS[1], text="stop"), QUESTIONS[2]])
    assert talk("/questions", "Who?")[4:] == ["> stop", "Arm: ", "(stopped)", "> Who?", "Arm: Who?|"]


def test_a_rubric_says_in_one_line_whether_an_answer_passed_and_nothing_of_other_questions(
    talk: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Question("mine", "Is it Canberra?", "facts", (says("names Canberra", "canberra"), says("says why: at length", "because")))
    easy = replace(mine, text="Canberra, because?")
    monkeypatch.setattr(chat, "QUESTIONS", [mine, easy, replace(mine, rubric=Open("it asks for an opinion"))])
    assert [line for line in talk("/questions", "Canberra?", options=("--compare",)) if line.startswith("(")] == [
        *['(rubric: failed on "says why")'] * 2,  # the arm's, and the base's
        *["(rubric: passed)"] * 2,
        *["(rubric: not scored, an open question: it asks for an opinion)"] * 2,
    ]


def test_a_question_that_is_no_text_is_refused_and_the_next_is_answered(talk: Callable[..., list[str]]) -> None:
    said = talk("a\0b", "a\udcff", "Who?")
    assert [line for line in said if "found:" in line] == ["  found:   holds a NUL character", "  found:   is not UTF-8"]
    assert said[-1] == "Arm: Who?|"


# ---- As a user runs it ----------------------------------------------------------------------------------------------------------

PROGRAM = """
import sys, time
sys.path.insert(0, {folder!r})
from ftbench import asking, cli, trained_arm
trained_arm.read = lambda folder, base, kinds: None
asking.names = lambda arm: ("arm-0", "base")
def load(arm, max_new_tokens):
    def ask(question, given, untouched, show):
        show("I say ")
        time.sleep(60 if question == "wait" else 0)
        show(question.upper())
        return asking.Reply("I say " + question.upper(), [])
    return ask
asking.load = load
cli.main(["chat", "arm"])
"""


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, words: list[str]):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, close_fds=True, preexec_fn=_own_terminal)
        os.close(slave)
        self.seen = ""

    def until(self, text: str) -> str:
        """What is printed up to `text`."""
        limit = time.monotonic() + 60
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(limit - time.monotonic(), 0))
            assert ready, self.seen
            self.seen += os.read(self.master, 4096).decode()
        found, self.seen = self.seen.split(text, 1)
        return found

    def type(self, keys: str) -> None:
        """Type as soon as the program waits: what CPython's readline is told while it still draws the line, Ctrl-C, it sees a key later."""
        limit = time.monotonic() + 60
        while Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
            assert time.monotonic() < limit, "the program never waits"
            time.sleep(0.001)
        os.write(self.master, keys.encode())


def _own_terminal() -> None:
    import fcntl
    import termios

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as a shell starts it, whatever this process was started as
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_in_a_terminal_lines_come_back_ctrl_c_stops_an_answer_and_ctrl_d_ends() -> None:
    terminal = Terminal([sys.executable, "-c", PROGRAM.format(folder=str(Path(chat.__file__).parents[1]))])
    terminal.until("> ")
    terminal.type("hello\r")
    terminal.until("I say HELLO")
    terminal.until("> ")
    terminal.type("\x1b[A\r")  # the arrow up: the line before
    terminal.until("I say HELLO")
    terminal.until("> ")
    terminal.type("wait\r")
    terminal.until("I say ")
    terminal.type("\x03")
    assert "WAIT" not in terminal.until("(stopped)")
    terminal.until("> ")
    terminal.type("half a line")
    terminal.until("half a line")
    terminal.type("\x03")
    terminal.until("Ctrl-D or /quit ends.")
    terminal.until("> ")
    terminal.type("still here\r")
    terminal.until("I say STILL HERE")
    terminal.until("> ")
    terminal.type("\x04")
    assert terminal.process.wait(timeout=60) == 0
    os.close(terminal.master)


def test_refusals_come_before_torch_is_loaded(tmp_path: Path) -> None:
    program = """
import sys
from ftbench import cli
for words in (["ask", "none", " "], ["chat", "none"]):
    try:
        cli.main(words)
    except SystemExit as stopped:
        print(stopped.code, sorted(name for name in ("torch", "transformers", "peft") if name in sys.modules))
"""
    environment: dict[str, Any] = {**os.environ, "PYTHONPATH": str(Path(chat.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "2 []\n2 []\n"
    assert "the question\n  found:   is empty" in done.stderr
    assert done.stderr.count("no trained arm") == 2
