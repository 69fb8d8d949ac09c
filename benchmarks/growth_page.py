"""What is shown of a record of growth: its figure, and its table in docs/benchmarks.md.

Example: python benchmarks/growth_page.py
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import blocks

from ftbench import files
from ftbench.errors import UserError

ROOT = Path(__file__).parents[1]
RECORD, PAGE = ROOT / "reports/growth.json", ROOT / "docs/benchmarks.md"
START = blocks.start("benchmarks/growth.py", "reports/growth.json")


def figure(points: Sequence[Mapping[str, Any]]) -> str:
    """Seconds above and memory below, against each axis, as SVG; grey: linear from the first point on."""
    from ftbench import figures

    plt = figures.pyplot()
    axes_names = list(dict.fromkeys(one["axis"] for one in points))
    drawn, grid = plt.subplots(2, len(axes_names), figsize=(figures.WIDTH, figures.WIDTH * 0.7), squeeze=False, sharex="col", sharey="row")
    looks = figures.looks_of(list(dict.fromkeys(one["stage"] for one in points)))
    for column, axis in enumerate(axes_names):
        for row, (name, unit) in enumerate((("median_seconds", 1), ("peak_resident_bytes", 2**20))):
            axes = grid[row][column]
            axes.set_xscale("log", base=2)
            axes.set_yscale("log", base=2)
            for stage, (colour, style) in looks.items():
                line = [(one["size"], one[name] / unit) for one in points if (one["axis"], one["stage"]) == (axis, stage)]
                if line:
                    (artist,) = axes.plot(
                        *zip(*line, strict=True), style, color=colour, marker="o", markersize=3, linewidth=1.4, label=stage
                    )
                    figures.mark(artist, stage, f"{stage}: {line[-1][1]:.3g} at {line[-1][0]:,} {axis}")
            sizes = sorted({one["size"] for one in points if one["axis"] == axis})
            lowest = min(one[name] / unit for one in points if one["axis"] == axis)
            axes.plot([min(sizes), max(sizes)], [lowest, lowest * max(sizes) / min(sizes)], ":", color=figures.GREY, linewidth=1)
            axes.set_xticks(sizes, [f"{size:,}" if size in (sizes[0], sizes[-1]) else "" for size in sizes])
            axes.yaxis.set_major_formatter("{x:,g}")
        grid[1][column].set_xlabel(axis)
    grid[0][0].set_ylabel("seconds")
    grid[1][0].set_ylabel("peak resident MiB")
    named = {line.get_label(): line for axes in grid[0] for line in axes.get_lines() if line.get_label() in looks}
    drawn.legend(named.values(), named, loc="upper center", ncols=len(named), fontsize=8, frameon=False)
    return figures.svg_of(plt, drawn)


def rendered(content: Mapping[str, Any]) -> str:
    """The slopes of a record as Markdown."""
    heads = ["against", "from, to", "what runs", "slope of seconds", "over all", "slope of memory", "over all"]
    lines = [f"| {' | '.join(heads)} |", "|---|---|---|---:|---:|---:|---:|"]
    for one in content["slopes"]:
        sizes = [point["size"] for point in content["points"] if point["axis"] == one["axis"]]
        seconds, memory = one["median_seconds"], one["peak_resident_bytes"]
        figures = " | ".join(f"{value:.2f}" for value in (seconds["last"], seconds["whole"], memory["last"], memory["whole"]))
        lines.append(f"| {one['axis']} | {min(sizes):,}, {max(sizes):,} | {one['stage']} | {figures} |")
    machine, missed = content["environment"], "; ".join(content["missed"])
    said = f"Medians of {content['num_repeats']} runs, {'MISSED: ' + missed if missed else 'all within the bars'}."
    return "\n".join([*lines, "", f"{said} Measured on: {machine['processor']}, {machine['num_cores']} cores."])


def on_page(table: str) -> str:
    """The page with a table between its marks. Raises UserError for a page without the two."""
    return blocks.rewritten(PAGE.read_text(encoding="utf-8"), START, table, PAGE.name)


def write() -> None:
    """Bring the figure and the page in step with the record in git."""
    content = files.read_json(RECORD)
    files.write_text(PAGE, on_page(rendered(content)))
    files.write_text(RECORD.with_suffix(".svg"), figure(content["points"]))


if __name__ == "__main__":
    try:
        write()
    except UserError as error:
        print(f"growth_page: to mend:\n{error}", file=sys.stderr)
        sys.exit(2)
