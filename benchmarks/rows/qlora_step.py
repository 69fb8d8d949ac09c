"""A QLoRA step, 4-bit base and LoRA: as our train stages prepare a model, against `prepare_model_for_kbit_training` as PEFT documents it.

Both start from the same weights in 4-bit and the same adapter, and see the same batches in the same order with recomputed activations, so
their losses are the same up to bfloat16. What differs is what is not in 4-bit: PEFT's function casts the embeddings, the norms and the
output layer to float32, and a plain Trainer computes the logits of every token; ours leaves the former as they are and asks for the logits
of answers alone.
"""

from __future__ import annotations

import copy
import gc
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made
import timing
import torch
import transformers

from ftbench import adapters, arms, bases, grid, models, schema, text, training

STEPS, QUICK_STEPS = 6, 2
BATCH, LEARNING_RATE = 8, 3e-4
TOLERANCE = 0.03  # of a step's loss in nats: what is cast to float32 on one side is rounded to bfloat16 on the other
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

Outcome = dict[str, Any]


def row(options: made.Options) -> timing.Row:
    """Some optimiser steps; memory is counted once for each way, by PyTorch's profiler, in a run that is not timed."""
    made.refuse_without_bfloat16()
    num_steps = QUICK_STEPS if options.quick else STEPS
    settings = grid.text(made.settings(), "alpaca")
    rows = made.instructions(options, "train", BATCH * num_steps)
    prompts = [text.instruction_prompt(settings, one["instruction"], one["input"]) for one in rows]
    scratch = tempfile.TemporaryDirectory(prefix="bench-qlora-")
    folder = Path(scratch.name)
    model, tokenizer = made.decoder([prompt + one["output"] for prompt, one in zip(prompts, rows, strict=True)])
    num_parameters = model.num_parameters()
    bases.save_miniature(folder, "bench", "llama", model, tokenizer, {})
    features = text.encode_answers(tokenizer, prompts, [one["output"] for one in rows], settings.max_length).features
    arm = job(folder, settings)

    def ours() -> timing.Work:
        adapted = our_model(arm)

        def work() -> Outcome:
            run = training.train(arm, adapted, tokenizer, features, lambda _: {})
            return {"losses": [point["loss"] for point in run.curve], "model": adapted}

        return work

    def documented() -> timing.Work:
        made.as_torch_starts()
        adapted = their_model(arm)
        padder = copy.copy(tokenizer)
        padder.padding_side = "right"
        arguments = transformers.TrainingArguments(
            output_dir=f"{scratch.name}/runs",  # named here, so that the folder lives as long as the row
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=LEARNING_RATE,
            bf16=True,
            train_sampling_strategy="sequential",
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
            remove_unused_columns=False,
            label_names=["labels"],
        )
        collator = transformers.DataCollatorForSeq2Seq(padder)
        trainer = transformers.Trainer(model=adapted, args=arguments, train_dataset=features, data_collator=collator)
        trainer.remove_callback(transformers.PrinterCallback)

        def work() -> Outcome:
            trainer.train()
            return {"losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry], "model": adapted}

        return work

    peaks = {"peak_bytes": peak_bytes(ours), "alternative_peak_bytes": peak_bytes(documented)}
    peaks["peak_bytes_ratio"] = peaks["peak_bytes"] / peaks["alternative_peak_bytes"]
    return timing.Row(
        work=f"{num_steps} QLoRA steps of {BATCH} instructions, {num_parameters / 1e6:.1f} M parameters, nf4, bfloat16",
        against="transformers, PEFT and prepare_model_for_kbit_training as documented",
        bar=1.0,
        ours=ours,
        alternative=documented,
        difference=difference,
        sizes={
            "num_steps": num_steps,
            "batch_size": BATCH,
            "num_parameters": num_parameters,
            "num_tokens": sum(len(feature["input_ids"]) for feature in features),
            "num_trained_tokens": sum(label != text.IGNORED for feature in features for label in feature["labels"]),
        },
        figures=lambda *_: peaks,
        at_most={"peak_bytes_ratio": 1.0},
    )


def job(folder: Path, settings: schema.Text) -> arms.Job:
    """The arm: the settings of the study of instructions, 4-bit with bfloat16, activations recomputed, no dropout."""
    how = schema.Training(
        num_train_epochs=1.0,
        per_device_train_batch_size=BATCH,
        optim="adamw_torch_fused",
        bf16=True,
        gradient_checkpointing=True,
        logging_steps=1,
        train_sampling_strategy="sequential",
    )
    nf4 = schema.Quantization(bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype="bfloat16")
    adapter = schema.LoraAdapter(r=8, lora_alpha=16, lora_dropout=0.0, target_modules=TARGETS)
    nowhere = dict.fromkeys(("data", "base", "out", "curve", "cost", "resources"), folder)
    given = {"study": "bench", "arm": "qlora", "seed": 0, "text": settings, "base_model": "bench"}
    return arms.Job(settings=schema.Arm(training=how, learning_rate=LEARNING_RATE, adapter=adapter, quantization=nf4), **given, **nowhere)


def our_model(arm: arms.Job) -> Any:
    """As `stages/train_sft.py` makes it."""
    assert isinstance(arm.settings.adapter, schema.LoraAdapter)
    model = models.load_decoder(arm.base, arm.settings.quantization, arms.dtype(arm.settings))
    return adapters.lora(model, arm.settings.adapter, arm.derived_seed("adapter"), task="CAUSAL_LM")


def their_model(arm: arms.Job) -> Any:
    """As PEFT's documentation of quantisation makes it, with the same adapter."""
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    assert isinstance(arm.settings.adapter, schema.LoraAdapter)
    assert arm.settings.quantization is not None
    kept = arm.settings.quantization
    quantization = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=kept.bnb_4bit_quant_type,
        bnb_4bit_use_double_quant=kept.bnb_4bit_use_double_quant,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model = transformers.AutoModelForCausalLM.from_pretrained(
        arm.base,
        quantization_config=quantization,
        dtype=torch.bfloat16,
        device_map={"": models.device()},
        local_files_only=True,
        trust_remote_code=False,
    )
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # as ours: the packed form cannot be trained on
    model = prepare_model_for_kbit_training(model, gradient_checkpointing_kwargs={"use_reentrant": False})
    adapter = arm.settings.adapter
    config = LoraConfig(
        task_type="CAUSAL_LM", r=adapter.r, lora_alpha=adapter.lora_alpha, lora_dropout=0.0, target_modules=sorted(adapter.target_modules)
    )
    torch.manual_seed(arm.derived_seed("adapter"))
    return get_peft_model(model, config)


def peak_bytes(prepare: Callable[[], timing.Work]) -> int:
    """The most bytes of tensors at once: of the model before its first step, and what PyTorch allocates from there on."""
    from torch.profiler import ProfilerActivity, profile

    work = prepare()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        outcome = work()
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    now = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    model = outcome["model"]
    held = {tensor.data_ptr(): tensor.numel() * tensor.element_size() for tensor in [*model.parameters(), *model.buffers()]}
    del outcome, profiled
    gc.collect()
    return sum(held.values()) + most


def difference(ours: Outcome, other: Outcome) -> str:
    """In which step's loss two ways differ by more than bfloat16's rounding, if in any."""
    if len(ours["losses"]) != len(other["losses"]):
        return f"{len(ours['losses'])} steps, or other {len(other['losses'])}"
    apart = max(abs(one - two) for one, two in zip(ours["losses"], other["losses"], strict=True))
    return f"the loss of a step differs by {apart:.2g}" if apart > TOLERANCE else ""
