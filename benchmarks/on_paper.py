"""How long the trainings and evaluations of the paper scale would take on 1, 8 and 64 GPUs: on paper, at most, and under one assumption.

- A training takes its operations, counted by `account` with every input as long as it may be, over the operations per second that a GPU
  is assumed to reach in this work.
- An evaluation of pairs takes as much more or less per example than its training as was measured at the scale `offline`, arm by arm.
- A GPU that is free takes the first stage that is ready, in the order of dvc.yaml, as `ftbench repro` hands them out; one GPU to an arm.

Left out: baselines; answers, which are written token by token; what an evaluation looks at beside the test splits; fetching and loading
checkpoints; validation while training; and all that needs no GPU.
It writes reports/on_paper.json and its table in docs/cluster.md, between the two marks; with other numbers than its own it only prints.
Example: python benchmarks/on_paper.py --teraflops 300
"""

from __future__ import annotations

import argparse
import heapq
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import blocks

from ftbench import files, grid, params
from ftbench.errors import UserError

ROOT = Path(__file__).parents[1]
RECORD, PAGE = Path("reports/on_paper.json"), Path("docs/cluster.md")
START = blocks.start("benchmarks/on_paper.py", "reports/on_paper.json")
GPUS = (1, 8, 64)
TERAFLOPS = 100.0  # of one GPU, in these trainings
PUBLISHED_TEST_ROWS = {"snli": 9824, "multinli": 9815 + 9832}  # as params.yaml says beside each split that takes all rows


@dataclass(frozen=True)
class Stage:
    """A stage that takes a GPU, for so many hours; it starts when the one at the place `after` has ended."""

    name: str
    hours: float
    after: int | None = None


def stages(raw: Mapping[str, Any], accounts: Mapping[str, Any], costs: Mapping[str, Any], teraflops: float) -> list[Stage]:
    """The trainings and evaluations of the paper scale, study by study as in params.yaml: the trainings, then the evaluations.

    `accounts`: the arms of that scale in accounting.json, by study; `costs`: the entries of each study's cost.json at the scale offline.
    """
    found: list[Stage] = []
    for study, design in raw["studies"].items():
        dataset = design["dataset"]
        trainings, evaluations = [], []
        for arm, record in accounts[study].items():
            trained = record["run"]["num_operations"] / (teraflops * 1e12) / 3600
            for seed in design["seeds"]:
                trainings.append(Stage(f"train_{study}@{arm}-{seed}", trained))
                if dataset in PUBLISHED_TEST_ROWS:
                    seen = record["run"]["num_steps"] * examples_per_step(raw, study, arm)
                    rows = test_rows(raw["paper"]["datasets"][dataset], dataset)
                    offline_rows = test_rows(raw["offline"]["datasets"][dataset], dataset)
                    evaluated = trained / seen * ratio(costs[study][arm], offline_rows) * rows
                    evaluations.append(Stage(f"evaluate_{study}@{arm}-{seed}", evaluated, len(found) + len(trainings) - 1))
        found += [*trainings, *evaluations]
    return found


def ratio(cost: Mapping[str, float], rows: int) -> float:
    """How much longer an arm's evaluation took per example, of `rows`, than its training, both measured."""
    return (cost["evaluate_seconds"] / rows) / (cost["train_seconds_without_evaluation"] / cost["num_examples"])


def test_rows(dataset: Mapping[str, Any], name: str) -> int:
    """The test rows of a data set's block; where one takes all there are, as many as are published."""
    sizes = [size for split, size in dataset["splits"].items() if split.startswith("test")]
    return PUBLISHED_TEST_ROWS[name] if None in sizes else sum(sizes)


def examples_per_step(raw: Mapping[str, Any], study: str, arm: str) -> int:
    """The examples of one optimiser step of an arm of the paper scale."""
    settings = grid.arm({**raw, "scale": "paper"}, study, arm)
    return settings.training.per_device_train_batch_size * settings.num_processes * settings.training.gradient_accumulation_steps


def hours(work: Sequence[Stage], num_gpus: int) -> float:
    """When the last stage ends, if a GPU that is free takes the first stage that is ready."""
    free, waiting = [0.0] * num_gpus, list(range(len(work)))
    ends: dict[int | None, float] = {None: 0.0}
    while waiting:
        now = heapq.heappop(free)
        place = next((place for place in waiting if ends.get(work[place].after, math.inf) <= now), None)
        if place is None:  # it waits for what the next one needs
            heapq.heappush(free, min(ends[work[place].after] for place in waiting if work[place].after in ends))
            continue
        waiting.remove(place)
        ends[place] = now + work[place].hours
        heapq.heappush(free, ends[place])
    return max(ends.values())


def record(work: Sequence[Stage], teraflops: float, gpus: Sequence[int] = GPUS) -> dict[str, Any]:
    """What reports/on_paper.json holds."""
    total = sum(stage.hours for stage in work)
    training = [stage for stage in work if stage.after is None]
    longest = max(training, key=lambda stage: stage.hours)
    found = {str(number): hours(work, number) for number in gpus}
    return {
        "teraflops": teraflops,
        "trainings": len(training),
        "evaluations": len(work) - len(training),
        "train_hours": sum(stage.hours for stage in training),
        "evaluate_hours": total - sum(stage.hours for stage in training),
        "longest": {"stage": longest.name, "hours": longest.hours},
        "hours_by_gpus": found,
        "busy_share_by_gpus": {number: total / (int(number) * value) for number, value in found.items()},
    }


def rendered(content: Mapping[str, Any]) -> str:
    """The record as Markdown."""
    lines = ["| GPUs | hours, at most | GPUs busy |", "|---:|---:|---:|"]
    for number, value in sorted(content["hours_by_gpus"].items(), key=lambda item: int(item[0])):
        lines.append(f"| {number} | {value:,.1f} | {content['busy_share_by_gpus'][number]:.0%} |")
    longest = content["longest"]
    said = (
        f"{content['trainings']} trainings of {content['train_hours']:,.1f} GPU hours, every input as long as it may be, and "
        f"{content['evaluations']} evaluations of pairs of {content['evaluate_hours']:,.1f}, at an assumed {content['teraflops']:g} · 10¹² "
        f"operations a second. The longest training, `{longest['stage']}`, takes {longest['hours']:,.1f} hours of that: "
        "with one GPU to an arm more GPUs end no sooner."
    )
    return "\n".join([*lines, "", said])


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--teraflops", type=float, default=TERAFLOPS, help="10^12 operations per second of one GPU in this work")
    parser.add_argument("--gpus", type=int, nargs="+", default=GPUS, help="how many there are")
    arguments = parser.parse_args()
    if not arguments.teraflops > 0 or min(arguments.gpus) < 1:
        parser.error("--teraflops above 0, and --gpus at least 1")
    raw = params.read(ROOT / "params.yaml")
    accounts = files.read_json(ROOT / "reports/accounting.json")["scales"]["paper"]
    costs = {study: files.read_json(ROOT / f"reports/{study}/cost.json")["entries"] for study in accounts}
    content = record(stages(raw, accounts, costs, arguments.teraflops), arguments.teraflops, arguments.gpus)
    print(rendered(content))
    if (arguments.teraflops, tuple(arguments.gpus)) == (TERAFLOPS, GPUS):
        page = blocks.rewritten((ROOT / PAGE).read_text(encoding="utf-8"), START, rendered(content), PAGE.name)
        files.write_json(ROOT / RECORD, content)
        files.write_text(ROOT / PAGE, page)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"on_paper: to mend:\n{error}", file=sys.stderr)
        sys.exit(2)
