"""Whether the parts of a scale fit together: names that stand for something, base models for methods, data sets for tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ftbench import corpus, grid, instructions, lexicon, miniature, params, schema, sources
from ftbench.errors import Problem, nearest
from ftbench.schema_datasets import Dataset, FileDataset, GeneratedDataset
from ftbench.schema_models import DECODERS, ENCODERS, Dimensions, MiniatureModel, Model

ROTATED = {"phi": 0.5, "llama": 1.0, "falcon": 1.0}  # the share of each head that turns with the position, where dimensions say none
BLOOM = ("query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h", "lm_head")
LAYERS = {  # what LoRA may name in each architecture: linear layers
    "roberta": ("query", "key", "value", "dense"),
    "phi": ("q_proj", "k_proj", "v_proj", "dense", "fc1", "fc2", "lm_head"),
    "llama": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"),
    "bloom": BLOOM,
    "falcon": BLOOM,
}


def unknown(keys: tuple[str, ...], names: Iterable[str], allowed: Iterable[str], what: str) -> list[Problem]:
    """A problem, with the nearest name, for each key of `names` below `keys` that is not allowed."""
    allowed = list(allowed)
    listed = ", ".join(allowed) or "none"
    return [Problem(params.at(*keys, name), f"an unknown {what}", listed, nearest(name, allowed)) for name in names if name not in allowed]


def _unlisted(keys: tuple[str, ...], names: Iterable[str], allowed: Iterable[str]) -> list[Problem]:
    allowed = list(allowed)
    return [Problem(params.at(*keys), name, ", ".join(allowed), nearest(name, allowed)) for name in names if name not in allowed]


def dataset(scale: str, name: str, data: Dataset) -> list[Problem]:
    """What is wrong with the genres of a generated data set, and with the names of ours that another gives columns for."""
    columns = () if isinstance(data, GeneratedDataset) else data.columns or ()
    found = unknown((scale, "datasets", name, "columns"), columns, sources.PUBLISHED.get(data.task, ()), f"column of the task {data.task}")
    for key in ("genres", "mismatched_genres") if isinstance(data, GeneratedDataset) else ():
        found += _unlisted((scale, "datasets", name, key), getattr(data, key) or (), lexicon.GENRES)
    return found


def base(scale: str, name: str, model: Model, pretraining: Dataset | None) -> list[Problem]:
    """What is wrong with a base model: dimensions that its architecture has not, kinds of text that its corpus has not."""
    found = []
    family = miniature.FAMILIES.get(model.architecture)
    if family and model.dimensions:
        given = model.dimensions.model_dump(exclude_none=True, exclude={"vocab_size"})
        place = (scale, "models", name, "dimensions")
        strange = unknown(place, sorted(given), family.dimensions, f"dimension of {model.architecture}")
        if isinstance(model, MiniatureModel) and not strange:  # what the stage checkpoint would say, but before anything runs
            impossible = miniature.mistakes(model.architecture, given)
            for problem in impossible:
                where = params.at(*place, *([problem.where.rsplit(".", 1)[1]] if "." in problem.where else []))
                found.append(Problem(where, problem.found, problem.allowed, problem.mend))
            found += [] if impossible else _rotation(place, model.architecture, given)
        found += strange
    num_positions = _positions(model.architecture, model.dimensions)
    if isinstance(model, MiniatureModel) and num_positions and model.pretraining.block_size > num_positions:
        limit = f"at most {num_positions}, what it has positions for"
        found.append(Problem(params.at(scale, "models", name, "pretraining", "block_size"), str(model.pretraining.block_size), limit))
    if isinstance(model, MiniatureModel) and pretraining:
        kinds: Iterable[str] = [*corpus.KINDS, *instructions.DOCUMENT_KINDS]
        if isinstance(pretraining, FileDataset):
            kinds = sorted({str(file.kind) for files in pretraining.files.values() for file in files})
        found += _unlisted((scale, "models", name, "pretraining", "kinds"), model.pretraining.kinds, kinds)
    return found


def _rotation(place: tuple[str, ...], architecture: str, given: Mapping[str, Any]) -> list[Problem]:
    """Positions turn the values of a head in pairs."""
    if architecture not in ROTATED:
        return []
    turned = int(given["hidden_size"] // given["num_attention_heads"] * given.get("partial_rotary_factor", ROTATED[architecture]))
    if turned and turned % 2 == 0:
        return []
    key = "partial_rotary_factor" if "partial_rotary_factor" in given else "hidden_size"
    return [Problem(params.at(*place, key), f"positions turn {turned} values of each head", "an even number of them, 2 or more")]


def arm(keys: tuple[str, str], arm: str, settings: schema.Arm, method: str, text: schema.Text, name: str, model: Model) -> list[Problem]:
    """What is wrong with training the base model `name` in this way; `keys` are the scale and the study."""
    found = []
    here = params.at(*keys) + f" (arm {arm})"
    known = grid.METHODS.get(method)
    if known and model.architecture in (DECODERS if known.encoder else ENCODERS):
        kind = "an encoder" if known.encoder else "a decoder"
        where = params.at(keys[0], "models", name, "architecture")
        found.append(Problem(where, model.architecture, f"{kind}, which the arm {arm} of {keys[1]} trains"))
    elif isinstance(settings.adapter, schema.LoraAdapter) and model.architecture in LAYERS:
        layers = LAYERS[model.architecture]
        for layer in settings.adapter.target_modules:
            if layer not in layers:
                found.append(Problem(here, f'target_modules "{layer}"', ", ".join(layers), nearest(layer, layers)))
    if known and not known.encoder and text.template is None:
        found.append(Problem(params.at(*keys, "text"), "no template", "a template: a decoder reads a prompt"))
    return found + (_size(here, arm, keys, settings, text, name, model, model.dimensions) if model.dimensions else [])


def _size(
    here: str,
    arm: str,
    keys: tuple[str, str],
    settings: schema.Arm,
    text: schema.Text,
    name: str,
    model: Model,
    dimensions: Dimensions,
) -> list[Problem]:
    found = []
    num_tokens = text.max_length
    if isinstance(settings.adapter, schema.PromptAdapter):
        num_tokens += settings.adapter.num_virtual_tokens
    num_positions = _positions(model.architecture, dimensions)
    if num_positions and num_tokens > num_positions:
        limit = f"at most {num_positions} with virtual tokens, what {name} has positions for"
        found.append(Problem(params.at(*keys, "text", "max_length"), f"{num_tokens} tokens for the arm {arm}", limit))
    if isinstance(settings.adapter, schema.TopLayers) and settings.adapter.num_top_layers > dimensions.num_hidden_layers:
        limit = f"at most {dimensions.num_hidden_layers}, the layers of {name}"
        found.append(Problem(here, f"num_top_layers {settings.adapter.num_top_layers}", limit))
    return found


def three_shot(
    keys: tuple[str, str],
    study: schema.Study,
    examples: schema.ThreeShot,
    evaluation: schema.Evaluation | None,
    models: Mapping[str, Model],
    data: Dataset | None,
) -> list[Problem]:
    """What is wrong with solved examples in front of a study's base models: no room for them, or too few rows to draw them from."""
    found = []
    where = params.at(*keys, grid.THREE_SHOT, "max_length")
    answer = evaluation.max_new_tokens if evaluation else None
    if answer and examples.max_length <= answer:
        found.append(Problem(where, str(examples.max_length), f"more than {answer}, the tokens of the longest answer"))
    for name in (name for name in study.three_shot if name in models):
        num_positions = _positions(models[name].architecture, models[name].dimensions)
        if num_positions and examples.max_length > num_positions:
            found.append(Problem(where, str(examples.max_length), f"at most {num_positions}, what {name} has positions for"))
    num_rows = data.splits.sizes().get("train") if data else None
    if num_rows and examples.num_examples > num_rows:
        where = params.at(*keys, grid.THREE_SHOT, "num_examples")
        found.append(Problem(where, str(examples.num_examples), f"at most {num_rows}, the rows of train"))
    return found


def _positions(architecture: str, dimensions: Dimensions | None) -> int | None:
    """The longest input in tokens that a model has positions for; None where it is not stated or unlimited."""
    return miniature.longest_input(architecture, dimensions.max_position_embeddings if dimensions else None)


def task(keys: tuple[str, str], study: schema.Study, data: Dataset, text: schema.Text, evaluation: schema.Evaluation) -> list[Problem]:
    """What is wrong with asking this of that data: answers need instructions, labels need pairs."""
    found = []
    answers = any(grid.method_of(study, arm) == "sft" for arm in grid.arms(study))
    wanted = "instructions" if answers else "nli"
    if data.task != wanted:
        found.append(Problem(params.at(keys[0], "datasets", study.dataset, "task"), data.task, f"{wanted}, which {keys[1]} trains on"))
    if study.primary_metric not in schema.PAIRED_METRICS[wanted]:
        allowed = ", ".join(schema.PAIRED_METRICS[wanted])
        found.append(Problem(params.at("studies", keys[1], "primary_metric"), study.primary_metric, f"{allowed}: what each example has"))
    if answers != isinstance(text.template, schema.InstructionTemplate):
        allowed = "with_input and without_input" if answers else "one prompt for a pair, or none for an encoder"
        found.append(Problem(params.at(*keys, "text", "template"), "a template of the other task", allowed))
    if answers != (evaluation.max_new_tokens is not None):
        allowed = "a number of tokens" if answers else "none: nothing is generated"
        found.append(Problem(params.at(*keys, "evaluation", "max_new_tokens"), params.shown(evaluation.max_new_tokens), allowed))
    return found
