"""Runs of one study worked by hand, what `ftbench diff` finds between two of them, and the cells of its tables."""

from __future__ import annotations

from typing import Any

from ftbench import diff
from ftbench.diff_files import Snapshot, StudyFiles


def entry(mean: float, half: float, n: int = 1000, seeds: tuple[int, ...] = (0, 1, 2)) -> dict[str, Any]:
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": n, "seeds": list(seeds), "trained": True}


def case(number: int, premise: str = "A cat sits .", after: str = "neutral") -> dict[str, Any]:
    return {"id": f"test-{number}", "premise": premise, "hypothesis": "A cat .", "gold": "entailment", "before": "neutral", "after": after}


def cases(corrected: float, introduced: float, persistent: float, *listed: dict[str, Any]) -> dict[str, Any]:
    counts = {"corrected": corrected, "introduced": introduced, "persistent": persistent}
    return {
        "base": {
            "against": "zero_shot",
            "counts": {kind: {"count": value} for kind, value in counts.items()},
            "examples": {"corrected": [], "introduced": list(listed), "persistent": []},
        }
    }


def cost(seconds: float, memory: float = 5e8, trained: float = 41_475.0, disk: float = 222_766.0) -> dict[str, Any]:
    measured = {"train_seconds": seconds, "train_peak_resident_bytes": memory, "train_peak_gpu_allocated_bytes": None}
    return {**measured, "parameters_trained": trained, "bytes_on_disk": disk}


def run() -> dict[str, Any]:
    """A run of one study, as the mappings in its files."""
    return {
        "params": {"scale": "offline", "offline": {"nli": {"lora": {"r": 8, "target_modules": ["q", "v"]}}}},
        "outs": {
            "data/nli": "d1.dir",
            "models/base/roberta": "b1.dir",
            "models/nli/lora-0": "m1.dir",
            "reports/nli/predictions/lora-0.parquet": "p1",
            "reports/nli/scores/lora-0.json": "s1",
            "reports/nli/costs/lora-0-train.json": "c1",
            "reports/nli/costs/majority-0-evaluate.json": "e1",
        },
        "claims": {"lora_helps": {"study": "nli", "says": "LoRA helps", "verdict": "holds", "ours": 0.12345}},
        "metrics": {"lora": {"accuracy": 0.7, "nll": 0.61, "accuracy_ci_low": 0.67, "n": 1000, "seeds": 3}, "majority": {"accuracy": 0.33}},
        "comparison": {
            "scale": "offline", "dataset": "nli", "split": "test", "primary_metric": "accuracy", "lower_is_better": False,
            "entries": {"lora": entry(0.7, 0.03), "majority": entry(0.33, 0.03)},
            "cases": {"rule": "the first of each kind", "lora": cases(400, 50, 100, case(1))},
        },
        "cost": {"entries": {"lora": cost(20.0), "majority": {}}, "environments": [{"processor": "one"}]},
    }  # fmt: skip


def snapshot(of: dict[str, Any], label: str = "main") -> Snapshot:
    studies = {"nli": StudyFiles(of["metrics"], of["comparison"], of["cost"])}
    return Snapshot(label, of["params"], of["outs"], of["claims"], of["comparison"]["scale"], studies)


def changed(before: dict[str, Any], after: dict[str, Any]) -> diff.Changes:
    return diff.compare(snapshot(before), snapshot(after, "the workspace"))


def cells(page: str, *start: str) -> list[list[str]]:
    """The cells of the table rows that begin with `start`, without the marks of code."""
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    return [row for row in rows if row[: len(start)] == list(start)]


def scored(mean: float, half: float) -> dict[str, Any]:
    after = run()
    after["comparison"]["entries"]["lora"] = entry(mean, half)
    return after
