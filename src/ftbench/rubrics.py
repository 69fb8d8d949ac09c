r"""Rubrics: what an answer to a question must say, as named checks that need no judge; none of them knows what models say.

A check is a sentence that a reader sees and a function of the answer. `says` and `says_some` look for wordings, `does_not_say` for what
must not be there, and `ftbench.rubrics_code` has checks of Python. A wording is a regular expression on one sentence of the answer,
spelt as `readable` spells it: no Markdown, `pi`, `^2`, `*`, plain quotes and dashes. Repeat with an upper bound (`[^\n]{0,60}`), never
`.*` beside `.*`, so that a long answer takes no longer than its length.

What is denied is not said: a clause with "not", "n't", "never", "neither", "nor", "no longer", "false", "wrong", after "rather than" or
"instead of", or of what many people think is left out before anything is looked for. Clauses end at a comma, a semicolon, a colon, a
bracket, a dash between spaces, and before "but", "and", "while", "whereas", "although", "though" and "nor". So "not Sydney but Canberra"
says Canberra and "it is not Canberra" does not. Limits: irony, double negation, a denial that stands in another clause than what it
denies ("Canberra? No."), and right and wrong side by side where no check of the rubric looks for the wrong one.

An answer is read as far as its first LONGEST characters, and an empty one passes no check.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

LONGEST = 20_000  # characters of an answer that are read


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that an answer must do: a sentence without a subject ("names Canberra"), and what finds out."""

    sentence: str
    holds: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Open:
    """In place of a rubric: why no rule can tell a good answer from a bad one, as a clause."""

    because: str


Rubric = tuple[Check, ...] | Open


def verdicts(rubric: Rubric, answer: str) -> list[bool]:
    """Whether each check of a rubric holds of an answer; none for an open question, and none holds of an answer without a word."""
    if isinstance(rubric, Open):
        return []
    there = bool(re.search(r"\w", answer[:LONGEST]))
    return [there and check.holds(answer[:LONGEST]) for check in rubric]


def passed(rubric: Rubric, answer: str) -> bool | None:
    """Whether every check holds; None for an open question, which is not scored."""
    return None if isinstance(rubric, Open) else all(verdicts(rubric, answer))


def described(rubric: Rubric) -> dict[str, Any]:
    """A rubric in words: the sentences of its checks, and why it is not scored (null if it is)."""
    if isinstance(rubric, Open):
        return {"checks": [], "open": rubric.because}
    return {"checks": [check.sentence for check in rubric], "open": None}


def remark(rubric: Rubric, answer: str) -> str:
    """What a rubric says of an answer, in one line."""
    if isinstance(rubric, Open):
        return f"not scored, an open question: {rubric.because}"
    failed = [check.sentence for check, held in zip(rubric, verdicts(rubric, answer), strict=True) if not held]
    return f"failed on {'; on '.join(map(brief, failed))}" if failed else "passed"


def brief(sentence: str) -> str:
    """A check's sentence between quotes, without the names that complete it."""
    return f'"{sentence.partition(":")[0]}"'


def share_passed(rubrics: Sequence[Rubric], answers: Sequence[Sequence[str]]) -> float | None:
    """Of answers [seeds][questions], the mean share of the scored questions that pass; None if no question is scored."""
    found = [passed(rubric, str(answer)) for of_seed in answers for rubric, answer in zip(rubrics, of_seed, strict=True)]
    scored = [one for one in found if one is not None]
    return sum(scored) / len(scored) if scored else None


# ---- Checks of wordings ---------------------------------------------------------------------------------------------------------


def says(sentence: str, *wordings: str, exact_case: bool = False) -> Check:
    """A check that the answer says one of some wordings, in any case of letters unless `exact_case`."""
    found = _compiled(wordings, exact_case)
    return Check(sentence, lambda answer: found.search(affirmed(answer)) is not None)


def does_not_say(sentence: str, *wordings: str) -> Check:
    """A check that the answer says none of some wordings; what it denies it does not say."""
    found = _compiled(wordings, exact_case=False)
    return Check(sentence, lambda answer: found.search(affirmed(answer)) is None)


def says_some(least: int, sentence: str, named: Mapping[str, str]) -> Check:
    """A check that the answer says at least so many different ones of {name: wording}: each counts once, however often it is said.

    The sentence is completed by the names.
    """
    found = [_compiled([wording], exact_case=False) for wording in named.values()]

    def holds(answer: str) -> bool:
        said = affirmed(answer)
        return sum(one.search(said) is not None for one in found) >= least

    return Check(f"{sentence}: {', '.join(named)}", holds)


def _compiled(wordings: Sequence[str], exact_case: bool) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{one})" for one in wordings), re.MULTILINE | (0 if exact_case else re.IGNORECASE))


_SPELT = str.maketrans(
    {"²": "^2", "×": "*", "·": "*", "⋅": "*", "∙": "*", "∗": "*", "−": "-", "–": "-", "—": "-", "’": "'", "‘": "'", "“": '"', "”": '"'}
)
_DENIED = re.compile(
    r"\b(?:not|never|cannot|neither|nor|no longer|false|untrue|wrong|incorrect)\b|n't\b"
    r"|\b(?:many|most|some|people|often|commonly)\b[^\n]{0,20}\b(?:think|thought|believed?|assumed?)\b|\bmistak",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?](?=\s|$)|[\r\n]+")
_CLAUSE = re.compile(r"(?<=[,;:()])|(?=\s-\s)|(?=\b(?:but|and|nor|while|whereas|although|though)\b)", re.IGNORECASE)


def readable(answer: str) -> str:
    """An answer spelt in one way: compatibility forms folded, Markdown and TeX marks gone, signs and quotes plain, single spaces."""
    text = unicodedata.normalize("NFKC", answer.translate(_SPELT))[:LONGEST].translate(_SPELT).replace("π", "pi")
    text = "".join(one for one in text if one in "\n\t" or unicodedata.category(one) not in ("Cc", "Cf"))
    text = re.sub(r"^[ \t]*[-*+•] +", "", text, flags=re.MULTILINE)
    text = re.sub(r"\\(?:text|mathrm|mathbf|boxed|left|right)\b", " ", text)
    text = re.sub(r"\\(?:times|cdot)\b", "*", re.sub(r"\\d?frac\{([^{}]{1,40})\}\{([^{}]{1,40})\}", r"\1/\2", text))
    text = re.sub(r"(?<=[A-Za-z0-9)]) ?\*\* ?(?=\d)", "^", text).replace("**", "")  # a power, else bold type
    return re.sub(r"[^\S\r\n]+", " ", re.sub(r"[`$\\{}\[\]]|__", "", text))


@lru_cache(maxsize=64)  # each check of a rubric asks for it
def affirmed(answer: str) -> str:
    """The sentences of an answer, a line each, without the clauses that deny something."""
    text = re.sub(r"\bnot (?:only|just|merely)\b", "", readable(answer), flags=re.IGNORECASE)
    text = re.sub(r"\b(?:rather than|instead of|as opposed to|in contrast to)\b", ", not", text, flags=re.IGNORECASE)
    sentences = (_CLAUSE.split(sentence) for sentence in _SENTENCE.split(text))
    said = ("".join(clause for clause in clauses if not _DENIED.search(clause)).strip() for clauses in sentences)
    return "\n".join(sentence for sentence in said if sentence)
