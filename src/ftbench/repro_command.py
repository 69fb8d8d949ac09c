"""`ftbench repro`: its options, and the place that they name."""

from __future__ import annotations

import argparse
import contextlib
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ftbench import checks, files, grid, params, resources, workers
from ftbench.errors import Problem, UserError
from ftbench.failures import ACCOUNTING

ENGINES = ("local", "ray")
Tell = Callable[[str], None]
Show = Callable[[Sequence[str]], None] | None


def add(commands: Any, count: Callable[[str], int]) -> None:
    """Add the command to those of a parser; `count` reads a number of at least 1."""
    repro = commands.add_parser("repro", help="run what is out of date, several stages at once", allow_abbrev=False)
    repro.add_argument("--jobs", type=count, metavar="N", help="stages at once (default: one per core, or all that the cluster takes)")
    repro.add_argument(
        "--allow-missing", action="store_true", help="what is not here counts as dvc.lock has it, and nothing runs only to make it"
    )
    repro.add_argument(
        "--keep-going", action="store_true", help="a stage that fails stops only what needs it; a partial report is written elsewhere"
    )
    repro.add_argument("--per-gpu", type=count, default=1, metavar="N", help="stages that share a GPU, where there is one (default: 1)")
    repro.add_argument("--engine", choices=ENGINES, default="local", help="where stages run: on this machine, or on a cluster of Ray")
    repro.add_argument("--address", metavar="ADDRESS", help="of the cluster (default: RAY_ADDRESS, or Ray is started on this machine)")
    repro.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Check params.yaml, then run what is out of date. Exits with scheduling's code where that is not 0."""
    from ftbench import progress, scheduling

    if arguments.address and arguments.engine != "ray":
        raise UserError(Problem("--address", arguments.address, "with --engine ray"))
    raw = params.read()
    checks.everything(raw, Path())
    tell, show = progress.table(sys.stdout)
    try:
        code = _run(arguments, raw, tell, show)
    except KeyboardInterrupt:  # before or after the stages: while they run, it is dealt with there
        tell("interrupted")
        code = scheduling.INTERRUPTED
    if code:
        raise SystemExit(code)


def _run(arguments: argparse.Namespace, raw: Mapping[str, Any], tell: Tell, show: Show) -> int:
    from ftbench import scheduling

    processes = functools.partial(resources.processes, raw)
    with contextlib.ExitStack() as stack:
        if arguments.engine == "ray":
            from ftbench import ray_engine

            arms = files.read_json(ACCOUNTING)["scales"].get(grid.scale(raw), {}) if ACCOUNTING.exists() else {}
            place = stack.enter_context(ray_engine.cluster(arguments.address, arguments.jobs, arms, arguments.per_gpu, processes, tell))
        else:
            place = workers.here(arguments.jobs or resources.jobs(), resources.gpus(), arguments.per_gpu, processes)
        return scheduling.repro(place, tell, show, arguments.allow_missing, arguments.keep_going, _when_partial)


def _when_partial(plan: Any, tell: Tell) -> None:
    from ftbench import partial_report  # and with it the whole report, which a run without failures leaves to its stage

    partial_report.after(plan, tell)
