"""What looks wrong in how an arm was trained, seen in what its training and evaluation left: flags that stop nothing and are shown.

A flag has the seed, a name, and a sentence with the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbench import curves, files
from ftbench.text import LABELS

ONE_CLASS, NO_EFFECT, UNMOVED, FAR_START, FLAT, ROSE = "one_class", "no_effect", "unmoved", "far_start", "flat_loss", "loss_rose"
GUESS = math.log(len(LABELS))  # nats of a model that finds the labels equally likely
FAR = 0.25  # nats from it: of heads that are drawn at random, the first steps' mean is within half of that
SAME = 1e-5  # the largest difference of two models' log-probabilities that are the same model's
LEAST_MOVE = 1e-6  # of the trained weights, relative to their length
LEAST_FALL = 0.01  # of the training loss, relative, from its first fifth to its last
RISE = 0.05  # the same of a loss that rose
SMALL = 0.01  # nats: smaller losses and changes of a loss say nothing
FIFTH = 5

Flag = dict[str, Any]


def of_labels(predicted: NDArray[Any], log_probabilities: NDArray[Any], base: tuple[str, NDArray[Any]] | None, seeds: Any) -> list[Flag]:
    """Flags of what an arm said to pairs: `predicted` [seeds, items], `log_probabilities` [seeds, items, 3]; `base`: name, [items, 3]."""
    found = []
    for index, seed in enumerate(seeds):
        labels = np.unique(predicted[index])
        if len(labels) == 1:
            found.append(_flag(seed, ONE_CLASS, f"calls all {predicted.shape[1]:,} examples {LABELS[int(labels[0])]}"))
        if base is not None and np.abs(log_probabilities[index] - base[1]).max() < SAME:
            found.append(_flag(seed, NO_EFFECT, f"gives every example the probabilities of {base[0]}: what was trained has no effect"))
    return found


def of_answers(texts: NDArray[Any], nll: NDArray[Any], base: tuple[str, NDArray[Any], NDArray[Any]] | None, seeds: Any) -> list[Flag]:
    """Flags of what an arm answered: `texts` and `nll` [seeds, items]; `base`: its name, and the same of it [items]."""
    found = []
    for index, seed in enumerate(seeds):
        if len(set(texts[index].tolist())) == 1 and texts.shape[1] > 1:
            found.append(_flag(seed, ONE_CLASS, f"gives all {texts.shape[1]:,} instructions one answer"))
        if base is not None and (texts[index] == base[1]).all() and np.allclose(nll[index], base[2], rtol=SAME, atol=SAME):
            found.append(_flag(seed, NO_EFFECT, f"answers as {base[0]} does, word for word: what was trained has no effect"))
    return found


def of_training(losses: Sequence[float], moved: float | None, of_pairs: bool, seed: int) -> list[Flag]:
    """Flags of a training: its logged losses in order, and how far its weights moved (None where that was not measured)."""
    found = []
    if moved is not None and moved < LEAST_MOVE:
        found.append(_flag(seed, UNMOVED, f"its weights did not move: by {moved:.2g} of their length"))
    if losses and of_pairs and abs(losses[0] - GUESS) > FAR:
        found.append(_flag(seed, FAR_START, f"its loss starts at {losses[0]:.3g}, far from ln 3 = {GUESS:.3f}, which a guess costs"))
    part = max(1, len(losses) // FIFTH)
    if len(losses) >= 2:
        first, last = float(np.mean(losses[:part])), float(np.mean(losses[-part:]))
        if last > first * (1 + RISE) and last - first > SMALL:
            found.append(_flag(seed, ROSE, f"its training loss rose from {first:.3g} to {last:.3g}"))
        elif last > first * (1 - LEAST_FALL) and first > SMALL:
            found.append(_flag(seed, FLAT, f"its training loss fell by less than {LEAST_FALL * 100:.0f} %: from {first:.4g} to {last:.4g}"))
    return found


def of_files(report: Path, stem: str, of_pairs: bool, seed: int) -> list[Flag]:
    """`of_training` of one arm and seed, from its learning curve and its cost record."""
    rows = curves.read(report / "learning" / f"{stem}.csv", curves.LOGGED)
    moved = files.read_json(report / "costs" / f"{stem}-train.json").get("moved")
    return of_training([loss for row in rows if (loss := row["loss"]) is not None], moved, of_pairs, seed)


def _flag(seed: int, name: str, says: str) -> Flag:
    return {"seed": int(seed), "flag": name, "says": says}


def merged(*kinds: Mapping[str, Sequence[Flag]]) -> dict[str, list[Flag]]:
    """The flags of every arm that has any."""
    names = dict.fromkeys(name for kind in kinds for name in kind)
    found = {name: [flag for kind in kinds for flag in kind.get(name, [])] for name in names}
    return {name: flags for name, flags in found.items() if flags}
