"""What the comparisons of both kinds of study share: means with intervals, paired tests, groups, failure cases, and what they refuse."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbench import cases, effects, files, predictions, statistics
from ftbench.errors import Problem, UserError
from ftbench.grid import PROMPTED
from ftbench.predictions import Entry, Predictions
from ftbench.schema import Study

SHALLOW = ("majority", "hypothesis_only", "premise_only", "overlap", "pair_ngrams")  # baselines that see only a part, or only words
LOWER_IS_BETTER = ("nll", "brier", "ece", "perplexity", "bits_per_byte")
EXAMPLES_AGAINST_BASE, EXAMPLES_AGAINST_REFERENCE = 5, 3  # shown of each kind
DIGITS = 6
LONGEST_TEXT = 600  # characters of a text that comparison.json quotes


@dataclass(frozen=True)
class Grid:
    """A study with its rows, and where its files are."""

    name: str
    study: Study
    rows: list[Entry]
    scale: str
    report: Path
    data: Path

    def row(self, name: str) -> Entry:
        """The entry of that name."""
        return next(row for row in self.rows if row.name == name)


@dataclass(frozen=True)
class Scored:
    """An entry's scores on the first split [seeds, items]: `primary` in the study's own metric, `right` as right or wrong."""

    entry: Entry
    primary: NDArray[np.float64]
    right: NDArray[np.bool_]
    said: NDArray[Any]


def base_of(grid: Grid, arm: str) -> str | None:
    """What an arm started from: its own untouched model, or the prompted or untrained one; None where the study scores none of them."""
    own_model = grid.row(arm).levels.get("model")
    if own_model in grid.study.baselines:
        return own_model
    return next((name for name in ("zero_shot", "untrained_head") if name in grid.study.baselines), None)


def rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers to six digits after the point, so that a diff shows change and not the last bits."""
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in values.items()}


def interval_of(values: object) -> dict[str, Any]:
    """The mean of scores [seeds, items] with its interval, and its two parts apart."""
    found = statistics.interval(values)
    return {
        "mean": found.mean,
        "low": found.low,
        "high": found.high,
        "seed_se": found.seed_se,
        "item_se": found.item_se,
        "n": found.num_items,
    }


def tests(scored: Mapping[str, Scored], bases: Mapping[str, str | None], reference: str | None) -> list[dict[str, Any]]:
    """Every pair of arms, every arm against every baseline, and prompts against each other: the seed-aware test with Holm over all.

    Beside it McNemar's, of the trained models, where the other side is the base or the reference.
    """
    arms = [name for name, one in scored.items() if one.entry.trained]
    baselines = [name for name in scored if name not in arms]
    prompted = [name for name in baselines if name in PROMPTED]
    pairs = [*itertools.combinations(arms, 2), *itertools.product(arms, baselines), *itertools.combinations(prompted, 2)]
    found: list[dict[str, Any]] = []
    for a, b in pairs:
        one = statistics.difference(scored[a].primary, scored[b].primary)
        row: dict[str, Any] = {"a": a, "b": b, "difference": one.difference, "low": one.low, "high": one.high, "p": one.p}
        row |= {"detectable": one.detectable, "seed_se": one.seed_se, "item_se": one.item_se}
        if b == bases.get(a) or reference in (a, b):
            row["mcnemar"] = [
                {"seed_a": seed_a, "seed_b": seed_b, "only_a": exact.only_a, "only_b": exact.only_b, "p": exact.p}
                for seed_a, seed_b, exact in _by_seed(scored[a], scored[b])
            ]
        found.append(row)
    for row, adjusted in zip(found, statistics.holm([row["p"] for row in found]), strict=True):
        row |= {"p_holm": adjusted, "told_apart": adjusted < 1 - statistics.CONFIDENCE}
    return found


def _by_seed(a: Scored, b: Scored) -> list[tuple[int, int, statistics.McNemar]]:
    right_a, right_b = cases.paired(a.right, b.right)
    seeds = itertools.zip_longest(a.entry.seeds, b.entry.seeds)
    named = [(one if one is not None else a.entry.seeds[0], other if other is not None else b.entry.seeds[0]) for one, other in seeds]
    return [(*pair, statistics.mcnemar(x, y)) for pair, x, y in zip(named, right_a, right_b, strict=True)]


def summary(grid: Grid, scored: Mapping[str, Scored], split: str) -> dict[str, Any]:
    """What comparison.json says of any study: its design, each entry's mean with its parts, tests, groups, what could be seen."""
    lower = grid.study.primary_metric in LOWER_IS_BETTER
    bases = {row.name: base_of(grid, row.name) for row in grid.rows if row.trained}
    compared = tests(scored, bases, grid.study.reference)
    intervals = {name: interval_of(one.primary) for name, one in scored.items()}
    ranked = sorted(bases, key=lambda arm: intervals[arm]["mean"] * (1 if lower else -1))
    told_apart = {frozenset((row["a"], row["b"])) for row in compared if row["told_apart"]}
    factors = effects.of(
        grid.study.factors,
        grid.study.reference,
        {name: grid.row(name).levels for name in bases},
        {name: scored[name].primary for name in bases},
    )
    detectable = [row["detectable"] for row in compared if row["a"] in bases and row["b"] in bases]
    return {
        "study": grid.name,
        "scale": grid.scale,
        "question": grid.study.question,
        "dataset": grid.study.dataset,
        "split": split,
        "primary_metric": grid.study.primary_metric,
        "lower_is_better": lower,
        "reference": grid.study.reference,
        "bases": bases,
        "shallow": {name: intervals[name] for name in grid.study.baselines if name in SHALLOW},
        "entries": {
            name: {"trained": one.entry.trained, "levels": one.entry.levels, "seeds": list(one.entry.seeds), **intervals[name]}
            | {"by_seed": [float(row.mean()) for row in one.primary]}
            for name, one in scored.items()
        },
        "ranked": ranked,
        "tests": compared,
        "groups": statistics.groups(ranked, told_apart),
        "detectable": float(np.median(detectable)) if detectable else None,
        **({"effects": factors} if factors else {}),
    }


def made_of(data: Path, bases: Path, models: Sequence[str | None]) -> dict[str, Any]:
    """Which data and base models the numbers are of, and what shows whether generated data and miniatures are honest.

    `source`: where the data come from and how many rows were read of it. `structures`: counts of sentence structures, null without
    generated data. `bases`: per model its architecture, what it is published as (null for a miniature), and held-out perplexities where
    it was pretrained here.
    """
    card = files.read_json(data / "card.json") if (data / "card.json").exists() else {}
    found = {name: bases / name for name in models if name is not None and (bases / name / "manifest.json").exists()}
    return {
        "source": _source(card) if card else None,
        "structures": card.get("structures"),
        "bases": {name: _base(folder) for name, folder in found.items()},
    }


def _source(card: Mapping[str, Any]) -> dict[str, Any]:
    repository = next((one["repository"] for one in card["inputs"] if "repository" in one), None)
    return {"kind": card["source"], "repository": repository, "num_rows": sum(read["num_rows"] for read in card["read"].values())}


def _base(folder: Path) -> dict[str, Any]:
    manifest = files.read_json(folder / "manifest.json")
    content = {"architecture": manifest["architecture"], "published_as": manifest.get("published_as")}
    if (folder / "pretraining.json").exists():
        held_out = files.read_json(folder / "pretraining.json")["held_out"]
        content |= {name: held_out[name] for name in ("perplexity", "unigram_perplexity", "num_tokens")}
    return content


def refuse_other_prompts(grid: Grid, read: Mapping[str, dict[str, Predictions]]) -> None:
    """Raises UserError where two arms that read the same kind of prompt read different ones; one sentence alone is another kind."""
    kinds: dict[str | None, str] = {}
    for row in grid.rows:
        if row.trained:
            only = next((level for level in row.levels.values() if level in ("premise_only", "hypothesis_only")), None)
            first = kinds.setdefault(only, row.name)
            for split, ours in read[first].items():
                prompts = [read[name][split].columns["prompt_hash"] for name in (first, row.name)]
                paths = [str(grid.report / "predictions" / f"{name}-{grid.study.seeds[0]}.parquet") for name in (first, row.name)]
                assert len(ours) == len(prompts[1])
                predictions.refuse_unequal(paths[0], prompts[0], paths[1], prompts[1], "prompt_hash")


def refuse_other_examples(grid: Grid, read: Mapping[str, dict[str, Predictions]], columns: Sequence[str]) -> None:
    """Raises UserError where an entry's splits, or these columns of them, are not those of the others."""
    first = grid.rows[0]
    for row in grid.rows[1:]:
        paths = [f"{grid.report}/predictions/{one.stems()[0]}.parquet" for one in (first, row)]
        if list(read[row.name]) != list(read[first.name]):
            found = f"splits {', '.join(read[row.name])}, against {', '.join(read[first.name])} in {paths[0]}"
            raise UserError(Problem(paths[1], found, allowed="the same splits", mend="evaluate both again, on the same data"))
        for split, ours in read[first.name].items():
            for column in columns:
                theirs = read[row.name][split].columns[column]
                predictions.refuse_unequal(paths[0], ours.columns[column], paths[1], theirs, column)


def mean_scores(scores: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, float]:
    """The means over seeds of some scores."""
    return {name: float(np.mean([one[name] for one in scores])) for name in names}


def primary_scores(grid: Grid, by_metric: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """The scores [seeds, items] of the study's primary metric. Raises UserError for one that a single example does not have."""
    metric = grid.study.primary_metric
    if metric not in by_metric:
        mend = "only a score that every example has can be paired"
        raise UserError(Problem(f"params.yaml: studies.{grid.name}.primary_metric", metric, allowed=", ".join(by_metric), mend=mend))
    return by_metric[metric]


def cases_of(
    before: NDArray[np.bool_], after: NDArray[np.bool_], breakdowns: Mapping[str, Any], columns: Mapping[str, Any], at_most: int, shown: Any
) -> dict[str, Any]:
    """Counts and examples of corrected, introduced and persistent errors; `shown(index)` is an example as a reader sees it."""
    cells = cases.kinds(before, after)
    found = cases.tally(cells, breakdowns)
    found["examples"] = {
        kind: [
            {**shown(index), "seeds_agreeing": int(table[:, index].sum())}
            for index in cases.chosen(table, list(columns["example_hash"]), at_most)
        ]
        for kind, table in cells.items()
    }
    return found


def cases_by_arm(grid: Grid, scored: Mapping[str, Scored], one: Any) -> dict[str, Any]:
    """Each arm's cases against its base and against the reference; `one(arm, other, at_most)` makes those of a pair."""
    found: dict[str, Any] = {"rule": cases.RULE}
    for name, arm in scored.items():
        if not arm.entry.trained:
            continue
        base, reference = base_of(grid, name), grid.study.reference
        found[name] = {}
        if base:
            found[name]["base"] = {"against": base, **one(arm, scored[base], EXAMPLES_AGAINST_BASE)}
        if reference and reference != name:
            found[name]["reference"] = {"against": reference, **one(arm, scored[reference], EXAMPLES_AGAINST_REFERENCE)}
    return found
