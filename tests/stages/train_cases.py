"""What each of the ten train scripts is run on: params.yaml with a study per method, data, and the command."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftbench import files

STAGES = Path(__file__).parents[2] / "stages"
TRAINING = {
    "max_steps": 6, "per_device_train_batch_size": 4, "per_device_eval_batch_size": 5, "gradient_accumulation_steps": 2,
    "weight_decay": 0.01, "warmup_steps": 2,
    "lr_scheduler_type": "linear", "optim": "adamw_torch", "max_grad_norm": 1.0, "eval_strategy": "steps", "eval_steps": 3,
    "logging_steps": 2, "train_sampling_strategy": "group_by_length",
}  # fmt: skip
NF4 = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": False, "bnb_4bit_compute_dtype": "float32"}
PROMPT = {"num_virtual_tokens": 3, "encoder_reparameterization_type": "MLP", "encoder_hidden_size": 16}
PROMPTED = {
    "max_length": 64,
    "template": "Premise: {premise}\nHypothesis: {hypothesis}\nRelation:",
    "labels": {"entailment": "entailment", "neutral": "neutral", "contradiction": "contradiction"},
}

INSTRUCTED = {
    "max_length": 64,
    "template": {"with_input": "{instruction}\n{input}\nAnswer:", "without_input": "{instruction}\nAnswer:"},
}


def lora(*targets: str) -> dict[str, Any]:
    return {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1, "target_modules": list(targets)}


@dataclass(frozen=True)
class Case:
    """What one script is run on: the architecture of its base, its data, its text, and the block of its arm."""

    architecture: str
    data: str
    text: dict[str, Any]
    block: dict[str, Any]


CASES = {
    "full": Case("roberta", "pairs", {"max_length": 64}, {"adapter": None, "pretrained": True}),
    "top_layers": Case("roberta", "pairs", {"max_length": 64}, {"adapter": {"num_top_layers": 1}}),
    "lora": Case("roberta", "pairs", {"max_length": 64}, {"adapter": lora("query", "value")}),
    "p_tuning": Case("roberta", "pairs", {"max_length": 64}, {"adapter": PROMPT}),
    "p_tuning_with_backbone": Case("roberta", "pairs", {"max_length": 64}, {"adapter": PROMPT}),
    "qlora_label": Case("phi", "pairs", PROMPTED, {"adapter": lora("q_proj", "dense", "lm_head"), "quantization": NF4}),
    "qlora_head": Case("llama", "pairs", PROMPTED, {"adapter": lora("q_proj", "v_proj"), "quantization": NF4, "token": "last"}),
    "study_layer": Case("llama", "pairs", PROMPTED, {"adapter": {"r": 4}, "quantization": NF4, "token": "last"}),
    "soft_prompt": Case("llama", "pairs", PROMPTED, {"adapter": PROMPT, "quantization": None}),
    "sft": Case("falcon", "instructions", INSTRUCTED, {"adapter": lora("query_key_value", "dense"), "quantization": NF4}),
}  # fmt: skip


def write_root(root: Path) -> None:
    """Write params.yaml, one study per method, and data."""
    import pyarrow as pa

    blocks: dict[str, Any] = {}
    for method, case in CASES.items():
        training = {**TRAINING, "gradient_checkpointing": True} if method == "sft" else TRAINING
        arm = {**case.block, "training": training, "learning_rate": 0.005}
        blocks[f"s_{method}"] = {"text": case.text, method: arm}
    (root / "params.yaml").write_text(json.dumps({"scale": "tiny", "tiny": blocks}, indent=1), encoding="utf-8")
    people, deeds = (
        ["A man", "Two dogs", "A woman in a red shirt"],
        ["is sleeping.", "is riding a bike in the park.", "is not eating at school."],
    )
    pairs = [(f"{who} {deed}", f"{who} {other}") for who in people for deed in deeds for other in deeds]
    for split, count in (("train", 23), ("validation", 9)):
        rows = pairs[:count] if split == "train" else pairs[-count:]
        columns = {"premise": [row[0] for row in rows], "hypothesis": [row[1] for row in rows]}
        labels = pa.array([index % 3 for index in range(count)], pa.int8())
        files.write_parquet(root / "data" / "pairs" / f"{split}.parquet", pa.table({**columns, "label": labels}))
        tasks = {"instruction": columns["premise"], "input": [row[1] if index % 2 else "" for index, row in enumerate(rows)]}
        files.write_parquet(root / "data" / "instructions" / f"{split}.parquet", pa.table({**tasks, "output": columns["hypothesis"]}))


def command(method: str, base: Path, out: str, seed: int = 0) -> list[str]:
    return [
        str(STAGES / f"train_{method}.py"), "--study", f"s_{method}", "--arm", method, "--seed", str(seed),
        "--data", f"data/{CASES[method].data}", "--base", str(base), "--out", f"{out}/arm", "--curve", f"{out}/curve.csv",
        "--cost", f"{out}/cost.json", "--resources", f"{out}/resources.csv",
    ]  # fmt: skip
