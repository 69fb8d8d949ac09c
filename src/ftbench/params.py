"""Reading params.yaml (YAML 1.2, so that 1e-4 and 5e-05 are numbers) and turning what its models refuse into readable problems."""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ftbench.errors import Problem, UserError, escaped, nearest

PATH = Path("params.yaml")
MAX_BYTES = 1_000_000  # a hundred times the file that this project ships
MAX_DEPTH = 20
Block = TypeVar("Block", bound=BaseModel)


def at(*keys: Any) -> str:
    """How a problem names a place in params.yaml: `params.yaml: offline.multinli.lora`."""
    text = ""
    for key in (key if isinstance(key, int) else escaped(str(key)).replace("\n", "\\n") for key in keys):
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return f"params.yaml: {text}" if text else "params.yaml"


def shown(value: Any) -> str:
    """A value as params.yaml would show it, cut to a readable length."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(value)
    return text if len(text) <= 120 else text[:117] + "..."


def read(path: Path = PATH) -> dict[str, Any]:
    """The mapping in params.yaml. Raises UserError, with a line number, for a file that is missing, not YAML, too large or too deep,
    and for duplicate keys, anchors, aliases, tags and keys that are not text."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    text = _text(path)
    try:
        _refuse_tricks(text, path)
        content = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = str(error.problem or error.context).splitlines()[0]
        raise _refused(path, what, "YAML 1.2 in which each key stands once", line=mark.line + 1 if mark else None) from None
    except (YAMLError, ValueError) as error:
        raise _refused(path, str(error).splitlines()[0], "YAML 1.2") from None
    if not isinstance(content, dict):
        raise _refused(path, f"{shown(content)} at the top", "a mapping: `scale`, `studies` and a block per scale")
    _refuse_keys(content, (), path)
    return content


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise _refused(path, f"{path.stat().st_size} bytes", f"at most {MAX_BYTES} bytes")
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(
            Problem(str(path), "no such file", mend="run this from the root of the repository, where params.yaml lies")
        ) from None
    except IsADirectoryError:
        raise _refused(path, "a folder", "a file") from None
    except UnicodeDecodeError as error:
        raise _refused(path, f"not UTF-8 at byte {error.start}", "UTF-8") from None


def _refused(path: Path, found: str, allowed: str, line: int | None = None) -> UserError:
    return UserError(Problem(str(path) if line is None else f"{path}, line {line}", found, allowed))


def _refuse_tricks(text: str, path: Path) -> None:
    # Before anything is built: what lets a small file become a large one, or hides a value behind another key.
    from ruamel.yaml import YAML
    from ruamel.yaml.events import AliasEvent, DocumentStartEvent, MappingStartEvent, NodeEvent, SequenceStartEvent

    depth, problems = 0, []
    for event in YAML(typ="safe", pure=True).parse(text):
        line = event.start_mark.line + 1
        if isinstance(event, NodeEvent) and event.anchor is not None:
            sign = "*" if isinstance(event, AliasEvent) else "&"
            problems.append(Problem(f"{path}, line {line}", f"{sign}{event.anchor}", "no anchors and aliases", "write the value out"))
        if tag := str(getattr(event, "tag", None) or ""):
            problems.append(Problem(f"{path}, line {line}", f"the tag {shown(tag)}", "no tags", "write the value alone"))
        if isinstance(event, DocumentStartEvent) and (event.version or event.tags):
            problems.append(Problem(f"{path}, line {line}", "a directive: %YAML or %TAG", "YAML 1.2 without directives", "take it away"))
        if isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            depth += 1
            if depth > MAX_DEPTH:
                raise _refused(path, f"more than {MAX_DEPTH} levels of nesting", f"at most {MAX_DEPTH}", line)
        elif type(event).__name__ in ("MappingEndEvent", "SequenceEndEvent"):
            depth -= 1
    if problems:
        raise UserError(problems)


def _refuse_keys(value: Any, keys: tuple[Any, ...], path: Path) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise UserError(Problem(at(*keys), f"the key {shown(key)}", "keys that are text", f'write it as "{key}"'))
            _refuse_keys(item, (*keys, key), path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_keys(item, (*keys, index), path)


def find(raw: Mapping[str, Any], *keys: str) -> Any:
    """The value at a dotted place of `raw`. Raises UserError naming the first key that is not there and the nearest one that is."""
    value: Any = raw
    for depth, key in enumerate(keys):
        if not isinstance(value, Mapping):
            raise UserError(Problem(at(*keys[:depth]), shown(value), f"a mapping with the key {key}"))
        if key not in value:
            raise UserError(Problem(at(*keys[: depth + 1]), "not there", _listed(value), nearest(key, map(str, value))))
        value = value[key]
    return value


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(str(name) for name in names)


def build(model: type[Block], value: Any, *keys: str) -> Block:
    """`value` as a `model` of `schema`. Raises UserError with every mistake, each at its dotted key below `keys`."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise UserError(problems(model, value, lambda place: at(*keys, *place), error)) from None


def problems(model: type[BaseModel], value: Any, where: Callable[[list[Any]], str], error: ValidationError) -> list[Problem]:
    """What pydantic refused, in the words of this project: one problem per place; `where` names a place inside `value`."""
    found: dict[str, Problem] = {}
    for detail in error.errors(include_url=False):
        place, known = _place(model, value, detail)
        problem = _problem(where(place), detail, known)
        before = found.get(problem.where)
        if before and problem.allowed not in before.allowed:  # one place, several models that it could have been
            problem = Problem(problem.where, before.found, f"{before.allowed}; or {problem.allowed}", before.mend or problem.mend)
        elif before:
            continue
        found[problem.where] = problem
    return list(found.values())


def _place(model: type[BaseModel], value: Any, detail: Any) -> tuple[list[Any], list[str]]:
    # pydantic's location without the names of union members, and the keys that the block around it may have
    place: list[Any] = []
    blocks = [model]
    location = list(detail["loc"])
    for index, key in enumerate(location):
        if key == "[key]":
            continue
        last = index == len(location) - 1
        there = (isinstance(value, Mapping) and key in value) or (isinstance(value, list) and isinstance(key, int) and key < len(value))
        if not there and not (last and detail["type"] == "missing"):
            continue
        place.append(key)
        if not there or (last and detail["type"] == "extra_forbidden"):
            break
        value = value[key]
        fields = [block.model_fields[key] for block in blocks if isinstance(key, str) and key in block.model_fields]
        if fields:
            blocks = [inner for field in fields for inner in _models(field.annotation)]
    return place, list(dict.fromkeys(name for block in blocks for name in block.model_fields))


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in typing.get_args(annotation) for model in _models(argument)]


def _problem(where: str, detail: Any, known: list[str]) -> Problem:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return Problem(where, "an unknown key", _listed(known), nearest(where.rsplit(".", 1)[-1].rsplit(" ", 1)[-1], known))
    if kind == "missing":
        return Problem(where, "not there", "a value", PIN if where.endswith(PINNED) else "add it")
    if kind == "literal_error":
        choices = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return Problem(where, shown(value), _listed(choices), nearest(str(value), choices))
    if kind == "value_error":
        found = shown(value) if not isinstance(value, Mapping) else "settings that do not fit together"
        return Problem(where, found, str(context["error"]))
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        return Problem(where, shown(value), PATTERNS.get(pattern, f"text matching {pattern}"), PIN if where.endswith(PINNED) else "")
    allowed = detail["msg"].removeprefix("Input should be ").replace("a valid ", "a ").replace("dictionary", "mapping")
    return Problem(where, shown(value), TYPES.get(kind, allowed), PIN if where.endswith(PINNED) else "")


PINNED = ("sha256", "revision")
PIN = "run `ftbench pin`, which writes it"
TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "model_type": "a mapping",
    "dict_type": "a mapping",
    "finite_number": "a finite number",
    "too_short": "at least one entry",
}
PATTERNS = {
    r"^[a-z0-9_]+$": "a name of a-z, 0-9 and _",
    r"^[0-9a-f]{64}$": "a sha256: 64 hexadecimal digits",
    r"^[0-9a-f]{40}$": "a full commit: 40 hexadecimal digits",
    r"\S": "text that is not blank",
}
