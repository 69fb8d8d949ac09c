"""Where the time of a whole run goes: seconds of stages by kind, from what `make repro` printed, and the bar for all of it.

It writes reports/whole_run.json and its table in docs/benchmarks.md, between the two marks, and exits with 1 where the bar is missed.
Example, on the same machine, in a fresh clone that nothing else disturbs:
  make repro 2>&1 | tee repro.log
  python benchmarks/whole_run.py repro.log
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import blocks

from ftbench import costs, files, resources
from ftbench.errors import Problem, UserError

ROOT = Path(__file__).parents[1]
RECORD, PAGE = Path("reports/whole_run.json"), Path("docs/benchmarks.md")
BENCHMARKS = Path("reports/benchmarks.json")
START = blocks.start("benchmarks/whole_run.py", "reports/whole_run.json")
BAR, JUDGED = 20 * 60, "2 at once"  # seconds, and the runs that are held to them
STARTED = re.compile(r"^(\d+) stages to bring up to date, (.*); what each prints", re.M)
STAGE = re.compile(r"^\[\d+/\d+\] (\S+): (\w[\w ]*), ([\d.]+) s", re.M)
ENDED = re.compile(r"^(\d+) of (\d+) stages done in ([\d.]+) s", re.M)


def profile(log: str) -> dict[str, Any]:
    """What the printed lines of one run come to. Raises UserError unless it ran every stage to its end and took none from a cache."""
    started, ended, stages = STARTED.findall(log), ENDED.findall(log), STAGE.findall(log)
    if len(started) != 1 or len(ended) != 1:
        raise UserError(Problem("the log", f"{len(started)} runs begun and {len(ended)} ended", allowed="one run, to its end"))
    (done, all_of_them, seconds), (number, place) = ended[0], started[0]
    if not done == all_of_them == number or len(stages) != int(number):
        found = f"{done} of {number} stages done, {len(stages)} lines of stages"
        raise UserError(Problem("the log", found, allowed="every stage done"))
    if kept := [name for name, how, _ in stages if how != "ran"]:
        mend = "empty .dvc/cache and take dvc.lock away first"
        raise UserError(Problem("the log", f"{len(kept)} stages that did not run, such as {kept[0]}", allowed="none", mend=mend))
    kinds: dict[str, dict[str, float]] = {}
    for name, _, taken in stages:
        kind = kinds.setdefault(name.split("@")[0], {"stages": 0, "seconds": 0.0})
        kind["stages"] += 1
        kind["seconds"] += float(taken)
    judged = place == JUDGED
    missed = [f"{float(seconds):,.0f} s, above {BAR:,}"] if judged and float(seconds) > BAR else []
    busy = sum(kind["seconds"] for kind in kinds.values()) / float(seconds)
    found = {"seconds": float(seconds), "place": place, "stages": len(stages), "kinds": kinds, "busy": busy}
    return {**found, "bar_seconds": BAR if judged else None, "missed": missed}


def starts(rows: Mapping[str, Any], kinds: Mapping[str, Any]) -> dict[str, float]:
    """How many stages load models, and what a start takes by the row `start_up`, in a fork and in a Python of its own; or nothing."""
    row = rows.get("start_up", {})
    if "median_seconds" not in row:
        return {}
    num_stages = sum(kind["stages"] for name, kind in kinds.items() if resources.uses_gpu(name))
    fork, python = (row[key] / row["sizes"]["num_starts"] for key in ("median_seconds", "alternative_median_seconds"))
    return {"stages": num_stages, "fork_seconds": fork, "python_seconds": python}


def rendered(content: Mapping[str, Any]) -> str:
    """The record as Markdown, what takes longest first."""
    total = sum(kind["seconds"] for kind in content["kinds"].values())
    kinds = sorted(content["kinds"].items(), key=lambda item: (-item[1]["seconds"], item[0]))
    lines = ["| stages | how many | seconds, all together | share |", "|---|---:|---:|---:|"]
    lines += [f"| `{name}` | {kind['stages']} | {kind['seconds']:,.0f} | {kind['seconds'] / total:.0%} |" for name, kind in kinds]
    machine, found = content["environment"], "MISSED" if content["missed"] else "passes"
    bar = f"the bar is {content['bar_seconds'] / 60:g}: {found}" if content["bar_seconds"] else "no bar for as many"
    said = (
        f"{content['stages']} stages, {content['place']}, in {content['seconds'] / 60:.1f} minutes; {bar}. "
        f"On average {content['busy']:.2f} were at work. Measured on: {machine['processor']}, {machine['num_cores']} cores."
    )
    if starting := content["starts"]:
        number = starting["stages"]
        fork, python = (starting[key] for key in ("fork_seconds", "python_seconds"))
        said += (
            f" A start took {fork:.2f} s when the row `start_up` was measured: {number * fork:,.0f} of the {total:,.0f} s of all stages"
            f" together, for the {number} that load models. A Python of its own took {python:.2f} s, which would have been"
            f" {number * python:,.0f}."
        )
    return "\n".join([said, "", *lines])


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("log", type=Path, help="what make repro printed")
    arguments = parser.parse_args()
    if not arguments.log.is_file():
        raise UserError(Problem(str(arguments.log), "no such file", mend="name the file that make repro printed into"))
    log = arguments.log.read_text(encoding="utf-8", errors="replace")
    found = profile(log)
    rows = files.read_json(ROOT / BENCHMARKS)["rows"] if (ROOT / BENCHMARKS).exists() else {}
    content = {**found, "starts": starts(rows, found["kinds"]), "environment": costs.environment()}
    page = blocks.rewritten((ROOT / PAGE).read_text(encoding="utf-8"), START, rendered(content), PAGE.name)
    files.write_json(ROOT / RECORD, content)
    files.write_text(ROOT / PAGE, page)
    print(rendered(content))
    sys.exit(1 if content["missed"] else 0)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        print(f"whole_run: to mend:\n{error}", file=sys.stderr)
        sys.exit(2)
