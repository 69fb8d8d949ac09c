"""The report's figures as SVG: one house style, colours for the colour-blind too, labels at the lines, the same bytes every time."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ftbench import report_svg
from ftbench.report_svg import mark

# Okabe and Ito's colours, black left out; a line style takes over when they are used up.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
STYLES = ("-", "--", ":")
GREY = "#767676"
WIDTH = 7.2  # inches
Point = tuple[float, float]


def pyplot() -> Any:
    """matplotlib.pyplot in the house style."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(
        {
            "svg.hashsalt": "ftbench",
            "svg.fonttype": "none",
            "font.size": 9,
            "font.family": "sans-serif",
            "font.sans-serif": ["DejaVu Sans", "Arial", "sans-serif"],
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#E4E4E4",
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "figure.facecolor": "white",
        }
    )
    return plt


def svg_of(plt: Any, figure: Any) -> str:
    """A drawn figure as SVG, without a date; the figure is closed."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
    plt.close(figure)
    return report_svg.finished(out.getvalue())


def scores(entries: Mapping[str, Mapping[str, Any]], order: Sequence[str], metric: str, percent: bool) -> str:
    """Each entry's mean with its 95 % interval, the best above; seeds as small dots; baselines in grey."""
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(WIDTH, 0.6 + 0.28 * len(order)))
    _means(axes, entries, order, percent)
    axes.set_xlabel(f"{metric.replace('_', ' ')}{' (%)' if percent else ''}, mean over seeds with 95 % interval")
    axes.margins(x=0.1)
    return svg_of(plt, figure)


def _means(axes: Any, entries: Mapping[str, Mapping[str, Any]], order: Sequence[str], percent: bool) -> None:
    """A line per entry, the first above: mean, interval and figure; seeds as small dots; arms in colour, baselines in grey."""
    factor = 100 if percent else 1
    for row, name in enumerate(reversed(order)):
        entry = entries[name]
        colour = COLOURS[0] if entry["trained"] else GREY
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
    plt = pyplot()
    from matplotlib.lines import Line2D

    columns = _columns(panels)
    heights = [[panel.height for panel in column] for column in columns]
    tallest = max((sum(column) for column in heights), default=8.0)
    height = 0.2 * tallest + 0.8
    figure = plt.figure(figsize=(WIDTH * (1.5 if len(columns) > 1 else 1), height))
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
    looks: dict[str, Any] = {"arm": {"color": COLOURS[0], "marker": "o"}, "baseline": {"color": GREY, "marker": "o"}}
    if any(panel.shallow is not None for panel in panels):
        looks["best shallow control"] = {"color": COLOURS[1], "linestyle": ":"}
    if any(panel.chance is not None for panel in panels):
        looks["chance"] = {"color": "black", "linestyle": "--"}
    handles = [Line2D([], [], **look) for look in looks.values()]
    figure.legend(handles, looks, loc="lower center", bbox_to_anchor=(0.5, 1 - 0.1 / height), ncols=4, fontsize=8, frameon=False)
    return svg_of(plt, figure)


def _columns(panels: Sequence[Panel]) -> list[Sequence[Panel]]:
    """The panels in order, shares first, cut in two where the taller part is least tall."""
    ordered = [*(one for one in panels if one.percent), *(one for one in panels if not one.percent)]
    heights = [one.height for one in ordered]
    cut = min(range(1, len(ordered) + 1), key=lambda place: max(sum(heights[:place]), sum(heights[place:])), default=0)
    return [part for part in (ordered[:cut], ordered[cut:]) if part]


def _panel(axes: Any, panel: Panel, labelled: bool) -> None:
    factor = 100 if panel.percent else 1
    for value, colour, style in ((panel.chance, "black", "--"), (panel.shallow, COLOURS[1], ":")):
        if value is not None:
            axes.axvline(factor * value, color=colour, linestyle=style, linewidth=1, zorder=0.5)
    _means(axes, panel.entries, panel.order, panel.percent)
    axes.set_title(panel.title, loc="left", fontsize=9, fontweight="bold")
    axes.tick_params(labelbottom=labelled, labelsize=8)
    axes.margins(x=0.1)
    if labelled:
        axes.set_xlabel(f"{panel.metric.replace('_', ' ')}{' (%)' if panel.percent else ''}, mean over seeds with 95 % interval")


def lines(
    panels: Mapping[str, Mapping[str, Sequence[Point]]],
    xlabel: str,
    from_zero: bool = False,
    levels: Mapping[str, tuple[float, str]] = MappingProxyType({}),
) -> str:
    """One panel per quantity: {y label: {arm: points}}, each line labelled at its end in its own colour, the same in all panels.

    `levels` are what a panel is to be read against: {y label: (height, what it is)}, each a dashed line over the whole width.
    """
    plt = pyplot()
    shown = {label: {arm: points for arm, points in lines.items() if points} for label, lines in panels.items()}
    shown = {label: lines for label, lines in shown.items() if lines}
    names = list(dict.fromkeys(arm for lines in panels.values() for arm in lines))
    looks = looks_of(names)
    height = max(2.2, 0.16 * len(names) + 0.8)
    figure, grid = plt.subplots(max(len(shown), 1), 1, figsize=(WIDTH, height * max(len(shown), 1)), squeeze=False, sharex=True)
    for axes, (label, arms) in zip(grid[:, 0], shown.items(), strict=False):
        ends = []
        for arm, points in arms.items():
            colour, style = looks[arm]
            dots = "o" if len(points) < 12 else None
            (line,) = axes.plot(*zip(*points, strict=True), style, color=colour, linewidth=1.4, marker=dots, markersize=3)
            mark(line, arm, f"{arm}, {label}: {points[-1][1]:.4g} at the end")
            ends.append((points[-1], arm, looks[arm]))
        axes.set_ylabel(label)
        if label in levels:
            level, said = levels[label]
            axes.axhline(level, color="black", linestyle="--", linewidth=1)
            axes.annotate(said, (0.0, level), xycoords=("axes fraction", "data"), xytext=(3, 3), textcoords="offset points", fontsize=8)
        if from_zero:
            axes.set_ylim(bottom=0)
        _label_ends(axes, ends)
    grid[-1, 0].set_xlabel(xlabel)
    figure.subplots_adjust(right=0.72, hspace=0.15)
    return svg_of(plt, figure)


def looks_of(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """A colour and a line style for each name, by its place."""
    return {name: (COLOURS[index % len(COLOURS)], STYLES[index // len(COLOURS) % len(STYLES)]) for index, name in enumerate(names)}


def apart(heights: Sequence[float], gap: float) -> list[float]:
    """Rising heights of labels, in shares of the axes, moved up so that none touches the next, and down from what then stands over 1."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + gap) if moved else height)
    if moved and moved[-1] > 1:
        for index in reversed(range(len(moved))):
            moved[index] = min(moved[index], 1.0 if index == len(moved) - 1 else moved[index + 1] - gap)
    return moved


def _label_ends(axes: Any, ends: list[tuple[Point, str, tuple[str, str]]]) -> None:
    """Labels with a sample of their line, right of the axes at the heights of the lines' ends, moved apart where they would touch."""
    low, high = axes.get_ylim()
    gap = 0.15 / axes.get_position().height / axes.figure.get_figheight()  # of the axes' height: a line of text
    placed = sorted(((y - low) / (high - low), arm, look) for (_, y), arm, look in ends)
    heights = apart([height for height, _, _ in placed], gap)
    for height, (_, arm, (colour, style)) in zip(heights, placed, strict=True):
        (line,) = axes.plot([1.01, 1.05], [height, height], style, color=colour, linewidth=1.4, transform=axes.transAxes, clip_on=False)
        mark(line, arm)
        mark(axes.annotate(arm, (1.06, height), xycoords="axes fraction", va="center", color=colour, fontsize=8), arm)


def reliability(panels: Mapping[str, Mapping[str, Sequence[tuple[float, float, float]]]]) -> str:
    """Side by side {title: {arm: (confidence, accuracy, share of the examples) per bin}}; on the diagonal a probability means what it says.

    A dot's area is its share.
    """
    plt = pyplot()
    figure, grid = plt.subplots(1, len(panels), figsize=(WIDTH, WIDTH / 2), squeeze=False, sharey=True)
    for axes, (title, arms) in zip(grid[0], panels.items(), strict=True):
        axes.plot([0, 100], [0, 100], color=GREY, linestyle="--", linewidth=1)
        for index, (arm, bins) in enumerate(arms.items()):
            xs, ys, shares = ([100 * one[column] for one in bins] for column in range(3))
            colour = COLOURS[index % len(COLOURS)]
            (line,) = axes.plot(xs, ys, color=colour, linewidth=1.2, linestyle=STYLES[index // len(COLOURS) % len(STYLES)])
            dots = axes.scatter(xs, ys, s=[2 + 4 * share for share in shares], color=colour, alpha=0.6, linewidths=0, label=arm)
            mark(line, arm, arm)
            mark(dots, arm, arm)
        axes.set_title(title, loc="left", fontsize=9)
        axes.set_xlim(25, 102)
        axes.set_ylim(0, 105)
        axes.set_xlabel("confidence (%)")
    grid[0][0].set_ylabel("accuracy (%)")
    grid[0][-1].legend(loc="lower right", fontsize=8, frameon=False)
    figure.subplots_adjust(wspace=0.08)
    return svg_of(plt, figure)
