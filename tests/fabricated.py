"""A report's inputs made up for tests: two small studies, one of pairs and one of instructions, as the stages before `compare` leave them.

Nothing is trained: who is right where is drawn from a seed, with the arms better than the baselines.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ftbench import answers, evaluation, evaluation_nli, files, matching, probes, repetition, scores, text

PARAMS = """\
scale: offline
studies:
  snli:
    question: Does it <b>help</b> | or not?
    model: phi_2
    method: qlora_label
    dataset: snli
    factors:
      adapter:
        - qkv
      precision:
        - nf4
        - unquantised
    baselines:
      - majority
      - hypothesis_only
      - zero_shot
    seeds:
      - 0
      - 1
      - 2
    primary_metric: accuracy
    reference: qkv-nf4
  alpaca:
    question: Which of two models answers best?
    model: null
    method: sft
    dataset: alpaca
    factors:
      model:
        - open_llama_3b
        - bloom_3b
      budget:
        - study
    baselines:
      - open_llama_3b
      - bloom_3b
    three_shot:
      - open_llama_3b
    seeds:
      - 0
    primary_metric: bits_per_byte
    reference: open_llama_3b-study
offline:
  alpaca:
    text:
      max_length: 64
      template:
        with_input: "Do: {instruction}\\nWith: {input}\\nDone:"
        without_input: "Do: {instruction}\\nDone:"
"""
NUM_PAIRS, NUM_VALIDATION = 180, 60
SHARED = ("id", "genre", "phenomenon")
HOSTILE = "A man | <script>alert(1)</script> `code`\nsecond line \x1b[31mred\x1b[0m \u202eback"
SKILL = {"qkv-nf4": 0.85, "qkv-unquantised": 0.84, "zero_shot": 0.4, "hypothesis_only": 0.36}


def write(root: Path) -> None:
    """params.yaml, data/ and reports/ under `root`, as far as `compare` reads them."""
    (root / "params.yaml").write_text(PARAMS, encoding="utf-8")
    _write_snli(root)
    _write_alpaca(root)


def _write_snli(root: Path) -> None:
    rng = np.random.default_rng(0)
    gold = np.arange(NUM_PAIRS) % 3
    premises = [HOSTILE if index == 0 else f"Premise {index}." for index in range(NUM_PAIRS)]
    hypotheses = [f"Hypothesis {index}." for index in range(NUM_PAIRS)]
    genre = ["captions" if index % 2 else "news" for index in range(NUM_PAIRS)]
    phenomenon = [None if index % 5 == 0 else ("colour" if index % 5 < 3 else "number") for index in range(NUM_PAIRS)]
    shared = {"id": [f"snli-{index}" for index in range(NUM_PAIRS)], "genre": genre, "phenomenon": phenomenon}
    pairs = {**shared, "premise": premises, "hypothesis": hypotheses, "label": pa.array(gold, pa.int8())}
    files.write_parquet(root / "data/snli/test.parquet", pa.table(pairs))
    difficulty = rng.random(NUM_PAIRS)
    for name in ("qkv-nf4", "qkv-unquantised", "zero_shot", "hypothesis_only", "majority"):
        for seed in range(3) if "-" in name else range(1):
            if name == "majority":
                predicted = np.zeros(NUM_PAIRS, dtype=int)
            else:
                right = difficulty + rng.normal(0, 0.15, NUM_PAIRS) < SKILL[name]
                predicted = np.where(right, gold, (gold + 1 + (rng.random(NUM_PAIRS) < 0.5)) % 3)
            write_pairs(root, name, seed, predicted, premises, hypotheses, {**shared, "gold": gold})


def write_pairs(
    root: Path, name: str, seed: int, predicted: np.ndarray, premises: list[str], hypotheses: list[str], columns: dict[str, Any]
) -> None:
    """The files of one arm or baseline at one seed of the study of pairs; validation and transfer are the test's first pairs."""
    report, stem = root / "reports/snli", f"{name}-{seed}"

    def judged(pairs: evaluation.Columns, said: np.ndarray) -> tuple[evaluation.Columns, evaluation_nli.Judged]:
        log_probabilities = np.log(np.where(np.arange(3) == np.asarray(said)[:, None], 0.8, 0.1))
        return pairs, evaluation_nli.Judged(log_probabilities, evaluation_nli.pair_hashes(pairs))

    test = {"premise": premises, "hypothesis": hypotheses, "label": columns["gold"], **{key: columns[key] for key in SHARED}}
    some = {key: values[:NUM_VALIDATION] for key, values in test.items()}
    splits = {
        "test": judged(test, predicted),
        "validation": judged(some, predicted[:NUM_VALIDATION]),
        "probes": judged(probes.columns(), [(seed + index) % 3 for index in range(6)]),
    }
    figures: dict[str, Any] = {}
    if "-" in name:
        splits["multinli/test_matched"] = judged(some, predicted[:NUM_VALIDATION])
        figures["written"] = {"n": len(predicted), "accuracy": 0.5, "num_invalid": 9}
    if name == "hypothesis_only":
        figures["shallow"] = {"hypothesis_ngrams": float((predicted == columns["gold"]).mean()), "premise_ngrams": 0.4, "overlap": 0.45}
    if name == "zero_shot":
        written = {"n": len(predicted), "accuracy": 0.3, "num_invalid": 12}
        figures["wordings"] = [{"template": "{premise} | {hypothesis}", "accuracy": 0.4, "label_mass": 0.9, "written": written}]
    pairs, first = splits["test"]
    splits["test"] = pairs, first.with_figures(**figures)
    evaluation_nli.write_nli(report / "predictions" / f"{stem}.parquet", report / "scores" / f"{stem}.json", seed, splits)
    _write_costs(report, stem, 10.0 + seed if name == "qkv-nf4" else 20.0 + seed, trained="-" in name)
    if "-" in name:
        _write_curve(report, stem, num_epochs=3, seed=seed)


def _write_alpaca(root: Path) -> None:
    rng = np.random.default_rng(1)
    kinds = ["facts", "arithmetic", None]
    rows = [
        {"id": f"alpaca-{index}", "kind": kinds[index % 3], "instruction": f"Say {index}.", "input": "", "output": f"It is {index}."}
        for index in range(60)
    ]
    files.write_parquet(root / "data/alpaca/test.parquet", pa.Table.from_pylist(rows))
    questions = ["What is the capital city of Australia?", "How would you solve the following equation: 3x + 5 = 17?"]
    skills = {"open_llama_3b-study": 0.8, "bloom_3b-study": 0.6, "open_llama_3b": 0.0, "bloom_3b": 0.0, "open_llama_3b_three_shot": 0.1}
    for name, skill in skills.items():
        told = [_answer(row, rng.random() < skill, 4.0 - 3 * skill + rng.random()) for row in rows]
        asked = [
            {
                "id": f"question-{index}",
                "example_hash": text.example_hash(question, "", ""),
                "split": "questions",
                "kind": "question",
                "instruction": question,
                "input": "",
                "reference": None,
                "text": f"{name} says x = 4 | {HOSTILE}",
                "tokens": None,
                "bytes": None,
                "nll": None,
                "generated_tokens": 9,
                "stopped": index == 0,
                "repetition": 0.0,
                "looping": False,
                "exact_match": None,
                "token_f1": None,
                "seed": 0,
                "prompt_hash": text.prompt_hash(question),
            }
            for index, question in enumerate(questions)
        ]
        report, stem = root / "reports/alpaca", f"{name}-0"
        files.write_parquet(report / "predictions" / f"{stem}.parquet", pa.Table.from_pylist([*told, *asked]))
        columns = [np.array([row[key] for row in told]) for key in ("nll", "tokens", "bytes")]
        figures = {
            "n": len(told),
            **scores.likelihood(*columns),
            **{key: scores.mean_of(told, key) for key in ("exact_match", "token_f1", "stopped", "repetition", "looping")},
            "length_ratio": answers.length_ratio(told),
            "mean_tokens": scores.mean_of(told, "generated_tokens"),
            "by_kind": {},
        }
        files.write_json(report / "scores" / f"{stem}.json", {"test": figures})
        _write_costs(report, stem, 30.0, trained="-" in name)
        if "-" in name:
            _write_curve(report, stem, num_epochs=2, seed=0)


def _answer(row: dict[str, Any], right: bool, nll: float) -> dict[str, Any]:
    said = row["output"] if right else "It is not."
    return {
        "id": row["id"],
        "example_hash": text.example_hash(row["instruction"], "", row["output"]),
        "split": "test",
        "kind": row["kind"],
        "instruction": row["instruction"],
        "input": "",
        "reference": row["output"],
        "text": said,
        "tokens": 5,
        "bytes": len(row["output"]),
        "nll": nll,
        "generated_tokens": 5,
        "stopped": right,
        "repetition": repetition.repetition(said),
        "looping": repetition.looping(said),
        "exact_match": matching.exact_match(said, row["output"]),
        "token_f1": matching.token_f1(said, row["output"]),
        "seed": 0,
        "prompt_hash": text.prompt_hash(row["instruction"]),
    }


def _write_costs(report: Path, stem: str, seconds: float, trained: bool) -> None:
    environment = {
        "python": "3.11.0",
        "versions": {"torch": "2.13.0"},
        "processor": "a <fast> one",
        "num_cores": 2,
        "num_threads": 1,
        "gpu": None,
    }
    memory = {"peak_resident_bytes": 1_000_000_000, "peak_gpu_allocated_bytes": None, "peak_gpu_reserved_bytes": None}
    if trained:
        record = {
            "seconds": {"total": seconds + 5, "training": seconds, "training_without_evaluation": seconds - 1, "training_evaluation": 1.0},
            "memory": memory,
            "environment": environment,
            "num_epochs": 3.0,
            "examples_per_step": 16,
            "num_steps": 100,
            "num_examples": 1600,
            "num_tokens": 32000,
            "num_truncated": 0,
            "num_4bit_layers": 8,
            "parameters": {"total": 1000, "packed": 600, "trained": 50, "saved": 50},
            "bytes_on_disk": 4096,
        }
        files.write_json(report / "costs" / f"{stem}-train.json", record)
        samples = [f"{second / 4},{100 if second else 0},{900_000_000 + 10 * second},," for second in range(200)]
        files.write_text(
            report / "resources" / f"{stem}.csv", "\n".join(["seconds,cpu_percent,resident_bytes,gpu_percent,gpu_bytes", *samples, ""])
        )
    evaluated = {"seconds": {"total": 4.0, "evaluation": 2.0}, "memory": memory, "environment": environment}
    files.write_json(report / "costs" / f"{stem}-evaluate.json", evaluated)


def _write_curve(report: Path, stem: str, num_epochs: int, seed: int) -> None:
    path = report / "learning" / f"{stem}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    steps = 10 * num_epochs
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["step", "epoch", "loss", "learning_rate", "grad_norm", "eval_loss", "eval_accuracy"])
        for step in range(1, steps + 1):
            rate = 1e-3 * (step / 3 if step <= 3 else (steps - step) / (steps - 3))
            writer.writerow([step, step / 10, 2.0 / step + 0.01 * seed, rate, 1.0, "", ""])
            if step % 10 == 0:
                writer.writerow([step, step / 10, "", "", "", 1.0 / step + 0.01 * seed, 0.5 + step / 100])


def accounting() -> dict[str, Any]:
    """accounting.json with what the ledger reads, cut down to a few arms."""
    printed = {"value": 2.025777223854318, "text": "2.025777223854318", "true_value": 1.13, "unit": "percent", "configuration": {}}

    def arm(total: float, base: int) -> dict[str, Any]:
        counts = {"base": base, "total": base + 100, "packed": base, "trained": 100, "saved": 100, "trained_share_percent": 0.1}
        peaks = {"peak": int(total) + 5 * 10**9, "peak_with_recomputation": int(total) + 10**9}
        return {"model": "phi_2", **counts, "memory_bytes": {"total": int(total)}, "host_bytes": {"predicted": 10**9}, "step_bytes": peaks}

    return {
        "scales": {"paper": {"snli": {"qkv-nf4": arm(2.4e9, 2_779_683_840), "qkv-unquantised": arm(6.0e9, 2_779_683_840)}}},
        "printed_by_the_studies": {"adapter_qkv_share": printed, "adapter_qkv_trainable": {**printed, "text": "31457281"}},
        "solved": {"mnli_train_examples": {"low": 39265, "high": 39276}, "mnli_matched_examples": {"low": 9815, "high": 9815}},
    }
