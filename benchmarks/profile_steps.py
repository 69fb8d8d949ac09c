"""What the steps of a training spend their time on: the operations of stages as DVC has them, by kind, under PyTorch's profiler.

Each stage runs in a folder of its own that holds links to what it reads, so nothing in this checkout changes; it is stopped after some
steps. What PyTorch's operations do not take is Python's and autograd's. A profiler adds to every operation, most to small ones.

It writes reports/steps.json and its table in docs/benchmarks.md; of stages that are named it prints the table alone. `make repro` first.
Example: python benchmarks/profile_steps.py train_multinli@lora-own-0
"""

from __future__ import annotations

import argparse
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import blocks

from ftbench import costs, files
from ftbench.errors import Problem, UserError, nearest

ROOT = Path(__file__).resolve().parents[1]
RECORD, PAGE = Path("reports/steps.json"), Path("docs/benchmarks.md")
START = blocks.start("benchmarks/profile_steps.py", "reports/steps.json")
STAGES = ("checkpoint@phi_2", "train_snli@qkv-nf4-0", "train_multinli@full-own-0", "train_alpaca@bloom_3b-study-0")
SKIPPED, STEPS = 20, 30  # steps before the profile begins, and steps of it
KINDS = {  # the first whose pattern an operation's name fits
    "matrix products": r"aten::(mm|addmm|bmm|baddbmm|_?addmm_activation|mkldnn_linear\w*|linear)$",
    "fused attention, softmax": r"scaled_dot_product|aten::_softmax",
    "normalisation": r"layer_norm|rms_norm|rsqrt",
    "activation": r"aten::(gelu|silu|relu|tanh|sigmoid)(_backward)?_?$",
    "dropout": r"dropout|bernoulli",
    "loss": r"log_softmax|nll_loss|cross_entropy|logsumexp",
    "embedding": r"embedding|index_select|aten::index|gather|scatter",
    "4-bit": r"bitsandbytes",
    "optimiser": r"aten::(_fused_adam|_foreach)|linalg_vector_norm",
    "copies and casts": r"aten::(copy_|_to_copy|clone|cat|contiguous|fill_|zero_|empty\w*|stack|repeat\w*)$",
}
OTHER, PYTHON = "other operations", "Python and autograd, between operations"
OPERATION = re.compile(r"(aten|bitsandbytes|torchvision|prims)::")


def kind(operation: str) -> str:
    """The kind of an operation, as the profiler names it."""
    return next((name for name, pattern in KINDS.items() if re.search(pattern, operation)), OTHER)


def by_kind(operations: Mapping[str, float], seconds: float) -> dict[str, float]:
    """Seconds of each kind, out of those of each operation without what it calls; the rest of `seconds` is Python's and autograd's.

    Raises ValueError where operations took longer than the clock says.
    """
    found = dict.fromkeys([*KINDS, OTHER], 0.0)
    for name, taken in operations.items():
        if OPERATION.match(name):  # the rest names Python's functions and autograd's nodes
            found[kind(name)] += taken
    if (rest := seconds - sum(found.values())) < 0:
        raise ValueError(f"operations of {sum(found.values()):.3f} s in {seconds:.3f} s")
    return {**found, PYTHON: rest}


def measured(stage: Any) -> dict[str, Any]:
    """The profile of a stage's steps. Raises UserError for one whose inputs are not there, that fails or that makes too few steps."""
    with tempfile.TemporaryDirectory(prefix="profile-") as scratch:
        folder, out = Path(scratch), Path(scratch) / "profile.json"
        for dependency in stage.deps:
            place = folder / Path(dependency.fs_path).relative_to(ROOT)
            if not Path(dependency.fs_path).exists():
                raise UserError(Problem(stage.addressing, f"{dependency} is not there", mend="run `make repro` first"))
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(dependency.fs_path)
        if not (folder / "params.yaml").exists():
            shutil.copy(ROOT / "params.yaml", folder)
        words = [sys.executable, str(Path(__file__).resolve()), "--inside", str(out), *stage.cmd.split()[1:]]
        done = subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            said = "\n".join(done.stdout.strip().splitlines()[-5:])
            raise UserError(Problem(stage.addressing, f"it failed, exit code {done.returncode}:\n{said}", mend="see what it says"))
        if not out.exists():
            found = f"fewer than {SKIPPED + STEPS} steps in its own process"
            raise UserError(Problem(stage.addressing, found, mend="name a stage that trains more, and in one process"))
        found = json.loads(out.read_text(encoding="utf-8"))
    return {"steps": STEPS, "seconds": found["seconds"], "kinds": by_kind(found["operations"], found["seconds"])}


def inside(out: Path, words: Sequence[str]) -> None:
    """Run a stage's script, profile some of its steps, write what they took and end the process there."""
    from torch.optim.optimizer import register_optimizer_step_post_hook
    from torch.profiler import ProfilerActivity, profile

    profiler, num_steps, started = profile(activities=[ProfilerActivity.CPU]), 0, 0.0

    def after_step(*_: Any) -> None:
        nonlocal num_steps, started
        num_steps += 1
        if num_steps == SKIPPED:
            profiler.start()
            started = time.perf_counter()
        elif num_steps == SKIPPED + STEPS:
            seconds = time.perf_counter() - started
            profiler.stop()
            taken = {event.key: event.self_cpu_time_total / 1e6 for event in profiler.key_averages()}
            out.write_text(json.dumps({"seconds": seconds, "operations": taken}), encoding="utf-8")
            os._exit(0)  # the stage would go on for minutes

    register_optimizer_step_post_hook(after_step)
    sys.argv = list(words)
    sys.path[0] = str(Path(words[0]).resolve().parent)
    try:
        runpy.run_path(words[0], run_name="__main__")
    finally:
        if num_steps >= SKIPPED:  # it ended too early
            profiler.stop()


def rendered(content: Mapping[str, Any]) -> str:
    """The record as Markdown: of each kind its share of each stage's time, what takes most of all first."""
    stages = dict(sorted(content["stages"].items()))
    shares = {name: [one["kinds"][name] / one["seconds"] for one in stages.values()] for name in [*KINDS, OTHER, PYTHON]}
    kinds = sorted(shares, key=lambda name: -sum(shares[name]))
    lines = [f"| share of a step | {' | '.join(f'`{name}`' for name in stages)} |", f"|---|{'---:|' * len(stages)}"]
    lines += [f"| {name} | {' | '.join(f'{share:.0%}' for share in shares[name])} |" for name in kinds if max(shares[name]) >= 0.005]
    milliseconds = [1000 * one["seconds"] / one["steps"] for one in stages.values()]
    lines.append(f"| ms a step | {' | '.join(f'{one:.0f}' for one in milliseconds)} |")
    machine = content["environment"]
    number = " and ".join(sorted({str(one["steps"]) for one in stages.values()}))
    said = f"{number} steps of each, one stage at a time, {machine['num_threads']} threads."
    return "\n".join([*lines, "", f"{said} Measured on: {machine['processor']}, {machine['num_cores']} cores."])


def main(names: Sequence[str]) -> None:
    """Profile stages, all of STAGES where none is named; of those it writes the record and its table."""
    from dvc.repo import Repo

    known = {stage.addressing: stage for stage in Repo(str(ROOT)).index.stages}
    if unknown := [name for name in names if name not in known]:
        raise UserError([Problem("a stage", repr(name), "a stage of dvc.yaml that trains", nearest(name, list(known))) for name in unknown])
    blocks.rewritten((ROOT / PAGE).read_text(encoding="utf-8"), START, "", PAGE.name)  # a page that takes no table is told of first
    stages = {}
    for name in names or STAGES:
        print(f"{name} ...", flush=True)
        stages[name] = measured(known[name])
    content = {"stages": stages, "environment": costs.environment()}
    print(rendered(content))
    if not names:
        files.write_json(ROOT / RECORD, content)
        page = (ROOT / PAGE).read_text(encoding="utf-8")
        files.write_text(ROOT / PAGE, blocks.rewritten(page, START, rendered(content), PAGE.name))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(Path(sys.argv[2]), sys.argv[3:])
        sys.exit(0)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"stages that train (default: {', '.join(STAGES)})")
    try:
        main(parser.parse_args().stages)
    except UserError as error:
        print(f"profile_steps: to mend:\n{error}", file=sys.stderr)
        sys.exit(2)
