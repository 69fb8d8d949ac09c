"""How one case of hostile input is judged: it is accepted, or refused in words; anything else is a fault of ours.

A case that crashes, takes too long, is refused in words that nobody can read, or is let in although it must not be is a fault.
"""

from __future__ import annotations

import signal
import traceback
import types
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ftbench.errors import UserError

ACCEPTED, REFUSED, NAMED = "accepted", "refused", "rows_named"
TRACEBACK, HANG, UNREADABLE, WRONGLY = "traceback", "hang", "unreadable", "wrongly_accepted"
NEEDLESS = "wrongly_refused"
FAULTS = (TRACEBACK, HANG, UNREADABLE, WRONGLY, NEEDLESS)
SECONDS = 20.0  # a case that takes longer hangs; the slowest of the good ones takes a tenth of it
LONGEST = 4000  # characters of one problem that a person still reads


class TooSlow(BaseException):
    """No `Exception`: whoever catches those must not swallow it."""


@dataclass(frozen=True)
class Case:
    """One input: `act` reads it as the pipeline would and returns an outcome (None: accepted), or raises what it raises.

    `expected` are the outcomes that are right; `names` are words of which a refusal must hold at least one, so that it says where.
    """

    kind: str
    name: str
    act: Callable[[], str | None]
    expected: frozenset[str] = frozenset({ACCEPTED, REFUSED})
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What became of a case; `said` is the refusal, or what went wrong."""

    case: Case
    outcome: str
    said: str = ""


def judge(case: Case, seconds: float = SECONDS) -> Verdict:
    """Run one case in this process, within `seconds`, and say what became of it."""

    def stop(signum: int, frame: types.FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        outcome, said = case.act() or ACCEPTED, ""
    except UserError as error:
        outcome, said = (UNREADABLE if unreadable(error, case.names) else REFUSED), unreadable(error, case.names) + str(error)
    except TooSlow:
        outcome, said = HANG, f"longer than {seconds:g} seconds"
    except WronglyAcceptedError as error:
        outcome, said = WRONGLY, str(error)
    except (Exception, SystemExit):
        outcome, said = TRACEBACK, traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer)  # a test's own limit goes on
    if outcome not in FAULTS and outcome not in case.expected:
        outcome, said = (NEEDLESS if outcome == REFUSED else WRONGLY), said or f"{outcome}, expected {', '.join(sorted(case.expected))}"
    return Verdict(case, outcome, said)


class WronglyAcceptedError(Exception):
    """Raised by a case's `act` for an input that was let in and means something that it must not mean."""


def unreadable(error: UserError, names: Iterable[str] = ()) -> str:
    """What makes a refusal unreadable, as a line to stand before it; "" if a person can work with it."""
    if not error.problems:
        return "no problem is named\n"
    for problem in error.problems:
        text = str(problem)
        if not problem.where or not problem.found:
            return "it does not say where, or what was found\n"
        if len(text) > LONGEST:
            return f"{len(text)} characters in one problem\n"
        if any(not one.isprintable() for line in text.split("\n") for one in line):
            return f"it holds what a terminal obeys: {text[:500]!a}\n"
        if "Traceback" in text:
            return "it holds a traceback\n"
    names = list(names)
    if names and not any(name in str(error) for name in names):
        return f"it names none of {', '.join(names)}\n"
    return ""


def counts(verdicts: Iterable[Verdict]) -> dict[str, dict[str, int]]:
    """How many cases of each kind came to each outcome."""
    found: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.case.kind, Counter())[verdict.outcome] += 1
    return {kind: dict(sorted(outcomes.items())) for kind, outcomes in sorted(found.items())}


def faults(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The verdicts that are faults of ours."""
    return [verdict for verdict in verdicts if verdict.outcome in FAULTS]
