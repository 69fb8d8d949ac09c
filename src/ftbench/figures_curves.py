"""What training looks like over its course: losses, learning rates, gradient norms, and what it used of the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ftbench import curves, figures, usage
from ftbench.figures import Point

SHARE = "share of the run (%)"
USED = {
    "gpu_bytes": "GPU memory (GB)",
    "gpu_percent": "GPU utilisation (%)",
    "resident_bytes": "resident memory (GB)",
    "cpu_percent": "processor utilisation (%)",
}
UNITS = (("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
ROW = 1.15  # inches of height of an arm's row


def learning(arms: Mapping[str, curves.Curve]) -> str:
    """Training loss, validation loss and validation accuracy by epoch, means over seeds."""
    named = {"training loss": "loss", "validation loss": "eval_loss", "validation accuracy": "eval_accuracy"}
    panels = {label: {arm: curves.mean_series(curve, name) for arm, curve in arms.items()} for label, name in named.items()}
    return figures.lines(panels, "epoch")


def learning_rates(arms: Mapping[str, curves.Curve]) -> str:
    """The learning rate over the course of each run: by share of its steps, since runs differ in length."""
    return figures.lines({"learning rate": {arm: by_share(curve, "learning_rate") for arm, curve in arms.items()}}, SHARE, from_zero=True)


def gradient_norms(arms: Mapping[str, curves.Curve]) -> str:
    """The norm of the gradient before clipping, over the course of each run, means over seeds."""
    return figures.lines({"gradient norm": {arm: by_share(curve, "grad_norm") for arm, curve in arms.items()}}, SHARE, from_zero=True)


def by_share(curve: curves.Curve, name: str) -> list[Point]:
    """A quantity by share of the run's steps, in percent, means over seeds."""
    last = max((row["step"] or 0.0 for row in curve), default=0.0)
    return [(100 * step / last, value) for step, value in curves.mean_series(curve, name, "step")] if last else []


def arm_by_arm(arms: Mapping[str, curves.Curve]) -> str:
    """A row per arm: its training and validation loss in one panel, its learning rate and its gradient norm; in each column one scale.

    Training loss is a line, validation loss dots on a dashed one, so that the two are told apart without colour.
    """
    plt = figures.pyplot()
    height = ROW * max(len(arms), 1) + 0.5
    figure, grid = plt.subplots(max(len(arms), 1), 3, figsize=(figures.WIDTH, height), squeeze=False, sharex=True, sharey="col")
    figure.subplots_adjust(hspace=0.45, wspace=0.38, top=1 - 0.3 / height, bottom=0.45 / height)
    training, validation = figures.COLOURS[:2]
    for row, (arm, curve) in zip(grid, arms.items(), strict=False):
        _line(row[0], by_share(curve, "loss"), "training", color=training, linestyle="-")
        _line(row[0], by_share(curve, "eval_loss"), "validation", color=validation, linestyle="--", marker="o", markersize=4)
        _line(row[1], by_share(curve, "learning_rate"), color=figures.COLOURS[2])
        _line(row[2], by_share(curve, "grad_norm"), color=figures.COLOURS[3])
        row[0].set_title(arm, loc="left", fontsize=9, fontweight="bold")
        row[1].ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
    for axes, title in zip(grid[0], ("loss", "learning rate", "gradient norm"), strict=True):
        axes.annotate(title, (0.5, 1), xytext=(0, 18), xycoords="axes fraction", textcoords="offset points", ha="center", fontsize=9)
    for column in grid.T:
        column[0].set_ylim(bottom=0)
        column[0].set_xlim(0, 104)
        column[-1].set_xlabel(SHARE)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    if handles:
        grid[0, 0].legend(handles, labels, loc="upper right", fontsize=7, frameon=False, handlelength=2.5, borderaxespad=0)
    return figures.svg_of(plt, figure)


def _line(axes: Any, points: Sequence[Point], label: str | None = None, **look: Any) -> None:
    axes.plot([x for x, _ in points], [y for _, y in points], label=label, linewidth=1.2, **look)


def used(arms: Mapping[str, curves.Curve], card: float | None = None) -> str:
    """Memory and utilisation while each arm was trained, at its first seed: the GPU's where every arm has them, else the processor's.

    `card` is the GPU's memory in bytes where it is known: how near a line comes to it is how full the card was.
    """
    memory, busy = usage.quantities(arms)
    longest = max((x for rows in arms.values() for x, _ in usage.series(rows, memory)), default=0.0)
    unit, size = next(((unit, size) for unit, size in UNITS if longest >= 2 * size), UNITS[-1])
    panels = {
        USED[name]: {arm: [(x / size, y / scale) for x, y in usage.series(rows, name)] for arm, rows in arms.items()}
        for name, scale in ((memory, 1e9), (busy, 1.0))
    }
    shown = {USED[memory]: (card / 1e9, f"the card's memory, {card / 1e9:.1f} GB")} if card and memory == "gpu_bytes" else {}
    return figures.lines(panels, f"{unit} of training", from_zero=True, levels=shown)
