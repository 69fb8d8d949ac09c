"""`ftbench chat`: questions to a trained arm in a terminal, or from lines that are piped in; answers appear as they are written."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ftbench import asking, terminal, trained_arm
from ftbench.errors import UserError, nearest
from ftbench.questions import QUESTIONS
from ftbench.rubrics import Rubric, remark
from ftbench.tables import inert
from ftbench.terminal import plain

PROMPT = "> "
COMMANDS = {
    "/compare": "show the base model's answer below each, or no longer",
    "/input TEXT": "give the next question an input; without TEXT take it back",
    "/questions": "put the study's questions; below each answer stands what its rubric says",
    "/history": "show what was asked and answered so far",
    "/help": "show this",
    "/quit": "end, as Ctrl-D does; Ctrl-C stops an answer",
}
NAMES = [command.split()[0] for command in COMMANDS]


@dataclass(frozen=True)
class Turn:
    """A question, its input, and the answers: (who, what it said)."""

    question: str
    input: str
    answers: list[tuple[str, str]]


@dataclass
class Session:
    """A conversation: who is asked (`names` of the arm and its base), what is set for the next question, and what was said."""

    ask: asking.Ask
    names: tuple[str, str]
    compare: bool = False
    input: str = ""
    turns: list[Turn] = field(default_factory=list)


def run(model: Path, base: Path | None, max_new_tokens: int, compare: bool = False, questions: bool = False) -> None:
    """Talk until the input ends or /quit. Raises UserError, before anything is loaded, if the arm or its base is not what it should be."""
    terminal.never_fail()
    _line_editing()
    arm = trained_arm.read(model, base, [trained_arm.ANSWERS])
    names = asking.names(arm)
    print(f"loading {names[0]} ...", file=sys.stderr, flush=True)
    session = Session(asking.load(arm, max_new_tokens), names, compare)
    say(f"{names[0]}, trained on single instructions: each question stands alone, and nothing said before is read. /help lists commands.")
    if questions:
        put_all(session)
    while True:
        try:
            line = read_line()
        except EOFError:
            break
        except KeyboardInterrupt:
            if not sys.stdin.isatty():
                raise
            say("\nCtrl-D or /quit ends.")
            continue
        if not take(session, line):
            break


def _line_editing() -> None:
    with suppress(ImportError):
        import readline  # noqa: F401  # `input` edits lines and keeps a history of them once it is imported


def read_line() -> str:
    """The next line that the user types; one that is piped in is echoed, so that what comes out reads alike. Raises EOFError at the end."""
    if sys.stdin.isatty():
        return input(PROMPT)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    say(PROMPT + plain(line).rstrip())
    return line.rstrip("\n")


def say(text: str = "", end: str = "\n") -> None:
    """Print at once."""
    print(text, end=end, flush=True)


def take(session: Session, line: str) -> bool:
    """Do what a line says: a command, or a question. Returns whether the conversation goes on."""
    if not line.startswith("/"):
        if line.strip():
            given, session.input = session.input, ""
            put(session, line.strip(), given)
        return True
    name, _, rest = line.strip().partition(" ")
    if name not in NAMES:
        hint = nearest(name[1:], [known[1:] for known in NAMES]).replace("'", "'/", 1)  # the slash itself is no likeness
        say(f"no command {inert(name)}{': ' + hint if hint else ''} (/help lists them; a line that begins with a space is a question)")
    elif rest.strip() and name != "/input":
        say(f"{name} takes nothing after it")
    else:
        match name:
            case "/compare":
                session.compare = not session.compare
                say(f"the base's answers are {'shown' if session.compare else 'no longer shown'}: {session.names[1]}")
            case "/input":
                session.input = rest.strip()
                say("the next question has this input" if session.input else "the next question has no input")
            case "/questions":
                put_all(session)
            case "/history":
                history(session)
            case "/help":
                say("\n".join(f"{command:<12} {what}" for command, what in COMMANDS.items()))
    return name != "/quit" or bool(rest.strip())


def put_all(session: Session) -> None:
    """Put the study's questions, one after the other, until the user stops one."""
    for question in QUESTIONS:
        say(PROMPT + question.text)
        if not put(session, question.text, rubric=question.rubric):
            break


def put(session: Session, question: str, given: str = "", rubric: Rubric | None = None) -> bool:
    """Put a question with its input, show each answer as it is written, and remember it; judge it where there is a rubric.

    Returns False if the user stopped it.
    """
    if problems := asking.faults(question, given):
        say("\n".join(map(str, problems)))
        return True
    turn = Turn(question, given, [])
    session.turns.append(turn)
    for untouched in (False, True) if session.compare else (False,):
        who = session.names[untouched]
        if session.compare:
            say(f"{who}:")
        pieces: list[str] = []
        try:
            reply = session.ask(question, given, untouched, partial(_show, pieces))
        except KeyboardInterrupt:
            turn.answers.append((who, f"{''.join(pieces)} (stopped)".strip()))
            say("\n(stopped)\n")
            return False
        except UserError as error:  # of the machine's memory: a shorter question may do
            say(f"{error}\n")
            return True
        turn.answers.append((who, reply.text))
        remarks = [*reply.remarks, *([f"rubric: {remark(rubric, reply.text)}"] if rubric is not None else [])]
        say("\n" * bool(reply.text) + "".join(f"({one})\n" for one in remarks))
    return True


def _show(pieces: list[str], piece: str) -> None:
    pieces.append(piece)
    say(piece, end="")


def history(session: Session) -> None:
    """Show the turns so far."""
    if not session.turns:
        say("nothing was asked yet")
    for turn in session.turns:
        say(PROMPT + plain(turn.question))
        if turn.input:
            say(f"(input: {plain(turn.input)})")
        for who, answer in turn.answers:
            say(f"{who}: {answer}")
