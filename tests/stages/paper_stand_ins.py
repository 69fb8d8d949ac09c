"""Stand-ins for the checkpoints and the data of the scale `paper`, and the shipped block with them as its sources.

A stand-in is a tiny checkpoint of the same architecture class, on disk as its publisher has it, or some rows in a publisher's format.
What else differs from the shipped block is listed under "The changes".
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from shared_data import SHARED_DATA

from ftbench import files, params
from ftbench.text import LABELS

ROOT = Path(__file__).resolve().parents[2]

# ---- The changes ------------------------------------------------------------------------------------------------------------------

SEEDS = [0]
MAX_STEPS = 2  # at most: one for each epoch of num_train_epochs, which max_steps replaces
FP16 = False  # where it is true: mixed precision in float16 needs a GPU. 4-bit layers go on computing in float16, and bf16 stays
MAX_NEW_TOKENS = 3  # of an answer, where the paper has 256
SPLITS = {"train": 60, "validation": 12, "test": 18}  # where the paper gives a number; where it takes all rows, so does this
SHAPE = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2}
LAYERS = dict.fromkeys(("phi_2", "llama_3_8b", "open_llama_3b", "bloom_3b", "falcon_rw_1b"), 2) | {"roberta_large": 6}  # 6 are trained
WORDS = {label: label for label in LABELS}  # in MultiNLI's own JSON lines; the hub's Parquet has numbers


@cache
def shipped() -> dict[str, Any]:
    """params.yaml as it is shipped, at the scale `paper`. Not to be changed."""
    raw = params.read(ROOT / "params.yaml")
    return {"scale": "paper", "studies": raw["studies"], "paper": raw["paper"]}


def changed(root: Path) -> dict[str, Any]:
    """The same with every change of this list, and with stand-ins under `root/published` as its sources."""
    raw = copy.deepcopy(shipped())
    paper = raw["paper"]
    for name, block in paper["datasets"].items():
        if block["source"] == "hub":
            listed = publish_rows(name, block["files"], root / "published" / name)
            block |= {"source": "file", "files": listed} | ({"labels": WORDS} if name == "multinli" else {})
            block["splits"] |= {split: SPLITS[split] for split, size in block["splits"].items() if size is not None}
            del block["repository"], block["revision"]
    for name, block in paper["models"].items():
        folder = root / "published" / name
        publish_checkpoint(name, block["architecture"], block["dimensions"], folder)
        block |= {"source": "file", "path": str(folder), "files": pinned(folder)}
        del block["repository"], block["revision"], block["gated"], block["dimensions"]
    for name, study in raw["studies"].items():
        study["seeds"] = SEEDS
        for training in trainings(paper[name]):
            training |= afforded(training)
            del training["num_train_epochs"]
        if "max_new_tokens" in paper[name]["evaluation"]:
            paper[name]["evaluation"]["max_new_tokens"] = MAX_NEW_TOKENS
    return raw


def afforded(training: dict[str, Any]) -> dict[str, Any]:
    """What is changed in an arm's block of the Trainer's settings."""
    steps = int(min(MAX_STEPS, training["num_train_epochs"]))  # so that arms which differ in their epochs still differ
    return {"max_steps": steps} | ({"fp16": FP16} if training.get("fp16") else {})


def trainings(block: Any) -> Iterator[dict[str, Any]]:
    """Every block of the Trainer's settings below a block."""
    for value in block.values() if isinstance(block, dict) else ():
        if isinstance(value, dict) and "num_train_epochs" in value:
            yield value
        else:
            yield from trainings(value)


# ---- Data, as published -----------------------------------------------------------------------------------------------------------

IN_FILE = {"train": 150, "test": 20, "test_matched": 20, "test_mismatched": 20}  # rows; some have no gold label or no answer
LONGEST = 250  # characters of a real row: batches of 64 that are as long as their longest pair would take a third of all the time
MATCHED, MISMATCHED = ["fiction", "government", "telephone", "travel"], ["medicine", "farming"]  # genres that the generator has too


def publish_rows(name: str, splits: Any, folder: Path) -> dict[str, list[dict[str, str]]]:
    """Write a file per split: SNLI as the hub has it, MultiNLI and Alpaca as their authors pack them. Returns the block `files`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    listed = {}
    for split in splits:
        form = {"snli": "parquet", "multinli": "jsonl", "alpaca": "json"}[name]
        path = folder / f"{split}.{form}"
        if name == "alpaca":
            path.write_text(json.dumps(answered(), indent=4), encoding="utf-8")
        elif name == "multinli":
            path.write_text("".join(json.dumps(official(*row)) + "\n" for row in enumerate(pairs(name, split))), encoding="utf-8")
        else:
            rows = [{key: row[key] for key in ("premise", "hypothesis", "label")} for row in pairs(name, split)]
            pq.write_table(pa.Table.from_pylist(rows), path)
        listed[split] = [{"path": str(path), "format": form, "sha256": files.sha256_file(path)}]
    return listed


@cache
def pairs(name: str, split: str) -> list[dict[str, Any]]:
    """Real pairs where they are there, else generated ones; one in nine without a gold label.

    There is no file of real mismatched pairs: later rows of the matched ones stand in.
    """
    from ftbench import pairs as generator

    genres = MISMATCHED if split == "test_mismatched" else MATCHED
    if SHARED_DATA.is_dir():
        file = "validation_matched" if split.startswith("test_") else split
        first = IN_FILE[split] if split == "test_mismatched" else 0
        with (SHARED_DATA / name / f"{file}.jsonl").open(encoding="utf-8") as stream:
            short = filter(lambda line: len(line) < LONGEST, stream)
            rows = [json.loads(line) for line in itertools.islice(short, first, first + IN_FILE[split])]
    else:
        rows = list(generator.generate(split.partition("_")[0], IN_FILE[split], 0, genres))
    told = [{**row, "genre": genre} for row, genre in zip(rows, itertools.cycle(genres), strict=False)]
    return [{**row, "label": -1} if number % 9 == 4 else row for number, row in enumerate(told)]


def official(number: int, row: dict[str, Any]) -> dict[str, Any]:
    """A row of MultiNLI as its authors write it: words for labels, "-" where the annotators did not agree."""
    label = "-" if row["label"] == -1 else LABELS[row["label"]]
    texts = {"sentence1": row["premise"], "sentence2": row["hypothesis"]}
    return {
        "annotator_labels": [label],
        "genre": row["genre"],
        "gold_label": label,
        "pairID": f"{number}e",
        "promptID": f"{number}",
        **texts,
    }


@cache
def answered() -> list[dict[str, str]]:
    """Rows of Alpaca, real where they are there, else generated; one in thirty without an answer."""
    from ftbench import instructions, sources_files

    columns = ["instruction", "input", "output"]
    if SHARED_DATA.is_dir():
        read = sources_files.read(SHARED_DATA / "alpaca/alpaca_data.json", "json", columns)
        rows: Any = [row for _, row in itertools.islice(read, IN_FILE["train"])]
    else:
        rows = instructions.generate("train", IN_FILE["train"], 0)
    kept = [{key: row[key] for key in columns} for row in rows]
    return [{**row, "output": ""} if number % 30 == 7 else row for number, row in enumerate(kept)]


# ---- Checkpoints, as published ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """How a checkpoint lies on the hub: its tokenizer's class and whether that can pad, and how its weights are stored."""

    tokenizer: str
    pads: bool
    dtype: str
    sharded: bool = False
    pytorch: bool = False


PUBLISHED = {
    "phi_2": Published("CodeGenTokenizer", pads=False, dtype="float16", sharded=True),
    "roberta_large": Published("RobertaTokenizer", pads=True, dtype="float32"),
    "llama_3_8b": Published("PreTrainedTokenizerFast", pads=False, dtype="bfloat16", sharded=True),
    "open_llama_3b": Published("LlamaTokenizer", pads=False, dtype="float16", pytorch=True),
    "bloom_3b": Published("BloomTokenizerFast", pads=True, dtype="float16"),
    "falcon_rw_1b": Published("PreTrainedTokenizerFast", pads=False, dtype="bfloat16", pytorch=True),
}


def publish_checkpoint(name: str, architecture: str, dimensions: dict[str, Any], folder: Path) -> None:
    """Write a tiny checkpoint of an architecture, with as many positions as the real one and, like Phi-2, more embeddings than tokens."""
    import torch

    from ftbench import miniature, tokenization

    form = PUBLISHED[name]
    small = {key: SHAPE.get(key, value) for key, value in dimensions.items() if key != "vocab_size"} | {"num_hidden_layers": LAYERS[name]}
    # LLaMA-3's tokenizer works on bytes, as Phi's does, and puts a token at the start
    tokenizer = tokenization.train("phi" if name == "llama_3_8b" else architecture, sentences(), vocab_size=700, max_length=512)
    if name == "llama_3_8b":
        from tokenizers import processors

        start = tokenizer.bos_token
        marks = {"single": f"{start} $A", "pair": f"{start} $A {start} $B", "special_tokens": [(start, tokenizer.bos_token_id)]}
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(**marks)
    if not form.pads:
        tokenizer.pad_token = None
    ids = {f"{token}_token_id": getattr(tokenizer, f"{token}_token_id") for token in ("pad", "bos", "eos")}
    model = miniature.build(architecture, small, len(tokenizer) + 13, seed=0, **ids).to(getattr(torch, form.dtype))
    if name == "bloom_3b":
        model = model.transformer  # the names of its weights lack the prefix that a model with a head gives them
    folder.mkdir(parents=True)
    num_bytes = sum(weight.nbytes for weight in model.state_dict().values())
    model.save_pretrained(folder, max_shard_size=num_bytes // 2 if form.sharded else 2 * num_bytes)
    tokenizer.save_pretrained(folder)
    edit(folder / "tokenizer_config.json", tokenizer_class=form.tokenizer)
    if form.pytorch:
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    if name == "falcon_rw_1b":  # it carries code of its own
        edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_falcon.FalconForCausalLM"})
        (folder / "modeling_falcon.py").write_text("raise RuntimeError('code from a repository has run')\n", encoding="utf-8")


@cache
def sentences() -> list[str]:
    """What the tokenizers of the stand-ins are trained on: training text, and what stands around it in prompts."""
    texts = [shipped()["paper"][study]["text"]["template"] for study in ("snli", "alpaca")]
    around = [texts[0], *texts[1].values(), *(f"Relation: {label}" for label in LABELS)]
    return (
        [row[key] for row in pairs("snli", "train") for key in ("premise", "hypothesis")]
        + [row["output"] for row in answered()]
        + around * 5
    )


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")


def pinned(folder: Path) -> list[dict[str, str]]:
    """The block `files` of a checkpoint: all but code, which is never read."""
    return [{"path": path.name, "sha256": files.sha256_file(path)} for path in sorted(folder.iterdir()) if path.suffix != ".py"]
