"""How long the whole grid of the paper scale would take on 1, 8 and 64 GPUs: on paper, from measured pieces and one assumption.

- A training takes its operations, counted by `account`, over the operations per second that a GPU is assumed to reach in this work.
- An evaluation takes as much more or less per example than its training as was measured at the scale `offline`, arm by arm.
- Stages are handed out as `ftbench repro` hands them out: the first that is ready, in the order of dvc.yaml, to the first GPU that is free.

Left out: fetching and loading checkpoints, data, and the reports, which need no GPU; validation while training; several GPUs for one arm.
It writes reports/on_paper.json and its table in docs/cluster.md, between the two marks.
Example: python benchmarks/on_paper.py --teraflops 100
"""

from __future__ import annotations

import argparse
import heapq
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import blocks

from ftbench import files, grid, params

ROOT = Path(__file__).parents[1]
RECORD, PAGE = Path("reports/on_paper.json"), Path("docs/cluster.md")
START = blocks.start("benchmarks/on_paper.py", "reports/on_paper.json")
GPUS = (1, 8, 64)
TERAFLOPS = 100.0  # of one GPU, in these trainings
PUBLISHED_TEST_ROWS = {"snli": 9824, "multinli": 9815 + 9832}  # as params.yaml says beside each split that takes all rows


@dataclass(frozen=True)
class Chain:
    """One arm and seed: its training, and the evaluation that follows it, in hours on one GPU."""

    name: str
    train: float
    evaluate: float


def chains(raw: Mapping[str, Any], accounts: Mapping[str, Any], costs: Mapping[str, Any], teraflops: float) -> list[Chain]:
    """Every arm and seed of the paper scale, in the order of params.yaml.

    `accounts`: the arms of that scale in accounting.json, by study; `costs`: the entries of each study's cost.json at the scale offline.
    """
    found = []
    for study, arms in accounts.items():
        dataset = raw["studies"][study]["dataset"]
        rows = test_rows(raw["paper"]["datasets"][dataset], dataset)
        offline_rows = test_rows(raw["offline"]["datasets"][dataset], dataset)
        for arm, record in arms.items():
            run, cost = record["run"], costs[study][arm]
            trained = run["num_operations"] / (teraflops * 1e12) / 3600
            passes = run["num_steps"] * examples_per_step(raw, study, arm)
            ratio = (cost["evaluate_seconds"] / offline_rows) / (cost["train_seconds_without_evaluation"] / cost["num_examples"])
            evaluated = trained / passes * ratio * rows
            found += [Chain(f"{study}.{arm}-{seed}", trained, evaluated) for seed in raw["studies"][study]["seeds"]]
    return found


def test_rows(dataset: Mapping[str, Any], name: str) -> int:
    """The test rows of a data set's block; where one takes all there are, as many as are published."""
    sizes = [size for split, size in dataset["splits"].items() if split.startswith("test")]
    return PUBLISHED_TEST_ROWS[name] if None in sizes else sum(sizes)


def examples_per_step(raw: Mapping[str, Any], study: str, arm: str) -> int:
    """The examples of one optimiser step of an arm of the paper scale."""
    settings = grid.arm({**raw, "scale": "paper"}, study, arm)
    return settings.training.per_device_train_batch_size * settings.num_processes * settings.training.gradient_accumulation_steps


def hours(work: Sequence[Chain], num_gpus: int) -> float:
    """When the last stage ends. A GPU that is free takes the first stage that is ready; trainings stand before evaluations."""
    free = [(0.0, gpu) for gpu in range(num_gpus)]
    trained: list[tuple[float, int]] = []  # when each training ends, and its place
    waiting, ended = list(range(len(work))), 0.0
    heapq.heapify(free)
    while waiting or trained:
        now, gpu = heapq.heappop(free)
        if waiting:
            place = waiting.pop(0)
            end = now + work[place].train
            trained.append((end, place))
        else:
            ready = [entry for entry in trained if entry[0] <= now]
            if not ready:  # it waits for the next training to end
                heapq.heappush(free, (min(trained)[0], gpu))
                continue
            entry = min(ready, key=lambda one: one[1])
            trained.remove(entry)
            end = now + work[entry[1]].evaluate
        ended = max(ended, end)
        heapq.heappush(free, (end, gpu))
    return ended


def record(work: Sequence[Chain], teraflops: float, gpus: Sequence[int] = GPUS) -> dict[str, Any]:
    """What reports/on_paper.json holds."""
    total = sum(chain.train + chain.evaluate for chain in work)
    longest = max(work, key=lambda chain: chain.train + chain.evaluate)
    found = {str(number): hours(work, number) for number in gpus}
    return {
        "teraflops": teraflops,
        "runs": len(work),
        "train_hours": sum(chain.train for chain in work),
        "evaluate_hours": sum(chain.evaluate for chain in work),
        "longest": {"run": longest.name, "hours": longest.train + longest.evaluate},
        "median_hours": statistics.median(chain.train + chain.evaluate for chain in work),
        "hours_by_gpus": found,
        "busy_share_by_gpus": {number: total / (int(number) * value) for number, value in found.items()},
    }


def rendered(content: Mapping[str, Any]) -> str:
    """The record as Markdown."""
    lines = ["| GPUs | hours | GPUs busy |", "|---:|---:|---:|"]
    for number, value in sorted(content["hours_by_gpus"].items(), key=lambda item: int(item[0])):
        lines.append(f"| {number} | {value:,.1f} | {content['busy_share_by_gpus'][number]:.0%} |")
    longest = content["longest"]
    said = (
        f"{content['runs']} arms and seeds, {content['train_hours']:,.1f} GPU hours of training and {content['evaluate_hours']:,.1f} of "
        f"evaluation at {content['teraflops']:g} · 10¹² operations a second, which is an assumption. The longest is `{longest['run']}`, "
        f"{longest['hours']:,.1f} hours: no number of GPUs that each train one arm takes less."
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
    content = record(chains(raw, accounts, costs, arguments.teraflops), arguments.teraflops, arguments.gpus)
    files.write_json(ROOT / RECORD, content)
    files.write_text(ROOT / PAGE, blocks.rewritten((ROOT / PAGE).read_text(encoding="utf-8"), START, rendered(content), PAGE.name))
    print(rendered(content))


if __name__ == "__main__":
    main()
