"""A sweep: what each value of a setting gave on the validation split, arm by arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ftbench import figures
from ftbench.report_svg import mark

WIDE = 8.0  # times from the least value to the most, from which on a log scale shows them better apart
Trial = tuple[Any, float, Sequence[float]]  # a value, the mean over the seeds, and each seed's


def sweep(arms: Mapping[str, Sequence[Trial]], current: Mapping[str, Any], values: Sequence[Any], setting: str, measure: str) -> str:
    """A line per arm through its means, seeds as small dots, a ring around the value that params.yaml holds.

    `values` are all that were tried, numbers or words, in the order in which they stand; numbers are placed by what they are.
    """
    plt = figures.pyplot()
    looks = figures.looks_of(list(arms))
    by_name = any(isinstance(value, str) for value in values)
    places = {value: float(place if by_name else value) for place, value in enumerate(values)}
    drawing, axes = plt.subplots(figsize=(figures.WIDTH, max(2.6, 0.16 * len(arms) + 1.2)))
    if not by_name and min(values) > 0 and max(values) >= WIDE * min(values):
        axes.set_xscale("log")
    ends = []
    for arm, trials in arms.items():
        colour, style = looks[arm]
        points = [(places[value], mean) for value, mean, _ in trials]
        said = f"{arm}: " + ", ".join(f"{shown(value)} {mean:.4g}" for value, mean, _ in trials)
        (line,) = axes.plot(*zip(*points, strict=True), style, color=colour, linewidth=1.4, marker="o", markersize=4)
        mark(line, arm, said)
        seeds = [(places[value], one) for value, _, by_seed in trials if len(by_seed) > 1 for one in by_seed]
        if seeds:
            (dots,) = axes.plot(*zip(*seeds, strict=True), ".", color=colour, markersize=3)
            mark(dots, arm, f"{arm}, by seed")
        held = [(places[value], mean) for value, mean, _ in trials if value == current.get(arm)]
        if held:
            (ring,) = axes.plot(*zip(*held, strict=True), "o", color=colour, markersize=9, markerfacecolor="none")
            mark(ring, arm, f"{arm}: {shown(current[arm])}, as params.yaml has it")
        ends.append((points[-1], arm, looks[arm]))
    axes.set_xticks([places[value] for value in values], [shown(value) for value in values])
    axes.set_xticks([], minor=True)
    axes.set_xlabel(f"{setting}; ringed: the value in params.yaml")
    axes.set_ylabel(measure)
    figures.label_ends(axes, ends)
    drawing.subplots_adjust(right=0.72)
    return figures.svg_of(plt, drawing)


def shown(value: Any) -> str:
    """A value as a table and a figure say it."""
    return str(value) if isinstance(value, str) else f"{value:g}"
