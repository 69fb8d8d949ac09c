"""`ftbench predict`: a trained arm is reloaded and says how sentence pairs are related, one pair or a file of them.

The predictions are the evaluation's own: its functions encode, judge and round. Nothing is fetched, unpickled or run from a model's folder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from tabulate import tabulate

from ftbench import checks, evaluation_nli, files, pair_files, progress, scores, trained_arm
from ftbench.errors import Problem, UserError
from ftbench.tables import count, inert, percent
from ftbench.text import LABELS
from ftbench.trained_arm import Arm

BATCHES = 8  # a chunk is so many batches: sorted by length, it needs little padding, and progress comes often


@dataclass(frozen=True)
class Scored:
    """What an arm made of pairs: labels [n], probabilities [n, 3], and how many pairs were cut to the arm's longest input."""

    predicted: np.ndarray
    probabilities: np.ndarray
    num_truncated: int


Judge = Callable[[Sequence[Mapping[str, Any]]], Scored]


# ---- The arm --------------------------------------------------------------------------------------------------------------------


def read_arm(folder: Path, base: Path | None) -> Arm:
    """A trained arm that judges pairs, and its base, looked at but not loaded. Raises UserError if either is not what it should be."""
    return trained_arm.read(folder, base, evaluation_nli.PAIR_KINDS)


def load(arm: Arm, batch_size: int) -> Judge:
    """The arm as a function from pairs to what it makes of them, in their order. Raises UserError for weights that do not fit."""
    import torch

    model, tokenizer = trained_arm.load(arm)

    def judge(pairs: Sequence[Mapping[str, Any]]) -> Scored:
        columns = {name: [pair[name] for pair in pairs] for name in pair_files.NEEDED}
        try:
            judged = evaluation_nli.judge(arm.described, model, tokenizer, columns, arm.text, batch_size)
        except torch.OutOfMemoryError:
            raise UserError(Problem(f"--batch-size {batch_size}", "the GPU's memory is full", mend="say a smaller one")) from None
        log_probabilities = judged.log_probabilities.astype(np.float32)  # as the evaluation keeps them
        probabilities = np.exp(log_probabilities.astype(np.float64))
        return Scored(scores.predicted(log_probabilities), probabilities, judged.figures["num_truncated"])

    return judge


# ---- One pair -------------------------------------------------------------------------------------------------------------------


def pair(model: Path, base: Path | None, premise: str, hypothesis: str, batch_size: int) -> str:
    """The label that a trained arm gives one pair, and the probability of each label, as text to print."""
    found: list[Problem] = []
    for option, value in (("--premise", premise), ("--hypothesis", hypothesis)):
        fault = trained_arm.text_fault(value)
        found += [Problem(option, fault, allowed="a sentence")] if fault else []
    arm = checks.tried(found, lambda: read_arm(model, base))
    if found or arm is None:
        raise UserError(found)
    scored = load(arm, batch_size)([{"premise": premise, "hypothesis": hypothesis}])
    label = LABELS[scored.predicted[0]]
    rows = [[name, f"{share:.4f}", "<" if name == label else ""] for name, share in zip(LABELS, scored.probabilities[0], strict=True)]
    texts = [["premise", inert(premise)], ["hypothesis", inert(hypothesis)], ["label", label]]
    parts = [tabulate(texts, tablefmt="plain", disable_numparse=True), tabulate(rows, ["label", "probability", ""], disable_numparse=True)]
    return "\n\n".join([*parts, *_remarks(arm, scored.num_truncated, 1)])


def _remarks(arm: Arm, num_truncated: int, num_rows: int) -> list[str]:
    only = arm.described["settings"]["only"]
    longest = arm.text.max_length
    return [
        *([f"This arm reads the {only} alone."] if only else []),
        *([f"{count(num_truncated)} of {count(num_rows)} longer than this arm's {longest} tokens, and cut."] if num_truncated else []),
    ]


# ---- A file ---------------------------------------------------------------------------------------------------------------------


def file(
    model: Path, base: Path | None, source: Path, out: Path, batch_size: int, force: bool = False, stream: IO[str] | None = None
) -> str:
    """Score a file of pairs into `out` and return what to print. `out` appears whole or not at all. Progress goes to `stream` (stderr)."""
    found: list[Problem] = []
    kind = checks.tried(found, lambda: pair_files.file_format(out, "--out"))
    if out.exists() and source.exists() and out.samefile(source):
        found.append(Problem(f"--out {inert(out)}", "the file that is read", mend="name another one"))
    elif out.is_dir() or (out.exists() and not force):
        found.append(
            Problem(f"--out {inert(out)}", "is there already", mend="name another one" + ("" if out.is_dir() else ", or say --force"))
        )
    arm = checks.tried(found, lambda: read_arm(model, base))
    checked = checks.tried(found, lambda: pair_files.check(source))
    if found or arm is None or checked is None or kind is None:
        raise UserError(found)
    confusion, num_truncated, done = np.zeros((3, 3), dtype=int), 0, 0
    with files.written_atomically(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as written:
        write = pair_files.writer(written, kind, [*checked.columns, *pair_files.ADDED])
        judge = load(arm, batch_size)
        report = progress.reporter(checked.num_rows, stream or sys.stderr)
        for rows in pair_files.chunks(checked, BATCHES * batch_size):
            scored = judge(rows)
            for row, label, shares in zip(rows, scored.predicted, scored.probabilities, strict=True):
                if (gold := pair_files.gold(row)) is not None:
                    confusion[gold, label] += 1
                digits = [float(f"{share:.{files.SIGNIFICANT_DIGITS}g}") for share in shares]
                write({**row, **dict(zip(pair_files.ADDED, [LABELS[label], *digits], strict=True))})
            num_truncated += scored.num_truncated
            done += len(rows)
            report(done)
    lines = [f"pairs scored: {count(done)}, written to {inert(out)}", *_remarks(arm, num_truncated, done)]
    return "\n".join([*lines, *(_accuracy(confusion, done) if "label" in checked.columns else [])])


def _accuracy(confusion: np.ndarray, num_rows: int) -> list[str]:
    """Accuracy with its interval over items, and the confusion table, of the rows that have a gold label."""
    from ftbench import statistics  # imports scipy

    num_gold, right = int(confusion.sum()), int(confusion.trace())
    lacking = f"{count(num_rows - num_gold)} without a gold label left out" if num_rows > num_gold else "every pair has a gold label"
    if not num_gold:
        return ["no pair has a gold label: no accuracy"]
    found = statistics.interval(np.repeat([1.0, 0.0], [right, num_gold - right]))
    share = (
        f"accuracy {percent(found.mean)} (95 % interval {percent(found.low)} to {percent(found.high)}), n = {count(num_gold)}; {lacking}"
    )
    table = [[label, *map(count, cells)] for label, cells in zip(LABELS, confusion.tolist(), strict=True)]
    drawn = tabulate(table, ["gold, then predicted:", *LABELS], disable_numparse=True, colalign=("left", "right", "right", "right"))
    return [share, "", drawn]
