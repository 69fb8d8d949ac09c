"""The comparison of a study of sentence pairs: metrics.json and comparison.json."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbench import calibration, cases, comparison, files, flags, predictions, probes, statistics, traits
from ftbench.comparison import Grid, Scored
from ftbench.errors import Problem, UserError
from ftbench.predictions import Entry, Predictions
from ftbench.text import LABELS, example_hash

# The names that a baseline has for what its scores file calls by the classifier's features.
SAME_AS = {"hypothesis_ngrams": "hypothesis_only", "premise_ngrams": "premise_only", "premise_and_hypothesis_ngrams": "pair_ngrams"}
SAME_TEMPERATURE = 1e-3  # relative: around its minimum a loss is flat, and another processor finds it a little beside
LOG_PROBABILITIES = tuple(f"log_probability_{label}" for label in LABELS)


def compare(grid: Grid) -> tuple[dict[str, Any], dict[str, Any]]:
    """metrics.json and comparison.json of a study of sentence pairs.

    Raises UserError for files that are broken, edited or cannot be paired.
    """
    shared = ("id", "example_hash", "split", "prompt_hash", "gold", "genre", "phenomenon")
    everything = {row.name: predictions.read(grid.report, row, shared, ("predicted", *LOG_PROBABILITIES)) for row in grid.rows}
    elsewhere = {name: {split: one for split, one in found.items() if "/" in split} for name, found in everything.items()}
    common = {name: {split: one for split, one in found.items() if "/" not in split} for name, found in everything.items()}
    trained = [row for row in grid.rows if row.trained]
    for rows, shown in ((grid.rows, common), (trained, elsewhere)):
        comparison.refuse_other_examples(dataclasses.replace(grid, rows=rows), shown, ("example_hash", "gold"))
        comparison.refuse_other_prompts(dataclasses.replace(grid, rows=rows), shown)
    read = {name: {split: one for split, one in found.items() if split in predictions.TESTS} for name, found in common.items()}
    scores = {row.name: _nli_scores(grid, row, everything[row.name]) for row in grid.rows}
    splits = list(read[grid.rows[0].name])
    split = predictions.first_split(splits)
    scored = {row.name: _scored_pairs(grid, row, read[row.name][split]) for row in grid.rows}
    metrics: dict[str, Any] = {}
    for row in grid.rows:
        found: dict[str, Any] = {}
        for name in [split, *[other for other in splits if other != split]]:
            suffix = "" if name == split else name.removeprefix("test")
            one = read[row.name][name]
            right = one.by_seed["predicted"] == one.columns["gold"]
            accuracy = statistics.interval(right)
            means = comparison.mean_scores([seed[name] for seed in scores[row.name]], ("macro_f1", "nll", "brier", "ece"))
            after = comparison.mean_scores([seed[name]["scaled"] for seed in scores[row.name]], ("nll", "brier", "ece"))
            means |= {f"{metric}_scaled": value for metric, value in after.items()}
            here = {"accuracy": accuracy.mean, "accuracy_ci_low": accuracy.low, "accuracy_ci_high": accuracy.high, **means, "n": len(one)}
            found |= {f"{key}{suffix}": value for key, value in here.items()}
        metrics[row.name] = comparison.rounded(found | {"seeds": len(row.seeds)})
    content = comparison.summary(grid, scored, split)
    content["shallow"] |= other_shallow({name: found[0][split] for name, found in scores.items()})
    content["written"] = {name: _written(found, split) for name, found in scores.items() if "written" in found[0][split]}
    content["wordings"] = {name: found[0][split]["wordings"] for name, found in scores.items() if "wordings" in found[0][split]}
    content |= {
        "confusion": {row.name: np.mean([seed[split]["confusion"] for seed in scores[row.name]], axis=0).tolist() for row in grid.rows},
        "per_class": {row.name: _per_class([seed[split]["per_class"] for seed in scores[row.name]]) for row in grid.rows},
        "by_genre": {name: _by_group(read, name, "genre") for name in splits},
        "by_phenomenon": {name: _by_group(read, name, "phenomenon") for name in splits},
        "calibration": {row.name: _calibration(grid, row, scores[row.name], common[row.name], split) for row in grid.rows},
        "transfer": _transfer(elsewhere),
        "agreement": {name: cases.agreement(one.said, one.right) for name, one in scored.items()},
        "probes": _probes(common),
        "flags": _flags(grid, {name: one[split] for name, one in read.items()}),
        "cases": _nli_cases(grid, scored, read[grid.rows[0].name][split].columns, split),
    }
    return metrics, content


def other_shallow(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Controls that are no baselines of their own: the hypothesis-only baseline's scores hold what the other shallow classifiers reach."""
    found = {}
    for name, accuracy in scores.get("hypothesis_only", {}).get("shallow", {}).items():
        if SAME_AS.get(name, name) not in scores:
            n = scores["hypothesis_only"]["n"]
            found[SAME_AS.get(name, name)] = comparison.interval_of(np.arange(n) < round(accuracy * n))
    return found


def _written(seeds: Sequence[Mapping[str, Any]], split: str) -> dict[str, float]:
    return comparison.mean_scores([seed[split]["written"] for seed in seeds], ("accuracy", "num_invalid", "n"))


def _calibration(grid: Grid, row: Entry, seeds: Sequence[Mapping[str, Any]], read: Mapping[str, Predictions], split: str) -> dict[str, Any]:
    """Means over seeds before and after temperature scaling; the bins hold the pairs of all seeds.

    Raises UserError where a temperature is not the one that the predictions of validation give.
    """
    names = ("nll", "brier", "ece")
    by_seed, held_out = (_log_probabilities(read[name]) for name in (split, predictions.VALIDATION))
    temperatures = [seed[split]["scaled"]["temperature"] for seed in seeds]
    for stem, table, stated in zip(row.stems(), held_out, temperatures, strict=True):
        again = calibration.temperature(table, read[predictions.VALIDATION].columns["gold"])
        if not math.isclose(stated, again, rel_tol=SAME_TEMPERATURE):
            where = f"{grid.report}/scores/{stem}.json: {split}.scaled.temperature"
            allowed = f"{again:.6g}, which the predictions of validation beside it give"
            raise UserError(Problem(where, f"{stated}", allowed, "evaluate this arm again"))
    gold = np.tile(read[split].columns["gold"].astype(int), len(by_seed))
    scaled = [calibration.scaled(table, by) for table, by in zip(by_seed, temperatures, strict=True)]
    return {
        "temperature": temperatures,
        "at_bound": max(temperatures) > 0.99 * calibration.TEMPERATURES[1],
        "before": comparison.mean_scores([seed[split] for seed in seeds], names),
        "after": comparison.mean_scores([seed[split]["scaled"] for seed in seeds], names),
        "reliability_before": calibration.reliability(np.concatenate(by_seed), gold),
        "reliability_after": calibration.reliability(np.concatenate(scaled), gold),
    }


def _log_probabilities(one: Predictions) -> NDArray[np.float64]:
    return np.stack([one.by_seed[name] for name in LOG_PROBABILITIES], axis=2).astype(np.float64)


def _transfer(elsewhere: Mapping[str, Mapping[str, Predictions]]) -> dict[str, dict[str, Any]]:
    """{other data set's split: {arm: accuracy with interval}}, and under `majority` that of its own commonest label."""
    found: dict[str, dict[str, Any]] = {}
    for name, splits in elsewhere.items():
        for split, one in splits.items():
            gold = one.columns["gold"].astype(int)
            here = found.setdefault(split, {"majority": comparison.interval_of(gold == np.bincount(gold).argmax())})
            here[name] = comparison.interval_of(one.by_seed["predicted"] == gold)
    return found


def _probes(common: Mapping[str, Mapping[str, Predictions]]) -> dict[str, Any]:
    """The probes, and what each entry said to them: {entry: a list per probe of the labels of its seeds}."""
    said = {name: splits[probes.SPLIT].by_seed["predicted"].T.astype(int).tolist() for name, splits in common.items()}
    return {
        "pairs": [dataclasses.asdict(probe) for probe in probes.PROBES],
        "said": {name: [[LABELS[label] for label in labels] for labels in found] for name, found in said.items()},
    }


def _flags(grid: Grid, read: Mapping[str, Predictions]) -> dict[str, list[flags.Flag]]:
    tables = {name: _log_probabilities(one) for name, one in read.items()}
    said, trained = {}, {}
    for row in (row for row in grid.rows if row.trained):
        name = comparison.base_of(grid, row.name)
        base = (name, tables[name][0]) if name in tables else None
        said[row.name] = flags.of_labels(read[row.name].by_seed["predicted"], tables[row.name], base, row.seeds)
        pairs = zip(row.seeds, row.stems(), strict=True)
        trained[row.name] = [flag for seed, stem in pairs for flag in flags.of_files(grid.report, stem, True, seed)]
    return flags.merged(trained, said)


def _refuse_unlikely(path: Path, split: str, said: NDArray[Any], log_probabilities: NDArray[Any]) -> None:
    """Raises UserError where a prediction is not the likeliest label of its row, or probabilities do not add up to one."""
    likeliest, sums = log_probabilities.argmax(axis=1), np.exp(log_probabilities.astype(np.float64)).sum(axis=1)
    for what, wrong in (("the likeliest label", said != likeliest), ("probabilities that add up to 1", np.abs(sums - 1) > 1e-4)):
        if wrong.any():
            found = f"{int(wrong.sum())} rows, first row {int(np.flatnonzero(wrong)[0])} of the split"
            raise UserError(Problem(f"{path}: {split}", found, allowed=what, mend="evaluate this arm again"))


def _nli_scores(grid: Grid, row: Entry, read: Mapping[str, Predictions]) -> list[dict[str, Any]]:
    found = []
    for index, stem in enumerate(row.stems()):
        path = grid.report / "scores" / f"{stem}.json"
        scores = files.read_json(path)
        for split, one in read.items():
            log_probabilities = np.stack([one.by_seed[name][index] for name in LOG_PROBABILITIES], axis=1)
            again = predictions.nli_scores(one.columns["gold"], one.by_seed["predicted"][index], log_probabilities)
            predictions.refuse_edited(path, split, scores, again)
            _refuse_unlikely(grid.report / "predictions" / f"{stem}.parquet", split, one.by_seed["predicted"][index], log_probabilities)
        found.append(scores)
    return found


def _scored_pairs(grid: Grid, row: Entry, one: Predictions) -> Scored:
    gold, said = one.columns["gold"], one.by_seed["predicted"]
    right = said == gold
    log_probabilities = _log_probabilities(one)
    target = np.arange(len(LABELS)) == gold[:, None]
    by_metric = {
        "accuracy": right.astype(np.float64),
        "nll": -np.where(target, log_probabilities, 0.0).sum(axis=2),
        "brier": ((np.exp(log_probabilities) - target) ** 2).sum(axis=2),
    }
    return Scored(row, comparison.primary_scores(grid, by_metric), right, said)


def _per_class(seeds: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    return {label: comparison.mean_scores([seed[label] for seed in seeds], ("precision", "recall", "f1", "n")) for label in LABELS}


def _by_group(read: Mapping[str, Mapping[str, Predictions]], split: str, column: str) -> dict[str, dict[str, Any]]:
    """{group: {entry: accuracy with interval}} for a genre or a phenomenon; examples without one are left out."""
    found: dict[str, dict[str, Any]] = {}
    first = next(iter(read.values()))[split]
    for group in sorted({str(value) for value in first.columns[column] if value is not None}):
        rows = first.columns[column] == group
        found[group] = {}
        for name, one in read.items():
            accuracy = statistics.interval((one[split].by_seed["predicted"] == one[split].columns["gold"])[:, rows])
            found[group][name] = {"mean": accuracy.mean, "low": accuracy.low, "high": accuracy.high, "n": accuracy.num_items}
    return found


def _nli_cases(grid: Grid, scored: Mapping[str, Scored], columns: Mapping[str, Any], split: str) -> dict[str, Any]:
    text = _pair_texts(grid, columns, split)
    gold = columns["gold"]
    labels = [LABELS[int(value)] for value in gold]
    seen = traits.traits([one["premise"] for one in text], [one["hypothesis"] for one in text])
    breakdowns = {"label": labels, "genre": list(columns["genre"]), "phenomenon": list(columns["phenomenon"]), **seen}

    def shown(index: int, before: NDArray[Any], after: NDArray[Any]) -> dict[str, Any]:
        said = {key: LABELS[cases.most_frequent(table, index)] for key, table in (("before", before), ("after", after))}
        where = {name: columns[name][index] for name in ("genre", "phenomenon")}
        pair = {name: part[: comparison.LONGEST_TEXT] for name, part in text[index].items()}
        return {"id": str(columns["id"][index]), **pair, "gold": labels[index], **said, **where}

    def one(arm: Scored, other: Scored, at_most: int) -> dict[str, Any]:
        before, after = cases.paired(other.said, arm.said)
        found = comparison.cases_of(
            *cases.paired(other.right, arm.right), breakdowns, columns, at_most, lambda index: shown(index, before, after)
        )
        found["shift"] = cases.confusion_shift(gold, other.said, arm.said)
        found["readings"] = cases.readings(gold, other.said, arm.said)
        return found

    return comparison.cases_by_arm(grid, scored, one)


def _pair_texts(grid: Grid, columns: Mapping[str, Any], split: str) -> list[dict[str, str]]:
    path = grid.data / f"{split}.parquet"
    table = files.read_parquet(path, ["premise", "hypothesis"])
    pairs = list(zip(table.column("premise").to_pylist(), table.column("hypothesis").to_pylist(), strict=True))
    hashes = np.array([example_hash(*pair) for pair in pairs], dtype=object)
    first = grid.report / "predictions" / f"{grid.rows[0].stems()[0]}.parquet"
    predictions.refuse_unequal(str(path), hashes, str(first), columns["example_hash"], "example_hash")
    return [{"premise": premise, "hypothesis": hypothesis} for premise, hypothesis in pairs]
