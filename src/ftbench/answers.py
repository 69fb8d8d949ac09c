"""Answers to instructions: written by a model, compared with their references, and the figures of a set of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ftbench import few_shot, files, scores, text
from ftbench.few_shot import Examples
from ftbench.matching import exact_match, token_f1
from ftbench.questions import QUESTIONS as FIFTEEN
from ftbench.repetition import looping, repetition
from ftbench.schema import Evaluation, InstructionTemplate, Text

HELD_OUT = "test"
QUESTIONS = "questions"  # the split, in a predictions file, of the fifteen questions: they have no reference


def figures(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All figures of some answers with references: rows as the predictions file has them."""
    metric = scores.load_metric("answers")
    matches = metric.compute(predictions=[row["text"] for row in rows], references=[row["reference"] for row in rows])
    columns = [np.array([row[name] for row in rows]) for name in ("nll", "tokens", "bytes")]
    return {
        "n": len(rows),
        **scores.likelihood(*columns),
        **matches,
        "stopped": scores.mean_of(rows, "stopped"),
        "mean_tokens": scores.mean_of(rows, "generated_tokens"),
        "length_ratio": length_ratio(rows),
        "repetition": scores.mean_of(rows, "repetition"),
        "looping": scores.mean_of(rows, "looping"),
    }


def length_ratio(rows: Sequence[Mapping[str, Any]]) -> float:
    """The bytes of all answers over the bytes of all their references."""
    said, wanted = (sum(len(row[name].encode("utf-8", "surrogatepass")) for row in rows) for name in ("text", "reference"))
    return said / max(wanted, 1)


def by_kind(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """`figures` of each kind of instruction; answers without a kind are left out."""
    kinds = sorted({row["kind"] for row in rows if row["kind"] is not None})
    return {kind: figures([row for row in rows if row["kind"] == kind]) for kind in kinds}


def rows(
    model: Any,
    tokenizer: Any,
    columns: Mapping[str, list[Any]],
    settings: Text,
    evaluation: Evaluation,
    seed: int,
    examples: Examples | None = None,
) -> tuple[list[dict[str, Any]], int]:
    """A model's answers to held-out instructions and to the fifteen questions, one row each, as the predictions file has them.

    Beside them, how many of the prompts were too long and lost their beginning. With `examples` these stand in front of every prompt, and
    an answer ends where the next one would begin (`few_shot`); `generated_tokens` are all that were written.
    `tokens`, `bytes` and `nll` are the reference answer's: its tokens with the end of sequence, its text's bytes, the loss summed in nats.
    """
    from ftbench import inference

    assert evaluation.max_new_tokens is not None, "answers have a longest length"
    batch_size, number = evaluation.per_device_eval_batch_size, len(columns["id"])
    asked = [*zip(columns["instruction"], columns["input"], strict=True), *((question.text, "") for question in FIFTEEN)]
    solved = examples.solved if examples else ()
    longest = examples.max_length if examples else settings.max_length
    prompts = [few_shot.prompt(settings, *parts, solved) for parts in asked]
    encoded = text.encode_prompts(tokenizer, prompts, longest - evaluation.max_new_tokens if examples else longest)
    written = inference.generate(model, tokenizer, encoded.features, batch_size, evaluation.max_new_tokens)
    if examples:
        assert isinstance(settings.template, InstructionTemplate), "instructions have two templates"
        written = [few_shot.until_next_example(answer, settings.template, solved) for answer in written]
    held_out = text.encode_answers(tokenizer, prompts[:number], columns["output"], longest)
    nll = inference.answer_loss(model, tokenizer, held_out.features, batch_size)
    found = []
    for k, (parts, prompt, answer) in enumerate(zip(asked, prompts, written, strict=True)):
        reference = columns["output"][k] if k < number else None
        row = {
            "instruction": parts[0],
            "input": parts[1],
            "reference": reference,
            "text": answer.text,
            "generated_tokens": answer.num_tokens,
            "stopped": answer.stopped,
            "repetition": repetition(answer.text),
            "looping": looping(answer.text),
            "seed": seed,
            "example_hash": text.example_hash(*parts, reference or ""),
            "prompt_hash": text.prompt_hash(prompt),
        }
        if reference is None:
            row |= {"id": FIFTEEN[k - number].id, "split": QUESTIONS, "kind": "question"}
        else:
            num_tokens = sum(label != text.IGNORED for label in held_out.features[k]["labels"])
            row |= {"id": columns["id"][k], "split": HELD_OUT, "kind": columns["kind"][k]}
            row |= {"tokens": num_tokens, "bytes": held_out.num_bytes[k], "nll": float(nll[k])}
            row |= {"exact_match": exact_match(answer.text, reference), "token_f1": token_f1(answer.text, reference)}
        found.append(row)
    return found, encoded.num_truncated


def write(predictions: Path, scores_path: Path, found: Sequence[Mapping[str, Any]], num_truncated: int) -> None:
    """Write answers as one Parquet file, and the scores of those that have a reference as JSON."""
    import pyarrow as pa

    texts = ["id", "example_hash", "split", "kind", "instruction", "input", "reference", "text"]
    columns = {name: pa.string() for name in texts}
    columns |= {"tokens": pa.int32(), "bytes": pa.int32(), "nll": pa.float64(), "generated_tokens": pa.int32(), "stopped": pa.bool_()}
    columns |= {"exact_match": pa.bool_(), "token_f1": pa.float64(), "seed": pa.int32(), "prompt_hash": pa.string()}
    columns |= {"repetition": pa.float64(), "looping": pa.bool_()}
    held_out = [row for row in found if row["split"] == HELD_OUT]
    files.write_parquet(predictions, pa.Table.from_pylist([dict(row) for row in found], schema=pa.schema(columns)))
    files.write_json(scores_path, {HELD_OUT: {**figures(held_out), "num_truncated": num_truncated, "by_kind": by_kind(held_out)}})
