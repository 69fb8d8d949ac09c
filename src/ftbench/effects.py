"""Main effects and interactions of a study's factors, as contrasts of its arms' means.

A main effect is what a level of a factor changes against the reference arm's level of it, averaged over the levels of the other factors. An
interaction is what a level of one factor changes under a level of another, less what it changes under that other's reference level.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from ftbench import statistics

Factors = Mapping[str, Sequence[str]]


def of(
    factors: Factors, reference: str | None, arms: Mapping[str, Mapping[str, str]], tables: Mapping[str, NDArray[Any]]
) -> list[dict[str, Any]]:
    """Every main effect and interaction of a study, with Holm's correction over all of them.

    `factors` holds the levels of each, `arms` each arm's level of each, and `tables` each arm's scores [seeds, items]. Empty for a study
    without a reference arm, with an arm missing, or with fewer than two factors of two levels or more. Raises ValueError for unequal items.
    """
    if reference is None or len(arms) < math.prod(len(levels) for levels in factors.values()):
        return []
    found: list[dict[str, Any]] = []
    for changed in _changes(factors, arms[reference]):
        weights = {arm: weight(factors, arms[reference], changed, levels) for arm, levels in arms.items()}
        used = [arm for arm in weights if weights[arm]]
        one = statistics.contrast([tables[arm] for arm in used], [weights[arm] for arm in used])
        row: dict[str, Any] = {"kind": "main" if len(changed) == 1 else "interaction", "factors": list(changed)}
        row |= {"levels": list(changed.values()), "against": [arms[reference][factor] for factor in changed]}
        row |= {"difference": one.difference, "low": one.low, "high": one.high, "p": one.p}
        found.append({**row, "seed_se": one.seed_se, "item_se": one.item_se})
    for row, adjusted in zip(found, statistics.holm([row["p"] for row in found]), strict=True):
        row |= {"p_holm": adjusted, "told_apart": adjusted < 1 - statistics.CONFIDENCE}
    return found


def _changes(factors: Factors, reference: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """What each effect changes: one factor's level or two factors' levels, away from the reference's."""
    varied = {factor: [level for level in levels if level != reference[factor]] for factor, levels in factors.items() if len(levels) > 1}
    if len(varied) < 2:
        return
    for size in (1, 2):
        for together in itertools.combinations(varied, size):
            for chosen in itertools.product(*(varied[factor] for factor in together)):
                yield dict(zip(together, chosen, strict=True))


def weight(factors: Factors, reference: Mapping[str, str], changed: Mapping[str, str], levels: Mapping[str, str]) -> float:
    """An arm's weight in an effect: 0 where it has neither level of a changed factor, else a sign, shared by the other factors' cells."""
    sign = 1.0
    for factor, level in changed.items():
        if levels[factor] not in (level, reference[factor]):
            return 0.0
        sign *= 1 if levels[factor] == level else -1
    for factor, others in factors.items():
        sign /= 1 if factor in changed else len(others)
    return sign
