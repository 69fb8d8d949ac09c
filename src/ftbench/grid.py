"""Which settings an arm has: the blocks of its levels in params.yaml, put together. Each function reads only its own part of the file.

An arm is one level of each factor of its study, joined by "-". Its settings are the union of the blocks `<scale>.<study>.<level>` of its
levels; a setting that depends on another factor is a mapping from that factor's levels. A level without a block is only a name.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError

from ftbench import params, schema
from ftbench.errors import Problem, UserError, nearest
from ftbench.schema_datasets import DATASETS, Dataset
from ftbench.schema_models import MODELS, Model

Raw = Mapping[str, Any]
BASELINES = ("majority", "hypothesis_only", "premise_only", "overlap", "pair_ngrams", "untrained_head", "zero_shot", "one_shot")
PROMPTED = ("zero_shot", "one_shot")
THREE_SHOT = "three_shot"
SHARED = ("text", "evaluation")


@dataclass(frozen=True, slots=True)
class Method:
    """What a train script can use: the kind of adapter, of base model, and the settings beside training and learning_rate."""

    adapter: type[schema.Strict] | None
    encoder: bool
    settings: frozenset[str] = frozenset()


METHODS = {
    "full": Method(None, True, frozenset({"pretrained", "only"})),
    "top_layers": Method(schema.TopLayers, True),
    "lora": Method(schema.LoraAdapter, True),
    "p_tuning": Method(schema.PromptAdapter, True),
    "p_tuning_with_backbone": Method(schema.PromptAdapter, True),
    "qlora_label": Method(schema.LoraAdapter, False, frozenset({"quantization"})),
    "qlora_head": Method(schema.LoraAdapter, False, frozenset({"quantization", "token"})),
    "study_layer": Method(schema.StudyLayer, False, frozenset({"quantization", "token"})),
    "soft_prompt": Method(schema.PromptAdapter, False, frozenset({"quantization"})),
    "sft": Method(schema.LoraAdapter, False, frozenset({"quantization"})),
}


def scales(raw: Raw) -> list[str]:
    """The scales that params.yaml holds, in its order: every block at the top but `scale` and `studies`."""
    return [name for name in raw if name not in ("scale", "studies")]


def scale(raw: Raw) -> str:
    """The scale that params.yaml selects."""
    name = params.find(raw, "scale")
    there = scales(raw)
    if not isinstance(name, str) or name not in there:
        raise UserError(
            Problem(params.at("scale"), params.shown(name), ", ".join(there) or "a block of that name", nearest(str(name), there))
        )
    return name


def study(raw: Raw, name: str) -> schema.Study:
    """The design of a study: `studies.<name>`."""
    return params.build(schema.Study, params.find(raw, "studies", name), "studies", name)


def levels(arm: str) -> list[str]:
    """The levels that an arm's name joins, one per factor."""
    return arm.split("-")


def arms(study: schema.Study) -> list[str]:
    """The names of a study's arms, the last factor varying fastest."""
    return ["-".join(combination) for combination in itertools.product(*study.factors.values())]


def with_examples(model: str) -> str:
    """The name of the baseline that is a base model with solved examples in front: `open_llama_3b_three_shot`."""
    return f"{model}_{THREE_SHOT}"


def baselines(study: schema.Study) -> list[str]:
    """The names of all that a study scores without fine-tuning."""
    return [*study.baselines, *map(with_examples, study.three_shot)]


def model_of(study: schema.Study, arm: str) -> str:
    """The base model of an arm: the study's, or the arm's own level where `model` is a factor."""
    return study.model or levels(arm)[list(study.factors).index("model")]


def method_of(study: schema.Study, arm: str) -> str:
    """The method of an arm, which names its script `stages/train_<method>.py`."""
    return study.method or levels(arm)[list(study.factors).index("method")]


def dataset(raw: Raw, name: str) -> Dataset:
    """The data set `<scale>.datasets.<name>`."""
    return cast(Dataset, _by_source(raw, DATASETS, scale(raw), "datasets", name))


def model(raw: Raw, name: str) -> Model:
    """The base model `<scale>.models.<name>`."""
    return cast(Model, _by_source(raw, MODELS, scale(raw), "models", name))


def _by_source(raw: Raw, kinds: dict[str, type[schema.Strict]], *keys: str) -> schema.Strict:
    source = params.find(raw, *keys, "source")
    if not isinstance(source, str) or source not in kinds:
        raise UserError(Problem(params.at(*keys, "source"), params.shown(source), ", ".join(kinds), nearest(str(source), kinds)))
    return params.build(kinds[source], params.find(raw, *keys), *keys)


def text(raw: Raw, study: str) -> schema.Text:
    """How the examples of a study become tokens: `<scale>.<study>.text`."""
    return params.build(schema.Text, params.find(raw, scale(raw), study, "text"), scale(raw), study, "text")


def evaluation(raw: Raw, study: str) -> schema.Evaluation:
    """How the arms of a study are evaluated: `<scale>.<study>.evaluation`."""
    return params.build(schema.Evaluation, params.find(raw, scale(raw), study, "evaluation"), scale(raw), study, "evaluation")


def prompts(raw: Raw, study: str, baseline: str) -> schema.Prompts:
    """The wordings of a prompted baseline: `<scale>.<study>.<baseline>`, or where there is no such block the study's own template."""
    blocks = params.find(raw, scale(raw), study)
    if isinstance(blocks, Mapping) and baseline in blocks:
        return params.build(schema.Prompts, blocks[baseline], scale(raw), study, baseline)
    template = text(raw, study).template
    if baseline != "zero_shot" or not isinstance(template, str):
        raise UserError(Problem(params.at(scale(raw), study, baseline), "not there", "a block with `templates`", "add it"))
    return schema.Prompts(templates=[template])


def three_shot(raw: Raw, study: str) -> schema.ThreeShot:
    """The examples in front of the base models that a study's `three_shot` names: `<scale>.<study>.three_shot`."""
    keys = (scale(raw), study, THREE_SHOT)
    return params.build(schema.ThreeShot, params.find(raw, *keys), *keys)


def arm(raw: Raw, study: str, arm: str) -> schema.Arm:
    """The settings of an arm at the selected scale. Raises UserError with every mistake in the blocks of its levels."""
    keys = (scale(raw), study)
    settings, places, found = _resolved(params.find(raw, *keys), keys, arm)
    method = METHODS.get(_method_name(raw, study, arm) or "")
    adapter = settings.get("adapter")
    if "adapter" in places and (adapter is not None or (method and method.adapter)):
        try:
            settings["adapter"] = _adapter(adapter, method, places["adapter"])
        except UserError as error:
            found += error.problems
            settings["adapter"] = None
    if method:
        found += _misfits(settings, places, method, keys, arm)
    try:
        result = schema.Arm.model_validate(settings)
    except ValidationError as error:
        found += params.problems(schema.Arm, settings, lambda place: _where(place, places, keys, arm), error)
    if found:
        raise UserError(_once(found))
    return result


def _resolved(blocks: Any, keys: tuple[str, ...], arm: str) -> tuple[dict[str, Any], dict[str, tuple[str, ...]], list[Problem]]:
    # settings by name, the place of each in params.yaml, and what is wrong with putting them together
    own = levels(arm)
    settings: dict[str, Any] = {}
    places: dict[str, tuple[str, ...]] = {}
    found: list[Problem] = []
    if not isinstance(blocks, Mapping):
        raise UserError(Problem(params.at(*keys), params.shown(blocks), "a mapping with a block per level"))
    named = [level for level in own if level in blocks and level not in SHARED]
    if not named:
        there = [name for name in blocks if name not in SHARED]
        hint = next((hint for level in own if (hint := nearest(level, there))), "")
        raise UserError(Problem(params.at(*keys), f"no block for any level of the arm {arm}", ", ".join(there), hint))
    for level in named:
        if not isinstance(blocks[level], Mapping):
            found.append(Problem(params.at(*keys, level), params.shown(blocks[level]), "a mapping of settings"))
            continue
        for setting, value in blocks[level].items():
            place = (*keys, level, setting)
            if setting in places:
                found.append(Problem(params.at(*place), f"the setting is also at {params.at(*places[setting])}", "one of the two"))
                continue
            value, place, problem = _picked(value, place, own, arm)
            places[setting] = place
            if problem:
                found.append(problem)
            else:
                settings[setting] = value
    return settings, places, found


def _picked(value: Any, place: tuple[str, ...], own: list[str], arm: str) -> tuple[Any, tuple[str, ...], Problem | None]:
    if not isinstance(value, Mapping):
        return value, place, None
    picked = [level for level in own if level in value]
    if picked:
        return value[picked[0]], (*place, picked[0]), None
    if is_by_level(place[-1], value):
        hint = next((hint for level in own if (hint := nearest(level, value))), "")
        return (
            value,
            place,
            Problem(params.at(*place), f"no value for the arm {arm} among {', '.join(value)}", "a level of its other factor", hint),
        )
    return value, place, None


def is_by_level(setting: str, value: Any) -> bool:
    """Whether a setting's mapping can only be one from levels to values: a learning rate, or a block of blocks."""
    if not isinstance(value, Mapping) or not value:
        return False
    return setting == "learning_rate" or all(isinstance(item, Mapping) for item in value.values())


def _method_name(raw: Raw, study: str, arm: str) -> str | None:
    design = raw.get("studies", {}).get(study, {}) if isinstance(raw.get("studies"), Mapping) else {}
    named = design.get("method") if isinstance(design, Mapping) else None
    return named if isinstance(named, str) else next((level for level in levels(arm) if level in METHODS), None)


def _adapter(value: Any, method: Method | None, place: tuple[str, ...]) -> schema.Strict | None:
    kind = method.adapter if method else _kind(value)
    if kind is None:
        raise UserError(Problem(params.at(*place), params.shown(value), "null: this method trains no adapter"))
    return params.build(kind, value, *place)


def _kind(value: Any) -> type[schema.Strict]:
    keys = set(value) if isinstance(value, Mapping) else set()
    return max(schema.ADAPTERS, key=lambda kind: (len(keys & set(kind.model_fields)), -len(kind.model_fields)))


def _misfits(settings: Mapping[str, Any], places: Raw, method: Method, keys: tuple[str, ...], arm: str) -> list[Problem]:
    found = []
    usable = {"adapter", "training", "learning_rate", "attn_implementation", "launch"} | method.settings
    for setting in settings:
        if setting in schema.Arm.model_fields and setting not in usable:
            found.append(Problem(params.at(*places[setting]), "a setting that the arm's method does not use", ", ".join(sorted(usable))))
    missing = {"adapter"} - set(places) if method.adapter else set()
    if "token" in method.settings and settings.get("token") is None:
        missing.add("token")
    for setting in sorted(missing):
        found.append(Problem(params.at(*keys), f"the arm {arm} has no {setting}", "a block of one of its levels that holds it"))
    return found


def _where(place: list[Any], places: Mapping[str, tuple[str, ...]], keys: tuple[str, ...], arm: str) -> str:
    if place and place[0] in places:
        return params.at(*places[place[0]], *place[1:])
    return params.at(*keys, *place) + f" (arm {arm})"


def _once(problems: list[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))
