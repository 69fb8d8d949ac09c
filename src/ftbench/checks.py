"""Whether params.yaml fits together: every study, every scale, every arm, before anything runs. All mistakes at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ftbench import fits, grid, params, schema, sweep_settings
from ftbench.errors import Problem, UserError, nearest
from ftbench.schema_datasets import Dataset
from ftbench.schema_models import MiniatureModel, Model
from ftbench.sweep_settings import SECTION, Sweep

Raw = Mapping[str, Any]
Result = TypeVar("Result")
KINDS: tuple[type[schema.Strict], ...] = (schema.Training, schema.Quantization, *schema.ADAPTERS)
# a level of this name could be taken for a block of its study, or for a key inside a setting
RESERVED = {*grid.SHARED, *grid.PROMPTED, grid.THREE_SHOT, *(key for kind in KINDS for key in kind.model_fields)}


def everything(raw: Raw, root: Path = Path()) -> dict[str, schema.Study]:
    """The studies of a params.yaml that fits together, the train scripts under `root` included. Raises UserError with every mistake."""
    found: list[Problem] = []
    tried(found, partial(grid.scale, raw))
    studies = _studies(raw, root, found)
    for scale in grid.scales(raw):
        if not re.fullmatch(r"[a-z0-9_]+", scale):
            found.append(Problem("params.yaml", f"the name {params.shown(scale)}", "a name of a-z, 0-9 and _"))
        if isinstance(raw[scale], Mapping):
            _scale({**raw, "scale": scale}, studies, found)
        else:
            found.append(Problem(params.at(scale), params.shown(raw[scale]), "a mapping: datasets, models and a block per study"))
    if found:
        raise UserError(list({(problem.where, problem.found): problem for problem in found}.values()))
    return studies


def tried(found: list[Problem], make: Callable[[], Result]) -> Result | None:
    """What `make` makes; if it raises UserError, None, with its problems added to `found`."""
    try:
        return make()
    except UserError as error:
        found += error.problems
        return None


def _studies(raw: Raw, root: Path, found: list[Problem]) -> dict[str, schema.Study]:
    designs = raw.get("studies")
    if not isinstance(designs, Mapping) or not designs:
        found.append(Problem(params.at("studies"), params.shown(designs), "a mapping with at least one study"))
        return {}
    studies = {}
    for name in designs:
        study = tried(found, partial(grid.study, raw, name))
        problems = _design(name, study, root) if study else []
        found += problems
        if study and not problems:
            studies[name] = study
    return studies


def _design(name: str, study: schema.Study, root: Path) -> list[Problem]:
    found = []
    keys = ("studies", name)
    if name in ("datasets", "models", "figures", SECTION) or not re.fullmatch(r"[a-z0-9_]+", name):
        found.append(Problem(params.at(*keys), name, "a name of a-z, 0-9 and _ that is not datasets, models, figures or sweeps"))
    for factor, levels in study.factors.items():
        for level in levels:
            if level in RESERVED:
                found.append(Problem(params.at(*keys, "factors", factor), level, "a name that is no section of a study and no setting"))
    for key, value in (("model", study.model), ("method", study.method)):
        if (value is None) != (key in study.factors):
            found.append(Problem(params.at(*keys, key), params.shown(value), f"a name, or a factor {key} in its place"))
    arms = grid.arms(study)
    if study.reference is not None and study.reference not in arms:
        found.append(Problem(params.at(*keys, "reference"), study.reference, ", ".join(arms), nearest(study.reference, arms)))
    known = study.factors.get("model", list(grid.BASELINES))
    for baseline in study.baselines:
        if baseline not in known:
            found.append(Problem(params.at(*keys, "baselines"), baseline, ", ".join(known), nearest(baseline, known)))
    models = study.factors.get("model", [])
    for model in study.three_shot:
        if model not in models:
            found.append(Problem(params.at(*keys, grid.THREE_SHOT), model, ", ".join(models) or "none", nearest(model, models)))
        elif grid.with_examples(model) in models:
            allowed = f"a name other than {grid.with_examples(model)}, which is {model} with examples"
            found.append(Problem(params.at(*keys, "factors", "model"), grid.with_examples(model), allowed))
    return found or _scripts(keys, study, root)


def _scripts(keys: tuple[str, str], study: schema.Study, root: Path) -> list[Problem]:
    found = []
    there = sorted(path.stem.removeprefix("train_") for path in (root / "stages").glob("train_*.py"))
    place = params.at(*keys, *(("method",) if study.method else ("factors", "method")))
    for method in dict.fromkeys(grid.method_of(study, arm) for arm in grid.arms(study)):
        if method not in there:
            mend = nearest(method, there) or f"write stages/train_{method}.py"
            found.append(Problem(place, f"{method}, without a script stages/train_{method}.py", ", ".join(there), mend))
    return found


def _scale(raw: Raw, studies: Mapping[str, schema.Study], found: list[Problem]) -> None:
    scale = raw["scale"]
    blocks = raw[scale]
    if isinstance(raw.get("studies"), Mapping):
        found += fits.unknown((scale,), blocks, ["datasets", "models", SECTION, *raw["studies"]], "section")
    datasets: dict[str, Dataset] = _section(raw, "datasets", grid.dataset, found)
    models: dict[str, Model] = _section(raw, "models", grid.model, found)
    for name, data in datasets.items():
        found += fits.dataset(scale, name, data)
    for name, model in models.items():
        found += fits.base(scale, name, model, datasets.get("pretraining"))
    miniatures = any(isinstance(model, MiniatureModel) for model in models.values())
    if miniatures and isinstance(blocks.get("datasets"), Mapping) and "pretraining" not in blocks["datasets"]:
        found.append(Problem(params.at(scale, "datasets"), "no data set pretraining", "one: miniatures are pretrained on it"))
    seen: dict[str, str] = {}
    for name, study in studies.items():
        if isinstance(blocks.get(name), Mapping):
            _study(raw, name, study, datasets, models, found)
            _distinct(raw, name, study, seen, found)
        else:
            value = params.shown(blocks[name]) if name in blocks else "not there"
            found.append(Problem(params.at(scale, name), value, "a mapping: text, evaluation and a block per level"))
    if SECTION in blocks and not isinstance(blocks[SECTION], Mapping):
        found.append(Problem(params.at(scale, SECTION), params.shown(blocks[SECTION]), "a mapping: a block per sweep"))
    for name in sweep_settings.named(raw):
        sweep = tried(found, partial(sweep_settings.find, raw, name))
        found += _sweep(raw, name, sweep, studies, datasets, models) if sweep else []


def _section(raw: Raw, section: str, read: Callable[[Raw, str], Result], found: list[Problem]) -> dict[str, Result]:
    entries = raw[raw["scale"]].get(section)
    if not isinstance(entries, Mapping):
        found.append(Problem(params.at(raw["scale"], section), params.shown(entries), "a mapping"))
        return {}
    for name in entries:
        if not re.fullmatch(r"[a-z0-9_]+", name):
            found.append(Problem(params.at(raw["scale"], section), f"the name {params.shown(name)}", "a name of a-z, 0-9 and _"))
    built = {name: tried(found, partial(read, raw, name)) for name in entries}
    return {name: value for name, value in built.items() if value is not None}


def _study(
    raw: Raw,
    name: str,
    study: schema.Study,
    datasets: Mapping[str, Dataset],
    models: Mapping[str, Model],
    found: list[Problem],
) -> None:
    scale = raw["scale"]
    blocks = raw[scale][name]
    levels = [level for names in study.factors.values() for level in names]
    prompted = [baseline for baseline in study.baselines if baseline in grid.PROMPTED]
    found += fits.unknown(
        (scale, name), blocks, [*grid.SHARED, *levels, *prompted, *([grid.THREE_SHOT] if study.three_shot else [])], "level"
    )
    for level in levels:
        for setting, value in blocks[level].items() if isinstance(blocks.get(level), Mapping) else ():
            if grid.is_by_level(setting, value):
                found += fits.unknown((scale, name, level, setting), value, levels, "level")
    text = tried(found, partial(grid.text, raw, name))
    evaluation = tried(found, partial(grid.evaluation, raw, name))
    for baseline in prompted:
        tried(found, partial(grid.prompts, raw, name, baseline))
    if study.three_shot and (examples := tried(found, partial(grid.three_shot, raw, name))):
        found += fits.three_shot((scale, name), study, examples, evaluation, models, datasets.get(study.dataset))
    for section, names in (("datasets", [study.dataset]), ("models", [grid.model_of(study, arm) for arm in grid.arms(study)])):
        if isinstance(raw[scale].get(section), Mapping):
            found += fits.unknown((scale, section), names, raw[scale][section], f"name, which the study {name} needs")
    for arm in grid.arms(study):
        settings = tried(found, partial(grid.arm, raw, name, arm))
        base = grid.model_of(study, arm)
        if settings and text and base in models:
            found += fits.arm((scale, name), arm, settings, grid.method_of(study, arm), text, base, models[base])
    if study.dataset in datasets and text and evaluation:
        found += fits.task((scale, name), study, datasets[study.dataset], text, evaluation)


def _distinct(raw: Raw, name: str, study: schema.Study, seen: dict[str, str], found: list[Problem]) -> None:
    # an arm that is another one under a second name would count the same evidence twice
    for arm in grid.arms(study):
        try:
            parts = [grid.arm(raw, name, arm).model_dump_json(), grid.text(raw, name).model_dump_json()]
        except UserError:
            continue
        key = "\n".join([study.dataset, grid.model_of(study, arm), grid.method_of(study, arm), *parts])
        if key in seen:
            where = params.at(raw["scale"], name)
            what = f"the arms {seen[key]} and {arm} have equal settings"
            found.append(Problem(where, what, "arms that differ", "change a setting or remove one"))
        seen.setdefault(key, arm)


def _sweep(
    raw: Raw, name: str, sweep: Sweep, studies: Mapping[str, schema.Study], datasets: Mapping[str, Dataset], models: Mapping[str, Model]
) -> list[Problem]:
    keys = (raw["scale"], SECTION, name)
    found = []
    if not re.fullmatch(r"[a-z0-9_]+", name):
        found.append(Problem(params.at(*keys[:2]), f"the name {params.shown(name)}", "a name of a-z, 0-9 and _"))
    designs = raw.get("studies")
    if isinstance(designs, Mapping) and sweep.study not in designs:
        found.append(Problem(params.at(*keys, "study"), sweep.study, ", ".join(designs), nearest(sweep.study, designs)))
    if sweep.study not in studies or not isinstance(raw[raw["scale"]].get(sweep.study), Mapping):
        return found  # the study's own mistakes are said where they are
    study = studies[sweep.study]
    for key, named, known in (("arms", sweep.arms, grid.arms(study)), ("seeds", sweep.seeds, study.seeds)):
        allowed = [str(one) for one in known]
        for one in map(str, named):
            if one not in allowed:
                found.append(Problem(params.at(*keys, key), one, ", ".join(allowed), nearest(one, allowed)))
    if study.dataset in datasets and datasets[study.dataset].task != "nli" and sweep.metric == "eval_accuracy":
        found.append(Problem(params.at(*keys, "metric"), sweep.metric, "eval_loss", "answers have a loss, and no accuracy"))
    return found or _values(raw, name, sweep, partial(_study_mistakes, name=sweep.study, study=study, datasets=datasets, models=models))


def _study_mistakes(
    raw: Raw, name: str, study: schema.Study, datasets: Mapping[str, Dataset], models: Mapping[str, Model]
) -> list[Problem]:
    found: list[Problem] = []
    _study(raw, name, study, datasets, models, found)
    _distinct(raw, name, study, {}, found)
    return found


def _values(raw: Raw, name: str, sweep: Sweep, mistakes: Callable[[Raw], list[Problem]]) -> list[Problem]:
    # every value is put at the place of every arm, and the study checked as if params.yaml said so
    keys = (raw["scale"], SECTION, name)
    found: list[Problem] = []
    tried(found, partial(sweep_settings.keys, raw, name, sweep))
    standing = mistakes(raw)
    if found or standing:
        return found
    settings: dict[str, set[str]] = {arm: set() for arm in sweep.arms}
    for index, value in enumerate(sweep.values):
        trial = sweep_settings.tried(raw, name, sweep, value)
        if wrong := mistakes(trial):
            problem, place = wrong[0], params.at(*keys, "values", index)
            found.append(Problem(place, f"{value}: {problem.where.removeprefix('params.yaml: ')}: {problem.found}", problem.allowed))
            continue
        for arm in sweep.arms:
            one = grid.arm(trial, sweep.study, arm)
            settings[arm].add(one.model_dump_json())
            if one.training.eval_strategy == "no":
                found.append(Problem(params.at(*keys, "arms"), f"{arm}, which is not validated", "arms with an eval_strategy"))
    for arm, different in settings.items():
        if not found and len(different) < len(sweep.values):
            found.append(Problem(params.at(*keys, "parameter"), f"{sweep.parameter}, which the arm {arm} does not use", "one it does"))
    return found
