"""How the arms of a study learn: curves, and the table by epoch that the study printed, ours and its own side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftbench import curves, figures_curves, ledger
from ftbench.evidence import CONTRADICTED, HOLDS, Evidence, NotThereError
from ftbench.report_data import Study, names
from ftbench.rules_curves import RISE, full_overfits, overfits
from ftbench.tables import Block, Figure, Heading, Paragraph, Table, number, percent

COLUMNS = {"train_loss": "loss", "eval_loss": "eval_loss", "accuracy": "eval_accuracy"}  # a claim's metric: a curve's column
SAME = 0.01  # epochs: what lies no further apart is one epoch, since a last batch that is dropped ends it early
Claims = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, order=True)
class Place:
    """Where something was logged: an epoch, or a step."""

    against: str
    at: float

    def shown(self) -> str:
        """As a table says it: `1`, `1.33`, `step 500`."""
        text = f"{self.at:.2f}".rstrip("0").rstrip(".")
        return text if self.against == "epoch" else f"step {text}"


def drawings(study: Study) -> dict[str, Figure]:
    """The figures of a study's curves by file name: the arms over each other, then each arm by itself."""
    if not study.curves:
        return {}
    drawn = {
        "learning": ("losses by epoch", figures_curves.learning),
        "learning_rate": ("learning rates", figures_curves.learning_rates),
        "gradient_norm": ("gradient norms", figures_curves.gradient_norms),
    }
    if any("model" in study.entries[arm].get("levels", {}) for arm in study.curves):  # each has a tokenizer, and so a loss, of its own
        drawn["arm_by_arm"] = ("training and validation loss, learning rate and gradient norm, arm by arm,", figures_curves.arm_by_arm)
    where, arms = f"{study.name}, scale {study.scale}", ", ".join(study.curves)
    return {name: Figure(f"figures/{name}.svg", f"{where}: {what} of {arms}", draw(study.curves)) for name, (what, draw) in drawn.items()}


def learning(study: Study, drawn: Mapping[str, Figure], claims: Claims) -> list[Block]:
    """Losses, learning rates and gradient norms, and the study's own table where it printed one."""
    if "learning" not in drawn:
        return []
    shown = [drawn[name] for name in ("learning", "learning_rate", "gradient_norm", "arm_by_arm") if name in drawn]
    clipped = Paragraph("The gradient norm is that before clipping, at the steps that were logged; means over seeds.")
    return [Heading("Learning curves", 2), *shown, clipped, *by_epoch(study, claims)]


def by_epoch(study: Study, claims: Claims) -> list[Block]:
    """Losses and accuracy by epoch, ours beside what the study printed; nothing for a study whose claims name no epoch."""
    printed = stated(study, claims)
    rows = [row for arm in _arms(study, list(printed)) for row in _rows(arm, study.curves[arm], printed.get(arm, {}))]
    if not rows:
        return []
    theirs = "what the study printed (of a last epoch: the highest that it names)"
    if study.scale != ledger.FULL_SIZE_SCALE:
        theirs += ", which is of the full-size model on the study's own data and not to be compared with ours as figures"
    caption = study.caption(f"Learning by epoch, at each place where either was logged: ours, means over seeds, and {theirs}")
    ours = ["training loss", "validation loss", "accuracy"]
    blocks: list[Block] = [Table(caption, ["arm", "epoch", *ours, *[f"the study's {name}" for name in ours]], rows)]
    said = _overfitting(study, list(dict.fromkeys(row[0] for row in rows)))
    return [*blocks, Paragraph(said)] if said else blocks


def stated(study: Study, claims: Claims) -> dict[str, dict[Place, dict[str, float]]]:
    """What the study printed of our arms' curves: {arm: {place: {metric: value}}}; a figure of no epoch is of the last that is named."""
    found: dict[str, dict[Place, dict[str, float]]] = {}
    of_curves = [
        claim
        for claim in claims
        if claim["study"] == study.name
        and claim["kind"] == "figure"
        and claim.get("metric") in COLUMNS
        and claim.get("arm") in study.curves
    ]
    last = max((claim["epoch"] for claim in of_curves if "epoch" in claim), default=None)
    if last is None:
        return {}
    for claim in of_curves:
        place = Place("step", claim["step"]) if "step" in claim else Place("epoch", claim.get("epoch", last))
        found.setdefault(claim["arm"], {}).setdefault(place, {})[claim["metric"]] = claim["value"]
    return found


def _arms(study: Study, printed: Sequence[str]) -> list[str]:
    """The arms that the study printed, and their like: those with the same levels wherever all of the printed ones agree."""
    if not printed:
        return []
    levels = {arm: study.entries[arm]["levels"] for arm in study.curves}
    agreed = {factor: level for factor, level in levels[printed[0]].items() if all(levels[arm][factor] == level for arm in printed)}
    return [arm for arm, own in levels.items() if all(own[factor] == level for factor, level in agreed.items())]


def _rows(arm: str, curve: curves.Curve, printed: Mapping[Place, Mapping[str, float]]) -> list[list[str]]:
    epochs = [place.at for place in printed if place.against == "epoch"]
    ours = [epoch for epoch, _ in curves.mean_series(curve, "eval_loss") if not any(abs(epoch - at) <= SAME for at in epochs)]
    places = sorted({*printed, *(Place("epoch", epoch) for epoch in ours)})
    return [[arm, place.shown(), *_cells(_logged(curve, place)), *_cells(printed.get(place, {}))] for place in places]


def _logged(curve: curves.Curve, place: Place) -> dict[str, float]:
    """Means over seeds: the training loss logged there or last before, where training went that far, and a validation made there."""
    found = {}
    for name, column in COLUMNS.items():
        points = [(at - place.at, value) for at, value in curves.mean_series(curve, column, place.against)]
        reached = max((row[place.against] or 0.0 for row in curve), default=0.0) >= place.at - SAME
        allowed = [value for away, value in points if away <= SAME and (name == "train_loss" or away >= -SAME)]
        if allowed and reached:
            found[name] = allowed[-1]
    return found


def _cells(values: Mapping[str, float]) -> list[str]:
    losses = [number(values.get(name), 4) for name in ("train_loss", "eval_loss")]
    return [*losses, percent(values["accuracy"]) if "accuracy" in values else "–"]


def _overfitting(study: Study, arms: Sequence[str]) -> str:
    """One sentence: of which arms the validation loss rose while accuracy crept up, by the rule that judges the claim."""
    shown, denied, between = [], [], []
    for arm in arms:
        try:
            verdict, _, risen = overfits(Evidence(curves={study.name: study.curves}), study.name, arm)
        except NotThereError:
            continue
        if verdict == HOLDS:
            shown.append(arm)
        elif verdict == CONTRADICTED:
            denied.append(arm)
        else:
            between.append(f"`{arm}` (risen at {sum(risen)} of {len(risen)} seeds)")
    parts = [f"shown by {names(shown)}"] if shown else []
    parts += [f"denied by {names(denied)}, whose loss rises at no seed"] if denied else []
    parts += [f"undecided for {', '.join(between)}"] if between else []
    rule = f"that the validation loss ends at least {RISE} nats above its lowest while accuracy ends no lower than there, at every seed"
    return f"Overfitting as `{full_overfits.__name__}` of the ledger reads it ({rule}): {'; '.join(parts)}." if parts else ""
