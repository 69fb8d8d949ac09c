"""The console script `ftbench`. Its subcommands start without torch."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ftbench import checks, grid, params, pins, repro_command, resources
from ftbench.errors import Problem, UserError, nearest


def _check(arguments: argparse.Namespace) -> None:
    raw = params.read(arguments.params)
    beside = arguments.params.parent
    studies = checks.everything(raw, beside if (beside / "stages").is_dir() else Path())  # an example lies elsewhere than the scripts
    for name, study in studies.items():
        arms = len(grid.arms(study))
        print(f"{name}: {arms} arms x {len(study.seeds)} seeds, {len(grid.baselines(study))} baselines")
    print(f"{arguments.params} fits together at the scales {', '.join(grid.scales(raw))}; selected: {raw['scale']}")


def _pin(arguments: argparse.Namespace) -> None:
    changed = pins.write(arguments.params)
    for line in changed:
        print(line)
    print(f"{len(changed)} pins written to {arguments.params}" if changed else f"nothing to change in {arguments.params}")


def _plan(arguments: argparse.Namespace) -> None:
    raw = params.read(arguments.params)
    if arguments.scale:
        if arguments.scale not in grid.scales(raw):
            allowed = grid.scales(raw)
            raise UserError(Problem("--scale", arguments.scale, ", ".join(allowed), nearest(arguments.scale, allowed)))
        raw = {**raw, "scale": arguments.scale}
    from ftbench import plan

    gpu_bytes = plan.size(arguments.gpu_memory) if arguments.gpu_memory else _gpu_bytes()
    print(plan.table(raw, gpu_bytes, arguments.teraflops * 1e12 if arguments.teraflops else None))


def _gpu_bytes() -> int | None:
    import torch

    return int(torch.cuda.get_device_properties(0).total_memory) if torch.cuda.is_available() else None


def _predict(arguments: argparse.Namespace) -> None:
    one = {"--premise": arguments.premise, "--hypothesis": arguments.hypothesis}
    many = {"--file": arguments.file, "--out": arguments.out}
    given = [option for option, value in {**one, **many}.items() if value is not None]
    if given not in (list(one), list(many)):
        allowed = "--premise and --hypothesis, or --file and --out"
        raise UserError(Problem("options", ", ".join(given) or "neither a pair nor a file of pairs", allowed))
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported, which is later
    from ftbench import predict

    place = (arguments.model, arguments.base)
    try:
        if arguments.file is None:
            print(predict.pair(*place, arguments.premise, arguments.hypothesis, arguments.batch_size))
        else:
            print(predict.file(*place, arguments.file, arguments.out, arguments.batch_size, arguments.force))
    except KeyboardInterrupt:
        print("\nftbench predict: interrupted, nothing was written", file=sys.stderr)
        raise SystemExit(130) from None


def _ask(arguments: argparse.Namespace) -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    from ftbench import asking, terminal

    terminal.never_fail()
    given = (arguments.question, arguments.input, arguments.max_new_tokens, arguments.compare)
    try:
        said, remarks = asking.once(arguments.model, arguments.base, *given)
    except KeyboardInterrupt:
        print("\nftbench ask: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    print(said)
    for remark in remarks:
        print(f"ftbench ask: {remark}", file=sys.stderr)


def _chat(arguments: argparse.Namespace) -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    from ftbench import chat

    try:
        chat.run(arguments.model, arguments.base, arguments.max_new_tokens, arguments.compare, arguments.questions)
    except KeyboardInterrupt:
        print("\nftbench chat: interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def _sweep(arguments: argparse.Namespace) -> None:
    from ftbench import sweep

    code = sweep.run(arguments.name, arguments.jobs, arguments.keep)
    if code:
        raise SystemExit(code)


def _diff(arguments: argparse.Namespace) -> None:
    from ftbench import diff
    from ftbench.tables import inert

    changes = diff.between(arguments.revision, arguments.to)
    print(changes.page, end="")
    if arguments.fail_on == diff.REGRESSION and changes.regressions:
        for move in changes.regressions:
            print(f"ftbench diff: worse beyond noise: {inert(move)}", file=sys.stderr)
        raise SystemExit(3)


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError("more than 0")
    return rate


def parser() -> argparse.ArgumentParser:
    """The argument parser of `ftbench`."""
    main = argparse.ArgumentParser(
        prog="ftbench", description="A reproducible benchmark of ways to fine-tune language models.", allow_abbrev=False
    )
    commands = main.add_subparsers(dest="command", required=True, metavar="command")
    check = commands.add_parser("check", help="check params.yaml: every study, arm and scale, before anything runs", allow_abbrev=False)
    check.set_defaults(run=_check)
    pin = commands.add_parser(
        "pin", help="write the sha256 of local files and the commit of hub revisions into params.yaml", allow_abbrev=False
    )
    pin.set_defaults(run=_pin)
    plan = commands.add_parser("plan", help="what every arm takes and whether it fits a GPU, before anything runs", allow_abbrev=False)
    plan.add_argument("--scale", metavar="NAME", help="a scale of params.yaml (default: the selected one)")
    plan.add_argument("--gpu-memory", metavar="SIZE", help="of the GPU, such as 8GiB (default: the GPU at hand, if any)")
    plan.add_argument(
        "--teraflops", type=_rate, metavar="N", help="10^12 operations a second that the GPU reaches in this work: adds hours"
    )
    plan.set_defaults(run=_plan)
    repro_command.add(commands, _count)
    predict = commands.add_parser(
        "predict",
        help="classify a pair of sentences, or a file of pairs, with a trained arm",
        description="Reload a trained arm and say how sentence pairs are related: 0 entailment, 1 neutral, 2 contradiction.",
        allow_abbrev=False,
    )
    predict.add_argument("model", type=Path, metavar="MODEL", help="the folder of a trained arm, such as models/multinli/lora-own-0")
    predict.add_argument("--base", type=Path, metavar="FOLDER", help="its base model (default: the arm's own under models/base)")
    predict.add_argument("--premise", metavar="TEXT")
    predict.add_argument("--hypothesis", metavar="TEXT")
    predict.add_argument(
        "--file", type=Path, metavar="PATH", help=".jsonl or .csv with premise and hypothesis; with label (-1 or empty: none) it is scored"
    )
    predict.add_argument("--out", type=Path, metavar="PATH", help=".jsonl or .csv to write: the file's columns, labels and probabilities")
    predict.add_argument("--force", action="store_true", help="replace what --out names")
    predict.add_argument("--batch-size", type=_count, default=64, metavar="N", help="pairs at once (default: 64)")
    predict.set_defaults(run=_predict)
    ask = commands.add_parser(
        "ask",
        help="put one question to a trained arm that answers instructions",
        description="Reload a trained arm and print its answer to one instruction: greedy, as in the evaluation.",
        allow_abbrev=False,
    )
    chat = commands.add_parser(
        "chat",
        help="talk to a trained arm that answers instructions",
        description="Reload a trained arm and answer questions in a terminal as they are typed. Each stands alone.",
        allow_abbrev=False,
    )
    for command in (ask, chat):
        command.add_argument(
            "model", type=Path, metavar="MODEL", help="a trained arm's folder, such as models/alpaca/open_llama_3b-study-0"
        )
        command.add_argument("--base", type=Path, metavar="FOLDER", help="its base model (default: the arm's own under models/base)")
        command.add_argument("--max-new-tokens", type=_count, default=256, metavar="N", help="an answer's longest length (default: 256)")
        command.add_argument("--compare", action="store_true", help="the base model's answer below the arm's")
    ask.add_argument("question", metavar="QUESTION")
    ask.add_argument("--input", default="", metavar="TEXT", help="what the instruction is about, if it is about a text")
    ask.set_defaults(run=_ask)
    chat.add_argument("--questions", action="store_true", help="put the study's questions first, with what each rubric says")
    chat.set_defaults(run=_chat)
    sweep = commands.add_parser("sweep", help="try a setting at several values on an equal budget, as params.yaml says", allow_abbrev=False)
    sweep.add_argument("name", metavar="NAME", help="a sweep of the selected scale: <scale>.sweeps.NAME in params.yaml")
    sweep.add_argument("--jobs", type=_count, default=resources.cores(), metavar="N", help="values at once (default: one per core)")
    sweep.add_argument("--keep", action="store_true", help="keep the experiments, which `dvc exp show` lists")
    sweep.set_defaults(run=_sweep)
    diff = commands.add_parser(
        "diff",
        help="what moved against a revision of git, as Markdown for a pull request",
        description="Compare the results that git keeps: scores, params, stages that ran, cost, failure cases, the ledger's verdicts. "
        "Exits with 0, or with 3 where --fail-on finds something.",
        allow_abbrev=False,
    )
    diff.add_argument("revision", nargs="?", default="HEAD", metavar="REV", help="what to compare with (default: HEAD)")
    diff.add_argument("to", nargs="?", metavar="TO", help="the revision that is compared (default: the workspace)")
    diff.add_argument(
        "--fail-on",
        choices=["regression"],
        help="exit with 3 if a primary metric got worse beyond its intervals; an arm that is gone fails nothing",
    )
    diff.set_defaults(run=_diff)
    for command in (check, pin, plan):
        command.add_argument("--params", type=Path, default=params.PATH, metavar="PATH", help="the file to read (default: params.yaml)")
    return main


def main(words: Sequence[str] | None = None) -> None:
    """Run `ftbench`. Exits with 0, with 1 for the machine's faults and with 2, after one readable block, for a user's mistake.

    `diff --fail-on` exits with 3 where it finds what it looks for.
    """
    arguments = parser().parse_args(words)
    try:
        arguments.run(arguments)
    except UserError as error:
        print(f"ftbench {arguments.command}: to mend:\n{error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print(f"\nftbench {arguments.command}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except OSError as error:
        print(f"ftbench {arguments.command}: {error}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
