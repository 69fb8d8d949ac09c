"""A sweep: one setting tried at several values, every arm at the same values and seeds. What params.yaml says of it, and what follows."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from ftbench import grid, params, schema
from ftbench.errors import Problem, UserError, nearest

Raw = Mapping[str, Any]
SECTION = "sweeps"
Value = int | float | schema.Name


class Sweep(schema.Strict):
    """`<scale>.sweeps.<name>`: which arms of a study are tried at which values of one setting, and what says which value is best."""

    study: schema.Name
    arms: Annotated[list[str], Field(min_length=1)]
    parameter: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$", max_length=200)]
    values: list[Value]
    seeds: Annotated[list[schema.Seed], Field(min_length=1)]
    metric: Literal["eval_loss", "eval_accuracy"]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for what, listed in (("arm", self.arms), ("seed", self.seeds)):
            if len(set(listed)) != len(listed):
                raise ValueError(f"each {what} once")
        if len(self.values) < 2:
            raise ValueError("two values or more: one alone is not compared with anything")
        if any(isinstance(value, str) for value in self.values):
            if not all(isinstance(value, str) for value in self.values) or len(set(self.values)) != len(self.values):
                raise ValueError("values that are all numbers or all names, each once")
        elif any(second <= first for first, second in zip(self.values, self.values[1:], strict=False)):  # type: ignore[operator]
            raise ValueError("values that rise: the first and the last are the edges of what was tried")
        return self

    @property
    def numeric(self) -> bool:
        """Whether the values have an order, and so edges."""
        return not isinstance(self.values[0], str)


def named(raw: Raw) -> list[str]:
    """The sweeps of the selected scale."""
    block = raw[grid.scale(raw)].get(SECTION, {})
    return list(block) if isinstance(block, Mapping) else []


def find(raw: Raw, name: str) -> Sweep:
    """The sweep `<scale>.sweeps.<name>` of the selected scale. Raises UserError, with the nearest name, where there is none."""
    place, there = (grid.scale(raw), SECTION), named(raw)
    if name not in there:
        raise UserError(Problem(params.at(*place, name), "not there", ", ".join(there) or "none at this scale", nearest(name, there)))
    return params.build(Sweep, raw[place[0]][SECTION][name], *place, name)


def key(raw: Raw, name: str, sweep: Sweep, arm: str) -> str:
    """The key of params.yaml that the sweep changes for an arm: its setting in the block of one of the arm's levels."""
    blocks = raw[grid.scale(raw)][sweep.study]
    inside = {level: dict(_leaves(blocks[level])) for level in grid.levels(arm) if isinstance(blocks.get(level), Mapping)}
    found = [level for level, settings in inside.items() if sweep.parameter in settings]
    if len(found) != 1:
        where = params.at(grid.scale(raw), SECTION, name, "parameter")
        there = list(dict.fromkeys(setting for settings in inside.values() for setting in settings))
        what = f"{sweep.parameter}, which {'no' if not found else 'more than one'} level of the arm {arm} holds"
        raise UserError(Problem(where, what, ", ".join(there), nearest(sweep.parameter, there)))
    return ".".join([grid.scale(raw), sweep.study, found[0], sweep.parameter])


def _leaves(block: Raw, before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in block.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield before + name, value


def keys(raw: Raw, name: str, sweep: Sweep) -> dict[str, str]:
    """`key` of every arm. Raises UserError with the mistakes of all arms."""
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for arm in sweep.arms:
        try:
            found[arm] = key(raw, name, sweep, arm)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    return found


def tried(raw: Raw, name: str, sweep: Sweep, value: Value) -> dict[str, Any]:
    """params.yaml with the value at the key of every arm of the sweep."""
    scale = grid.scale(raw)
    edited = {**raw, scale: {**raw[scale], sweep.study: copy.deepcopy(raw[scale][sweep.study])}}
    for dotted in keys(raw, name, sweep).values():
        *above, last = dotted.split(".")
        params.find(edited, *above)[last] = value
    return edited
