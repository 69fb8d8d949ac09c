"""Training by transformers' Trainer, with what its version 5.23 gets wrong for us put right in one subclass.

The loss agrees however a batch is cut up for accumulation, validation is the evaluation's own code, a loss that is no number or far beyond
any guess stops the arm, and a run that crashed goes on from a checkpoint outside its outputs.
"""

from __future__ import annotations

import copy
import gc
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from ftbench import arms, bases, files, inference, launch, models, movement, ranks, stage, tracking
from ftbench.errors import Problem, UserError

DIVERGED = 100.0  # nats: a uniform guess costs 13 over the largest vocabulary
CHECKPOINT_SECONDS = 600.0  # a resumed run gives the same bytes as one that never stopped, so when it was saved is no parameter

Validate = Callable[[Any], Mapping[str, float]]


@dataclass(frozen=True)
class Run:
    """What training gave: the learning curve, one row per logged step, and the record of what it cost."""

    curve: list[dict[str, float]]
    cost: dict[str, Any]


def train(
    job: arms.Job, model: Any, tokenizer: Any, rows: Sequence[Mapping[str, Any]], validate: Validate, padding_side: str | None = None
) -> Run:
    """Train what is trainable in `model`, in place, on tokenised `rows`; a label is one number, or a list with one per token.

    Raises UserError if the loss diverges (not a number, infinite, or above 100 nats), or if the last update leaves no finite weights.
    """
    scratch = stage.SCRATCH / _fingerprint(job)
    checkpoint = _last_checkpoint(scratch)
    torch.use_deterministic_algorithms(job.settings.training.full_determinism, warn_only=True)
    # nothing reads memory before it is written, and filling it takes long
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    per_token = not isinstance(rows[0]["labels"], int)
    trainer = ArmTrainer(
        model=model,
        args=_arguments(job, scratch),
        data_collator=collator(tokenizer, padding_side or tokenizer.padding_side),
        train_dataset=rows,
        eval_dataset=[],  # `validate` holds its own
        callbacks=[_SaveNowAndThen()],
    )
    trainer.remove_callback(PrinterCallback)  # the curve has it all
    trainer.prepare(where=f"{job.study}.{job.arm}, seed {job.seed}", validate=validate, per_token=per_token)
    held = {"parameters": models.count_parameters(model), "num_4bit_layers": models.num_4bit_layers(model)}  # while they are in one piece
    before = movement.trained(model)
    gc.freeze()  # the Trainer collects garbage before it starts, and going through all that was imported takes long
    started = time.perf_counter()
    try:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except BaseException:
        if not launch.rank() and _last_checkpoint(scratch) is None:
            shutil.rmtree(scratch, ignore_errors=True)
        raise
    seconds = time.perf_counter() - started
    num_processes, num_examples, num_tokens = trainer.args.world_size, trainer.num_examples_seen, int(trainer.num_tokens_seen)
    if num_processes > 1:
        num_examples, num_tokens = ranks.totals([num_examples, num_tokens], trainer.args.device)  # now none writes to scratch any more
    if trainer.is_fsdp_enabled:
        ranks.gather_weights(model)
    if trainer.is_world_process_zero():
        shutil.rmtree(scratch, ignore_errors=True)
    if not all(bool(weights.isfinite().all()) for _, weights in models.trained_parameters(model)):  # no later loss shows the last update
        where = f"{trainer.where}: step {trainer.state.global_step}, the last"
        raise UserError(Problem(where, "weights that are no finite numbers", "finite weights", "lower learning_rate or max_grad_norm"))
    cost = {
        "seconds": {
            "training": seconds,
            "training_without_evaluation": seconds - trainer.evaluation_seconds,
            "training_evaluation": trainer.evaluation_seconds,
        },
        "num_epochs": float(trainer.state.epoch or 0.0),
        "examples_per_step": trainer.args.train_batch_size * trainer.args.gradient_accumulation_steps * num_processes,
        "num_steps": trainer.state.global_step,
        "num_examples": num_examples,
        "num_tokens": num_tokens,
        "resumed": checkpoint is not None,
        **held,
        "moved": movement.moved(before, movement.trained(model)),
    }
    return Run(curve(trainer.state.log_history), cost)


class ArmTrainer(Trainer):
    """The Trainer with the cures above; everything else is its own."""

    def prepare(self, where: str, validate: Validate, per_token: bool) -> None:
        """Set what the cures need: a name for the run, its validation, and whether the loss is a mean over tokens or over examples."""
        self.where, self.validate = where, validate
        # A loss over tokens is divided by their number in the whole accumulated batch; a head's is the mean of each micro-batch, which the
        # Trainer takes to be divided already, since the models accept its keyword (transformers issue 47688).
        self.loss_is_scaled_for_ga = per_token
        self.model_accepts_loss_kwargs = per_token
        self.evaluation_seconds = 0.0
        self.num_examples_seen = 0
        self.num_tokens_seen: Any = 0
        self.share: float | None = None

    def get_train_dataloader(self) -> Any:
        """The Trainer's batches, or where several processes train together each one's share of theirs."""
        return ranks.train_loader(self) if self.args.world_size > 1 else super().get_train_dataloader()

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """One micro-batch; the Trainer's own filter would hide a loss that is no number."""
        self.share = inputs.pop(ranks.SHARE, None)
        if self.share != 0:
            self.num_examples_seen += len(inputs["input_ids"])
            self.num_tokens_seen = self.num_tokens_seen + inputs["attention_mask"].sum()
        with models.attention_in_training(self.args.bf16):
            loss = super().training_step(model, inputs, num_items_in_batch)
        if not loss.item() <= DIVERGED:  # so that not a number stops it, too
            raise UserError(
                Problem(
                    f"{self.where}: step {self.state.global_step + 1}",
                    f"the loss is {loss.item()} at learning rate {self._get_learning_rate():.3g}, gradient norm {_grad_norm(model):.3g}",
                    allowed=f"a finite loss, of at most {DIVERGED:.0f}",
                    mend="lower learning_rate or max_grad_norm, lengthen warmup_steps, or use bf16 in place of fp16",
                )
            )
        return loss

    def compute_loss(self, *given: Any, **named: Any) -> Any:
        """The Trainer's loss; of a rank's examples its mean weighs as much as they are many, one over tokens is divided by all already."""
        loss = super().compute_loss(*given, **named)
        return loss if self.share is None or self.loss_is_scaled_for_ga else loss * self.share

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Validate with the evaluation's own code, and log loss and accuracy. Every rank does, and finds the same."""
        started = time.perf_counter()
        metrics = {f"eval_{name}": value for name, value in self.validate(self.model).items()}
        self.evaluation_seconds += time.perf_counter() - started
        self.log(dict(metrics))
        self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Not counted: it would walk through all parameters at every step."""
        return 0

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """A checkpoint holds the trained weights alone, as safetensors; the Trainer would add its arguments, pickled."""
        assert output_dir is not None, "the Trainer names the folder of a checkpoint"
        if not self.args.should_save:
            return
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        models.save_weights(self.accelerator.unwrap_model(self.model), Path(output_dir) / models.TRAINED)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        models.load_weights(model or self.model, Path(resume_from_checkpoint) / models.TRAINED)


class _SaveNowAndThen(TrainerCallback):
    """Saves a checkpoint whenever a good while has passed since the last one, by the first rank's watch; never of weights in pieces."""

    def __init__(self) -> None:
        self.saved = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        due = time.monotonic() - self.saved >= CHECKPOINT_SECONDS and not args.fsdp
        if args.world_size > 1:
            due = ranks.agreed(due, args.device)
        if due:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.saved = time.monotonic()


def collator(tokenizer: Any, padding_side: str) -> Callable[[Sequence[dict[str, Any]]], dict[str, Any]]:
    """A function from rows to padded tensors with an attention mask; labels per token are padded too, a label per row is not.

    Padded on the left, answers stand at the right end, and only the logits there are asked for: those of a prompt enter no loss, and over
    a whole vocabulary they would be most of a step's work.
    """
    padder = copy.copy(tokenizer)
    padder.padding_side = padding_side

    def collate(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        if not isinstance(rows[0]["labels"], int):
            batch: dict[str, Any] = inference.pad(rows, padder, "cpu")
            if padding_side == "left":
                num_kept = inference.num_answer_columns(batch["labels"]) + 1  # a token is predicted at the one before it
                batch |= {"labels": batch["labels"][:, -num_kept:], "logits_to_keep": num_kept}
            return batch
        batch = inference.pad([{name: row[name] for name in row if name != "labels"} for row in rows], padder, "cpu")
        batch["labels"] = torch.tensor([row["labels"] for row in rows])
        return batch

    return collate


def curve(history: Sequence[Mapping[str, Any]]) -> list[dict[str, float]]:
    """The Trainer's log as one row per step: its training loss, rate and gradient norm, and its validation where there was one."""
    rows: dict[int, dict[str, float]] = {}
    for entry in history:
        values = {name: entry[name] for name in arms.CURVE if name in entry}
        if values.keys() - {"step", "epoch"}:
            rows.setdefault(entry["step"], {}).update(values)
    return [rows[step] for step in sorted(rows)]


# ---- Validation -------------------------------------------------------------------------------------------------------------------


def validate_head(tokenizer: Any, features: Sequence[Any], labels: Sequence[int], batch_size: int) -> Validate:
    """Mean negative log-likelihood of the gold label, and accuracy, of a model with a head."""
    return lambda model: _scored(inference.classify(model, tokenizer, features, batch_size), labels)


def validate_labels(tokenizer: Any, features: Sequence[Any], answers: Sequence[str], labels: Sequence[int], batch_size: int) -> Validate:
    """The same of a model that writes the label: the likelihood of each label's word after the prompt, not normalised over the three."""
    return lambda model: _scored(inference.score_labels(model, tokenizer, features, answers, batch_size), labels)


def validate_answers(tokenizer: Any, features: Sequence[Any], batch_size: int) -> Validate:
    """Mean negative log-likelihood per token of the answers and their ends."""
    num_tokens = sum(label != inference.IGNORED for feature in features for label in feature["labels"])
    return lambda model: {"loss": float(inference.answer_loss(model, tokenizer, features, batch_size).sum() / num_tokens)}


def _scored(log_probabilities: np.ndarray, labels: Sequence[int]) -> dict[str, float]:
    gold = np.asarray(labels)
    likelihoods = log_probabilities[np.arange(len(gold)), gold]
    return {"loss": float(-likelihoods.mean()), "accuracy": float((log_probabilities.argmax(axis=1) == gold).mean())}


# ---- Settings and resuming --------------------------------------------------------------------------------------------------------


def _arguments(job: arms.Job, scratch: Path) -> TrainingArguments:
    settings = job.settings.training.model_dump()
    if settings["fp16"] and not torch.cuda.is_available():
        where = f"{job.study}.{job.arm}: training.fp16"
        raise UserError(Problem(where, "true, on a machine without a GPU", allowed="false", mend="bf16 runs on a processor too"))
    checkpointing = settings.pop("gradient_checkpointing")  # this version's name for it is another
    report_to = "none" if launch.rank() else job.settings.training.report_to
    settings["full_determinism"] &= torch.cuda.is_available()  # a processor needs no more than deterministic algorithms
    return TrainingArguments(
        **settings,
        learning_rate=job.settings.learning_rate,
        activation_checkpointing=checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False} if checkpointing else None,
        output_dir=str(scratch),
        seed=job.derived_seed("training"),
        logging_nan_inf_filter=False,
        save_strategy="no",
        save_total_limit=1,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        **tracking.arguments(report_to, job.study, job.arm, job.seed, _last_checkpoint(scratch) is not None),
        **ranks.arguments(job.settings.launch),
        use_cpu=not torch.cuda.is_available(),
    )


def _fingerprint(job: arms.Job) -> str:
    """What names a run: settings, seed, data, base and code. A checkpoint of anything else is never resumed."""
    code = [Path(sys.argv[0]), *sorted(Path(__file__).parent.rglob("*.py"))]
    inputs = [*sorted(job.data.glob("*.parquet")), job.base / bases.MANIFEST, *(path for path in code if path.is_file())]
    settings = files.canonical_json({"settings": job.settings.model_dump(mode="json"), "text": job.text.model_dump(mode="json")})
    return files.sha256_text(job.study, job.arm, str(job.seed), settings, *map(files.sha256_file, inputs))[:32]


def _last_checkpoint(scratch: Path) -> Path | None:
    """The newest checkpoint that was written whole: the Trainer writes its state last."""
    whole = [path.parent for path in scratch.glob("checkpoint-*/trainer_state.json") if _is_json(path)]
    return max(whole, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)


def _is_json(path: Path) -> bool:
    try:
        return bool(json.loads(path.read_bytes()))
    except ValueError:  # cut off by a kill or a full disk
        return False


def _grad_norm(model: Any) -> float:
    return float(torch.nn.utils.get_total_norm(parameter.grad for parameter in model.parameters() if parameter.grad is not None))
