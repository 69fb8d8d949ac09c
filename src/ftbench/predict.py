"""`ftbench predict`: a trained arm is reloaded and says how sentence pairs are related, one pair or a file of them.

The predictions are the evaluation's own: its functions encode, judge and round. Nothing is fetched, unpickled or run from a model's folder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError
from tabulate import tabulate

from ftbench import bases, checks, evaluation_nli, files, pair_files, params, progress, schema, scores, weights
from ftbench.errors import Problem, UserError
from ftbench.tables import count, inert, percent
from ftbench.text import LABELS

BASES = Path("models/base")
BATCHES = 8  # a chunk is so many batches: sorted by length, it needs little padding, and progress comes often

Block = TypeVar("Block", bound=BaseModel)


@dataclass(frozen=True)
class Arm:
    """A trained arm on disk: what its `arm.json` says, its texts' settings, its folder and that of its base model."""

    described: Mapping[str, Any]
    text: schema.Text
    folder: Path
    base: Path


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
    if not (folder / "arm.json").is_file():
        allowed = "the folder of a trained arm, such as models/multinli/lora-own-0"
        raise UserError(Problem(inert(folder), "no trained arm: no arm.json in it", allowed, "run `dvc repro`, which trains the arms"))
    described = files.read_json(folder / "arm.json")
    where = f"{inert(folder)}/arm.json"
    kind = described.get("kind")
    if kind == "answers":
        found = "an arm that answers instructions, which has no labels to predict"
        raise UserError(Problem(f"{where}: kind", found, ", ".join(evaluation_nli.PAIR_KINDS), "name an arm of a study of sentence pairs"))
    if kind not in evaluation_nli.PAIR_KINDS:
        raise UserError(Problem(f"{where}: kind", inert(repr(kind)), ", ".join(evaluation_nli.PAIR_KINDS), "train the arm again"))
    text, settings = _built(schema.Text, described, "text", where), _built(schema.Arm, described, "settings", where)
    if (kind != "encoder_head" and text.labels is None) or (kind == "decoder_head" and settings.token is None):
        raise UserError(Problem(where, f"a {kind} without a template, labels or the token that is read", mend="train the arm again"))
    _refuse_without_weights(folder, adapted=isinstance(settings.adapter, (schema.LoraAdapter, schema.PromptAdapter)))
    model = str(described.get("model"))
    base = BASES / model if base is None else base
    if not (base / bases.MANIFEST).is_file():
        mend = f"run `dvc repro checkpoint@{inert(model)}` in the project's folder, or say --base FOLDER"
        raise UserError(Problem(f"--base {inert(base)}", "no base model: no manifest.json in it", inert(model), mend))
    other = bases.manifest(base).get("model")
    if other != model:
        raise UserError(Problem(f"--base {inert(base)}", inert(other), inert(model), "name the base that the arm was trained on"))
    if not weights.find(Path(bases.location(base)), weights.SAFETENSORS):
        raise UserError(
            Problem(inert(bases.location(base)), "no weights in safetensors", mend=f"run `dvc repro checkpoint@{inert(model)}`")
        )
    return Arm(described, text, folder, base)


def _built(block: type[Block], described: Mapping[str, Any], key: str, where: str) -> Block:
    value = described.get(key)
    try:
        return block.model_validate(value)
    except ValidationError as error:
        found = params.problems(block, value, lambda place: f"{where}: {'.'.join(map(str, [key, *place]))}", error)
        raise UserError([pair_files.harmless(problem) for problem in found]) from None


def _refuse_without_weights(folder: Path, adapted: bool) -> None:
    # PEFT and transformers look for a pickle, and then on the hub, where the file in safetensors is missing.
    def there(name: str) -> bool:
        return (folder / name).is_file()

    whole = bool(weights.find(folder, weights.SAFETENSORS))
    needed = {"adapter_config.json": adapted, "adapter_model.safetensors": adapted or there("adapter_config.json")}
    lacking = [name for name, wanted in needed.items() if wanted and not there(name)]
    if there("config.json") and not whole:
        lacking.append("model.safetensors")
    if not lacking and not (whole or there("trained.safetensors") or there("adapter_model.safetensors")):
        lacking.append("trained.safetensors")
    if lacking:
        raise UserError(Problem(inert(folder), f"no {', '.join(lacking)}", "a whole arm", "run `dvc repro`, or fetch it with `dvc pull`"))


def load(arm: Arm, batch_size: int) -> Judge:
    """The arm as a function from pairs to what it makes of them, in their order. Raises UserError for weights that do not fit."""
    import torch
    from safetensors import SafetensorError

    from ftbench import models

    try:
        model, tokenizer = models.load_arm(arm.folder, arm.base)
    except (SafetensorError, ValueError, KeyError, RuntimeError, OSError) as error:
        if isinstance(error, torch.OutOfMemoryError) or getattr(error, "errno", None) is not None:
            raise  # the machine's fault; transformers raises an OSError without a number for a broken file
        reason = inert(" ".join(str(error).split()[:40]))
        mend = f"fetch both again with `dvc pull`, or train the arm again on {inert(arm.base)}"
        raise UserError(Problem(inert(arm.folder), f"cannot be loaded on {inert(arm.base)}: {reason}", mend=mend)) from None

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
        fault = pair_files.text_fault(value) or ("is not UTF-8" if _has_surrogates(value) else "")
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


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


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
