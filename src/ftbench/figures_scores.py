"""Scores with their intervals: of one study, and of all studies in one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftbench import figures
from ftbench.report_svg import mark


def scores(entries: Mapping[str, Mapping[str, Any]], order: Sequence[str], metric: str, percent: bool) -> str:
    """Each entry's mean with its 95 % interval, the best above; seeds as small dots; baselines in grey."""
    plt = figures.pyplot()
    figure, axes = plt.subplots(figsize=(figures.WIDTH, 0.6 + 0.28 * len(order)))
    _means(axes, entries, order, percent)
    axes.set_xlabel(f"{metric.replace('_', ' ')}{' (%)' if percent else ''}, mean over seeds with 95 % interval")
    axes.margins(x=0.1)
    return figures.svg_of(plt, figure)


def _means(axes: Any, entries: Mapping[str, Mapping[str, Any]], order: Sequence[str], percent: bool) -> None:
    """A line per entry, the first above: mean, interval and figure; seeds as small dots; arms in colour, baselines in grey."""
    factor = 100 if percent else 1
    for row, name in enumerate(reversed(order)):
        entry = entries[name]
        colour = figures.COLOURS[0] if entry["trained"] else figures.GREY
        mean, low, high = (factor * entry[key] for key in ("mean", "low", "high"))
        digits = 1 if percent else 3
        said = f"{name}: {mean:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"
        drawn = axes.errorbar(mean, row, xerr=[[mean - low], [high - mean]], fmt="o", color=colour, markersize=5, capsize=3, linewidth=1.4)
        for artist in drawn.get_children():
            mark(artist, name, said)
        if len(entry["by_seed"]) > 1:
            by_seed = [factor * value for value in entry["by_seed"]]
            (dots,) = axes.plot(by_seed, [row - 0.25] * len(by_seed), ".", color=colour, markersize=3)
            mark(dots, name, f"{name}, by seed: {', '.join(f'{value:.{digits}f}' for value in by_seed)}")
        label = f"{mean:.1f}" if percent else f"{mean:.2f}"
        mark(axes.annotate(label, (high, row), xytext=(5, 0), textcoords="offset points", va="center", color=colour, fontsize=8), name)
    axes.set_yticks(range(len(order)), list(reversed(order)))
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.grid(axis="y", visible=False)


@dataclass(frozen=True)
class Panel:
    """A study in the overview: its entries in order, its metric, and the levels that its scores are to be read against."""

    title: str
    entries: Mapping[str, Mapping[str, Any]]
    order: Sequence[str]
    metric: str
    percent: bool
    chance: float | None = None
    shallow: float | None = None

    @property
    def height(self) -> float:
        """In lines: its entries, its title, and for a unit of its own the label of the axis above it."""
        return len(self.order) + (1.8 if self.percent else 3.2)


def overview(panels: Sequence[Panel]) -> str:
    """All studies in one figure, in two columns of about the same height: shares first, on one scale, then studies of another metric."""
    plt = figures.pyplot()
    from matplotlib.lines import Line2D

    columns = _columns(panels)
    heights = [[panel.height for panel in column] for column in columns]
    tallest = max((sum(column) for column in heights), default=8.0)
    height = 0.2 * tallest + 0.8
    figure = plt.figure(figsize=(figures.WIDTH * (1.5 if len(columns) > 1 else 1), height))
    figure.subplots_adjust(top=1 - 0.35 / height, bottom=0.45 / height)
    grid = figure.add_gridspec(1, max(len(columns), 1), wspace=0.55)
    shared = None
    for place, (column, rows) in enumerate(zip(columns, heights, strict=True)):
        rest = tallest - sum(rows)
        inner = grid[0, place].subgridspec(len(column) + (rest > 0), 1, height_ratios=[*rows, *([rest] if rest > 0 else [])], hspace=0.35)
        last = max((row for row, panel in enumerate(column) if panel.percent), default=-1)
        for row, panel in enumerate(column):
            place_of = inner[row, 0]
            if not panel.percent:
                place_of = place_of.subgridspec(2, 1, height_ratios=[1.4, panel.height - 1.4], hspace=0)[1, 0]
            axes = figure.add_subplot(place_of, sharex=shared if panel.percent else None)
            shared = shared or (axes if panel.percent else None)
            _panel(axes, panel, labelled=not panel.percent or row == last)
    looks: dict[str, Any] = {"arm": {"color": figures.COLOURS[0], "marker": "o"}, "baseline": {"color": figures.GREY, "marker": "o"}}
    if any(panel.shallow is not None for panel in panels):
        looks["best shallow control"] = {"color": figures.COLOURS[1], "linestyle": ":"}
    if any(panel.chance is not None for panel in panels):
        looks["chance"] = {"color": "black", "linestyle": "--"}
    handles = [Line2D([], [], **look) for look in looks.values()]
    figure.legend(handles, looks, loc="lower center", bbox_to_anchor=(0.5, 1 - 0.1 / height), ncols=4, fontsize=8, frameon=False)
    return figures.svg_of(plt, figure)


def _columns(panels: Sequence[Panel]) -> list[Sequence[Panel]]:
    """The panels in order, shares first, cut in two where the taller part is least tall."""
    ordered = [*(one for one in panels if one.percent), *(one for one in panels if not one.percent)]
    heights = [one.height for one in ordered]
    cut = min(range(1, len(ordered) + 1), key=lambda place: max(sum(heights[:place]), sum(heights[place:])), default=0)
    return [part for part in (ordered[:cut], ordered[cut:]) if part]


def _panel(axes: Any, panel: Panel, labelled: bool) -> None:
    factor = 100 if panel.percent else 1
    for value, colour, style in ((panel.chance, "black", "--"), (panel.shallow, figures.COLOURS[1], ":")):
        if value is not None:
            axes.axvline(factor * value, color=colour, linestyle=style, linewidth=1, zorder=0.5)
    _means(axes, panel.entries, panel.order, panel.percent)
    axes.set_title(panel.title, loc="left", fontsize=9, fontweight="bold")
    axes.tick_params(labelbottom=labelled, labelsize=8)
    axes.margins(x=0.1)
    if labelled:
        axes.set_xlabel(f"{panel.metric.replace('_', ' ')}{' (%)' if panel.percent else ''}, mean over seeds with 95 % interval")
