"""What is known before anything runs: parameters and bytes of every arm of every scale.

All of it is arithmetic on shapes; `counting` builds the models, on the meta device and without a download.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ftbench import counting, grid, params, schema
from ftbench.counting import Counts
from ftbench.errors import Problem, UserError
from ftbench.schema_datasets import Dataset, GeneratedDataset
from ftbench.schema_models import Model

if TYPE_CHECKING:
    from ftbench.activations import Activations

DOUBLE_QUANTISATION_BLOCK = 256  # quantisation constants that share one constant of their own under double quantisation


def share_percent(trained: int, total: int) -> float:
    """Trained parameters as a percentage of `total`, in the order of operations that PEFT prints it (the last digits depend on it)."""
    return 100 * trained / total


# ---- Memory -----------------------------------------------------------------------------------------------------------------------


def optimizer_bytes_per_parameter(optim: str) -> float:
    """Bytes of optimiser state for one trained fp32 parameter under the Trainer's name `optim`: Adam keeps two moments, SGD none."""
    if "sgd" in optim:
        return 0.0
    if "8bit" in optim:
        return 2 * (1 + 4 / 256)  # one byte a moment, and an fp32 constant for every 256 of them
    if "adafactor" in optim:
        return 0.0  # row and column sums: below a thousandth of the parameters
    if "lion" in optim or "adagrad" in optim or "rmsprop" in optim:
        return 4.0
    return 8.0


def memory_bytes(counts: Counts, quantization: schema.Quantization | None, optim: str, bytes_per_frozen_weight: int = 4) -> dict[str, int]:
    """Bytes held after an optimiser step, in parts: everything but activations, logits and the allocator's own.

    4-bit weights take half a byte each and their constants four bytes per block of 64 (a little over one under double quantisation);
    what is neither 4-bit nor trained takes `bytes_per_frozen_weight`; what is trained is kept in fp32, with an fp32 gradient.
    """
    trained_base = counts.trained - counts.trained_adapter
    frozen = counts.total - counts.adapter - counts.num_4bit_weights - trained_base
    constants = 0
    if quantization is not None:
        blocks = counts.num_4bit_blocks
        constants = blocks + 4 * math.ceil(blocks / DOUBLE_QUANTISATION_BLOCK) if quantization.bnb_4bit_use_double_quant else 4 * blocks
    parts = {
        "weights": counts.num_4bit_bytes + frozen * bytes_per_frozen_weight + 4 * trained_base,
        "quantisation_constants": constants,
        "adapter": 4 * counts.adapter,
        "gradients": 4 * counts.trained,
        "optimiser": round(optimizer_bytes_per_parameter(optim) * counts.trained),
    }
    return {**parts, "total": sum(parts.values())}


def step_bytes(
    memory: Mapping[str, int], activations: Activations, counts: Counts, quantization: schema.Quantization | None, training: schema.Training
) -> dict[str, int]:
    """The most that training holds on its device, in parts and at its peak, as the arm is set and with every block computed twice or not.

    Every input is taken to be as long as it may be, so these are upper bounds. What the driver and the allocator keep for themselves comes
    on top. `memory` as `memory_bytes` gives it.
    """
    width = 4 if quantization is None or quantization.bnb_4bit_compute_dtype == "float32" else 2
    unpacked = counts.largest_4bit_layer * width  # one layer's weights at a time
    held = memory["total"] - memory["gradients"]
    kept_between = memory["gradients"] if training.gradient_accumulation_steps > 1 else 0
    stepping = (
        held + memory["gradients"] + (4 * counts.trained if training.optim == "adamw_torch" else 0)
    )  # it takes the roots of all at once

    def peak(kept: int) -> int:
        # gradients appear as activations go
        passing = max(kept + activations.logits + kept_between, memory["gradients"])
        return max(held + activations.copies + unpacked + passing, stepping)

    return {
        "activations": activations.kept,
        "activations_recomputed": activations.recomputed,
        "logits": activations.logits,
        "mixed_precision_copies": activations.copies,
        "unpacked_layer": unpacked,
        "peak": peak(activations.recomputed if training.gradient_checkpointing else activations.kept),
        "peak_without_recomputation": peak(activations.kept),
        "peak_with_recomputation": peak(activations.recomputed),
    }


def num_logit_positions(method: str, text: schema.Text) -> int:
    """Of how many positions of an input training asks for logits: of a label those of its word and the one before, else all.

    A word has at most as many tokens as characters, its space counted. Answers to instructions may begin anywhere.
    """
    if method != "qlora_label":
        return text.max_length
    assert text.labels is not None, "label prompts have a word per label"
    return min(max(map(len, text.labels.words())) + 2, text.max_length)


def host_bytes(counts: Counts, stored: int, quantized: bool) -> dict[str, int]:
    """Memory of the host while the base is loaded: `whole`, all its weights at once as the checkpoint stores them, and `streamed`, one
    tensor after the other on its way to the GPU, as 4-bit loading goes. `predicted`: of the two the one that the arm's loading takes.

    `stored`: bytes of a weight in the checkpoint's files.
    """
    whole, streamed = stored * (counts.total - counts.adapter), 2 * stored * counts.largest_tensor  # as stored, and as converted
    return {"whole": whole, "streamed": streamed, "predicted": streamed if quantized else whole}


def disk_bytes(counts: Counts, checkpoint_size: int, stored: int) -> dict[str, int]:
    """Files on disk: `checkpoint`, the base's `checkpoint_size` weights as they are stored, and `arm`, what is saved of one seed."""
    return {"checkpoint": stored * checkpoint_size, "arm": 4 * counts.saved}


# ---- The run ----------------------------------------------------------------------------------------------------------------------


def run(num_examples: int | None, text: schema.Text, arm: schema.Arm, counts: Counts) -> dict[str, int | None]:
    """Optimiser steps of one arm at one seed, the most tokens and floating-point operations; null where the data's size is unknown.

    A token takes two operations per linear weight forward, two on the way back to its input, and two more per trained weight; two again
    where blocks are computed twice. Attention itself, small at these lengths, is left out.
    """
    training = arm.training
    batch_size = training.per_device_train_batch_size * arm.num_processes  # of all devices
    per_step = batch_size * training.gradient_accumulation_steps
    steps: int | None = training.max_steps
    if "max_steps" not in training.model_fields_set:
        steps = None
        if num_examples is not None:
            batches = math.ceil(num_examples / batch_size)
            steps = math.ceil(training.num_train_epochs * math.ceil(batches / training.gradient_accumulation_steps))
    if steps is None:
        return {"num_examples": num_examples, "num_steps": None, "num_tokens": None, "num_operations": None}
    virtual = getattr(arm.adapter, "num_virtual_tokens", 0)
    num_inputs = (
        steps * per_step
        if num_examples is None or "max_steps" in training.model_fields_set
        else round(training.num_train_epochs * num_examples)
    )
    num_tokens = num_inputs * (text.max_length + virtual)
    passes = 4 + 2 * training.gradient_checkpointing
    operations = num_tokens * (passes * counts.num_linear_weights + 2 * counts.num_trained_linear_weights)
    return {"num_examples": num_examples, "num_steps": steps, "num_tokens": num_tokens, "num_operations": operations}


def num_train_examples(data: Dataset) -> int | None:
    """Rows of train: as many as asked for, or what is left of the publisher's when other splits are cut from them; None if none says."""
    sizes = data.splits.sizes()
    if sizes["train"] is not None or isinstance(data, GeneratedDataset):
        return sizes["train"]
    if data.published_rows is None:
        return None
    return data.published_rows - sum(size or 0 for name, size in sizes.items() if name not in data.files)


# ---- Every arm of every scale -----------------------------------------------------------------------------------------------------


def arm_record(counts: Counts, arm: schema.Arm, bytes_per_frozen_weight: int) -> dict[str, Any]:
    """What one arm's entry of accounting.json says of its parameters."""
    return {
        "base": counts.total - counts.adapter,
        "adapter": counts.adapter,
        "total": counts.total,
        "packed": counts.packed,
        "num_4bit_layers": counts.num_4bit_layers,
        "trained": counts.trained,
        "saved": counts.saved,
        "trained_share_percent": share_percent(counts.trained, counts.total),
        "trained_share_of_packed_percent": share_percent(counts.trained, counts.packed),
        "memory_bytes": memory_bytes(counts, arm.quantization, arm.training.optim, bytes_per_frozen_weight),
    }


@dataclass(frozen=True, slots=True)
class _Resolved:
    """An arm of a scale with the settings and the base model that params.yaml gives it."""

    scale: str
    study: str
    name: str
    method: str
    model_name: str
    model: Model
    settings: schema.Arm
    text: schema.Text
    data: Dataset
    num_seeds: int


def every_arm(raw: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """{scale: {study: {arm: record}}} for every arm of every scale, the studies that a scale leaves out excepted.

    Raises UserError with every mistake of every scale at once, before anything is built.
    """
    problems: list[Problem] = []
    resolved: list[_Resolved] = []
    for scale in grid.scales(raw):
        view = {**raw, "scale": scale}
        for study_name in (name for name in raw["studies"] if name in raw[scale]):
            study = grid.study(view, study_name)
            for arm in grid.arms(study):
                try:
                    resolved.append(_resolve(view, study_name, study, arm))
                except UserError as error:
                    problems += error.problems
    records: dict[str, dict[str, dict[str, Any]]] = {scale: {} for scale in grid.scales(raw)}
    for entry in [] if problems else resolved:
        try:
            records[entry.scale].setdefault(entry.study, {})[entry.name] = _record(entry)
        except UserError as error:  # what fits no model: said by the library, which knows nothing of arms
            at = f"{params.at(entry.scale, entry.study)} (arm {entry.name} on {entry.model_name})"
            problems += [replace(problem, where=f"{at}: {problem.where}") for problem in error.problems]
    if problems:
        raise UserError(list(dict.fromkeys(problems)))
    return records


def _resolve(view: Mapping[str, Any], study_name: str, study: schema.Study, arm: str) -> _Resolved:
    model_name, method = grid.model_of(study, arm), grid.method_of(study, arm)
    model, settings = grid.model(view, model_name), grid.arm(view, study_name, arm)
    text, data = grid.text(view, study_name), grid.dataset(view, study.dataset)
    return _Resolved(view["scale"], study_name, arm, method, model_name, model, settings, text, data, len(study.seeds))


def _record(arm: _Resolved) -> dict[str, Any]:
    where = params.at(arm.scale, "models", arm.model_name)
    counts = counting.count(arm.model, arm.method, arm.settings, where)
    frozen = counting.bytes_per_frozen_weight(arm.method, arm.settings)
    activations = counting.activations(arm.model, arm.method, arm.settings, arm.text.max_length, where)
    logits = activations.logits * num_logit_positions(arm.method, arm.text) // arm.text.max_length
    activations = replace(activations, logits=logits)
    record = arm_record(counts, arm.settings, frozen)
    encoder, quantization = grid.METHODS[arm.method].encoder, arm.settings.quantization
    stored = counting.bytes_per_stored_weight(arm.model, encoder)
    return {
        "model": arm.model_name,
        "method": arm.method,
        **record,
        "step_bytes": step_bytes(record["memory_bytes"], activations, counts, quantization, arm.settings.training),
        "host_bytes": host_bytes(counts, stored, quantization is not None),
        "disk_bytes": disk_bytes(counts, counting.checkpoint_size(arm.model, encoder, where), stored),
        "run": run(num_train_examples(arm.data), arm.text, arm.settings, counts),
        "num_seeds": arm.num_seeds,
    }
