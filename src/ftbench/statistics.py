"""Intervals, paired tests and groups for scores of several seeds on the same items.

A score table has the shape [seeds, items]. Its mean varies for two reasons: another seed would have trained another model, and another draw
of items would have asked other questions. An interval adds both parts, each with its own t quantile, as squares of half-widths:
the seed part (the variance of the seeds' means, t on seeds - 1) and the item part (the variance of the items' means, less what is noise
within a cell, which the seed part holds already). Simulated over 3 to 10 seeds, it covers what it promises, and a little more
(benchmarks/coverage.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

CONFIDENCE = 0.95
POWER = 0.8
SMALLEST_P = 1e-16  # below this a probability is rounding

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % interval. `seed_se` is None where there is one seed: its spread is unknown, and not in the interval."""

    mean: float
    low: float
    high: float
    seed_se: float | None
    item_se: float
    num_seeds: int
    num_items: int


@dataclass(frozen=True, slots=True)
class Difference:
    """`a` minus `b` on the same items: the 95 % interval, the two-sided p of the seed-aware test, and what it could have seen.

    `detectable` is the smallest true difference that the test finds with a probability of 80 %.
    `seed_se` is None where neither side has more than one seed: the test is then about two models, not about two methods.
    """

    difference: float
    low: float
    high: float
    p: float
    detectable: float
    seed_se: float | None
    item_se: float


@dataclass(frozen=True, slots=True)
class McNemar:
    """How many items only `a`, and only `b`, got right, and the exact two-sided p of the two being equally likely."""

    only_a: int
    only_b: int
    p: float


def _table(values: object) -> Scores:
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    assert table.ndim == 2, "scores have the shape [seeds, items]"
    assert table.size > 0, "scores of at least one seed and one item"
    assert np.isfinite(table).all(), "scores are finite"
    return table


def _seed_variance(table: Scores) -> float:
    """The variance of the mean that seeds add; 0 for one seed."""
    return float(table.mean(axis=1).var(ddof=1)) / len(table) if len(table) > 1 else 0.0


def _noise_variance(table: Scores) -> float:
    """What noise within a cell adds to the variance of the mean: the interaction mean square over the number of cells; 0 for one seed."""
    seeds, items = table.shape
    if seeds == 1 or items == 1:
        return 0.0
    residual = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0, keepdims=True) + table.mean()
    return float((residual**2).sum()) / ((seeds - 1) * (items - 1)) / (seeds * items)


def _item_variance(item_means: Scores, noise: float) -> float:
    """The variance of the mean that items add, less the noise that the seed part holds; 0 for one item."""
    if len(item_means) == 1:
        return 0.0
    return max(float(item_means.var(ddof=1)) / len(item_means) - noise, 0.0)


def _half_width(tail: float, seed_variance: float, seed_df: float, item_variance: float, item_df: float) -> float:
    """Half the width of a two-sided interval that leaves out `tail`: the parts' half-widths, added as squares."""
    squares = 0.0  # special.stdtrit is what stats.t calls, to the bit and without its checks, which take fifty times as long
    if seed_variance > 0:
        squares += float(special.stdtrit(seed_df, tail / 2)) ** 2 * seed_variance
    if item_variance > 0:
        squares += float(special.stdtrit(item_df, tail / 2)) ** 2 * item_variance
    return squares**0.5


def _wilson(mean: float, num_items: int, variance: float, tail: float) -> tuple[float, float]:
    """How far a share's limits lie below and above it: Wilson's, for as many items as would give this variance."""
    inside = mean * (1 - mean)
    effective = inside / variance if variance > 0 and inside > 0 else float(num_items)
    square = float(stats.norm.isf(tail / 2)) ** 2
    centre = (mean + square / (2 * effective)) / (1 + square / effective)
    half = (square * inside / effective + square**2 / (4 * effective**2)) ** 0.5 / (1 + square / effective)
    return mean - (centre - half), (centre + half) - mean


def interval(values: object, confidence: float = CONFIDENCE) -> Interval:
    """The mean of a score table [seeds, items] and its interval. Scores that are all 0 or 1 keep their limits within [0, 1]."""
    table = _table(values)
    seeds, items = table.shape
    mean = float(table.mean())
    seed_variance = _seed_variance(table)
    item_variance = _item_variance(table.mean(axis=0), _noise_variance(table))
    tail = 1 - confidence
    seed_half = _half_width(tail, seed_variance, seeds - 1, 0.0, 1)
    shares = bool(np.isin(table, (0.0, 1.0)).all())
    if shares and (item_variance > 0 or seed_variance == 0):
        below, above = _wilson(mean, items, item_variance, tail)
    else:
        below = above = _half_width(tail, 0.0, 1, item_variance, items - 1)
    low, high = mean - float(np.hypot(below, seed_half)), mean + float(np.hypot(above, seed_half))
    if shares:
        low, high = max(low, 0.0), min(high, 1.0)
    return Interval(mean, low, high, seed_variance**0.5 if seeds > 1 else None, item_variance**0.5, seeds, items)


def ratio_scores(numerator: object, denominator: object) -> Scores:
    """Scores [seeds, items] whose mean is the mean over seeds of sum(numerator) / sum(denominator), spread as that ratio is (delta method).

    Bits per byte is such a ratio, and so is a share among some of the items. Raises ValueError where a seed's denominator sums to 0.
    """
    above, below = _table(numerator), _table(denominator)
    means = below.mean(axis=1, keepdims=True)
    if (means == 0).any():
        raise ValueError("a ratio over nothing: the denominator sums to 0")
    ratios = above.mean(axis=1, keepdims=True) / means
    return ratios + (above - ratios * below) / means


def difference(values_a: object, values_b: object, confidence: float = CONFIDENCE) -> Difference:
    """The seed-aware paired test of two methods on the same items: score tables [seeds of a, items] and [seeds of b, items].

    The seeds of the two are taken as unrelated draws (Welch's degrees of freedom), the items as pairs. Raises ValueError for unequal items.
    """
    return contrast((values_a, values_b), (1.0, -1.0), confidence)


def contrast(values: Sequence[object], weights: Sequence[float], confidence: float = CONFIDENCE) -> Difference:
    """`difference` for a weighted sum of several methods' means: score tables [seeds of each, items], one weight for each.

    The seed parts add with the squares of their weights (Welch and Satterthwaite's degrees of freedom); the item part is that of the items'
    weighted means. Raises ValueError for unequal items.
    """
    tables = [_table(one) for one in values]
    items = tables[0].shape[1]
    if other := next((len(table[0]) for table in tables if len(table[0]) != items), None):
        raise ValueError(f"{items} items against {other}: only scores of the same items can be paired")
    weighted = list(zip(weights, tables, strict=True))
    parts = [(weight**2 * _seed_variance(table), len(table) - 1) for weight, table in weighted]
    seed_variance = sum(variance for variance, _ in parts)
    below = sum(variance**2 / df for variance, df in parts if df and variance > 0)
    seed_df = seed_variance**2 / below if below > 0 else 1.0
    item_means = np.sum([weight * table.mean(axis=0) for weight, table in weighted], axis=0)
    item_variance = _item_variance(item_means, sum(weight**2 * _noise_variance(table) for weight, table in weighted))
    value = float(sum(weight * table.mean() for weight, table in weighted))

    def half(tail: float) -> float:
        return _half_width(tail, seed_variance, seed_df, item_variance, items - 1)

    width = half(1 - confidence)
    # The distance at which 80 % of estimates fall beyond the test's limit.
    detectable = width + half(2 * (1 - POWER))
    seed_se = seed_variance**0.5 if max(map(len, tables)) > 1 else None
    return Difference(value, value - width, value + width, _p(abs(value), half), detectable, seed_se, item_variance**0.5)


def _p(distance: float, half: Callable[[float], float]) -> float:
    """The tail at which the interval's half-width equals `distance`: by construction below 5 % exactly when the interval leaves out 0."""
    if distance == 0 or half(0.5) == 0:
        return 1.0 if distance == 0 else SMALLEST_P
    if half(SMALLEST_P) <= distance:
        return SMALLEST_P
    log_p = optimize.brentq(lambda log: half(float(np.exp(log))) - distance, np.log(SMALLEST_P), 0.0, xtol=1e-12)
    return float(np.exp(log_p))


def mcnemar(right_a: object, right_b: object) -> McNemar:
    """The exact McNemar test of two trained models from what each got right [items]."""
    a, b = np.asarray(right_a, dtype=bool), np.asarray(right_b, dtype=bool)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"shapes {a.shape} and {b.shape}: McNemar pairs two models on the same items")
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    discordant = only_a + only_b
    return McNemar(only_a, only_b, float(stats.binomtest(only_a, discordant).pvalue) if discordant else 1.0)


def holm(probabilities: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the order given: rejecting what is below 5 % keeps any false alarm among them below 5 %."""
    order = sorted(range(len(probabilities)), key=lambda index: probabilities[index])
    adjusted, largest = [0.0] * len(probabilities), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * probabilities[index]))
        adjusted[index] = largest
    return adjusted


def groups(ranked: Sequence[str], told_apart: set[frozenset[str]]) -> list[list[str]]:
    """The largest sets of methods of which no two are told apart, each in the order of `ranked`, the best-ranked set first.

    A method may be in several sets: not being told apart is not transitive.
    """
    alike = {name: {other for other in ranked if other != name and frozenset((name, other)) not in told_apart} for name in ranked}
    found: list[set[str]] = []

    def extend(clique: set[str], candidates: set[str], excluded: set[str]) -> None:  # Bron-Kerbosch with a pivot
        if not candidates and not excluded:
            found.append(clique)
            return
        pivot = max(sorted(candidates | excluded), key=lambda name: len(alike[name] & candidates))
        for name in sorted(candidates - alike[pivot]):
            extend(clique | {name}, candidates & alike[name], excluded & alike[name])
            candidates = candidates - {name}
            excluded = excluded | {name}

    extend(set(), set(ranked), set())
    position = {name: index for index, name in enumerate(ranked)}
    sorted_groups = [sorted(clique, key=position.__getitem__) for clique in found if clique]
    return sorted(sorted_groups, key=lambda group: [position[name] for name in group])
