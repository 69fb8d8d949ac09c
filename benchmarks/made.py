"""What the rows work on: texts, real ones where a folder of them is there and generated ones elsewhere, and models of a stated size."""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from timing import NotRunError

from ftbench import grid, params
from ftbench.errors import Problem, UserError
from ftbench.text import LABELS

ROOT = Path(__file__).parents[1]
REAL_TEXTS = ROOT.parent / "shared/data"  # beside the project, where somebody keeps them: they are no part of it
SNLI = {split: f"snli/{split}.jsonl" for split in ("train", "test")}
ALPACA = "alpaca/alpaca_data.json"
GENERATED = "generated"
SEED = 13
VOCABULARY = 30_000  # rows of the 22 M models' embeddings
EXTRA = (0.45, 0.35, 0.15, 0.05)  # shares of generated premises with no sentence before them, one, two and three
WIDTH, DEPTH, HEADS = 384, 6, 12  # and their shape, that of a MiniLM


@dataclass(frozen=True)
class Options:
    """Where trained arms may lie, where real texts lie (None: generate them), and whether sizes are those of a `quick` trial.

    `checkpoint` is the folder of a real encoder that takes the place of the miniature of its size (None: make the miniature).
    """

    models: Path
    texts: Path | None = None
    quick: bool = False
    checkpoint: Path | None = None


def real_texts() -> Path | None:
    """The folder of real texts, where it is there."""
    return REAL_TEXTS if all((REAL_TEXTS / name).is_file() for name in (*SNLI.values(), ALPACA)) else None


def settings() -> dict[str, Any]:
    """params.yaml at the scale `offline`."""
    return {**params.read(ROOT / "params.yaml"), "scale": "offline"}


def pairs(options: Options, split: str, number: int) -> dict[str, list[Any]]:
    """So many premises, hypotheses and labels of "train" or "test"."""
    rows: list[tuple[str, str, int]] = []
    if options.texts is None:
        from ftbench import pairs as generator

        drawn = list(generator.generate(split, number, SEED, ["captions", "fiction", "travel"]))
        # A generated sentence is short. With some more before it premises are as long as SNLI's and spread as much, which padding turns on.
        rng = random.Random(SEED)
        more = rng.choices(range(len(EXTRA)), EXTRA, k=number)
        before = [" ".join(rng.choice(drawn)["premise"] for _ in range(count)) for count in more]
        rows = [(f"{words} {row['premise']}".strip(), row["hypothesis"], row["label"]) for words, row in zip(before, drawn, strict=True)]
    else:
        with _real(options.texts / SNLI[split]).open(encoding="utf-8") as stream:
            for row in map(json.loads, stream):
                label = row.get("gold_label", row.get("label"))
                label = LABELS.index(label) if label in LABELS else label
                if label in range(len(LABELS)) and len(rows) < number:
                    rows.append((row.get("premise", row.get("sentence1")), row.get("hypothesis", row.get("sentence2")), label))
    premises, hypotheses, labels = zip(*rows, strict=True)
    return {"premise": list(premises), "hypothesis": list(hypotheses), "label": list(labels)}


def instructions(options: Options, split: str, number: int) -> list[dict[str, str]]:
    """So many instructions with input and output."""
    if options.texts is None:
        from ftbench import instructions as generator

        return list(generator.generate(split, number, SEED))
    rows = json.loads(_real(options.texts / ALPACA).read_text(encoding="utf-8"))
    rows = [row for row in rows if row["output"].strip()]
    return list(islice(rows if split == "train" else reversed(rows), number))


def _real(path: Path) -> Path:
    if not path.is_file():
        raise UserError(Problem(str(path), "no such file", mend=f"name a folder that holds it, or --texts {GENERATED}"))
    return path


def encoder(texts: Sequence[str], checkpoint: Path | None = None) -> tuple[Any, Any]:
    """An encoder under a head of three labels without dropout, and its tokenizer: of a checkpoint, or made here for `texts`.

    What is made is a RoBERTa of 22 M parameters, whose random weights are wide enough that predictions differ from example to example.
    Raises UserError for a checkpoint that is not there.
    """
    import torch
    from transformers import RobertaConfig, RobertaForSequenceClassification

    from ftbench import tokenization

    if checkpoint is not None:
        return _real_encoder(checkpoint)
    tokenizer = tokenization.train("roberta", texts, VOCABULARY, max_length=512)
    config = RobertaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        max_position_embeddings=514,
        type_vocab_size=1,
        initializer_range=0.05,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={label: number for number, label in enumerate(LABELS)},
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(SEED)
    return RobertaForSequenceClassification(config), tokenizer


def _real_encoder(folder: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    if not (folder / "config.json").is_file():
        found, mend = "no config.json in it", "name the folder of a checkpoint in safetensors, or leave --checkpoint out"
        raise UserError(Problem(str(folder), found, mend=mend))
    local = {"local_files_only": True, "trust_remote_code": False}
    labels = {"id2label": dict(enumerate(LABELS)), "label2id": {label: number for number, label in enumerate(LABELS)}}
    dropout = dict.fromkeys(("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"), 0.0)
    config = AutoConfig.from_pretrained(folder, num_labels=len(LABELS), **labels, **dropout, **local)
    torch.manual_seed(SEED)  # of the head
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, config=config, dtype=torch.float32, ignore_mismatched_sizes=True, use_safetensors=True, **local
    )
    return model, AutoTokenizer.from_pretrained(folder, padding_side="right", **local)


def decoder(texts: Sequence[str], dimensions: dict[str, Any] | None = None, vocab_size: int = VOCABULARY) -> tuple[Any, Any]:
    """A Llama with random weights and a tokenizer for `texts`, of the dimensions given or of 22 M parameters beside its output layer.

    It is loaded as the stages load a base model.
    """
    from ftbench import bases, miniature, models, tokenization

    shape = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_hidden_layers": DEPTH, "num_attention_heads": HEADS}
    dimensions = dimensions or {**shape, "num_key_value_heads": HEADS // 3, "max_position_embeddings": 512}
    tokenizer = tokenization.train("llama", texts, vocab_size, max_length=dimensions["max_position_embeddings"])
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    rows = max(vocab_size, len(tokenizer))
    built = miniature.build("llama", dimensions, rows, SEED, **ids)
    with tempfile.TemporaryDirectory(prefix="bench-base-") as folder:
        bases.save_miniature(Path(folder), "bench", "llama", built, tokenizer, {})
        return models.load_decoder(Path(folder), None).eval(), tokenizer


def model_settings(name: str) -> Any:
    """A model of params.yaml at the scale `offline`."""
    return grid.model(settings(), name)


def refuse_without_bfloat16() -> None:
    """Raises NotRunError on a processor that multiplies no matrices in bfloat16: there it is emulated, and slower than float32."""
    import torch

    if not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        raise NotRunError("this processor multiplies no matrices in bfloat16")


def num_cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def trainer_settings(folder: str, batch_size: int, learning_rate: float) -> dict[str, Any]:
    """Arguments of one epoch of a Trainer that is left at its defaults, but writes nothing that would be timed."""
    return {
        "output_dir": folder,
        "num_train_epochs": 1,
        "per_device_train_batch_size": batch_size,
        "learning_rate": learning_rate,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }


def as_torch_starts() -> None:
    """Undo what our training sets for the whole process, before an alternative runs that does not ask for it."""
    import torch

    torch.use_deterministic_algorithms(False)
