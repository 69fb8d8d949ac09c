"""A trained arm that a user names: looked at before it is loaded, so that whatever is wrong is said in seconds and in one block.

Nothing is fetched, unpickled or run from a model's folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ftbench import bases, evaluation_nli, files, pair_files, params, schema, weights
from ftbench.errors import Problem, UserError
from ftbench.tables import inert

BASES = Path("models/base")
ANSWERS = "answers"  # the kind of the arms that answer instructions
OTHER_USE = {True: "answers instructions, which has no labels to predict", False: "judges sentence pairs, which answers no question"}
OTHER_COMMAND = {
    True: "name an arm of a study of sentence pairs, or put a question to this one by `ftbench ask`",
    False: "name an arm of the study of instructions, or give this one a pair by `ftbench predict`",
}

Block = TypeVar("Block", bound=BaseModel)


@dataclass(frozen=True)
class Arm:
    """A trained arm on disk: what its `arm.json` says, its texts' settings, its folder and that of its base model."""

    described: Mapping[str, Any]
    text: schema.Text
    folder: Path
    base: Path


def text_fault(value: str) -> str:
    """What is wrong with a text from the command line, in words that follow its name; "" if nothing is."""
    return pair_files.text_fault(value) or ("is not UTF-8" if any("\ud800" <= character <= "\udfff" for character in value) else "")


def read(folder: Path, base: Path | None, kinds: Sequence[str]) -> Arm:
    """A trained arm of one of some kinds, and its base, looked at but not loaded. Raises UserError if either is not what it should be."""
    if not (folder / "arm.json").is_file():
        allowed = (
            f"the folder of a trained arm, such as models/{'alpaca/open_llama_3b-study-0' if ANSWERS in kinds else 'multinli/lora-own-0'}"
        )
        raise UserError(Problem(inert(folder), "no trained arm: no arm.json in it", allowed, "run `dvc repro`, which trains the arms"))
    described = files.read_json(folder / "arm.json")
    where = f"{inert(folder)}/arm.json"
    kind = described.get("kind")
    if kind not in kinds:
        answers = kind == ANSWERS
        known = answers or kind in evaluation_nli.PAIR_KINDS
        found, mend = (f"an arm that {OTHER_USE[answers]}", OTHER_COMMAND[answers]) if known else (inert(repr(kind)), "train the arm again")
        raise UserError(Problem(f"{where}: kind", found, ", ".join(kinds), mend))
    text, settings = _built(schema.Text, described, "text", where), _built(schema.Arm, described, "settings", where)
    adapted = isinstance(settings.adapter, (schema.LoraAdapter, schema.PromptAdapter))
    if kind == ANSWERS and not (adapted and isinstance(text.template, schema.InstructionTemplate)):
        raise UserError(Problem(where, "an arm of answers without the two templates or an adapter", mend="train the arm again"))
    if kind in ("label", "decoder_head") and (text.labels is None or (kind == "decoder_head" and settings.token is None)):
        raise UserError(Problem(where, f"a {kind} without a template, labels or the token that is read", mend="train the arm again"))
    _refuse_without_weights(folder, adapted)
    return Arm(described, text, folder, _base(str(described.get("model")), base))


def _base(model: str, base: Path | None) -> Path:
    """The folder of an arm's base: the one named, or its own under models/base."""
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
    return base


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


def load(arm: Arm) -> tuple[Any, Any]:
    """The arm's model and tokenizer, ready to predict. Raises UserError for weights that do not fit."""
    import torch
    from safetensors import SafetensorError

    from ftbench import models

    try:
        if odd := [f"{path.name}: {name}" for path in sorted(arm.folder.glob("*.safetensors")) for name in weights.not_numbers(path)]:
            found = inert(f"{len(odd)} tensors hold values that are not numbers, first {odd[0]}")
            raise UserError(Problem(inert(arm.folder), found, mend="fetch it again with `dvc pull`, or train the arm again"))
        model, tokenizer = models.load_arm(arm.folder, arm.base)
    except (SafetensorError, ValueError, KeyError, RuntimeError, OSError) as error:
        if isinstance(error, torch.OutOfMemoryError) or getattr(error, "errno", None) is not None:
            raise  # the machine's fault; transformers raises an OSError without a number for a broken file
        reason = inert(" ".join(str(error).split()[:40]))
        mend = f"fetch both again with `dvc pull`, or train the arm again on {inert(arm.base)}"
        raise UserError(Problem(inert(arm.folder), f"cannot be loaded on {inert(arm.base)}: {reason}", mend=mend)) from None
    return model, tokenizer
