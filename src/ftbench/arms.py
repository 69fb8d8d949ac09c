"""What every train script shares: its options, the settings and examples of its arm, and the files that it leaves."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftbench import bases, costs, files, grid, launch, params, schema, seeds, stage, tracking
from ftbench.errors import Problem, UserError
from ftbench.text import LABELS, Encoded, encode_answers, encode_pairs, encode_prompts, instruction_prompt, label_answers, label_prompt

ARM = "arm.json"
CURVE = ("step", "epoch", "loss", "learning_rate", "grad_norm", "eval_loss", "eval_accuracy")


@dataclass(frozen=True)
class Job:
    """One arm at one seed: what it is called, its settings, and where it reads and writes."""

    study: str
    arm: str
    seed: int
    settings: schema.Arm
    text: schema.Text
    base_model: str
    data: Path
    base: Path
    out: Path
    curve: Path
    cost: Path
    resources: Path | None  # None in all but the first of several processes

    @property
    def eval_batch_size(self) -> int:
        """Examples per batch of the validation while training."""
        return self.settings.training.per_device_eval_batch_size

    def derived_seed(self, stream: str) -> int:
        """The seed of a stream of random numbers. Arms of a study share it: at one seed they start from one head and see one order."""
        return seeds.derive(self.seed, self.study, stream)


def run(main: Callable[[Job], None], documentation: str | None, adapter: type[schema.Strict] | None) -> None:
    """Read the command line and the settings of the arm it names, and run a train script's `main`, as `stage.run` runs a stage.

    Where the arm asks for several processes, `main` runs in each of them, and the stage is the process that starts them.
    """
    parser = stage.parser(documentation)
    parser.add_argument("--study", required=True)
    parser.add_argument("--arm", required=True, help="the levels of the arm, joined by -")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="the folder of the data set")
    parser.add_argument("--base", type=Path, required=True, help="the folder of the base model")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write the arm to")
    parser.add_argument("--curve", type=Path, required=True, help="the learning curve to write, CSV")
    parser.add_argument("--cost", type=Path, required=True, help="the cost record to write, JSON")
    parser.add_argument("--resources", type=Path, required=True, help="memory and utilisation over time to write, CSV")
    arguments = parser.parse_args()
    outs = [arguments.out, arguments.curve, arguments.cost, arguments.resources]
    if launch.is_rank():
        launch.as_rank(lambda: main(read(arguments, adapter)))
    else:
        stage.run(lambda given: _start(main, read(given, adapter)), arguments, outs)


def _start(main: Callable[[Job], None], job: Job) -> None:
    launch.run(lambda: main(job), job.settings.launch, f"{job.study}.{job.arm}")


def read(arguments: argparse.Namespace, adapter: type[schema.Strict] | None) -> Job:
    """The arm that a command line names.

    Raises UserError if its adapter is not of the kind that the script trains, or its tracker is not installed.
    """
    raw = params.read()
    settings = grid.arm(raw, arguments.study, arguments.arm)
    wanted = type(None) if adapter is None else adapter
    if not isinstance(settings.adapter, wanted):
        where = f"{Path(sys.argv[0]).name}: the adapter of {arguments.study}.{arguments.arm}"
        raise UserError(Problem(where, type(settings.adapter).__name__, allowed=wanted.__name__, mend="run the script of the arm's method"))
    tracking.refuse_missing(settings.training.report_to, f"{arguments.study}.{arguments.arm}")
    return Job(
        study=arguments.study,
        arm=arguments.arm,
        seed=arguments.seed,
        settings=settings,
        text=grid.text(raw, arguments.study),
        base_model=bases.manifest(arguments.base)["model"],
        data=arguments.data,
        base=arguments.base,
        out=arguments.out,
        curve=arguments.curve,
        cost=arguments.cost,
        resources=None if launch.rank() else arguments.resources,
    )


def dtype(settings: schema.Arm) -> str:
    """The precision of what is frozen and not in 4-bit: the compute dtype, or that of mixed precision, or float32."""
    if settings.quantization is not None:
        return settings.quantization.bnb_4bit_compute_dtype
    return "bfloat16" if settings.training.bf16 else "float16" if settings.training.fp16 else "float32"


# ---- Examples ---------------------------------------------------------------------------------------------------------------------


def read_pairs(path: Path) -> dict[str, list[Any]]:
    """The columns premise, hypothesis and label of a split. Raises UserError if it is empty or holds a label that is none."""
    columns = files.read_parquet(path, ["premise", "hypothesis", "label"]).to_pydict()
    _refuse_empty(path, columns["label"])
    if wrong := sorted({str(label) for label in columns["label"] if label not in range(len(LABELS))}):
        allowed = "0, 1, 2: " + ", ".join(LABELS)
        raise UserError(Problem(f"{path}: label", ", ".join(wrong), allowed, mend="run `dvc repro prepare`"))
    return columns


def read_instructions(path: Path) -> dict[str, list[Any]]:
    """The columns instruction, input and output of a split. Raises UserError if it is empty."""
    columns = files.read_parquet(path, ["instruction", "input", "output"]).to_pydict()
    _refuse_empty(path, columns["output"])
    return columns


def encode_for_head(tokenizer: Any, text: schema.Text, pairs: Mapping[str, Sequence[Any]], only: str | None = None) -> Encoded:
    """Pairs as an encoder with a head reads them: two segments, or one sentence alone, the premise or the hypothesis."""
    return encode_pairs(tokenizer, pairs["premise"], pairs["hypothesis"], text.max_length, only)


def encode_for_label(tokenizer: Any, text: schema.Text, pairs: Mapping[str, Sequence[Any]]) -> Encoded:
    """The prompts of a decoder, after which it writes a label's word or a head on it reads."""
    return encode_prompts(tokenizer, _label_prompts(text, pairs), text.max_length)


def encode_labels(tokenizer: Any, text: schema.Text, pairs: Mapping[str, Sequence[Any]]) -> Encoded:
    """Prompts with the word of the gold label after them: the loss is on that word's tokens alone."""
    words = label_answers(text)
    return encode_answers(tokenizer, _label_prompts(text, pairs), [words[label] for label in pairs["label"]], text.max_length, end=False)


def encode_instructions(tokenizer: Any, text: schema.Text, rows: Mapping[str, Sequence[str]]) -> Encoded:
    """Instructions with their answers and an end of sequence after them: the loss is on the answer and the end alone."""
    prompts = [instruction_prompt(text, *row) for row in zip(rows["instruction"], rows["input"], strict=True)]
    return encode_answers(tokenizer, prompts, rows["output"], text.max_length)


def with_labels(encoded: Encoded, labels: Sequence[int]) -> list[dict[str, Any]]:
    """Tokenised examples as a head is trained on them, each with its label."""
    return [{**feature, "labels": label} for feature, label in zip(encoded.features, labels, strict=True)]


def _label_prompts(text: schema.Text, pairs: Mapping[str, Sequence[Any]]) -> list[str]:
    return [label_prompt(text, premise, hypothesis) for premise, hypothesis in zip(pairs["premise"], pairs["hypothesis"], strict=True)]


def _refuse_empty(path: Path, column: Sequence[Any]) -> None:
    if not column:
        raise UserError(Problem(str(path), "no rows", allowed="at least one", mend="see the counts in card.json beside it"))


# ---- What a train script leaves ---------------------------------------------------------------------------------------------------


def write(
    job: Job, kind: str, tokenizer: Any, save: Callable[[Path], None], curve: Sequence[Mapping[str, Any]], cost: Mapping[str, Any]
) -> None:
    """Write the arm's folder (its weights by `save`), its learning curve and its cost, in that order and each atomically.

    Of several processes the first writes, the others do nothing. `kind` says how the arm answers: "encoder_head", "decoder_head",
    "label" or "answers".
    """
    if launch.rank():
        return
    with files.directory_written_atomically(job.out) as folder:
        save(folder)
        tokenizer.save_pretrained(folder)
        described = {
            "study": job.study,
            "arm": job.arm,
            "seed": job.seed,
            "kind": kind,
            "model": job.base_model,
            "dtype": dtype(job.settings) if kind != "encoder_head" else "float32",
            "settings": job.settings.model_dump(mode="json"),
            "text": job.text.model_dump(mode="json"),
        }
        files.write_json(folder / ARM, described)
        on_disk = costs.on_disk(folder)
    write_curve(job.curve, curve)
    parameters = {**cost["parameters"], "saved": on_disk["saved_parameters"]}
    identity = {"stage": "train", "study": job.study, "arm": job.arm, "seed": job.seed, "model": job.base_model}
    files.write_json(job.cost, {**cost, **identity, "parameters": parameters, "bytes_on_disk": on_disk["bytes"]})


def write_curve(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a learning curve as CSV, one line per step that logged anything; a cell is empty where a step did not."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CURVE)
    for row in rows:
        cells = [row.get(name) for name in CURVE]
        writer.writerow(["" if cell is None else f"{cell:.10g}" for cell in cells])
    files.write_text(path, stream.getvalue())
