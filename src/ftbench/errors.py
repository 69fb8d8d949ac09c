"""What is said when something is wrong: every mistake at once, each with where, found, allowed and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake of a user's: `where` it stands, what was `found`, what is `allowed`, and how to `mend` it."""

    where: str
    found: str
    allowed: str = ""
    mend: str = ""

    def __str__(self) -> str:
        lines = [self.where, f"  found:   {self.found}"]
        if self.allowed:
            lines.append(f"  allowed: {self.allowed}")
        if self.mend:
            lines.append(f"  mend:    {self.mend}")
        return escaped("\n".join(lines))


def escaped(text: str) -> str:
    """`text` with what a terminal would obey, and what no encoding can write, as escapes; line ends stay."""
    return "".join(one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode("ascii") for one in text)


class UserError(Exception):
    """Mistakes that a user can mend. A stage that raises it exits with 2 and prints this one block."""

    def __init__(self, problems: Problem | Sequence[Problem]):
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        super().__init__(str(self))

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def nearest(name: str, allowed: Iterable[str]) -> str:
    """The allowed name closest to `name` as a hint (`did you mean 'lora'?`), or "" when none comes close."""
    close = difflib.get_close_matches(name, list(allowed), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""
