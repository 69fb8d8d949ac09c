"""Another encoder than the study's under its name: a tiny BERT from a local folder, through the stages that a base goes through."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from ftbench import comparison, files
from ftbench.report_data import Study
from ftbench.report_provenance import provenance
from ftbench.tables import markdown

STAGES = Path(__file__).parents[2] / "stages"
PEOPLE, DEEDS = ("A man", "Two dogs", "A woman"), ("is sleeping.", "is riding a bike.", "is not eating.")
PAIRS = [(f"{who} {deed}", f"{who} {other}") for who in PEOPLE for deed in DEEDS for other in DEEDS]
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
STUDY = {
    "question": "Does it run?", "model": "roberta_large", "method": "lora", "dataset": "multinli", "factors": {"rank": ["two"]},
    "baselines": ["untrained_head"], "seeds": [0], "primary_metric": "accuracy", "reference": "two",
}  # fmt: skip
BLOCK = {
    "text": {"max_length": 32},
    "evaluation": {"per_device_eval_batch_size": 8},
    "two": {
        "adapter": {"r": 2, "lora_alpha": 4, "lora_dropout": 0.0, "target_modules": ["query", "value"]},
        "training": {"max_steps": 2, "per_device_train_batch_size": 4, "per_device_eval_batch_size": 8},
        "learning_rate": 0.001,
    },
}


def publish(folder: Path) -> None:
    """A checkpoint as a publisher has it, with segment embeddings that RoBERTa has not."""
    from transformers import BertConfig, BertForMaskedLM, BertTokenizer

    words = sorted(set(re.findall(r"\w+|\.", " ".join(sum(PAIRS, ())).lower())))
    vocabulary = {word: index for index, word in enumerate((*SPECIALS, *words))}
    BertTokenizer(vocab=vocabulary).save_pretrained(folder)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 32}
    BertForMaskedLM(BertConfig(vocab_size=len(vocabulary), **shape)).save_pretrained(folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("stand_in")
    publish(root / "my-bert")
    listed = [{"path": path.name, "sha256": files.sha256_file(path)} for path in sorted((root / "my-bert").iterdir())]
    base = {"source": "file", "architecture": "bert", "licence": "MIT", "path": "my-bert", "files": listed}
    data = {
        "source": "generated", "task": "nli", "licence": "CC0", "seed": 0, "genres": ["captions"],
        "splits": {"train": 27, "validation": 9, "test": 9},
    }  # fmt: skip
    tiny = {"datasets": {"multinli": data}, "models": {"roberta_large": base}, "s": BLOCK}
    (root / "params.yaml").write_text(json.dumps({"scale": "tiny", "studies": {"s": STUDY}, "tiny": tiny}, indent=1), encoding="utf-8")
    for split, rows in (("train", PAIRS), ("validation", PAIRS[:9]), ("test", PAIRS[9:18])):
        table = {
            "id": [f"{split}-{index}" for index in range(len(rows))],
            "premise": [row[0] for row in rows],
            "hypothesis": [row[1] for row in rows],
            "label": pa.array([index % 3 for index in range(len(rows))], pa.int8()),
            "genre": pa.array(["captions"] * len(rows)),
            "phenomenon": pa.array([None] * len(rows), pa.string()),
        }
        files.write_parquet(root / "data/multinli" / f"{split}.parquet", pa.table(table))
    stage(
        root, "checkpoint", "--model", "roberta_large", "--data", "none", "--tests", "data/multinli", "--out", "models/base/roberta_large"
    )
    return root


def stage(root: Path, name: str, *options: str) -> None:
    command = [sys.executable, str(STAGES / f"{name}.py"), *options]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_manifest_says_that_it_is_an_encoder_and_what_it_is_published_as(root: Path) -> None:
    manifest = files.read_json(root / "models/base/roberta_large/manifest.json")
    assert (manifest["architecture"], manifest["encoder"], manifest["published_as"]) == ("bert", True, "my-bert")


def test_a_random_head_on_it_reads_pairs_as_on_any_encoder(root: Path) -> None:
    paths = ["--data", "data/multinli", "--base", "models/base/roberta_large", "--predictions", "b.parquet"]
    stage(root, "baseline", "--study", "s", "--baseline", "untrained_head", *paths, "--scores", "b.json", "--cost", "b-cost.json")
    said = files.read_parquet(root / "b.parquet").to_pydict()
    assert said["split"].count("test") == 9
    assert said["prompt_hash"] == said["example_hash"]  # a pair, and no prompt


def test_an_arm_trains_on_it_and_is_counted_as_it_is(root: Path) -> None:
    paths = ["--data", "data/multinli", "--base", "models/base/roberta_large", "--out", "arm", "--curve", "c.csv"]
    stage(root, "train_lora", "--study", "s", "--arm", "two", "--seed", "0", *paths, "--cost", "t.json", "--resources", "r.csv")
    stage(root, "account", "--out", "accounting.json")
    counted = files.read_json(root / "accounting.json")["scales"]["tiny"]["s"]["two"]
    measured = files.read_json(root / "t.json")["parameters"]
    assert {name: counted[name] for name in ("total", "packed", "trained")} == {
        name: measured[name] for name in ("total", "packed", "trained")
    }


def test_the_report_prints_its_own_name_and_architecture(root: Path) -> None:
    made_of = comparison.made_of(root / "data/multinli", root / "models/base", ["roberta_large"])
    study = Study("s", {}, {"scale": "tiny", "made_of": made_of, "ranked": [], "entries": {}, "orphans": []}, {"environments": []}, {})
    assert "Base models: `roberta_large` is `my-bert`, architecture `bert`." in markdown(provenance(study))
    assert str(root) not in markdown(provenance(study))
