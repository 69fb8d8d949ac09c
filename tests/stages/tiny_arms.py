"""Tiny arms of every kind as train scripts leave them, data and params.yaml around them, and the command to evaluate one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from ftbench import arms, bases, files, schema

STAGES = Path(__file__).parents[2] / "stages"
PROMPTED = {
    "max_length": 96,
    "template": "Premise: {premise}\nHypothesis: {hypothesis}\nRelation:",
    "labels": {"entailment": "entailment", "neutral": "neutral", "contradiction": "contradiction"},
}
WORDINGS = [PROMPTED["template"], "{premise}\nIs the relation to {hypothesis} entailment, neutral or contradiction?"]
INSTRUCTED = {"max_length": 64, "template": {"with_input": "{instruction}\n{input}\nAnswer:", "without_input": "{instruction}\nAnswer:"}}
SMALL_BATCH = {"per_device_eval_batch_size": 5}
PARAMS = {
    "scale": "tiny",
    "tiny": {
        "encoder": {"text": {"max_length": 64}, "evaluation": SMALL_BATCH},
        "label": {
            "text": PROMPTED,
            "evaluation": SMALL_BATCH,
            "zero_shot": {"templates": WORDINGS},
            "one_shot": {"templates": WORDINGS, "num_examples": 1, "seed": 3},
        },
        "head": {"text": PROMPTED, "evaluation": SMALL_BATCH},
        "answers": {
            "text": INSTRUCTED,
            "evaluation": {**SMALL_BATCH, "max_new_tokens": 6},
            "three_shot": {"num_examples": 3, "seed": 5, "max_length": 250},
        },
    },
}
NF4 = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": False, "bnb_4bit_compute_dtype": "float32"}
TRAINING = {"max_steps": 1, "per_device_train_batch_size": 1}
LORA = {"r": 2, "lora_alpha": 4, "lora_dropout": 0.1, "target_modules": ["q_proj"]}
ARCHITECTURES = {"encoder": "roberta", "label": "phi", "head": "llama", "answers": "llama"}
Base = Callable[[str], Path]


def write_root(root: Path) -> None:
    """Write params.yaml and data into a folder."""
    (root / "params.yaml").write_text(json.dumps(PARAMS, indent=1), encoding="utf-8")
    people, deeds = ["A man", "Two dogs", "A woman in a red shirt"], ["is sleeping.", "is riding a bike in the park.", "is not eating."]
    pairs = [(f"{who} {deed}", f"{who} {other}") for who in people for deed in deeds for other in deeds]
    tests = {"pairs": ["test_matched", "test_mismatched"], "one": ["test"]}
    for data, splits in ((data, ["train", *found, "validation"]) for data, found in tests.items()):
        for number, split in enumerate(splits):
            rows = pairs[number * 5 :]
            table = {
                "id": [f"{split}-{k}" for k in range(len(rows))],
                "premise": [row[0] for row in rows],
                "hypothesis": [row[1] for row in rows],
                "label": pa.array([k % 3 for k in range(len(rows))], pa.int8()),
                "genre": pa.array([("fiction", "travel", None)[k % 3] for k in range(len(rows))], pa.string()),
                "phenomenon": pa.array([("colour", None)[k % 2] for k in range(len(rows))], pa.string()),
            }
            files.write_parquet(root / "data" / data / f"{split}.parquet", pa.table(table))
    tasks = {
        "id": ["a", "b", "c", "d"],
        "instruction": ["What is the capital of France?", "Is no dog sleeping?", "Who?", "Is the man at school?"],
        "input": ["", "Two dogs are running.", "", ""],
        "output": ["The capital of France is Paris.", "No.", "A man.", "A man is sleeping."],
        "kind": ["facts", "classification", None, "facts"],
    }
    files.write_parquet(root / "data" / "instructions" / "test.parquet", pa.table(tasks))
    solved = {
        "id": ["e", "f", "g"],
        "instruction": ["Where is the dog?", "Who is sleeping?", "Is it so?"],
        "input": ["", "A man is sleeping.", ""],
        "output": ["In the park.", "A man.", "No."],
        "kind": ["facts", "classification", None],
    }
    files.write_parquet(root / "data" / "instructions" / "train.parquet", pa.table(solved))


def make(root: Path, tiny_base: Base, study: str, only: str | None = None) -> Path:
    """A folder under `root` as the train script of a study leaves it, of a model that was not trained."""
    name = "blind" if only else "arm"
    out = root / "models" / study / name
    if out.exists():
        return out
    from ftbench import adapters, models

    base = tiny_base(ARCHITECTURES[study])
    settings: dict[str, Any] = {"training": TRAINING, "learning_rate": 0.1, "only": only}
    if study != "encoder":
        settings |= {"adapter": LORA, "quantization": NF4, "token": "last" if study == "head" else None}
    chosen = schema.Arm.model_validate(settings)
    paths = [root / "left" / study / file for file in ("curve.csv", "cost.json", "resources.csv")]
    text = schema.Text.model_validate(PARAMS["tiny"][study]["text"])  # type: ignore[index]
    job = arms.Job(study, name, 1, chosen, text, bases.manifest(base)["model"], root, base, out, *paths)
    if study == "encoder":
        model = models.load_encoder(base, seed=1)
    elif study == "head":
        model = adapters.lora(models.load_decoder_head(base, chosen.quantization, "last", 1), chosen.adapter, 1, None, "score")
    else:
        model = adapters.lora(models.load_decoder(base, chosen.quantization), chosen.adapter, 1, "CAUSAL_LM")

    def save(folder: Path) -> None:
        model.save_pretrained(folder) if study == "encoder" else adapters.save(model, folder, job.base_model)

    kind = {"encoder": "encoder_head", "label": "label", "head": "decoder_head", "answers": "answers"}[study]
    arms.write(job, kind, bases.load_tokenizer(base), save, [], {"parameters": {}})
    return out


def outputs(name: str) -> list[str]:
    return ["--predictions", f"out/{name}.parquet", "--scores", f"out/{name}.json", "--cost", f"out/{name}-cost.json"]


def evaluate(study: str, data: str, model: Path, base: Path, name: str, arm: str = "arm") -> list[str]:
    script = "evaluate_answers" if study == "answers" else "evaluate_nli"
    paths = ["--data", f"data/{data}", "--base", str(base), "--model", str(model)]
    return [str(STAGES / f"{script}.py"), "--study", study, "--arm", arm, "--seed", "1", *paths, *outputs(name)]


def of_splits(predictions: dict[str, list[Any]], splits: list[str]) -> dict[str, list[Any]]:
    """The rows of some splits."""
    kept = [split in splits for split in predictions["split"]]
    return {name: [value for value, keep in zip(values, kept, strict=True) if keep] for name, values in predictions.items()}
