"""What each arm was given to train on, and what it used of the machine meanwhile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ftbench import figures_curves, usage
from ftbench.report_data import Study, names
from ftbench.tables import Block, Figure, Heading, Paragraph, Table, gigabytes, number, percent

COUNTS = {  # the table's columns, and where they stand in cost.json
    "epochs": "num_epochs",
    "examples per update": "examples_per_step",
    "updates": "num_steps",
    "examples seen": "num_examples",
    "tokens seen": "num_tokens",
    "truncated": "num_truncated",
    "4-bit layers": "num_4bit_layers",
}
FACTOR = "budget"  # a factor of this name says which arms were to have the same


def drawings(study: Study) -> dict[str, Figure]:
    """The figure of what each arm used of the machine, by name; none for a study that has no record of it."""
    if not study.usage:
        return {}
    what = " and ".join(figures_curves.USED[name] for name in usage.quantities(study.usage))
    alt = f"{study.name}, scale {study.scale}: {what} while training {', '.join(study.usage)}"
    return {"usage": Figure("figures/usage.svg", alt, figures_curves.used(study.usage, card(study)))}


def budgets(study: Study, drawn: Mapping[str, Figure]) -> list[Block]:
    """What each arm was trained on, whether arms of one budget had the same, and memory and utilisation meanwhile."""
    entries = {arm: study.cost["entries"][arm] for arm in study.curves}
    if not entries:
        return []
    rows = [[arm, *(_count(one.get(name)) for name in COUNTS.values())] for arm, one in entries.items()]
    caption = study.caption("What each arm was trained on, means over seeds; tokens with the prompts and without padding")
    blocks: list[Block] = [Heading("Budgets", 2), Table(caption, ["arm", *COUNTS], rows)]
    blocks += [Paragraph(said) for said in _by_budget(study, entries)]
    if "usage" in drawn:
        blocks += [drawn["usage"], Paragraph(_peaks(study))]
    return blocks


def card(study: Study) -> float | None:
    """The bytes of the GPU that trained, or None: without one, and where machines with different ones did."""
    sizes = {one["gpu"]["bytes"] for one in study.cost["environments"] if one.get("gpu")}
    return float(sizes.pop()) if len(sizes) == 1 else None


def _by_budget(study: Study, entries: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence per budget of two arms or more: whether they saw as many examples in as many updates, and how many tokens."""
    by_level: dict[str, list[str]] = {}
    for arm in entries:
        level = study.entries[arm].get("levels", {}).get(FACTOR)
        if level is not None:
            by_level.setdefault(level, []).append(arm)
    found = []
    for level, arms in by_level.items():
        counts = [[entries[arm].get(name) for arm in arms] for name in ("num_examples", "num_steps", "num_tokens")]
        examples, steps, tokens = ([float(value) for value in one if value is not None] for one in counts)
        if len(arms) < 2 or not len(examples) == len(steps) == len(tokens) == len(arms):
            continue
        shown = f"{_range(tokens)} tokens"
        if len(set(examples)) == 1 and len(set(steps)) == 1:
            said = f"each of {names(arms)} saw {_count(examples[0])} examples in {_count(steps[0])} updates"
            shown += ", since each model's tokenizer cuts the same text its own way" if len(set(tokens)) > 1 else ""
        else:
            said = f"{names(arms)} did not see the same: {_range(examples)} examples in {_range(steps)} updates"
        found.append(f"Budget `{level}`: {said}; {shown}.")
    return found


def _peaks(study: Study) -> str:
    """One sentence: the most memory that each arm had in use, of the card's where it is known."""
    memory, _ = usage.quantities(study.usage)
    size = card(study) if memory == "gpu_bytes" else None
    shown = []
    for arm, rows in study.usage.items():
        most = usage.most(rows, memory)
        shown.append(f"`{arm}` {gigabytes(most)}{f' ({percent(most / size)})' if size and most is not None else ''}")
    of = f"of the card's {gigabytes(size)}" if size else "on the GPU" if memory == "gpu_bytes" else "of the process, resident"
    return f"The figure shows the first seed of each arm. The most memory in use at any seed, {of}: {', '.join(shown)}."


def _range(values: Sequence[float]) -> str:
    low, high = (_count(value) for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _count(value: float | None) -> str:
    """A mean of counts: with two decimals where it is small and not whole, and a dash where it is unknown."""
    if value is None:
        return "–"
    return number(value, 2) if value < 100 and abs(value - round(value)) > 0.005 else f"{value:,.0f}"
