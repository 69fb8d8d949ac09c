"""Answers to the fifteen questions and to held-out instructions: batched as the evaluation does, against one call per prompt."""

from __future__ import annotations

from typing import Any

import made
import timing
import torch

from ftbench import grid, inference, models, text
from ftbench.questions import QUESTIONS

ARMS = ("open_llama_3b-study", "bloom_3b-study", "falcon_rw_1b-study")
INSTRUCTIONS, QUICK_INSTRUCTIONS = 113, 17  # beside the fifteen: two whole batches, and half of one
STEPS, QUICK_STEPS = 300, 80  # of a model that is made here: enough that most of its answers end, at different lengths


def row(options: made.Options) -> timing.Row:
    """Every arm that is there, one after the other, or a small model that is trained here."""
    raw = made.settings()
    settings, evaluation = grid.text(raw, "alpaca"), grid.evaluation(raw, "alpaca")
    held_out = made.instructions(options, "test", QUICK_INSTRUCTIONS if options.quick else INSTRUCTIONS)
    asked = [(row["instruction"], row["input"]) for row in held_out] + [(question.text, "") for question in QUESTIONS]
    prompts = [text.instruction_prompt(settings, *parts) for parts in asked]
    loaded = trained_arms(options) or {"made here": answering(options, settings)}
    features = {name: text.encode_prompts(tokenizer, prompts, settings.max_length).features for name, (_, tokenizer) in loaded.items()}
    assert evaluation.max_new_tokens is not None
    longest, batch_size = evaluation.max_new_tokens, evaluation.per_device_eval_batch_size

    def ours() -> dict[str, list[str]]:
        return {
            name: [answer.text for answer in inference.generate(model, tokenizer, features[name], batch_size, longest)]
            for name, (model, tokenizer) in loaded.items()
        }

    def one_by_one() -> dict[str, list[str]]:
        return {
            name: [unbatched(model, tokenizer, feature, longest) for feature in features[name]]
            for name, (model, tokenizer) in loaded.items()
        }

    return timing.Row(
        work=f"{len(prompts)} greedy answers by each of: {', '.join(loaded)}",
        against="one unbatched model.generate call per prompt",
        bar=5.0,
        ours=lambda: ours,
        alternative=lambda: one_by_one,
        difference=difference,
        sizes={"num_prompts": len(prompts), "num_models": len(loaded), "batch_size": batch_size, "max_new_tokens": longest},
        warm_up=False,
        num_repeats=3,  # its runs are long
        figures=lambda written, _: {"mean_characters": sum(len(one) for texts in written.values() for one in texts) / len(prompts)},
    )


def trained_arms(options: made.Options) -> dict[str, tuple[Any, Any]]:
    """The arms that a run left: name -> model and tokenizer. None unless all three are there."""
    folders = {arm: options.models / f"alpaca/{arm}-0" for arm in ARMS}
    bases = {arm: options.models / f"base/{arm.partition('-')[0]}" for arm in ARMS}
    if not all((folders[arm] / "arm.json").is_file() and (bases[arm] / "manifest.json").is_file() for arm in ARMS):
        return {}
    return {arm: models.load_arm(folders[arm], bases[arm]) for arm in (ARMS[:1] if options.quick else ARMS)}


def answering(options: made.Options, settings: Any) -> tuple[Any, Any]:
    """A Llama of the offline dimensions, trained for a moment on instructions, so that its answers end and differ in length."""
    rows = made.instructions(options, "train", 1000)
    prompts = [text.instruction_prompt(settings, row["instruction"], row["input"]) for row in rows]
    offline = made.model_settings("open_llama_3b")
    dimensions = offline.dimensions.model_dump(exclude_none=True)
    texts = [prompt + row["output"] for prompt, row in zip(prompts, rows, strict=True)]
    model, tokenizer = made.decoder(texts, dimensions, offline.tokenizer.vocab_size)
    features = text.encode_answers(tokenizer, prompts, [row["output"] for row in rows], settings.max_length).features
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    order = torch.Generator().manual_seed(made.SEED)
    for _ in range(QUICK_STEPS if options.quick else STEPS):
        drawn = torch.randint(len(features), (16,), generator=order).tolist()
        loss = model(**inference.pad([features[index] for index in drawn], tokenizer, "cpu")).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval(), tokenizer


def unbatched(model: Any, tokenizer: Any, feature: text.Feature, longest: int) -> str:
    """One answer as a model's card shows it: a prompt of one row, and the text after it."""
    prompt = torch.tensor([feature["input_ids"]], device=next(model.parameters()).device)
    ends = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    written = model.generate(
        input_ids=prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=longest, use_cache=True, **ends
    )
    return tokenizer.decode(written[0, prompt.shape[1] :], skip_special_tokens=True).strip()


def difference(ours: dict[str, list[str]], other: dict[str, list[str]]) -> str:
    """How many answers differ, by model."""
    counts = {name: sum(one != two for one, two in zip(ours[name], other[name], strict=True)) for name in ours}
    return ", ".join(f"{count} of {len(ours[name])} answers of {name} differ" for name, count in counts.items() if count)
