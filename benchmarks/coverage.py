"""How far the intervals and the tests can be trusted: simulated studies of equally good arms, whose true score is known.

For every number of seeds, number of test items and spread between seeds, it draws studies of four arms with the same true accuracy, gives
each arm its interval and each pair its test as `ftbench.statistics` does for the report, and counts how often an interval holds the truth,
how wide it is, and how often any pair of a study is told apart after Holm's correction, with Monte-Carlo standard errors.

Whether a model answers an item right is drawn with the log-odds level + difficulty of the item for all arms + difficulty for this arm +
level of the seed, the last three normal. The level of the arms is solved so that the expected share of right answers is exactly TRUTH, and
the seeds' standard deviation so that the seeds' true scores spread as asked; both by numerical integration.

It writes a file that holds no time and is the same for the same numbers, prints a table, and exits with 1 where a bar is missed.
Example: python benchmarks/coverage.py --studies 2000
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from ftbench import files, statistics

SEEDS = (3, 5, 10)
ITEMS = (1_000, 10_000)
SPREADS = (0.0, 0.01, 0.03)  # standard deviation of the seeds' true accuracies
NUM_ARMS = 4
TRUTH = 0.7  # every arm's expected accuracy
SHARED, OWN = 2.0, 1.0  # standard deviations of the items' difficulty: for all arms alike, and for each arm its own
COVERAGE = 0.93  # an interval of 95 % must hold the truth at least this often
FALSE_ALARMS = 0.05  # and a study raise any false alarm at most this often, and two Monte-Carlo standard errors
RANDOM_SEED = 0
GRID = np.linspace(-9, 9, 1801)  # standard normal quantiles to integrate over; what lies outside has a probability of 1e-18
WEIGHTS = np.exp(-(GRID**2) / 2) / np.exp(-(GRID**2) / 2).sum()


@dataclass(frozen=True)
class Model:
    """What makes every arm's expected accuracy TRUTH: the arms' log-odds `level` and the standard deviation `seed_sd` of a seed's."""

    level: float
    seed_sd: float


def by_seed(level: float, seed_sd: float) -> NDArray[np.float64]:
    """The true accuracies of seeds at the quantiles of GRID: the expectation over items of the probability of a right answer."""
    items = math.hypot(SHARED, OWN) * GRID
    return special.expit(level + seed_sd * GRID[:, None] + items) @ WEIGHTS


def model(spread: float) -> Model:
    """The model whose seeds' true accuracies have this standard deviation, and the mean TRUTH."""

    def level(seed_sd: float) -> float:
        sd = math.sqrt(SHARED**2 + OWN**2 + seed_sd**2)
        return float(optimize.brentq(lambda at: special.expit(at + sd * GRID) @ WEIGHTS - TRUTH, -20, 20, xtol=1e-12))

    def excess(seed_sd: float) -> float:
        true = by_seed(level(seed_sd), seed_sd)
        return math.sqrt(max(float(true**2 @ WEIGHTS) - float(true @ WEIGHTS) ** 2, 0.0)) - spread

    seed_sd = float(optimize.brentq(excess, 1e-6, 2.0, xtol=1e-6)) if spread else 0.0
    return Model(level(seed_sd), seed_sd)


def study(rng: np.random.Generator, drawn: Model, num_seeds: int, num_items: int) -> NDArray[np.bool_]:
    """Who answers what right in one study: [arms, seeds, items]."""
    items = SHARED * rng.standard_normal(num_items) + OWN * rng.standard_normal((NUM_ARMS, 1, num_items))
    seeds = drawn.seed_sd * rng.standard_normal((NUM_ARMS, num_seeds, 1))
    odds = np.exp(drawn.level + items).astype(np.float32) * np.exp(seeds).astype(np.float32)
    return rng.random(odds.shape, dtype=np.float32) * (1 + odds) < odds  # a uniform number below odds / (1 + odds)


def judge(tables: NDArray[np.bool_]) -> tuple[float, float, bool]:
    """Of one study: the share of its arms whose interval holds the truth, the intervals' mean width, and whether any pair is told apart."""
    scores = tables.astype(np.float64)
    limits = [statistics.interval(table) for table in scores]
    covered = float(np.mean([one.low <= TRUTH <= one.high for one in limits]))
    width = float(np.mean([one.high - one.low for one in limits]))
    adjusted = statistics.holm([statistics.difference(a, b).p for a, b in itertools.combinations(scores, 2)])
    return covered, width, min(adjusted) < 1 - statistics.CONFIDENCE


def cell(number: int, num_seeds: int, num_items: int, spread: float, num_studies: int) -> dict[str, Any]:
    """What so many simulated studies of one combination say. A study's random numbers depend on the cell's number and its own alone."""
    drawn = model(spread)
    found = np.array(
        [judge(study(np.random.default_rng([RANDOM_SEED, number, index]), drawn, num_seeds, num_items)) for index in range(num_studies)],
        dtype=np.float64,
    )
    means, errors = found.mean(axis=0), found.std(axis=0, ddof=1) / math.sqrt(num_studies)
    content: dict[str, Any] = {"num_seeds": num_seeds, "num_items": num_items, "spread": spread, "num_studies": num_studies}
    for name, mean, error in zip(("coverage", "width", "false_alarms"), means, errors, strict=True):
        content |= {name: float(mean), f"{name}_se": float(error)}
    return content


def cells(num_studies: int) -> list[dict[str, Any]]:
    """Every combination of seeds, items and spread."""
    combinations = itertools.product(SEEDS, ITEMS, SPREADS)
    return [cell(number, *combination, num_studies) for number, combination in enumerate(combinations)]


def bar(num_studies: int) -> float:
    """The largest share of studies with a false alarm that so many studies allow."""
    return FALSE_ALARMS + 2 * math.sqrt(FALSE_ALARMS * (1 - FALSE_ALARMS) / num_studies)


def missed(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every bar that is missed, in words."""
    problems = []
    widths = {(one["num_seeds"], one["num_items"], one["spread"]): one["width"] for one in found}
    for one in found:
        seeds, items, spread = place = one["num_seeds"], one["num_items"], one["spread"]
        where = f"{seeds} seeds, {items:,} items, spread {100 * spread:g} points"
        if one["coverage"] < COVERAGE:
            problems.append(f"{where}: covers {one['coverage']:.4f}, below {COVERAGE}")
        if one["false_alarms"] > bar(one["num_studies"]):
            problems.append(f"{where}: {one['false_alarms']:.4f} of studies with a false alarm, above {bar(one['num_studies']):.4f}")
        fewer = [(smaller, items, spread) for smaller in SEEDS if smaller < seeds]
        fewer += [(seeds, smaller, spread) for smaller in ITEMS if smaller < items]
        problems += [f"{where}: no narrower than {other[0]} seeds, {other[1]:,} items" for other in fewer if widths[other] <= widths[place]]
    return problems


def main(arguments: argparse.Namespace) -> int:
    """Simulate, write the file and print it; 1 where a bar is missed."""
    found = cells(arguments.studies)
    problems = missed(found)
    content = {
        "num_arms": NUM_ARMS,
        "truth": TRUTH,
        "random_seed": RANDOM_SEED,
        "bars": {"coverage": COVERAGE, "false_alarms": bar(arguments.studies)},
        "cells": found,
        "missed": problems,
    }
    files.write_json(arguments.out, content)
    print("seeds   items  spread  coverage (se)     width   false alarms (se)")
    for one in found:
        print(
            f"{one['num_seeds']:5d}  {one['num_items']:6,d}  {100 * one['spread']:6g}  {one['coverage']:.4f} ({one['coverage_se']:.4f})  "
            f"{one['width']:.4f}  {one['false_alarms']:.4f} ({one['false_alarms_se']:.4f})"
        )
    for problem in problems:
        print(f"missed: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--studies", type=int, default=2000, help="simulated studies of every combination, at least 2")
    parser.add_argument("--out", type=Path, default=Path("reports/coverage.json"), help="the file to write")
    given = parser.parse_args()
    if given.studies < 2:
        parser.error("--studies at least 2, since a standard error takes two")
    sys.exit(main(given))
