"""What an arm costs at full size, measured: random weights, N optimiser steps at the arm's own batch settings, M evaluation batches.

Time and memory do not depend on the values of weights and tokens, so nothing is downloaded. It writes tokens per second, seconds per step,
peak memory, the share of the device's matrix peak that is reached, the time that this comes to for the whole arm, the figures of the study
beside it, and what `ftbench plan` predicted beside what was seen. With --against other ways then make as many steps of the same size, in
the order in which they are named. It needs torch, transformers, peft and bitsandbytes; neither DVC nor, without --against, datasets.
Example: python benchmarks/full_size.py --study snli --arm qkv-nf4 --against trainer trl --out reports/full_size/snli-qkv-nf4.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

from ftbench import accounting, counting, grid, models, params, schema  # before the others: it says how they start

import bitsandbytes  # isort: skip
import devices  # isort: skip
import full_size_against  # isort: skip
import peft  # isort: skip
import torch
import transformers
from bitsandbytes.nn import Linear4bit, Params4bit

# seconds of training that the MultiNLI study printed; the others state none
STUDIES_SECONDS = {"multinli.full-shared": 4582, "multinli.lora-shared": 1922, "multinli.p_tuning_with_backbone-shared": 5091}
OPTIMISERS = {  # the Trainer's names, without the Trainer: it would import datasets
    "adamw_torch": lambda weights, rate: torch.optim.AdamW(weights, rate),
    "adamw_torch_fused": lambda weights, rate: torch.optim.AdamW(weights, rate, fused=True),
    "adamw_bnb_8bit": lambda weights, rate: bitsandbytes.optim.AdamW8bit(weights, rate),
    "paged_adamw_32bit": lambda weights, rate: bitsandbytes.optim.PagedAdamW32bit(weights, rate),
    "paged_adamw_8bit": lambda weights, rate: bitsandbytes.optim.PagedAdamW8bit(weights, rate),
    "sgd": lambda weights, rate: torch.optim.SGD(weights, rate),
}


def main(arguments: argparse.Namespace) -> None:
    """Measure one arm and write its record."""
    raw = {**params.read(arguments.params), "scale": arguments.scale}
    design, settings = grid.study(raw, arguments.study), grid.arm(raw, arguments.study, arguments.arm)
    if settings.training.optim not in OPTIMISERS:
        raise SystemExit(f"{settings.training.optim}: this benchmark has {', '.join(OPTIMISERS)}")
    method, model_name = grid.method_of(design, arguments.arm), grid.model_of(design, arguments.arm)
    alone = {"scale": arguments.scale, "studies": {arguments.study: raw["studies"][arguments.study]}, arguments.scale: raw[arguments.scale]}
    account = accounting.every_arm(alone)[arguments.scale][arguments.study][arguments.arm]
    text = grid.text(raw, arguments.study)
    length = arguments.length or text.max_length
    device = models.device()
    on_gpu = device.type == "cuda"
    per_token = settings.token is None and not grid.METHODS[method].encoder
    told = [full_size_against.refusal(name, arguments.arm, settings, per_token) for name in arguments.against]
    if wrong := [why for why in told if why]:
        raise SystemExit("\n".join(wrong))
    base = grid.model(raw, model_name)

    def built() -> Any:
        torch.manual_seed(0)
        _, model = counting.build(counting.config(base, f"{arguments.scale}.models.{model_name}"), method, settings)
        materialise(model, method, settings, device)
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
        return model

    model = built()
    num_kept = min(accounting.num_logit_positions(method, text), length)
    step_seconds = train(model, settings, per_token, length, num_kept, arguments.steps)
    seen, reserved = (torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()) if on_gpu else (None, None)
    batch_size = grid.evaluation(raw, arguments.study).per_device_eval_batch_size
    batch_seconds = evaluate(model, settings, batch_size, length, arguments.batches)
    seconds = statistics.median(step_seconds[1:])  # the first step allocates
    per_step = settings.training.per_device_train_batch_size * settings.training.gradient_accumulation_steps
    counts = counting.count(base, method, settings)  # what is computed twice to save memory counts once
    operations = per_step * length * (4 * counts.num_linear_weights + 2 * counts.num_trained_linear_weights)
    peak = devices.matrix_peak(counting.half_precision(settings) or torch.float32, device)
    predicted = account["step_bytes"]["peak"]
    num_steps = account["run"]["num_steps"]
    content = {
        "schema_version": 1,
        "scale": arguments.scale,
        "study": arguments.study,
        "arm": arguments.arm,
        "model": model_name,
        "device": torch.cuda.get_device_name(device) if on_gpu else "cpu",
        "versions": {module.__name__: module.__version__ for module in (torch, transformers, peft, bitsandbytes)},
        "num_4bit_layers": models.num_4bit_layers(model),
        "inputs_per_step": per_step,
        "tokens_per_input": length,
        "step_seconds": step_seconds,
        "median_step_seconds": seconds,
        "tokens_per_second": per_step * length / seconds,
        "evaluation_batch_size": batch_size,
        "evaluation_batch_seconds": batch_seconds,
        "matrix_peak_operations_per_second": peak,
        "model_flops_utilisation": operations / seconds / peak,
        "projected_training_seconds": None if num_steps is None else num_steps * seconds,
        "study_training_seconds": STUDIES_SECONDS.get(f"{arguments.study}.{arguments.arm}"),
        "peak_allocated_bytes": seen,
        "peak_reserved_bytes": reserved,
        "predicted_peak_bytes": predicted,
        "predicted_over_seen": None if seen is None else predicted / seen,
        "against": {},
    }
    write(arguments.out, content)
    print(f"{arguments.out}: {seconds:.3f} s a step, {per_step * length / seconds:,.0f} tokens a second")
    del model
    for name in arguments.against:
        steps = full_size_against.Steps(per_token, length, num_kept, arguments.steps)
        found = content["against"][name] = full_size_against.beside(name, built, settings, steps, seconds, seen)
        write(arguments.out, content)
        took = found["not_run"] or f"{found['median_step_seconds']:.3f} s a step, {found['seconds_ratio']:.2f} times ours"
        print(f"{name} {found['version']}: {took}")


def write(out: Path, content: dict[str, Any]) -> None:
    """Write the record."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def materialise(model: Any, method: str, settings: schema.Arm, device: torch.device) -> None:
    """Give a model of shapes random weights on `device`, in place and in the precision that its train script would load them in."""
    frozen = counting.half_precision(settings) if counting.bytes_per_frozen_weight(method, settings) == 2 else None
    made: dict[int, torch.nn.Parameter] = {}  # weights that two layers share stay shared
    for module in list(model.modules()):
        for name, weight in list(module.named_parameters(recurse=False)):
            if id(weight) not in made:
                dtype = torch.float32 if weight.requires_grad or frozen is None else frozen
                values = torch.empty(weight.shape, dtype=dtype, device=device)
                values = values.normal_(0, 0.02) if weight.dim() > 1 else values.fill_(float("norm" in name or name == "weight"))
                made[id(weight)] = torch.nn.Parameter(values, requires_grad=weight.requires_grad)
                if isinstance(module, Linear4bit) and name == "weight" and settings.quantization is not None:
                    made[id(weight)] = _in_4_bit(module, values, settings.quantization, device)
            module._parameters[name] = made[id(weight)]
        for name, buffer in list(module.named_buffers(recurse=False)):
            values = torch.zeros(buffer.shape, dtype=buffer.dtype, device=device)
            if name == "position_ids":
                values = torch.arange(buffer.numel(), device=device).view(buffer.shape)
            module._buffers[name] = values.fill_(0.01) if buffer.is_floating_point() else values
    for name, tokens in getattr(model, "prompt_tokens", {}).items():  # PEFT keeps them beside the modules
        model.prompt_tokens[name] = torch.arange(tokens.numel())


def _in_4_bit(module: Linear4bit, values: torch.Tensor, quantization: schema.Quantization, device: torch.device) -> Params4bit:
    module.compute_dtype = getattr(torch, quantization.bnb_4bit_compute_dtype)
    module.compute_type_is_set = True
    module.support_avx512bf16_for_cpu = False
    weight = Params4bit(
        values,
        requires_grad=False,
        quant_type=quantization.bnb_4bit_quant_type,
        compress_statistics=quantization.bnb_4bit_use_double_quant,
    )
    return weight.to(device)


def train(model: Any, settings: schema.Arm, per_token: bool, length: int, num_kept: int, num_steps: int) -> list[float]:
    """Seconds of each of `num_steps` optimiser steps, whose loss is over the last `num_kept` tokens, or over inputs."""
    training, device = settings.training, models.device()
    model.train()
    if training.gradient_checkpointing:
        (model.get_base_model() if hasattr(model, "get_base_model") else model).activation_checkpointing_enable(
            activation_checkpointing_kwargs={"use_reentrant": False}
        )
        if hasattr(model, "enable_input_require_grads"):
            model.enable_input_require_grads()
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = OPTIMISERS[training.optim](weights, settings.learning_rate)
    scaler = torch.amp.GradScaler(device.type, enabled=training.fp16)
    seconds = []
    for _ in range(num_steps):
        started = time.perf_counter()
        for _ in range(training.gradient_accumulation_steps):
            batch: dict[str, Any] = _batch(model, training.per_device_train_batch_size, length, per_token)
            if per_token and num_kept < length:
                batch |= {"labels": batch["labels"][:, -num_kept:], "logits_to_keep": num_kept}
            with torch.autocast(device.type, counting.half_precision(settings), enabled=training.fp16 or training.bf16):
                loss = model(**batch).loss / training.gradient_accumulation_steps
            scaler.scale(loss).backward()
        scaler.unscale_(optimiser)
        if training.max_grad_norm:
            torch.nn.utils.clip_grad_norm_(weights, training.max_grad_norm)
        scaler.step(optimiser)
        scaler.update()
        optimiser.zero_grad(set_to_none=True)
        devices.wait(device)
        seconds.append(time.perf_counter() - started)
    return seconds


def evaluate(model: Any, settings: schema.Arm, batch_size: int, length: int, num_batches: int) -> float:
    """The median seconds of an evaluation batch."""
    device = models.device()
    model.eval()
    seconds = []
    for _ in range(num_batches):
        batch = {name: value for name, value in _batch(model, batch_size, length, False).items() if name != "labels"}
        started = time.perf_counter()
        with (
            torch.inference_mode(),
            torch.autocast(device.type, counting.half_precision(settings), enabled=counting.half_precision(settings) is not None),
        ):
            model(**batch)
        devices.wait(device)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def _batch(model: Any, batch_size: int, length: int, per_token: bool) -> dict[str, torch.Tensor]:
    ids = torch.randint(10, model.config.vocab_size, (batch_size, length), device=models.device())
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids if per_token else ids[:, 0] % 3}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--study", required=True)
    parser.add_argument("--arm", required=True, help="the levels of the arm, joined by -")
    parser.add_argument("--scale", default="paper")
    parser.add_argument("--steps", type=int, default=10, help="optimiser steps, at least 2")
    parser.add_argument("--batches", type=int, default=10, help="evaluation batches")
    parser.add_argument("--length", type=int, help="tokens of every input (default: the study's longest)")
    parser.add_argument("--against", nargs="+", default=[], choices=["trainer", "trl"], help="other ways to make the steps")
    parser.add_argument("--params", type=Path, default=params.PATH)
    parser.add_argument("--out", type=Path, required=True, help="the record to write, JSON")
    given = parser.parse_args()
    if given.steps < 2 or given.batches < 1:
        parser.error("--steps at least 2, since the first allocates, and --batches at least 1")
    main(given)
