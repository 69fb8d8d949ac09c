"""What else changed between two runs: params, the results that were made again, costs, failure cases and the ledger's verdicts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ftbench import params
from ftbench.diff_files import Snapshot, StudyFiles
from ftbench.diff_scores import comparable, counted, named, shared, table
from ftbench.tables import MINUS, Block, Heading, Paragraph, count, gigabytes, number, seconds

Row = list[str]

# ---- Params -----------------------------------------------------------------------------------------------------------------------


def settings(before: Snapshot, after: Snapshot) -> list[Block]:
    """Every value of params.yaml that differs, under its dotted key; a list is one value."""
    old, new = dict(_flat(before.params)), dict(_flat(after.params))
    rows = []
    for key in dict.fromkeys((*new, *old)):
        was, now = (params.shown(found[key]) if key in found else "–" for found in (old, new))
        if key not in old or key not in new or _exact(old[key]) != _exact(new[key]):
            rows.append([key, was, now])
    found = table("Settings of params.yaml", ["key", "before", "after"], rows, {0})
    return [Heading("Params", 3), *found] if found else []


def _flat(block: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in block.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _exact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)  # to Python 1 equals True


# ---- Results that were made again -------------------------------------------------------------------------------------------------

OUTPUTS = (  # of an arm or baseline, by what is said of them; the first that changed counts
    ("other model", re.compile(r"models/(?!base/)(?P<study>[^/]+)/(?P<entry>.+)-\d+")),
    ("other predictions", re.compile(r"reports/(?P<study>[^/]+)/predictions/(?P<entry>.+)-\d+\.parquet")),
    ("other scores of the same predictions", re.compile(r"reports/(?P<study>[^/]+)/scores/(?P<entry>.+)-\d+\.json")),
    ("the same results again", re.compile(r"reports/(?P<study>[^/]+)/costs/(?P<entry>.+)-\d+-(train|evaluate)\.json")),
)
AGAIN, NEW = OUTPUTS[-1][0], "new"
MADE_FOR_ALL = (("data set", re.compile(r"data/([^/]+)")), ("base model", re.compile(r"models/base/([^/]+)")))


def reran(before: Snapshot, after: Snapshot) -> dict[str, dict[str, str]]:
    """By study and arm or baseline, what dvc.lock says of those that ran: that they are new, what changed first, or that nothing did.

    Costs are measured anew whenever a stage runs, so other costs beside the same results tell a stage that gave the same bytes.
    """
    known = {(match["study"], match["entry"]) for _, pattern in OUTPUTS for match in map(pattern.fullmatch, before.outs) if match}
    found: dict[str, dict[str, str]] = {}
    for what, pattern in OUTPUTS:
        for path, md5 in after.outs.items():
            if (match := pattern.fullmatch(path)) and before.outs.get(path) != md5:
                place = match["study"], match["entry"]
                found.setdefault(place[0], {}).setdefault(place[1], what if place in known else NEW)
    return found


def stages(before: Snapshot, after: Snapshot) -> list[Block]:
    """Which arms and baselines ran again, and with what; data sets and base models that changed."""
    rows = []
    for study, entries in reran(before, after).items():
        total = len(after.studies[study].comparison["entries"]) if study in after.studies else len(entries)
        for what in (NEW, *(what for what, _ in OUTPUTS)):
            names = [entry for entry, said in entries.items() if said == what]
            if names:
                rows.append([study, what, f"{len(names)} of {total}", ", ".join(names)])
    blocks = table("Arms and baselines that ran, by the hashes in dvc.lock", ["study", "gave", "", "arms and baselines"], rows, {0})
    for kind, pattern in MADE_FOR_ALL:
        paths = [path for path, md5 in after.outs.items() if before.outs.get(path) != md5]
        changed = [named(match[1]) for match in map(pattern.fullmatch, paths) if match]
        if changed:
            blocks.append(Paragraph(f"{counted(len(changed), kind)} changed: {', '.join(changed)}."))
    return [Heading("Stages that ran again", 3), *blocks] if blocks else []


# ---- Costs ------------------------------------------------------------------------------------------------------------------------

MEASURED_ANEW = 0.1  # relative change from which a measurement is listed
COSTS: tuple[tuple[str, str, Callable[[Any], str], bool], ...] = (  # in cost.json, in words, how it is shown, whether it is a count
    ("train_seconds", "training", seconds, False),
    ("train_peak_resident_bytes", "peak memory", gigabytes, False),
    ("train_peak_gpu_allocated_bytes", "peak GPU memory", gigabytes, False),
    ("parameters_trained", "trained parameters", count, True),
    ("bytes_on_disk", "bytes on disk", count, True),
)


def costs(before: Snapshot, after: Snapshot) -> list[Block]:
    """What training took: measurements that changed by more than a tenth, counts that changed at all."""
    rows, machines = [], []
    for name, (old, new) in shared(before, after).items():
        found = _costs(name, old, new)
        rows += found
        if found and _machines(old) != _machines(new):
            machines.append(named(name))
    caption = f"Cost, means over seeds: times and memory that changed by more than {MEASURED_ANEW:.0%}, counts that changed at all"
    blocks = table(caption, ["study", "arm", "what", "before", "after", "change"], rows, {0, 1})
    if machines:
        blocks.append(Paragraph(f"Measured on other machines or with other packages than before: {', '.join(machines)}."))
    return [Heading("Cost", 3), *blocks] if blocks else []


def _costs(study: str, old: StudyFiles, new: StudyFiles) -> list[Row]:
    rows = []
    for entry, now in new.cost["entries"].items():
        was = old.cost["entries"].get(entry)
        for key, what, worded, exact in COSTS if was is not None else ():
            a, b = was.get(key), now.get(key)
            if a is None or b is None:
                if a is not b:  # measured in one run only, as a GPU's memory
                    rows.append([study, entry, what, *("–" if value is None else worded(value) for value in (a, b)), "–"])
            elif (round(a) != round(b)) if exact else (abs(b - a) > MEASURED_ANEW * abs(a)):
                change = f"{'+' if b > a else ''}{count(b - a)}" if exact else _percent(a, b)
                rows.append([study, entry, what, worded(a), worded(b), change])
    return rows


def _percent(before: float, after: float) -> str:
    return f"{100 * (after / before - 1):+.0f} %".replace("-", MINUS) if before else "–"


def _machines(study: StudyFiles) -> list[str]:
    return sorted(_exact(one) for one in study.cost.get("environments") or [])


# ---- Failure cases ----------------------------------------------------------------------------------------------------------------

KINDS = ("introduced", "persistent", "corrected")  # new failures first
MOST_EXAMPLES = 5  # of a study
SHORTEST = 160  # characters of a text in an example: five stand side by side


def cases(before: Snapshot, after: Snapshot) -> list[Block]:
    """Errors of every arm against its base: counts that changed, and some examples that were not listed before."""
    blocks: list[Block] = []
    for name, (old, new) in shared(before, after).items():
        rows, examples = [], []
        for arm in comparable(old, new):
            was, now = (_against_base(study, arm) for study in (old, new))
            if was is None or now is None:
                continue
            if was["against"] != now["against"]:
                blocks.append(Paragraph(f"Cases of {named(name)}/{named(arm)} are not compared: its base is another one."))
                continue
            cells = [[number(one["counts"][kind]["count"], 1) for kind in KINDS] for one in (was, now)]
            if cells[0] != cells[1]:
                rows.append([arm, str(now["against"]), *(a if a == b else f"{a} → {b}" for a, b in zip(*cells, strict=True))])
            examples += [[arm, kind, *_example(one)] for kind in KINDS for one in _newly(was, now, kind)]
        blocks += table(f"Errors of {named(name)} against the base, per model", ["arm", "against", *KINDS], rows, {0, 1})
        examples.sort(key=lambda row: KINDS.index(row[1]))  # stable: in the order of the arms within a kind
        headers = ["arm", "case", "id", "example", "right", "base says", "arm says"]
        caption = f"Newly listed examples of {named(name)}: {min(len(examples), MOST_EXAMPLES)} of {len(examples)}"
        blocks += table(caption, headers, examples[:MOST_EXAMPLES], {0})
    return [Heading("Failure cases", 3), *blocks] if blocks else []


def _against_base(study: StudyFiles, arm: str) -> Mapping[str, Any] | None:
    sides = (study.comparison.get("cases") or {}).get(arm)
    return sides.get("base") if isinstance(sides, Mapping) else None


def _newly(was: Mapping[str, Any], now: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    listed = {one["id"] for one in was["examples"].get(kind, [])}
    return [one for one in now["examples"].get(kind, []) if one["id"] not in listed]


def _example(one: Mapping[str, Any]) -> Row:
    texts = [str(one[key]) for key in ("premise", "hypothesis", "instruction", "input") if one.get(key)]
    cells = [one["id"], " / ".join(texts), one.get("gold", one.get("reference")), one["before"], one["after"]]
    return ["" if cell is None else _short(str(cell)) for cell in cells]


def _short(text: str) -> str:
    return text if len(text) <= SHORTEST else text[: SHORTEST - 1] + "…"


# ---- The ledger -------------------------------------------------------------------------------------------------------------------


def flipped(before: Snapshot, after: Snapshot) -> list[str]:
    """The claims of both runs whose verdict is another one."""
    both = [claim for claim in after.claims if claim in before.claims]
    return [claim for claim in both if before.claims[claim].get("verdict") != after.claims[claim].get("verdict")]


def verdicts(before: Snapshot, after: Snapshot) -> list[Block]:
    """The claims whose verdict is another one, with our numbers; claims that came and went."""
    changed = [*flipped(before, after), *_only(after, before), *_only(before, after)]
    rows = []
    for claim in changed:
        was, now = before.claims.get(claim), after.claims.get(claim)
        shown = now or was or {}
        rows.append([str(shown.get("study")), claim, str(shown.get("says")), *_verdict(was, now, "verdict"), *_verdict(was, now, "ours")])
    headers = ["study", "claim", "the study says", "before", "after", "ours before", "ours after"]
    found = table("Claims whose verdict is another one, or that are in one run only", headers, rows, {0, 1})
    return [Heading("Ledger", 3), *found] if found else []


def _only(here: Snapshot, there: Snapshot) -> list[str]:
    return [claim for claim in here.claims if claim not in there.claims]


def _verdict(was: Mapping[str, Any] | None, now: Mapping[str, Any] | None, key: str) -> Sequence[str]:
    values = [None if one is None else one.get(key) for one in (was, now)]
    return ["–" if value is None else f"{value:,.4g}" if isinstance(value, (int, float)) else str(value) for value in values]
