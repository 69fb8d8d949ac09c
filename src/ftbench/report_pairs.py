"""What a page says of a study of sentence pairs beyond its scores: how its errors shifted, calibration, transfer, and the fixed probes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ftbench import figures
from ftbench.report_data import Study, first, names
from ftbench.tables import Block, Figure, Heading, Paragraph, Table, count, number, percent, points, with_interval
from ftbench.text import LABELS

READINGS = {  # of comparison.json's `readings`, as a reader asks for them
    "neutral_as_entailment_before": "of neutral pairs mistaken before: taken for entailment",
    "neutral_share_after": "of all pairs: called neutral after",
    "contradiction_as_neutral_after": "of contradictions mistaken after: taken for neutral",
    "persistent_neutral_flips": "of neutral pairs mistaken both times: from entailment to contradiction",
}


def shifts(study: Study) -> list[Block]:
    """How errors shifted from an arm's base to the arm, and how far its seeds agree."""
    found = study.comparison["cases"]
    arms = [arm for arm in study.comparison["ranked"] if "base" in found.get(arm, {})]
    blocks: list[Block] = []
    if arms:
        rows = [[arm, *[_reading(found[arm]["base"]["readings"][name]) for name in READINGS]] for arm in arms]
        rows_by_class = [[arm, *[_change(found[arm]["base"]["readings"]["recall_change"].get(label)) for label in LABELS]] for arm in arms]
        against = found[arms[0]]["base"]["against"]
        caption = study.caption(f"How errors shifted from `{against}` to each arm: shares with 95 % intervals")
        change = study.caption(f"Change of accuracy within each class from `{against}` to each arm, in points with 95 % intervals")
        blocks += [
            Heading("What fine-tuning changes", 2),
            Table(caption, ["arm", *READINGS.values()], rows),
            Table(change, ["arm", *LABELS], rows_by_class),
        ]
    agreement = study.comparison["agreement"]
    several = [name for name in study.comparison["ranked"] if len(agreement[name]["num_labels"]) > 1]
    if several:
        rows = [[name, *[percent(agreement[name][key]) for key in ("same_label", "all_right", "all_wrong")]] for name in several]
        caption = study.caption("How far an arm's seeds agree, as shares of the examples")
        blocks.append(Heading("Agreement of seeds", 3 if arms else 2))
        blocks.append(Table(caption, ["arm", "all seeds say the same", "right at every seed", "wrong at every seed"], rows))
    return blocks


def _reading(found: Mapping[str, float] | None) -> str:
    return "–" if found is None else f"{percent(found['value'])} ({percent(found['low'])}–{percent(found['high'])})"


def _change(found: Mapping[str, float] | None) -> str:
    if found is None:
        return "–"
    value, low, high = (points(found[key]) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def calibration(study: Study, drawn: Mapping[str, Figure]) -> list[Block]:
    """Whether probabilities mean what they say, before and after one temperature that validation chose."""
    found = study.comparison["calibration"]
    rows = []
    for name in study.order():
        one = found[name]
        temperature = sum(one["temperature"]) / len(one["temperature"])
        pairs = [f"{number(one['before'][key])} → {number(one['after'][key])}" for key in ("nll", "brier", "ece")]
        rows.append([name, number(temperature, 2), *pairs])
    caption = study.caption("Before → after temperature scaling on validation pairs, means over seeds; it changes no prediction")
    blocks: list[Block] = [Heading("Calibration", 2), Table(caption, ["name", "temperature", "nll", "brier", "ece"], rows)]
    if silent := [name for name in study.order() if found[name]["at_bound"]]:
        blocks.append(
            Paragraph(f"At the highest temperature that is tried, since their scores say nothing of the labels: {names(silent)}.")
        )
    return [*blocks, drawn["reliability"]]


def reliability(study: Study) -> Figure:
    """Accuracy by confidence of the arms whose details are shown, before and after temperature scaling."""
    shown = study.shown()
    found = {name: study.comparison["calibration"][name] for name in shown}
    alt = f"{study.name}, scale {study.scale}: accuracy by confidence of {', '.join(shown)}, before and after temperature scaling"
    panels = {
        title: {name: [(bin["confidence"], bin["accuracy"], bin["share"]) for bin in one[key]] for name, one in found.items()}
        for title, key in (("before scaling", "reliability_before"), ("after scaling", "reliability_after"))
    }
    return Figure("figures/reliability.svg", alt, figures.reliability(panels))


def transfer(study: Study) -> list[Block]:
    """The arms on test pairs of other data sets, which none of them was trained on."""
    found = study.comparison["transfer"]
    if not found:
        return []
    rows = [
        [name, _own_accuracy(study, name), *[with_interval("accuracy", by_arm[name]) for by_arm in found.values()]]
        for name in study.order()
        if name in first(found)
    ]
    if "majority" not in study.entries:
        rows.append(["majority", "–", *[with_interval("accuracy", by_arm["majority"]) for by_arm in found.values()]])
    headers = ["arm", f"its own, {study.comparison['split']}", *[f"{split} (n {count(first(one)['n'])})" for split, one in found.items()]]
    caption = study.caption("Accuracy on test pairs of other data sets, with 95 % intervals")
    return [Heading("Transfer", 2), Table(caption, headers, rows)]


def _own_accuracy(study: Study, name: str) -> str:
    found = study.metrics[name]
    return with_interval("accuracy", {"mean": found["accuracy"], "low": found["accuracy_ci_low"], "high": found["accuracy_ci_high"]})


def written(study: Study) -> list[Block]:
    """What prompted and label-writing models do when they write freely: a text that is no label counts as wrong."""
    rows = []
    for name, wordings in study.comparison["wordings"].items():
        for wording in wordings:
            rows.append([name, wording["template"], *_written(wording["accuracy"], wording["written"])])
    rows += [[name, "the study's", *_written(study.metrics[name]["accuracy"], one)] for name, one in study.comparison["written"].items()]
    if not rows:
        return []
    headers = ["name", "wording", "accuracy by likelihood", "accuracy when writing", "answers that are no label"]
    caption = study.caption("Labels scored by likelihood against labels written freely, wording by wording")
    blocks: list[Block] = [Heading("Wordings and written answers", 2), Table(caption, headers, rows)]
    spreads = {
        name: [wording["accuracy"] for wording in wordings] for name, wordings in study.comparison["wordings"].items() if len(wordings) > 1
    }
    said = [f"{points(max(found) - min(found)).removeprefix('+')} points for `{name}`" for name, found in spreads.items()]
    return [*blocks, Paragraph(f"From the worst wording to the best: {', '.join(said)}.")] if said else blocks


def _written(accuracy: float, one: Mapping[str, Any]) -> list[str]:
    return [percent(accuracy), percent(one["accuracy"]), f"{number(one['num_invalid'], 0)} of {count(one['n'])}"]


def probes(study: Study) -> list[Block]:
    """What every entry says to the pairs that the first SNLI report shows."""
    found = study.comparison["probes"]
    pairs = found["pairs"]
    listed = [
        [str(index), pair["premise"], pair["hypothesis"], pair["gold"], pair["case"], pair["before"] or "–", pair["after"]]
        for index, pair in enumerate(pairs, 1)
    ]
    headers = ["pair", "premise", "hypothesis", "gold", "the report's case", "before", "after"]
    caption = f"The {len(pairs)} pairs that the first SNLI report shows, and what its model answered. Scale of that report: full size."
    rows = [[name, *[_said(*one) for one in zip(found["said"][name], pairs, strict=True)]] for name in study.order()]
    answers = study.caption("What each arm and baseline says to them, with the number of seeds that say so; ✓: the gold label")
    return [
        Heading("Pairs of the report", 2),
        Table(caption, headers, listed, frozenset()),
        Table(answers, ["name", *[str(index) for index in range(1, len(pairs) + 1)]], rows),
        Paragraph("So few pairs measure nothing: they show whether cases that were picked by hand come back."),
    ]


def _said(labels: Sequence[str], pair: Mapping[str, Any]) -> str:
    """`neutral ✓ 2/3, entailment 1/3`: each label with the number of seeds that say it, where there are several."""

    def one(label: str, times: int) -> str:
        right = " ✓" if label == pair["gold"] else ""
        return f"{label}{right}" + (f" {times}/{len(labels)}" if len(labels) > 1 else "")

    return ", ".join(one(label, times) for label, times in Counter(labels).most_common())
