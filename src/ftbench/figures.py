"""The report's figures as SVG: one house style, colours for the colour-blind too, labels at the lines, the same bytes every time."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
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
        label_ends(axes, ends)
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


def label_ends(axes: Any, ends: list[tuple[Point, str, tuple[str, str]]]) -> None:
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
