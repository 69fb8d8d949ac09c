"""Fixtures shared by all tests: tiny base models, one per architecture, built once a session."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

ALLOWED_SKIPS = ("no GPU", "../shared/data is absent", "no Chromium")

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

TINY_DIMENSIONS: dict[str, dict[str, int | float]] = {
    "roberta": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 130,
    },
    "phi": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
        "partial_rotary_factor": 0.5,
    },
    "llama": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
    },
    "bloom": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
    "falcon": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 256,
    },
}

TINY_TEXT = """A man in a red shirt is sleeping on a bench near the river.
A woman is riding a bike in the park. The woman is outdoors.
Two dogs are running. No dog is sleeping. There are 12 children and 40 apples in the house.
A boy is not eating. A girl is reading a blue book at school. An animal is sitting under the tree.
Premise: A man is sleeping.
Hypothesis: A person is asleep.
Relation: entailment
Premise: A woman is riding a bike.
Hypothesis: The woman is tall.
Relation: neutral
Premise: Two dogs are running.
Hypothesis: The dogs are sleeping.
Relation: contradiction
Below is an instruction that describes a task, paired with an input that provides further context.
Write a response that appropriately completes the request.
### Instruction:
What is the capital of France?
### Input:
### Response:
The capital of France is Paris.
Is the relation entailment, neutral or contradiction? yes no maybe true false""".splitlines()


@pytest.fixture(scope="session")
def tiny_dimensions() -> dict[str, dict[str, int | float]]:
    """The dimensions of the tiny models by architecture, in the words of params.yaml."""
    return TINY_DIMENSIONS


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`tiny_base("phi")` is a folder like `models/base/phi_2/`: a random model (hidden 32, 2 layers), its tokenizer and manifest."""
    built: dict[str, Path] = {}

    def tiny(architecture: str) -> Path:
        if architecture not in built:
            from ftbench import bases

            folder = tmp_path_factory.mktemp("base") / f"tiny_{architecture}"
            folder.mkdir()
            model, tokenizer = bases.new_miniature(architecture, TINY_DIMENSIONS[architecture], 600, TINY_TEXT * 3, seed=0, block_size=64)
            bases.save_miniature(
                folder, f"tiny_{architecture}", architecture, model, tokenizer, {"dimensions": TINY_DIMENSIONS[architecture]}
            )
            built[architecture] = folder
        return built[architecture]

    return tiny


# ---- Skips: a test that does not run is a test that does not exist, unless it lacks what most machines lack ------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return refuse_other_skips((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return refuse_other_skips((yield))


def refuse_other_skips(report: pytest.TestReport | pytest.CollectReport) -> pytest.TestReport | pytest.CollectReport:
    """A report of a skip for a reason that is not allowed becomes a failure; an expected failure stays what it is."""
    if report.skipped and not hasattr(report, "wasxfail") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason not in ALLOWED_SKIPS:
            report.outcome = "failed"
            report.longrepr = f"skipped because: {reason}\nallowed reasons: {'; '.join(ALLOWED_SKIPS)}"
    return report
