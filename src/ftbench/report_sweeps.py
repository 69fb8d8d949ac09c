"""What a study page says of its sweeps: every arm at every value that was tried, on the validation split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftbench import figures_sweeps
from ftbench.figures_sweeps import shown
from ftbench.report_data import Study
from ftbench.tables import PERCENTAGES, Block, Figure, Heading, Paragraph, Table, count, metric

MEANING = (
    "Each arm of a sweep was trained at the same values and the same seeds, all its other settings as they stand in params.yaml: an "
    "optimiser, say, is tried at the learning rate that suits another. What was compared is the validation split, which is cut from the "
    "training examples; no test example was looked at. Values that lie close are not told apart here. In params.yaml: the value when the "
    "sweep ran."
)


def sweeps(found: Mapping[str, Mapping[str, Any]], drawn: Mapping[str, Figure]) -> list[Block]:
    """The figures and tables of a study's sweeps, by name; nothing where there are none."""
    blocks: list[Block] = [Heading("Sweeps", 2), Paragraph(MEANING)] if found else []
    for name, one in found.items():
        figure = drawn.get(_file(name))
        blocks += [*([figure] if figure else []), table(name, one), *_notes(one)]
    return blocks


def drawings(study: Study) -> dict[str, Figure]:
    """A figure by file name of every sweep of which any trial came to its end."""
    found = {}
    for name, one in study.sweeps.items():
        metric_name = one["metric"]
        arms = {
            arm: [(trial["value"], trial[metric_name], trial[f"{metric_name}_by_seed"]) for trial in kept["trials"]]
            for arm, kept in one["arms"].items()
            if kept["trials"]
        }
        if not arms:
            continue
        current = {arm: one["arms"][arm]["current"] for arm in arms}
        where = f"{study.name}, scale {study.scale}: {_words(metric_name)} after the last step"
        alt = f"{where} at each value of {one['parameter']}, of {', '.join(arms)}"
        svg = figures_sweeps.sweep(arms, current, one["values"], one["parameter"], _words(metric_name))
        found[_file(name)] = Figure(f"figures/{_file(name)}.svg", alt, svg)
    return found


def _file(name: str) -> str:
    return f"sweep_{name}"


def table(name: str, found: Mapping[str, Any]) -> Table:
    """One row per arm, one column per value; with answers, which have no accuracy, losses alone."""
    other = "eval_accuracy" if found["metric"] == "eval_loss" else "eval_loss"
    rows = []
    for arm, one in found["arms"].items():
        trials = {trial["value"]: trial for trial in one["trials"]}
        cells = [_cell(trials.get(value), found["metric"], other) for value in found["values"]]
        edge = "yes" if one["best_at_edge"] else "no"
        rows.append([arm, *cells, "–" if one["best"] is None else shown(one["best"]), edge, shown(one["current"])])
    headers = ["arm", *(shown(value) for value in found["values"]), "best", "at the edge", "in params.yaml"]
    steps = sorted({trial["num_steps"] for one in found["arms"].values() for trial in one["trials"]})
    budget = "" if not steps else f", {count(steps[0])} steps" if len(steps) == 1 else f", {count(steps[0])} to {count(steps[-1])} steps"
    seeds = ", ".join(str(seed) for seed in found["seeds"])
    both = any(trial[other] is not None for one in found["arms"].values() for trial in one["trials"])
    caption = (
        f"Sweep {name}: {_words(found['metric'])}{f' ({_words(other)} in brackets)' if both else ''} after the last step, at each value of "
        f"{found['parameter']}; mean of {'seed' if len(found['seeds']) == 1 else 'seeds'} {seeds}{budget}. Scale {found['scale']}."
    )
    return Table(caption, headers, rows)


def _notes(found: Mapping[str, Any]) -> list[Block]:
    edge = [f"`{arm}`" for arm, one in found["arms"].items() if one["best_at_edge"]]
    notes = [f"Best at the edge of what was tried, so that a value beyond might be better: {', '.join(edge)}."] if edge else []
    if found["failed"]:
        notes.append(f"Failed, and missing from the table: {', '.join(shown(value) for value in found['failed'])}.")
    return [Paragraph(note) for note in notes]


def _cell(trial: Mapping[str, Any] | None, first: str, other: str) -> str:
    if trial is None:
        return "–"
    return _score(first, trial[first]) + (f" ({_score(other, trial[other])})" if trial[other] is not None else "")


def _score(name: str, value: float) -> str:
    base = name.removeprefix("eval_")
    assert base in PERCENTAGES or base == "loss"
    return metric(base, value)


def _words(name: str) -> str:
    return name.replace("eval_", "validation ")
