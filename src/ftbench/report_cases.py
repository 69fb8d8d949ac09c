"""What a study page says of single examples and groups of them: confusions, genres, failure cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftbench import figures_cells
from ftbench.report_data import Study, first
from ftbench.tables import (
    Block,
    Figure,
    Heading,
    Paragraph,
    Table,
    count,
    number,
    percent,
    with_interval,
)
from ftbench.text import LABELS

CHOSEN_BY = frozenset({"case", "gold", "genre", "phenomenon", "kind"})  # of the examples: what a reader of the page may choose them by
SEEN = ("overlap", "negation", "numbers", "length")


def confusion_figure(study: Study) -> Figure:
    """The confusions of the arms whose details are shown, each base's once and before them."""
    before, after = {}, {}
    for arm in study.shown():
        found = study.comparison["cases"].get(arm, {}).get("base")
        if found:
            before[f"before: {found['against']}"] = found["shift"]["before"]
        after[f"after: {arm}" if found else arm] = found["shift"]["after"] if found else study.comparison["confusion"][arm]
    panels = before | after
    alt = f"{study.name}, scale {study.scale}: of each gold label, the share taken for each label; {', '.join(panels)}"
    return Figure("figures/confusion.svg", alt, figures_cells.confusions(panels, LABELS))


def confusion(study: Study, drawn: Mapping[str, Figure]) -> list[Block]:
    """What each label was taken for, before and after fine-tuning."""
    blocks: list[Block] = [Heading("Confusion", 2), drawn["confusion"]]
    for arm in study.shown():
        found = study.comparison["cases"].get(arm, {}).get("base")
        after = found["shift"]["after"] if found else study.comparison["confusion"][arm]
        rows = []
        for row, gold in enumerate(LABELS):
            cells = [gold]
            for matrix in [found["shift"]["before"], after] if found else [after]:
                total = sum(matrix[row]) or 1
                cells += [percent(cell / total) for cell in matrix[row]]
            rows.append(cells)
        sides = [f"{found['against']}: ", f"{arm}: "] if found else [f"{arm}: "]
        headers = ["gold", *[f"{side}{label}" for side in sides for label in LABELS]]
        blocks.append(
            Table(
                study.caption(f"Of each gold label, the share taken for each label: {' and '.join(side[:-2] for side in sides)}"),
                headers,
                rows,
            )
        )
    return blocks


def groups(study: Study) -> list[Block]:
    """Accuracy by genre and by phenomenon."""
    shown = study.shown()
    base = study.comparison["bases"][shown[0]]
    columns = [*([base] if base else []), *shown]
    blocks: list[Block] = []
    for key, title in (("by_genre", "Genres"), ("by_phenomenon", "Phenomena")):
        for split, found in study.comparison[key].items():
            rows = [
                [group, count(first(by_entry)["n"]), *[with_interval("accuracy", by_entry[name]) for name in columns]]
                for group, by_entry in found.items()
            ]
            if rows:
                caption = study.caption(f"Accuracy on {split} by {title[:-1].lower() if key == 'by_genre' else 'phenomenon'}")
                blocks += [Heading(f"{title}, {split}", 3), Table(caption, [title.lower(), "n", *columns], rows)]
    return blocks


def failures(study: Study) -> list[Block]:
    """Errors corrected, introduced and persistent: counts for every arm, examples of the reference and the best."""
    found = study.comparison["cases"]
    rows = []
    for arm in study.comparison["ranked"]:
        for side in ("base", "reference"):
            if side in found.get(arm, {}):
                one = found[arm][side]
                counts = one["counts"]
                cells = [
                    f"{number(counts[kind]['count'], 1)} ({percent(counts[kind]['share_low'])}–{percent(counts[kind]['share_high'])})"
                    for kind in ("corrected", "introduced", "persistent")
                ]
                rows.append([arm, one["against"], *cells, str(counts["persistent"]["at_every_seed"])])
    if not rows:
        return []
    headers = ["arm", "against", "corrected", "introduced", "persistent", "persistent at every seed"]
    caption = study.caption("Errors per model, mean over seeds, with the 95 % interval of their share of all examples")
    blocks: list[Block] = [Heading("Failure cases", 2), Table(caption, headers, rows, frozenset({0, 1}))]
    blocks.append(Paragraph(f"Examples are chosen by rule: {found['rule']}."))
    for arm in study.shown():
        for side in ("base", "reference"):
            if side in found.get(arm, {}):
                blocks += _examples(study, arm, found[arm][side])
    return blocks


def _examples(study: Study, arm: str, one: Mapping[str, Any]) -> list[Block]:
    known = [by for by in ("label", "genre", "phenomenon", "kind") if by in one["by"]]
    seen = [] if "phenomenon" in known else [by for by in SEEN if by in one["by"]]  # in real pairs, whose phenomenon nobody knows
    rows = [
        [by, value, count(cells["n"]), *[number(cells[kind], 1) for kind in ("corrected", "introduced", "persistent")]]
        for by in (*known, *seen)
        for value, cells in one["by"][by].items()
    ]
    title = f"{arm} against {one['against']}"
    blocks: list[Block] = [Heading(title, 3)]
    if rows:
        headers = ["by", "group", "n", "corrected", "introduced", "persistent"]
        blocks.append(Table(study.caption(f"Where the errors lie: {title}"), headers, rows, frozenset()))
    if study.answers is None:
        columns = ["premise", "hypothesis", "gold", "before", "after", "genre", "phenomenon"]
    else:
        columns = ["kind", "instruction", "input", "reference", "before", "after"]
    rows = [
        [kind, *["" if example[column] is None else str(example[column]) for column in columns]]
        for kind, examples in one["examples"].items()
        for example in examples
    ]
    if rows:
        blocks.append(Table(study.caption(f"Examples: {title}"), ["case", *columns], rows, frozenset(), CHOSEN_BY))
    return blocks
