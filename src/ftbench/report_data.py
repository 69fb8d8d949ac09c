"""A study as the report sees it: the files that git keeps of it, and its answer in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ftbench.curves import Curve
from ftbench.tables import PERCENTAGES, metric, number, points, with_interval


@dataclass(frozen=True)
class Study:
    """The files of a study that git keeps, read."""

    name: str
    metrics: Mapping[str, Any]
    comparison: Mapping[str, Any]
    cost: Mapping[str, Any]
    curves: Mapping[str, Curve]
    answers: Mapping[str, Any] | None = None
    full_size: Mapping[str, Any] = field(default_factory=dict)
    sweeps: Mapping[str, Any] = field(default_factory=dict)
    usage: Mapping[str, Curve] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)  # of the files read, by path from the reports' folder

    @property
    def scale(self) -> str:
        """The scale that its numbers are of."""
        return str(self.comparison["scale"])

    @property
    def metric(self) -> str:
        """The primary metric."""
        return str(self.comparison["primary_metric"])

    @property
    def entries(self) -> Mapping[str, Any]:
        """Arms and baselines with their means."""
        return self.comparison["entries"]

    def caption(self, what: str) -> str:
        """A table's caption: what it holds, and at which scale."""
        return f"{what}{'' if what.endswith(('.', '?', '!')) else '.'} Scale {self.scale}."

    def order(self) -> list[str]:
        """All entries, the best first."""
        sign = 1 if self.comparison["lower_is_better"] else -1
        return sorted(self.entries, key=lambda name: (sign * self.entries[name]["mean"], name))

    def shown(self) -> list[str]:
        """The arms whose details are shown: the reference and the best."""
        reference = self.comparison["reference"]
        return list(dict.fromkeys([*([reference] if reference else []), self.comparison["ranked"][0]]))


def names(listed: Sequence[str]) -> str:
    """Names in backticks, in a sentence."""
    quoted = [f"`{name}`" for name in listed]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " and " + quoted[-1]


def answer(study: Study, elsewhere: Study | None = None) -> str:
    """The study's answer in one sentence, its numbers read from files; `elsewhere` holds the arm that a study of controls is about."""
    best = study.comparison["ranked"][0]
    entries = study.entries
    reached = (
        "needs the fewest bits per byte"
        if study.metric == "bits_per_byte"
        else "does best"
        if len(study.comparison["ranked"]) > 1
        else "reaches"
    )
    sentence = f"`{best}` {reached}{':' if reached != 'reaches' else ''} {with_interval(study.metric, entries[best])}"
    alike, behind = _with(study, best)
    if alike:
        sentence += f", not told apart from {names(alike)}"
    parts = [f"{names(behind)} behind by the interval alone, which Holm's correction over all tests does not bear out"] if behind else []
    reference = study.comparison["reference"]
    if reference and reference != best and reference not in alike:
        parts.append(f"the reference `{reference}` {metric(study.metric, entries[reference]['mean'])}")
    base = study.comparison["bases"][best]
    if base:
        parts.append(f"its base `{base}` {metric(study.metric, entries[base]['mean'])}")
    prompted = [name for name in study.comparison.get("wordings", {}) if name != base]
    parts += [f"the prompted `{name}` {metric(study.metric, entries[name]['mean'])}" for name in prompted]
    shallow = study.comparison["shallow"]
    if shallow:
        top = max(shallow, key=lambda name: (shallow[name]["mean"], name))
        parts.append(f"the best shallow control `{top}` {metric(study.metric, shallow[top]['mean'])}")
    parts += _main_effects(study)
    if not parts and elsewhere is not None and elsewhere.comparison["reference"]:
        whole = elsewhere.comparison["reference"]
        parts.append(f"`{whole}` of `{elsewhere.name}` {metric(study.metric, elsewhere.entries[whole]['mean'])}")
    return sentence + (f"; {'; '.join(parts)}" if parts else "") + "."


def _with(study: Study, best: str) -> tuple[list[str], list[str]]:
    """The arms in the best one's group: those whose difference from it may be none, and those that only the correction leaves there."""
    apart = [{row["a"], row["b"]} for row in study.comparison.get("tests", []) if row["low"] > 0 or row["high"] < 0]
    group = [name for name in study.comparison["groups"][0] if name != best]
    return [name for name in group if {best, name} not in apart], [name for name in group if {best, name} in apart]


def _main_effects(study: Study) -> list[str]:
    """Per factor the level that changes most against the reference arm's, in words; nothing for a study with one factor."""
    largest: dict[str, Any] = {}
    for row in study.comparison.get("effects", []):
        if row["kind"] == "main" and abs(row["difference"]) >= abs(largest.get(row["factors"][0], row)["difference"]):
            largest[row["factors"][0]] = row
    said = []
    for factor, row in largest.items():
        change = f"{points(row['difference'])} points" if study.metric in PERCENTAGES else number(row["difference"])
        told = "" if row["told_apart"] else ", not told apart"
        said.append(f"`{factor}` {change} (`{row['levels'][0]}` against `{row['against'][0]}`{told})")
    return [f"most by factor: {', '.join(said)}"] if said else []


def first(values: Mapping[str, Any]) -> Any:
    """The first of some values."""
    return next(iter(values.values()))
