"""Which scores moved between two runs, and whether by more than other seeds and other examples would have moved them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftbench.diff_files import Snapshot, StudyFiles
from ftbench.tables import PERCENTAGES, Block, Heading, Paragraph, Table, count, escaped, metric, number, points, with_interval

SAME = ("dataset", "split", "primary_metric", "lower_is_better")  # of a study, or its scores are not compared
COUNTS = ("n", "n_mismatched")  # of an entry, likewise
NOT_SCORES = (*COUNTS, "seeds")
LONGEST_TABLE = 100  # rows: a pull request's description holds no more than 65,536 characters
RULE = (
    "Beyond noise: the difference exceeds the half-widths of the two 95 % intervals, added as squares, √(h₁² + h₂²). The intervals hold "
    "seeds and examples (of an arm with one seed: examples alone); that both runs may have seen the same examples is not used, so the "
    "rule is a careful one."
)


@dataclass(frozen=True)
class Move:
    """An entry's primary metric in both runs: `before` and `after` are its blocks in comparison.json."""

    study: str
    entry: str
    metric: str
    lower_is_better: bool
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def difference(self) -> float:
        """After less before, in the metric's own unit."""
        return float(self.after["mean"] - self.before["mean"])

    @property
    def noise(self) -> float:
        """The half-widths of both intervals, added as squares."""
        return math.hypot(*((found["high"] - found["low"]) / 2 for found in (self.before, self.after)))

    @property
    def beyond(self) -> bool:
        """Whether the difference exceeds the noise."""
        return abs(self.difference) > self.noise

    @property
    def worse(self) -> bool:
        """Whether the entry does worse than before, by however little."""
        return self.difference > 0 if self.lower_is_better else self.difference < 0

    @property
    def shown(self) -> bool:
        """Whether it moved at the digits that are printed."""
        return self.beyond or metric(self.metric, self.before["mean"]) != metric(self.metric, self.after["mean"])

    def __str__(self) -> str:
        before, after = (metric(self.metric, found["mean"]) for found in (self.before, self.after))
        return f"{self.study}/{self.entry}: {self.metric} {before} → {after}"


# ---- What may be compared ---------------------------------------------------------------------------------------------------------


def shared(before: Snapshot, after: Snapshot) -> dict[str, tuple[StudyFiles, StudyFiles]]:
    """The studies that both runs have."""
    return {name: (before.studies[name], after.studies[name]) for name in before.studies if name in after.studies}


def comparable(old: StudyFiles, new: StudyFiles) -> list[str]:
    """The entries whose scores may be set against each other: of both runs, on as many examples of one split of one data set."""
    if _changed(old.comparison, new.comparison, SAME):
        return []
    both = [name for name in new.comparison["entries"] if name in old.comparison["entries"]]
    return [name for name in both if not _changed(_sizes(old, name), _sizes(new, name), COUNTS)]


def _sizes(study: StudyFiles, entry: str) -> dict[str, Any]:
    return {"n": study.comparison["entries"][entry].get("n"), "n_mismatched": study.metrics.get(entry, {}).get("n_mismatched")}


def _changed(old: Mapping[str, Any], new: Mapping[str, Any], keys: Sequence[str]) -> list[str]:
    return [key for key in keys if old.get(key) != new.get(key)]


def remarks(before: Snapshot, after: Snapshot) -> list[str]:
    """In words, what the two runs do not share: studies, data, splits, metrics, numbers of examples and seeds."""
    said = [f"Study {named(name)} is new." for name in after.studies if name not in before.studies]
    said += [f"Study {named(name)} is gone." for name in before.studies if name not in after.studies]
    for name, (old, new) in shared(before, after).items():
        for key in (other := _changed(old.comparison, new.comparison, SAME)):
            was, now = escaped(old.comparison[key]), escaped(new.comparison[key])
            said.append(f"Scores of {named(name)} are not compared: its {key.replace('_', ' ')} was {was} and is {now}.")
        data = f"data/{new.comparison['dataset']}"
        if not other and before.outs.get(data) != after.outs.get(data):
            text = (
                f"The files of data set {named(str(new.comparison['dataset']))} changed, so that examples may differ between the two runs"
            )
            said.append(f"{text} of {named(name)}; its scores are compared all the same.")
        for entry in () if other else [entry for entry in new.comparison["entries"] if entry in old.comparison["entries"]]:
            where = f"{named(name)}/{named(entry)}"
            for key in _changed(_sizes(old, entry), _sizes(new, entry), COUNTS):
                was, now = (escaped(_sizes(study, entry)[key]) for study in (old, new))
                said.append(f"Scores of {where} are not compared: its {key.replace('_', ' ')} was {was} and is {now}.")
            seeds = [study.comparison["entries"][entry].get("seeds") or [] for study in (old, new)]
            if seeds[0] != seeds[1]:
                said.append(f"{where} had the seeds {escaped(seeds[0])} and has {escaped(seeds[1])}.")
    return said


# ---- What moved -------------------------------------------------------------------------------------------------------------------


def moves(before: Snapshot, after: Snapshot) -> list[Move]:
    """The primary metric of every entry that may be compared and whose mean is not the same number, in the order of the files."""
    found = []
    for name, (old, new) in shared(before, after).items():
        key, lower = str(new.comparison["primary_metric"]), bool(new.comparison["lower_is_better"])
        for entry in comparable(old, new):
            move = Move(name, entry, key, lower, old.comparison["entries"][entry], new.comparison["entries"][entry])
            if move.difference:
                found.append(move)
    return found


def section(before: Snapshot, after: Snapshot) -> list[Block]:
    """The scores that moved, entries that came and went, and what is not compared and why."""
    blocks: list[Block] = [Paragraph(text) for text in remarks(before, after)]
    found = moves(before, after)
    rows = [_row(move) for move in found if move.shown]
    if rows:
        headers = ["study", "name", "metric", "before", "after", "difference", "beyond noise"]
        blocks += [Paragraph(RULE), *table("Primary metrics, means over seeds with 95 % intervals", headers, rows, {0, 1, 2})]
    if len(rows) < len(found):
        blocks.append(Paragraph(f"{counted(len(found) - len(rows), 'primary score')} moved by less than the printed digits show."))
    blocks += _came_and_went(before, after)
    for name, (old, new) in shared(before, after).items():
        blocks += _others(name, old, new)
    return [Heading("Scores", 3), *blocks] if blocks else []


def _row(move: Move) -> list[str]:
    difference = f"{points(move.difference)} points" if move.metric in PERCENTAGES else _signed(move.difference)
    verdict = f"yes, {'worse' if move.worse else 'better'}" if move.beyond else "no"
    before, after = (with_interval(move.metric, found) for found in (move.before, move.after))
    return [move.study, move.entry, move.metric, before, after, difference, verdict]


def _signed(value: float) -> str:
    return f"{'+' if round(value, 3) > 0 else ''}{number(value)}"


def _came_and_went(before: Snapshot, after: Snapshot) -> list[Block]:
    rows = []
    for name, (old, new) in shared(before, after).items():
        ours, theirs = new.comparison, old.comparison
        rows += [
            [name, entry, "new", with_interval(ours["primary_metric"], found)]
            for entry, found in ours["entries"].items()
            if entry not in theirs["entries"]
        ]
        rows += [
            [name, entry, "gone", with_interval(theirs["primary_metric"], found)]
            for entry, found in theirs["entries"].items()
            if entry not in ours["entries"]
        ]
    return table("Arms and baselines that are in one run only", ["study", "name", "", "primary metric"], rows, {0, 1})


def _others(study: str, old: StudyFiles, new: StudyFiles) -> list[Block]:
    """A table of the study's other scores that changed at the printed digits: a row per entry, a column per score."""
    cells: dict[str, dict[str, str]] = {}
    for entry in comparable(old, new):
        was, now = old.metrics.get(entry, {}), new.metrics.get(entry, {})
        for key in dict.fromkeys((*now, *was)):
            if key == new.comparison["primary_metric"] or key in NOT_SCORES or re.search(r"_ci_(low|high)(_|$)", key):
                continue
            base = re.sub(r"(_scaled)?(_mismatched)?$", "", key)
            before, after = metric(base, was.get(key)), metric(base, now.get(key))
            if before != after:
                cells.setdefault(entry, {})[key] = f"{before} → {after}"
    columns = list(dict.fromkeys(key for row in cells.values() for key in row))
    rows = [[entry, *(row.get(key, "") for key in columns)] for entry, row in cells.items()]
    headers = ["name", *(key.replace("_", " ") for key in columns)]
    return table(f"Other scores of {escaped(study)} that changed; an empty cell did not", headers, rows, {0})


# ---- Words and tables -------------------------------------------------------------------------------------------------------------


def named(name: str) -> str:
    """A name from a file in a sentence of ours: as code where it is a plain one, escaped where it is not."""
    return f"`{name}`" if re.fullmatch(r"[\w.+-]+", name) else escaped(name)


def table(caption: str, headers: Sequence[str], rows: Sequence[Sequence[str]], code: set[int]) -> list[Block]:
    """A table of up to LONGEST_TABLE rows and, below it, how many more there are; nothing for no rows."""
    if not rows:
        return []
    more: list[Block] = [Paragraph(f"… and {count(len(rows) - LONGEST_TABLE)} more.")] if len(rows) > LONGEST_TABLE else []
    return [Table(caption, headers, rows[:LONGEST_TABLE], frozenset(code)), *more]


def counted(how_many: int, what: str) -> str:
    """`1 score`, `2 scores`."""
    return f"{count(how_many)} {what}{'' if how_many == 1 else 's'}"
