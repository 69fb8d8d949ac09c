"""What a rule reads and what it returns: evidence from the files that git keeps, and a judgement with its reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ftbench import curves as learning_curves

HOLDS, CONTRADICTED, UNDECIDED, NOT_RUN = "holds", "contradicted", "cannot be decided", "not run at this scale"
VERDICTS = (HOLDS, CONTRADICTED, UNDECIDED, NOT_RUN)
SIGNIFICANCE = 0.05


class NotThereError(Exception):
    """A number that a rule needs and no file holds."""


@dataclass(frozen=True)
class Judgement:
    """A verdict with our number, its interval, why, and the files that say so."""

    verdict: str
    because: str
    ours: float | str | None = None
    low: float | None = None
    high: float | None = None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What the rules may read: the contents of the files that git keeps, by study."""

    comparison: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cost: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, learning_curves.Curve]] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    accounting: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def difference(self, study: str, a: str, b: str) -> dict[str, Any]:
        """The seed-aware test of `a` minus `b`, whichever way round it was made."""
        for row in self.get("comparison", study, "tests"):
            if (row["a"], row["b"]) == (a, b):
                return dict(row)
            if (row["a"], row["b"]) == (b, a):
                return {**row, "difference": -row["difference"], "low": -row["high"], "high": -row["low"]}
        raise NotThereError(f"{study}: {a} against {b}")

    def get(self, kind: str, *keys: str) -> Any:
        """The value at `keys` of a kind of file. Raises NotThereError naming the place."""
        value: Any = getattr(self, kind)
        for key in keys:
            if not isinstance(value, Mapping) or value.get(key) is None:
                raise NotThereError(f"{kind}: {'.'.join(keys)}")
            value = value[key]
        return value

    def curve(self, study: str, arm: str) -> dict[int, learning_curves.Curve]:
        """The learning curves of an arm, by seed."""
        return learning_curves.by_seed(self.get("curves", study, arm))


Rule = Callable[[Evidence, Mapping[str, Any]], Judgement]


def where(study: str, *names: str) -> tuple[str, ...]:
    """The places of some files of a study, as a reader finds them."""
    return tuple(f"reports/{study}/{name}" for name in names)


def beyond(found: Mapping[str, Any]) -> int:
    """1 where the test tells the difference from 0 and it is positive, -1 where negative, 0 where it does not."""
    if found["p_holm"] >= SIGNIFICANCE:
        return 0
    return 1 if found["difference"] > 0 else -1


def of_test(verdict: str, found: Mapping[str, Any], study: str, because: str) -> Judgement:
    """A judgement whose number is the difference of a seed-aware test."""
    return Judgement(verdict, because, found["difference"], found["low"], found["high"], where(study, "comparison.json#tests"))


def of_sign(sign: int) -> str:
    """The verdict of what `beyond` says."""
    return {1: HOLDS, -1: CONTRADICTED, 0: UNDECIDED}[sign]


def all_of(parts: Sequence[str]) -> str:
    """Holds if every part does, contradicted if any is."""
    return CONTRADICTED if CONTRADICTED in parts else UNDECIDED if UNDECIDED in parts else HOLDS
