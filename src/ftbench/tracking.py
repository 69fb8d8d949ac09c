"""Watching a training elsewhere, through the Trainer's own `report_to`: TensorBoard's files, or Weights & Biases. Off by default.

What is sent is what the Trainer logs, its arguments and the model's config. Results are the same with and without it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

from ftbench.errors import Problem, UserError

FOLDER = Path(".ftbench/tracking")
TENSORBOARD, WANDB = "tensorboard", "wandb"
# What Weights & Biases would gather beside the Trainer's log: the code, git's state, what the terminal shows. A user's own setting stands.
QUIET = {"WANDB_PROJECT": "ftbench", "WANDB_DISABLE_CODE": "true", "WANDB_DISABLE_GIT": "true", "WANDB_CONSOLE": "off"}


def refuse_missing(report_to: str, where: str) -> None:
    """Raises UserError if the package that a `report_to` needs is not installed; `where` is the arm, in words."""
    if report_to != "none" and importlib.util.find_spec(report_to) is None:
        found = f"{report_to}, a package that is not installed"
        raise UserError(Problem(f"{where}: training.report_to", found, allowed="none", mend=f"run `pip install {report_to}`"))


def arguments(report_to: str, study: str, arm: str, seed: int, resumed: bool) -> dict[str, Any]:
    """The Trainer's arguments for a run that is named `<study>/<arm>-<seed>`, whose files are kept under FOLDER by that name.

    Both trackers take their folder from the environment of this process, which is where they are told.
    """
    name = f"{study}/{arm}-{seed}"
    if report_to == TENSORBOARD:
        folder = FOLDER / name
        if not resumed:
            shutil.rmtree(folder, ignore_errors=True)  # TensorBoard would draw two trainings in one folder as one line
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder)
    elif report_to == WANDB:
        folder = FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)  # without it they would lie under /tmp
        os.environ["WANDB_DIR"] = str(folder)
        for setting, value in QUIET.items():
            os.environ.setdefault(setting, value)
    return {"report_to": report_to, **({"run_name": name} if report_to != "none" else {})}
