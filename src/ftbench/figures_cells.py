"""Confusions as tables of coloured cells: blue what was right, orange what was mistaken, the deeper the more, with the share in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ftbench import figures
from ftbench.report_svg import mark

RIGHT, MISTAKEN = figures.COLOURS[:2]
DEEPEST = 0.55  # opacity of a share of 100 %: the page's ink, dark or light, stays legible on it
Confusion = Sequence[Sequence[float]]


def confusions(panels: Mapping[str, Confusion], labels: Sequence[str]) -> str:
    """Side by side {title: counts [gold][predicted]}: of each gold label, the share in percent that was taken for each label."""
    plt = figures.pyplot()
    drawing, grid = plt.subplots(1, len(panels), figsize=(max(figures.WIDTH, 2.4 * len(panels)), 2.9), squeeze=False, sharey=True)
    places = [place + 0.5 for place in range(len(labels))]
    for axes, (title, counts) in zip(grid[0], panels.items(), strict=True):
        for row, line in enumerate(counts):
            for column, cell in enumerate(line):
                share = cell / (sum(line) or 1)
                colour = RIGHT if row == column else MISTAKEN
                patch = plt.Rectangle((column, row), 1, 1, facecolor=colour, alpha=DEEPEST * share, linewidth=0)
                mark(axes.add_patch(patch), title, f"{title}: {labels[row]} taken for {labels[column]}, {100 * share:.1f} %")
                axes.text(column + 0.5, row + 0.5, f"{100 * share:.1f}", ha="center", va="center", fontsize=9)
        axes.set_title(title, loc="left", fontsize=9)
        axes.set_xlim(0, len(labels))
        axes.set_ylim(len(labels), 0)
        axes.set_aspect("equal")
        axes.set_xticks(places, labels, rotation=30, ha="right", rotation_mode="anchor", fontsize=8)
        axes.set_yticks(places, labels, fontsize=8)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.set_xlabel("taken for, % of the gold label", fontsize=8)
    grid[0][0].set_ylabel("gold label", fontsize=8)
    drawing.subplots_adjust(wspace=0.12)
    return figures.svg_of(plt, drawing)
