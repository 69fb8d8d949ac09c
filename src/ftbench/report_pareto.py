"""What a study's accuracy costs: its metric against memory, time and trained parameters, and the arms that no other beats in both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftbench import figures
from ftbench.plot_tables import COSTS
from ftbench.report_data import Study, names
from ftbench.report_svg import mark
from ftbench.tables import PERCENTAGES, Block, Figure, Heading, Paragraph, Table, count, gigabytes, metric, seconds

MARKERS = ("o", "s", "^", "D", "v", "P")
READING = (
    "On the front: no other arm scores at least as well for at most the same cost and is better in one of the two. Behind: the "
    "best-scoring arm that is better so; with a question mark where the two cannot be told apart. "
    "In the figure the marks of the front are filled. It is of means over seeds; the vertical lines are 95 % intervals."
)


@dataclass(frozen=True)
class Measure:
    """A kind of cost: its column, its place in cost.json, and how a figure of it is worded."""

    title: str
    key: str
    worded: Callable[[float], str]


def measures(study: Study) -> list[Measure]:
    """Memory, time and trained parameters; memory of the GPU where every arm was trained on one."""
    arms = study.comparison["ranked"]
    on_gpu = all(study.cost["entries"].get(arm, {}).get(COSTS["peak GPU memory"]) for arm in arms)
    worded = {"peak GPU memory" if on_gpu else "peak memory": gigabytes, "training time": seconds, "trained parameters": count}
    return [Measure(title, COSTS[title], said) for title, said in worded.items()]


def known(study: Study, measure: Measure) -> dict[str, float]:
    """The cost of every arm that has one above zero, the best-scoring arm first."""
    found = {arm: study.cost["entries"].get(arm, {}).get(measure.key) for arm in study.comparison["ranked"]}
    return {arm: float(value) for arm, value in found.items() if value is not None and value > 0}


def dominators(costs: Mapping[str, float], scores: Mapping[str, float], lower_is_better: bool) -> dict[str, str | None]:
    """For each arm the best-scoring arm (of equals the cheaper) that is as good and as cheap and in one of them better; None: the front."""
    sign = 1 if lower_is_better else -1
    placed = {arm: (sign * scores[arm], cost) for arm, cost in costs.items()}
    found: dict[str, str | None] = {}
    for arm, place in placed.items():
        better = [other for other, (loss, cost) in placed.items() if loss <= place[0] and cost <= place[1] and (loss, cost) != place]
        found[arm] = min(better, key=lambda other: (*placed[other], other), default=None)
    return found


def _fronts(study: Study) -> list[tuple[Measure, dict[str, float], dict[str, str | None]]]:
    scores = {arm: study.entries[arm]["mean"] for arm in study.comparison["ranked"]}
    kept = [(measure, known(study, measure)) for measure in measures(study)]
    return [(measure, costs, dominators(costs, scores, study.comparison["lower_is_better"])) for measure, costs in kept if len(costs) > 1]


def figure(study: Study) -> Figure | None:
    """A small panel per kind of cost, log scale, with intervals; nothing for a study with fewer than two arms of known cost."""
    fronts = _fronts(study)
    if not fronts:
        return None
    titles = ", ".join(measure.title for measure, _, _ in fronts)
    on = "; ".join(f"{measure.title}: {', '.join(arm for arm, by in front.items() if by is None)}" for measure, _, front in fronts)
    alt = f"{study.name}, scale {study.scale}: {study.metric.replace('_', ' ')} against {titles}; on the front by {on}"
    return Figure("figures/pareto.svg", alt, _drawn(study, fronts))


def pareto(study: Study, drawn: Mapping[str, Figure]) -> list[Block]:
    """The figure, and a table of which arms are on each front and which arm is better than each of the others."""
    fronts = _fronts(study)
    if not fronts:
        return []
    ranked, said = study.comparison["ranked"], study.metric.replace("_", " ")
    rows = []
    for arm in ranked:
        cells = [arm, metric(study.metric, study.entries[arm]["mean"])]
        for measure, costs, front in fronts:
            cells += [measure.worded(costs[arm]), _place(study, arm, front[arm])] if arm in costs else ["–", "–"]
        rows.append(cells)
    headers = ["arm", said, *[title for measure, _, _ in fronts for title in (measure.title, f"by {measure.title}")]]
    caption = study.caption(f"{said[0].upper()}{said[1:]} against cost: on the front, or behind which arm")
    blocks: list[Block] = [
        Heading("Accuracy against cost" if study.metric in PERCENTAGES else f"{said[0].upper()}{said[1:]} against cost", 2),
        drawn["pareto"],
        Paragraph(READING),
        Table(caption, headers, rows),
    ]
    lacking = {measure.title: [arm for arm in ranked if arm not in known(study, measure)] for measure in measures(study)}
    unknown = [f"{title} of {names(arms)}" for title, arms in lacking.items() if arms]
    return [*blocks, Paragraph(f"Not recorded, and so not shown: {'; '.join(unknown)}.")] if unknown else blocks


def _place(study: Study, arm: str, by: str | None) -> str:
    if by is None:
        return "front"
    alike = any(arm in group and by in group for group in study.comparison["groups"])
    return f"behind {by}{'?' if alike else ''}"


# ---- The figure -----------------------------------------------------------------------------------------------------------------


def _drawn(study: Study, fronts: Sequence[tuple[Measure, dict[str, float], dict[str, str | None]]]) -> str:
    plt = figures.pyplot()
    share = study.metric in PERCENTAGES
    factor = 100 if share else 1
    shown = [arm for arm in study.comparison["ranked"] if any(arm in costs for _, costs, _ in fronts)]
    looks = {
        arm: (figures.COLOURS[n % len(figures.COLOURS)], MARKERS[(n // len(figures.COLOURS) + n) % len(MARKERS)])
        for n, arm in enumerate(shown)
    }
    height = max(2.8, 0.16 * len(shown) + 0.8)
    drawing, grid = plt.subplots(1, len(fronts), figsize=(1.3 * figures.WIDTH, height), squeeze=False, sharey=True)
    for axes, (measure, costs, front) in zip(grid[0], fronts, strict=True):
        axes.set_xscale("log")
        steps = sorted((costs[arm], factor * study.entries[arm]["mean"]) for arm, by in front.items() if by is None)
        axes.plot([x for x, _ in steps], [y for _, y in steps], drawstyle="steps-post", color=figures.GREY, linewidth=1, zorder=1)
        for arm, cost in costs.items():
            colour, marker = looks[arm]
            mean, low, high = (factor * study.entries[arm][key] for key in ("mean", "low", "high"))
            interval = axes.errorbar(cost, mean, yerr=[[mean - low], [high - mean]], color=colour, capsize=2, linewidth=0.9, fmt="none")
            on_front = front[arm] is None
            fill = colour if on_front else "white"
            (dot,) = axes.plot([cost], [mean], marker, color=colour, markerfacecolor=fill, markersize=6 if on_front else 5, zorder=3)
            number = f"{mean:.1f} %" if share else f"{mean:.3f}"
            for artist in (*interval.get_children(), dot):
                mark(artist, arm, f"{arm}: {number}, {measure.worded(cost)}{', on the front' if on_front else f', behind {front[arm]}'}")
        axes.set_xlabel(measure.title, fontsize=8)
        _ticks(axes, list(costs.values()), measure)
    grid[0][0].set_ylabel(f"{study.metric.replace('_', ' ')}{' (%)' if share else ''}")
    drawing.subplots_adjust(right=0.8, wspace=0.08)
    _labels(grid[0][-1], {arm: factor * study.entries[arm]["mean"] for arm in shown}, looks)
    return figures.svg_of(plt, drawing)


def _ticks(axes: Any, values: Sequence[float], measure: Measure) -> None:
    """The least and the most in the words of the tables: a log scale's own ticks are too many, or none, in a narrow panel."""
    low, high = min(values), max(values)
    span = max(high / low, 1.02)
    axes.set_xlim(low / span**0.12, high * span**0.12)
    axes.set_xticks([low, high] if high > low else [low], [measure.worded(value) for value in ([low, high] if high > low else [low])])
    axes.set_xticks([], minor=True)
    labels = axes.get_xticklabels()
    for label, side in zip(labels, ("left", "right") if len(labels) > 1 else ("center",), strict=True):
        label.set_horizontalalignment(side)
        label.set_fontsize(7)


def _labels(axes: Any, heights: Mapping[str, float], looks: Mapping[str, tuple[str, str]]) -> None:
    """Each arm's name with its mark right of the last panel, at the height of its points, moved apart where two would touch."""
    low, high = axes.get_ylim()
    gap = 0.15 / axes.get_position().height / axes.figure.get_figheight()
    placed = sorted(((value - low) / (high - low), arm) for arm, value in heights.items())
    for (_, arm), height in zip(placed, figures.apart([height for height, _ in placed], gap), strict=True):
        colour, marker = looks[arm]
        (dot,) = axes.plot([1.06], [height], marker, color=colour, markersize=5, transform=axes.transAxes, clip_on=False)
        text = axes.annotate(arm, (1.12, height), xycoords="axes fraction", va="center", color=colour, fontsize=8)
        for artist in (dot, text):
            mark(artist, arm)
