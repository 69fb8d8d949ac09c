"""What a sweep found, read off the learning curves: how each arm did at each value on the validation split, and which value is best."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from ftbench import curves
from ftbench.errors import Problem, UserError
from ftbench.sweep_settings import Sweep, Value

METRICS = ("eval_loss", "eval_accuracy")
Ends = Mapping[str, Mapping[int, Mapping[str, float | None]]]  # {arm: {seed: what `end` gives}}


def end(path: Path) -> dict[str, float | None]:
    """How a training ended: its number of steps, and its loss and accuracy on the validation split after the last of them."""
    rows = curves.read(path, curves.LOGGED)
    last = max(rows, key=lambda row: row["step"] or 0.0, default={})
    if last.get("eval_loss") is None:
        raise UserError(Problem(str(path), "no validation after the last step", "a learning curve that ends with one"))
    return {"num_steps": last["step"], **{metric: last[metric] for metric in METRICS}}


def payload(scale: str, sweep: Sweep, keys: Mapping[str, str], current: Mapping[str, Any], ends: Mapping[Value, Ends]) -> dict[str, Any]:
    """The content of `reports/<study>/sweeps/<name>.json`. A value without `ends` failed.

    `keys` and `current` say per arm which key of params.yaml was changed and what it holds.
    """
    return {
        "scale": scale,
        "study": sweep.study,
        "parameter": sweep.parameter,
        "metric": sweep.metric,
        "seeds": sweep.seeds,
        "values": sweep.values,
        "failed": [value for value in sweep.values if value not in ends],
        "arms": {arm: _arm(sweep, keys[arm], current[arm], {value: one[arm] for value, one in ends.items()}) for arm in sweep.arms},
    }


def _arm(sweep: Sweep, key: str, current: Any, ends: Mapping[Value, Mapping[int, Mapping[str, float | None]]]) -> dict[str, Any]:
    trials = [{"value": value, **_means(sweep, ends[value])} for value in sweep.values if value in ends]
    sign = 1 if sweep.metric == "eval_loss" else -1
    best = min(trials, key=lambda trial: sign * trial[sweep.metric])["value"] if trials else None  # the first, so the smaller, of equals
    return {
        "key": key,
        "current": current,
        "best": best,
        "best_at_edge": sweep.numeric and best in (sweep.values[0], sweep.values[-1]),
        "best_is_current": best == current,
        "trials": trials,
    }


def _means(sweep: Sweep, ends: Mapping[int, Mapping[str, float | None]]) -> dict[str, Any]:
    found: dict[str, Any] = {"num_steps": int(max(ends[seed]["num_steps"] or 0 for seed in sweep.seeds))}
    for metric in METRICS:
        scores = [ends[seed][metric] for seed in sweep.seeds]
        known = [score for score in scores if score is not None]
        found[metric] = fmean(known) if len(known) == len(scores) else None  # answers have no accuracy
        found[f"{metric}_by_seed"] = scores
    return found


def advice(found: Mapping[str, Any]) -> list[str]:
    """What to set in params.yaml, arm by arm."""
    lines = []
    for arm, one in found["arms"].items():
        if one["best"] is None:
            lines.append(f"{arm}: no value was tried to the end")
            continue
        edge = "; the best lies at the edge of what was tried: try values beyond it" if one["best_at_edge"] else ""
        told = f"{one['key']} is at its best" if one["best_is_current"] else f"set {one['key']} to {one['best']} (now {one['current']})"
        lines.append(f"{arm}: {told}{edge}")
    return lines
