"""What a change did to the results: two runs as git keeps them in, one page of Markdown out, made for a pull request."""

from __future__ import annotations

from dataclasses import dataclass

from ftbench import diff_details, diff_files, diff_scores
from ftbench.diff_files import Snapshot
from ftbench.diff_scores import Move, counted
from ftbench.errors import Problem, UserError
from ftbench.tables import Block, Heading, Paragraph, escaped, markdown

REGRESSION = "regression"  # what --fail-on may name


@dataclass(frozen=True)
class Changes:
    """The page, and the primary metrics that got worse beyond noise."""

    page: str
    regressions: list[Move]


def between(old: str, new: str | None) -> Changes:
    """What changed from revision `old` to revision `new`, or to the workspace. Raises UserError as `diff_files` and `compare` do."""
    before = diff_files.at(old)
    return compare(before, diff_files.workspace() if new is None else diff_files.at(new))


def compare(before: Snapshot, after: Snapshot) -> Changes:
    """What changed from one run to another. Raises UserError if a study, or the ledger, is of another scale than before."""
    _refuse_other_scales(before, after)
    moves = diff_scores.moves(before, after)
    sections: list[Block] = [
        *diff_scores.section(before, after),
        *diff_details.settings(before, after),
        *diff_details.stages(before, after),
        *diff_details.costs(before, after),
        *diff_details.cases(before, after),
        *diff_details.verdicts(before, after),
    ]
    which = f"from {escaped(before.label)} to {escaped(after.label)}"
    if not sections:
        nothing = f"No score, setting, result, cost, failure case or verdict changed {which}."
        return Changes(markdown([Paragraph(nothing)]), [])
    regressions = [move for move in moves if move.beyond and move.worse]
    scales = sorted({str(study.comparison["scale"]) for study in after.studies.values()})
    title = Heading(f"Results {which}", 2)
    summary = Paragraph(f"{_summary(before, after, moves, regressions)} Scale {escaped(', '.join(scales))}.")
    return Changes(markdown([title, summary, *sections]), regressions)


def _summary(before: Snapshot, after: Snapshot, moves: list[Move], regressions: list[Move]) -> str:
    ran = [what for entries in diff_details.reran(before, after).values() for what in entries.values()]
    same = ran.count(diff_details.AGAIN)
    beyond = [move for move in moves if move.beyond]
    flipped = len(diff_details.flipped(before, after))
    parts = [
        f"{counted(len(ran), 'arm or baseline') if len(ran) == 1 else f'{len(ran)} arms and baselines'} ran"
        + (f" ({same} to the same results)" if same else ""),
        f"{counted(len(beyond), 'primary score')} moved beyond noise, {len(regressions)} for the worse",
        f"{counted(flipped, 'verdict')} of the ledger flipped",
    ]
    return "; ".join(parts) + "."


def _refuse_other_scales(before: Snapshot, after: Snapshot) -> None:
    scales = {
        f"reports/{name}/comparison.json": (old.comparison["scale"], new.comparison["scale"])
        for name, (old, new) in diff_scores.shared(before, after).items()
    }
    if before.ledger_scale and after.ledger_scale:
        scales[diff_files.LEDGER] = (before.ledger_scale, after.ledger_scale)
    problems = [
        Problem(where, f"scale {was} at {before.label}, {now} in {after.label}", "one scale", "compare with a revision of the same scale")
        for where, (was, now) in scales.items()
        if was != now
    ]
    if problems:
        raise UserError(problems)
