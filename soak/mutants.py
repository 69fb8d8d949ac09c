"""Hostile and broken input, by the hundred: settings, data files and model folders, each through the code that the pipeline reads it with.

Every case must end in one of two ways: it is accepted and means what it says, or it is refused in words that say where. A traceback, a
hang, a refusal that nobody can read and a wrong acceptance are faults: they are printed, and the exit code is 1. The counts by kind and
outcome go to reports/reliability.json under the key `mutants`. The same seed makes the same cases.

Example: python soak/mutants.py --rounds 660
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before anything asks: no mutant may reach a hub

import judging
import mutated_data
import mutated_models
import mutated_params
from table import RELIABILITY, put

KEY = "mutants"
LEAST = 300  # mutants of params.yaml


def cases(arguments: argparse.Namespace, folder: Path) -> Iterator[judging.Case]:
    """All cases that were asked for."""
    if "params" in arguments.kinds:
        yield from mutated_params.cases(arguments.rounds, arguments.seed, folder)
    if "data" in arguments.kinds:
        yield from mutated_data.cases(arguments.seed, folder)
    if "models" in arguments.kinds:
        yield from mutated_models.cases(arguments.seed, folder)


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument(
        "--rounds", type=int, default=2 * LEAST, metavar="N", help="mutants of params.yaml; data and models have a fixed list"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=["params", "data", "models"], default=["params", "data", "models"])
    parser.add_argument("--out", type=Path, default=RELIABILITY)
    arguments = parser.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    warnings.simplefilter("ignore")
    logging.disable()
    verdicts = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        for case in cases(arguments, Path(name)):
            verdict = judging.judge(case)
            verdicts.append(verdict)
            if verdict.outcome in judging.FAULTS:
                print(f"{verdict.outcome}: {case.kind}: {case.name}\n{verdict.said}\n")
    counts = judging.counts(verdicts)
    for kind, outcomes in counts.items():
        print(f"{kind}: " + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items()))
    faults = judging.faults(verdicts)
    print(f"{len(verdicts)} cases in {time.monotonic() - started:.0f} seconds, {len(faults)} faults")
    if len(arguments.kinds) == 3:  # a part of the cases is no record
        content = {"seed": arguments.seed, "cases": len(verdicts), "faults": len(faults), "by_kind": counts}
        put(KEY, content, arguments.out)
    if faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
