"""How cost grows: seconds and peak resident memory against examples, arms, seeds and the length of inputs.

`prepare`, the scoring of predictions, `compare` and `report` run on made up inputs of growing size, and an encoder of 22 M parameters is
trained and evaluated on inputs of growing length, each in a process of its own, whose start-up is part of what is measured. A cost that
grows as a power of the size is a straight line on logarithmic axes, and its slope is the power; the slope of the last step is held against
the bars, since small inputs show the start-up alone.

It writes a record and a figure and, from the record that git keeps, the table in docs/benchmarks.md; it prints the slopes, and exits with
1 where something grows faster than it may.
Example: python benchmarks/growth.py --repeats 3
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import growth_page
import made
from rows import prepare
from timing import NotRunError

from ftbench import costs, files
from ftbench.errors import UserError

SIZES = {"examples": [1000, 4000, 16_000, 64_000], "arms": [2, 4, 8, 16], "seeds": [3, 6, 12, 24], "length": [32, 64, 128, 256]}
SMALLEST = {name: sizes[0] for name, sizes in SIZES.items() if name != "length"}  # of what `compare` and `report` read
LINEAR = 1.1  # the most that the last slope may be: linear, and a tenth for noise
FLAT = 0.125  # the most slope of memory against examples, from the smallest to the largest: two thirds more for 64 times as many
STAGES = {
    "examples": ["prepare", "evaluate", "score", "compare", "report"],
    "arms": ["compare", "report"],
    "seeds": ["compare", "report"],
    "length": ["train", "evaluate"],
}
TRAINED, EVALUATED, BATCH = 64, 256, 16  # inputs, and how many of them at once
Point = dict[str, Any]


def point(axis: str, size: int, stages: Sequence[str], num_repeats: int) -> list[Point]:
    """The cost of each stage at one size of one axis, the others at their smallest."""
    sizes = {**SMALLEST, axis: size}
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as scratch:
        folder = Path(scratch)
        commands = at_length(size) if axis == "length" else inputs(folder, sizes, stages)
        return [{"axis": axis, "size": size, "stage": name, **cost(commands[name], scratch, num_repeats)} for name in stages]


def cost(words: list[str], folder: str, num_repeats: int) -> dict[str, Any]:
    """Seconds, of which the median counts, and the peak of resident bytes of a script that runs in `folder`."""
    seconds, peaks = [], []
    for _ in range(num_repeats):
        started = time.perf_counter()
        peaks.append(prepare.run(words, folder))
        seconds.append(time.perf_counter() - started)
    return {"seconds": seconds, "median_seconds": statistics.median(seconds), "peak_resident_bytes": max(peaks)}


def inputs(folder: Path, sizes: Mapping[str, int], stages: Sequence[str]) -> dict[str, list[str]]:
    """Write what the stages read, and return the command of each, in the order in which they can run."""
    arms, seeds = [f"a{n}" for n in range(sizes["arms"])], list(range(sizes["seeds"]))
    raw = design(arms, seeds)
    commands = {}
    if "prepare" in stages:
        splits = {"train": sizes["examples"], "validation": 100, "test": 100}
        for split, number in splits.items():
            with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as stream:
                stream.writelines(json.dumps(one) + "\n" for one in prepare.nli_like(split, number, "test", (14, 8)))
        raw["offline"] = prepare.block(folder, "made_up", list(splits))["bench"]
        commands["prepare"] = [str(made.ROOT / "stages/prepare.py"), "--dataset", "made_up", "--out", "data/made_up"]
    commands["evaluate"] = [str(Path(__file__).resolve()), "--evaluate-pairs", str(sizes["examples"])]
    commands["score"] = [str(Path(__file__).resolve()), "--score", str(sizes["examples"]), "scored"]
    commands["compare"] = [str(made.ROOT / "stages/compare.py"), "--study", "snli", "--out", "reports/snli"]
    commands["report"] = [str(made.ROOT / "stages/report.py"), "--out", "reports"]
    (folder / "params.yaml").write_text(json.dumps(raw), encoding="utf-8")  # JSON is YAML
    predictions(folder, [f"{arm}-nf4" for arm in arms], seeds, sizes["examples"])
    return commands


def at_length(length: int) -> dict[str, list[str]]:
    """The command of each stage that reads inputs of a length."""
    return {name: [str(Path(__file__).resolve()), f"--{name}", str(length)] for name in STAGES["length"]}


def design(arms: list[str], seeds: list[int]) -> dict[str, Any]:
    """A params.yaml of one study of pairs."""
    study = {
        "question": "What grows?",
        "model": "phi_2",
        "method": "qlora_label",
        "dataset": "snli",
        "factors": {"adapter": arms, "precision": ["nf4"]},
        "baselines": ["majority"],
        "seeds": seeds,
        "primary_metric": "accuracy",
        "reference": f"{arms[0]}-nf4",
    }
    return {"scale": "offline", "studies": {"snli": study}, "offline": {}}


def pairs(number: int) -> dict[str, list[Any]]:
    """So many pairs as the columns of a split."""
    genres = ["captions", "news"]
    return {
        "id": [f"snli-{index}" for index in range(number)],
        "genre": [genres[index % 2] for index in range(number)],
        "phenomenon": [None if index % 5 == 0 else "colour" for index in range(number)],
        "premise": [f"Premise {index}." for index in range(number)],
        "hypothesis": [f"Hypothesis {index}." for index in range(number)],
        "label": [index % 3 for index in range(number)],
    }


def predictions(folder: Path, arms: Sequence[str], seeds: Sequence[int], number: int) -> None:
    """The files that the stages before `compare` would have left, made up as the tests make theirs."""
    import pyarrow as pa

    sys.path.insert(0, str(made.ROOT / "tests"))
    try:
        import fabricated
    finally:
        sys.path.pop(0)
    columns, rng = pairs(number), np.random.default_rng(made.SEED)
    files.write_parquet(folder / "data/snli/test.parquet", pa.table({**columns, "label": pa.array(columns["label"], pa.int8())}))
    gold = np.array(columns["label"])
    shared = {name: columns[name] for name in ("id", "genre", "phenomenon")}
    for name in [*arms, "majority"]:
        for seed in seeds if "-" in name else [0]:
            predicted = np.where(rng.random(number) < 0.7, gold, (gold + 1) % 3)
            fabricated.write_pairs(folder, name, seed, predicted, columns["premise"], columns["hypothesis"], {**shared, "gold": gold})
    files.write_json(folder / "reports/accounting.json", fabricated.accounting())


def score(number: int, out: Path) -> None:
    """From log-probabilities of so many pairs to their predictions file and scores, as the evaluation writes them."""
    from ftbench import evaluation_nli

    columns = pairs(number)
    drawn = np.random.default_rng(made.SEED).random((number, 3))
    judged = evaluation_nli.Judged(np.log(drawn / drawn.sum(axis=1, keepdims=True)), evaluation_nli.pair_hashes(columns))
    evaluation_nli.write_nli(out / "predictions.parquet", out / "scores.json", 0, {"test": (columns, judged)})


def train(length: int) -> None:
    """Train the encoder on inputs of so many tokens, as an arm is trained."""
    from rows import nli_training

    from ftbench import training

    model, tokenizer, features = encoder(length, TRAINED)
    rows = [{**feature, "labels": index % 3} for index, feature in enumerate(features)]
    training.train(nli_training.job(Path(), BATCH), model, tokenizer, rows, lambda _: {})


def evaluate(length: int) -> None:
    """Classify inputs of so many tokens with the encoder, as an arm is evaluated."""
    from ftbench import inference

    model, tokenizer, features = encoder(length, EVALUATED)
    inference.classify(model, tokenizer, features, BATCH)


def evaluate_pairs(number: int) -> None:
    """Tokenise and classify so many pairs, as an arm is evaluated, with the encoder's embeddings and head: blocks only take time."""
    import torch

    from ftbench import inference, text

    columns = pairs(number)
    model, tokenizer = made.encoder(columns["premise"][:500] + columns["hypothesis"][:500])
    model.roberta.encoder.layer = torch.nn.ModuleList()
    encoded = text.encode_pairs(tokenizer, columns["premise"], columns["hypothesis"], 128)
    inference.classify(model, tokenizer, encoded.features, 64)


def encoder(length: int, number: int) -> tuple[Any, Any, list[dict[str, list[int]]]]:
    """The encoder, its tokenizer, and so many inputs of `length` tokens at random."""
    model, tokenizer = made.encoder(made.pairs(made.Options(Path("models")), "train", 500)["premise"])
    drawn = np.random.default_rng(made.SEED).integers(len(tokenizer), size=(number, length))
    return model, tokenizer, [{"input_ids": row, "attention_mask": [1] * length} for row in drawn.tolist()]


def slopes(points: Sequence[Point]) -> list[dict[str, Any]]:
    """Of every stage along every axis the slopes of its two costs: between the last two sizes, and from the first to the last."""
    found = []
    for axis, stage in dict.fromkeys((one["axis"], one["stage"]) for one in points):
        line = [one for one in points if (one["axis"], one["stage"]) == (axis, stage)]
        entry: dict[str, Any] = {"axis": axis, "stage": stage}
        for name in ("median_seconds", "peak_resident_bytes"):
            entry[name] = {"last": slope(line[-2], line[-1], name), "whole": slope(line[0], line[-1], name)}
        found.append(entry)
    return found


def slope(first: Point, last: Point, name: str) -> float:
    """The power of the size with which a cost grows between two points."""
    return math.log(last[name] / first[name]) / math.log(last["size"] / first["size"])


def missed(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """What grows faster than it may, in words."""
    problems = []
    for one in found:
        for name, said in (("median_seconds", "seconds"), ("peak_resident_bytes", "memory")):
            where = f"{said} of {one['stage']} against {one['axis']}"
            if one[name]["last"] > LINEAR:
                problems.append(f"{where}: slope {one[name]['last']:.2f}, faster than linear")
            elif name == "peak_resident_bytes" and one["axis"] == "examples" and one[name]["whole"] > FLAT:
                problems.append(f"{where}: slope {one[name]['whole']:.2f}, not flat")
    return problems


def run(sizes: Mapping[str, Sequence[int]], num_repeats: int, out: Path) -> list[str]:
    """Measure every point, write the record and the figure beside it, and return what is missed."""
    if kept := out.resolve() == growth_page.RECORD.resolve():
        growth_page.on_page("")  # a page that cannot take the table is told of before anything is measured
    points: list[Point] = []
    for axis, along in sizes.items():
        for size in along:
            print(f"{size:,} {axis} ...", flush=True)
            points += point(axis, size, STAGES[axis], num_repeats)
    found = slopes(points)
    problems = missed(found)
    content = {"points": points, "slopes": found, "bars": {"linear": LINEAR, "flat": FLAT}, "missed": problems}
    content |= {"num_repeats": num_repeats, "smallest": SMALLEST, "environment": costs.environment()}
    files.write_json(out, content)
    if kept:
        growth_page.write()
    else:
        files.write_text(out.with_suffix(".svg"), growth_page.figure(points))
    for one in found:
        last = one["median_seconds"]["last"], one["peak_resident_bytes"]["last"]
        print(f"{one['stage']:8s} against {one['axis']:8s}: slope of seconds {last[0]:5.2f}, of memory {last[1]:5.2f}")
    return problems


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--repeats", type=int, default=3, help="runs of every stage at every size, at least 1")
    parser.add_argument("--out", type=Path, default=growth_page.RECORD, help="the record; the figure lies beside it")
    # the pieces, each in a process of its own
    parser.add_argument("--score", nargs=2, metavar=("PAIRS", "FOLDER"), help=argparse.SUPPRESS)
    parser.add_argument("--train", type=int, metavar="LENGTH", help=argparse.SUPPRESS)
    parser.add_argument("--evaluate-pairs", type=int, metavar="PAIRS", help=argparse.SUPPRESS)
    parser.add_argument("--evaluate", type=int, metavar="LENGTH", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.repeats < 1:
        parser.error("--repeats at least 1")
    if given.score:
        score(int(given.score[0]), Path(given.score[1]))
        sys.exit(0)
    if given.evaluate_pairs:
        evaluate_pairs(given.evaluate_pairs)
        sys.exit(0)
    if length := given.train or given.evaluate:
        (train if given.train else evaluate)(length)
        sys.exit(0)
    try:
        wrong = run(SIZES, given.repeats, given.out)
    except NotRunError as error:
        print(f"growth: {error}", file=sys.stderr)
        sys.exit(1)
    except UserError as error:
        print(f"growth: to mend:\n{error}", file=sys.stderr)
        sys.exit(2)
    for problem in wrong:
        print(f"missed: {problem}", file=sys.stderr)
    sys.exit(1 if wrong else 0)
