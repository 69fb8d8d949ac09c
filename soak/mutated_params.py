"""Mutants of params.yaml: every way in which a file of settings goes wrong by hand, by a merge, by an editor or by malice.

The start is the file that this repository ships, shrunken to some studies, with a scale of local files added. A mutant is a change of its
content (another type, a value out of range, an unknown key, a block that is gone, another name) or of its text (twice the same key,
anchors, tags, numbers in odd notations, bytes that are no text). Each goes through what `ftbench check` does. What is let in is checked
against RULES, which know nothing of the schema.
"""

from __future__ import annotations

import copy
import json
import math
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from judging import ACCEPTED, REFUSED, Case, WronglyAcceptedError

from ftbench import checks, params

ROOT = Path(__file__).parents[1]
STUDIES = ("snli", "multinli", "multinli_llm", "alpaca")
HASH = "0123456789abcdef" * 4
Path_ = tuple[Any, ...]


class Literal(str):
    """A scalar that stands in the file as it is written here."""

    __slots__ = ()


# ---- the file that is spoilt -------------------------------------------------------------------------------------------------------------


def base() -> dict[str, Any]:
    """The shipped settings with fewer studies and a scale `own` whose data and decoder are local files. It fits together."""
    raw = params.read(ROOT / "params.yaml")
    raw = {"scale": raw["scale"], "studies": {name: raw["studies"][name] for name in STUDIES}, **_scales(raw)}
    raw["studies"]["multinli"]["factors"]["method"] = ["full", "lora", "p_tuning"]
    for scale in ("offline", "paper"):
        for gone in ("top_layers", "p_tuning_with_backbone"):
            raw[scale]["multinli"].pop(gone, None)
    raw["own"] = raw.pop("paper")
    raw["own"]["datasets"]["snli"] = {
        "source": "file", "task": "nli", "licence": "CC0-1.0", "seed": 0, "splits": {"train": None, "validation": 5, "test": None},
        "files": {split: [{"path": f"d/{split}.jsonl", "format": "jsonl", "sha256": HASH}] for split in ("train", "test")},
        "labels": {"entailment": 0, "neutral": 1, "contradiction": 2}, "columns": {"premise": "first"}, "max_malformed_share": 0.0,
    }  # fmt: skip
    raw["own"]["models"]["phi_2"] = {
        "source": "file", "architecture": "phi", "licence": "MIT", "path": "checkpoints/phi",
        "files": [{"path": "config.json", "sha256": HASH}, {"path": "model.safetensors", "sha256": HASH}],
    }  # fmt: skip
    for part in ("qkv", "attention_head"):
        raw["own"]["snli"][part]["adapter"]["target_modules"] = ["q_proj"]
    return raw


def _scales(raw: dict[str, Any]) -> dict[str, Any]:
    kept = {}
    for scale in ("offline", "paper"):
        sections = {name: block for name, block in raw[scale].items() if name in ("datasets", "models", *STUDIES)}
        sweeps = raw[scale].get("sweeps", {})
        if some := {name: sweep for name, sweep in sweeps.items() if sweep["study"] == "alpaca"}:
            sections["sweeps"] = dict(list(some.items())[:2])
        kept[scale] = copy.deepcopy(sections)
    return kept


def written(value: Any, indent: int = 0) -> list[str]:
    """The lines of a block of YAML: a mapping's keys and a list's items each on a line of their own."""
    lines: list[str] = []
    pad = " " * indent
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in entries:
        head = f"{pad}- " if isinstance(value, list) else f"{pad}{_scalar(key)}: "
        if isinstance(item, (dict, list)) and item:
            lines += [head.rstrip(), *written(item, indent + 2)]
        else:
            lines.append(head + _scalar(item))
    return lines


def _scalar(value: Any) -> str:
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else (".inf" if value > 0 else "-.inf")
    if isinstance(value, str) and re.fullmatch(r"[a-zA-Z_]\w*", value, re.ASCII) and value.lower() not in ("null", "true", "false"):
        return value
    return json.dumps(value)


def text(value: Any) -> str:
    """The whole file."""
    return "\n".join(written(value)) + "\n"


def paths(value: Any, here: Path_ = ()) -> Iterator[Path_]:
    """The place of every key and item, from the top down."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        yield (*here, key)
        yield from paths(item, (*here, key))


def at(value: Any, path: Path_) -> Any:
    """What stands at a place."""
    for key in path:
        value = value[key]
    return value


def changed(raw: dict[str, Any], path: Path_, value: Any) -> dict[str, Any]:
    """A copy with another value at a place."""
    made = copy.deepcopy(raw)
    at(made, path[:-1])[path[-1]] = value
    return made


# ---- what a value may be, said without the schema ----------------------------------------------------------------------------------------


def _whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


def _real(least: float, most: float) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and least <= value <= most  # NaN is in no range


def _among(*values: Any) -> Callable[[Any], bool]:
    return lambda value: any(type(value) is type(one) and value == one for one in values)


def _or_null(rule: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or rule(value)


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII) is not None


def _words(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


_NAME, _COUNT, _SEED, _BOOL = _matches("[a-z0-9_]+"), _whole(1, 10**9), _whole(0, 2**31 - 1), _among(True, False)
_POSITIVE, _SHARE = _real(1e-323, 1.0), _real(0, 1)
RULES: dict[str, Callable[[Any], bool]] = {
    "scale": _among("offline", "own"), "question": _words, "model": _or_null(_NAME), "method": _or_null(_NAME), "dataset": _NAME,
    "factors": _NAME, "baselines": _NAME, "seeds": _SEED, "three_shot": _NAME, "reference": _or_null(_matches("[a-z0-9_-]+")),
    "primary_metric": _among("accuracy", "nll", "brier", "bits_per_byte", "exact_match", "token_f1"),
    "source": _among("generated", "hub", "file", "miniature"), "task": _among("nli", "instructions", "pretraining"), "licence": _words,
    "seed": _SEED, "splits": _or_null(_COUNT), "genres": _NAME, "mismatched_genres": _NAME, "instruction_share": _SHARE,
    "published_rows": _COUNT, "files": _words, "path": _words, "format": _among("json", "jsonl", "csv", "tsv", "parquet", "txt"),
    "sha256": _matches("[0-9a-f]{64}"), "revision": _matches("[0-9a-f]{40}"), "repository": _matches(r"[\w.-]+(/[\w.-]+)?"),
    "columns": _words, "max_malformed_share": _SHARE, "gated": _BOOL, "architecture": _NAME,
    "labels": lambda value: type(value) is int or _words(value) or value == "",
    "vocab_size": _COUNT, "hidden_size": _COUNT, "intermediate_size": _COUNT, "num_hidden_layers": _COUNT, "num_attention_heads": _COUNT,
    "num_key_value_heads": _or_null(_COUNT), "max_position_embeddings": _or_null(_COUNT), "partial_rotary_factor": _or_null(_POSITIVE),
    "hidden_dropout_prob": _or_null(_SHARE), "attention_probs_dropout_prob": _or_null(_SHARE),
    "objective": _among("causal", "masked"), "kinds": _NAME, "max_steps": _COUNT, "per_device_train_batch_size": _whole(1, 10**9),
    "per_device_eval_batch_size": _COUNT, "block_size": _whole(8, 8192), "learning_rate": _POSITIVE, "warmup_steps": _real(0, 1e9),
    "weight_decay": _SHARE, "replaced_share": _SHARE, "within_genre": _BOOL, "loss_weight": _real(1e-323, 1e308), "block": _COUNT,
    "max_length": _whole(8, 8192), "template": lambda value: _words(value) and "{" in value, "templates": _words, "r": _whole(1, 4096),
    "lora_alpha": _real(1e-323, 8192), "lora_dropout": _real(0, 0.9999999999999999), "target_modules": _words,
    "gradient_accumulation_steps": _COUNT, "lr_scheduler_type": _NAME, "optim": _NAME, "max_grad_norm": _real(0, 1e6),
    "eval_strategy": _among("no", "epoch", "steps"), "eval_steps": _or_null(_COUNT), "logging_steps": _COUNT, "bf16": _BOOL, "fp16": _BOOL,
    "gradient_checkpointing": _BOOL, "full_determinism": _BOOL, "train_sampling_strategy": _NAME, "num_train_epochs": _real(1e-323, 1000),
    "bnb_4bit_quant_type": _among("nf4", "fp4"), "bnb_4bit_use_double_quant": _BOOL,
    "bnb_4bit_compute_dtype": _among("float32", "float16", "bfloat16"), "report_to": _NAME,
    "attn_implementation": _or_null(_among("eager", "sdpa", "flash_attention_2")),
    "num_top_layers": _COUNT, "num_virtual_tokens": _COUNT, "encoder_hidden_size": _COUNT, "encoder_num_layers": _COUNT,
    "encoder_reparameterization_type": _among("MLP", "LSTM"), "encoder_dropout": _SHARE, "pretrained": _BOOL,
    "only": _or_null(_among("premise", "hypothesis")), "token": _or_null(_among("first", "last")), "num_examples": _whole(0, 64),
    "max_new_tokens": _or_null(_whole(1, 4096)), "study": _NAME, "arms": _matches("[a-z0-9_-]+"), "parameter": _matches("[a-z0-9_.]+"),
    "values": lambda value: _NAME(value) or _real(-1e308, 1e308)(value), "metric": _among("eval_loss", "eval_accuracy"),
    # blocks that may be null or empty, or that hold nothing at all
    "adapter": _among(None), "quantization": _among(None), "detection": _among(None), "dimensions": _among(None), "training": _among(None),
}  # fmt: skip
EMPTY = {"baselines", "three_shot", "columns", "sweeps", "files"}  # lists and mappings that may hold nothing
OPTIONAL = {  # what may be left out of the file above
    "method", "three_shot", "intermediate_size", "num_key_value_heads", "max_position_embeddings", "partial_rotary_factor", "columns",
    "hidden_dropout_prob", "attention_probs_dropout_prob", "detection", "per_device_eval_batch_size", "gradient_accumulation_steps",
    "weight_decay", "warmup_steps", "lr_scheduler_type", "optim", "max_grad_norm", "eval_strategy", "eval_steps", "logging_steps", "bf16",
    "fp16", "gradient_checkpointing", "full_determinism", "train_sampling_strategy", "template", "labels", "quantization", "token",
    "encoder_num_layers", "encoder_dropout", "published_rows", "attn_implementation", "dimensions", "sweeps", "offline", "own",
    "pretrained", "only", "seed", "num_examples", "format", "zero_shot", "one_shot", "adapter", "validation", "test",
}  # fmt: skip


def meaningless(content: Any) -> list[str]:
    """The places of a file that was let in at which something stands that cannot be meant."""
    found = []
    for path in paths(content):
        value = at(content, path)
        words = [key for key in path if isinstance(key, str)]
        if isinstance(value, (dict, list)):
            if not value and not any(word in EMPTY for word in words):
                found.append(f"{path}: empty")
            continue
        rule = _NAME if "factors" in words else next((RULES[word] for word in reversed(words) if word in RULES), None)
        if rule is None or not rule(value):
            found.append(f"{path}: {value!r}")
    return found


# ---- mutants -----------------------------------------------------------------------------------------------------------------------------

Mutant = tuple[str, bytes, frozenset[str], tuple[str, ...]]  # a name, the file, the outcomes that are right, words that a refusal holds
EITHER, ONLY_REFUSED, ONLY_ACCEPTED = frozenset({ACCEPTED, REFUSED}), frozenset({REFUSED}), frozenset({ACCEPTED})
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 0.5, "", " ", "0.1", "text", [], {}, [1], ["a"], {"a": 1}, [[]], [None], {"": None}, "é", "..", "a\nb",
    [{}],
]  # fmt: skip
NUMBERS: list[Any] = [
    0, -1, -0.0, 1e-320, 1e300, -1e300, float("nan"), float("inf"), -float("inf"), 2**31, 2**63, 2**64, 10**30, -(10**30), 0.1, 1.5, True,
]  # fmt: skip
# as YAML 1.2 and its readers take them: a number that is in range, or something that must not pass for one
NOTATIONS = (
    ".nan", ".NaN", ".inf", "-.inf", ".INF", "NaN", "nan", "inf", "Infinity", "1e400", "-1e400", "1e-400", "1E5000", "0x10", "0o17", "0b11",
    "1_000", "1,000", "1:30", "5.", "+5", "--5", "٣", "５", "½", "1e", "e5", "1 000", "9" * 400, "9" * 5000, "0" * 400 + "1", "0777", "~",
    "!!float 1",
    "!!int '7'", "!!str 7", "yes", "on", "1 # 2", "'1'", "- 1", "{}", "? 1", "&a 1", "*a", "|\n  1", "2026-01-01", "1e-4e", "0.1.2", "%1",
    "@1", "`1`",
)  # fmt: skip
NAMES = (
    "näme", "ｓｎｌｉ", "sn\u200bli", "snli\u202e", "ѕnli", "sn li", "sn/li", "../snli", "sn.li", "SNLI", "snli\n", "snli\t",
    "\x1b[31msnli", "snli\x00", "", " ", "null", "true", "1", "-", "é" * 300, "a" * 300, "💥", "e\u0301", "snli-x",
    "$(id)", "`id`", "snli;ls", "${scale}", "con", "\x9b31m", "\ud800", "\x85x",
)  # fmt: skip


def types(raw: dict[str, Any], rng: random.Random) -> Mutant:
    """A value of another type in place of any value, block or list."""
    path = rng.choice(list(paths(raw)))
    value = rng.choice(VALUES)
    return f"{path} = {value!r}", text(changed(raw, path, value)).encode(), EITHER, ()


def ranges(raw: dict[str, Any], rng: random.Random) -> Mutant:
    """A number far outside, or just outside, of what a setting may be."""
    path = rng.choice([path for path in paths(raw) if type(at(raw, path)) in (int, float)])
    value = rng.choice(NUMBERS)
    return f"{path} = {value!r}", text(changed(raw, path, value)).encode(), EITHER, ()


def unknown_keys(raw: dict[str, Any], rng: random.Random) -> Mutant:
    """A key that nothing reads, in any mapping: one misspelt, or one more."""
    path = rng.choice([path for path in paths(raw) if isinstance(at(raw, path), dict)])
    made = copy.deepcopy(raw)
    block = at(made, path)
    key = rng.choice(list(block))
    misspelt = rng.choice([key + "s", key[:-1] or "x", key[1:] or "y", key.upper(), "zz_" + key, key + " "])
    if misspelt in block:
        misspelt = "zz_unknown"
    if rng.random() < 0.5:
        block[misspelt] = block.pop(key)
    else:
        block[misspelt] = copy.deepcopy(block[key])
    # the columns of a file may have any name of ours, and a part of the splits is a choice
    free = EITHER if path[-1] in ("factors",) else ONLY_REFUSED
    return f"{path}: {misspelt!r}", text(made).encode(), free, ()


def missing(raw: dict[str, Any], rng: random.Random) -> Mutant:
    """A key, a block or an item of a list that is gone."""
    path = rng.choice(list(paths(raw)))
    made = copy.deepcopy(raw)
    del at(made, path[:-1])[path[-1]]
    levels = {level for study in raw["studies"].values() for names in study["factors"].values() for level in names}
    free = isinstance(path[-1], int) or path[-1] in OPTIONAL | levels or "sweeps" in path
    return f"without {path}", text(made).encode(), EITHER if free else ONLY_REFUSED, ()


def duplicates(raw: dict[str, Any], rng: random.Random) -> Mutant:
    """A key that stands twice, with the same value or with another."""
    lines = text(raw).splitlines()
    index = rng.choice([index for index, line in enumerate(lines) if re.match(r" *[\"\w]+: \S", line)])
    key, value = lines[index].split(": ", 1)
    again = f"{key}: {rng.choice([value, '1', 'other', 'null'])}"
    lines.insert(index + rng.randint(0, 1), again)
    return f"line {index + 1} twice: {again.strip()}", "\n".join(lines).encode(), ONLY_REFUSED, (key.strip().strip('"'),)


def notations(raw: dict[str, Any], rng: random.Random) -> Mutant:
    """A number as nobody, or only another reader of YAML, would write it."""
    path = rng.choice([path for path in paths(raw) if type(at(raw, path)) in (int, float) and isinstance(path[-1], str)])
    notation = rng.choice(NOTATIONS)
    tricky = notation.startswith(("!!", "&", "*", "%", "@", "`", "?"))
    return f"{path} = {notation[:40]}", text(changed(raw, path, Literal(notation))).encode(), ONLY_REFUSED if tricky else EITHER, ()


def unicode_names(raw: dict[str, Any], rng: random.Random) -> Mutant:
    """A name of a study, level, data set, model, baseline or key with characters that no name may have, wherever it stands."""
    name = rng.choice(NAMES)
    studies = raw["studies"]
    levels = [level for study in studies.values() for names in study["factors"].values() for level in names]
    old = rng.choice([*studies, *raw["offline"]["datasets"], *raw["offline"]["models"], *levels])
    made = _renamed(raw, old, name) if rng.random() < 0.7 else changed(raw, *_any_name(raw, rng, name))
    allowed = EITHER if re.fullmatch("[a-z0-9_]+", name) else ONLY_REFUSED
    return f"{old} -> {name[:30]!a}", text(made).encode(), allowed, ()


def _any_name(raw: dict[str, Any], rng: random.Random, name: str) -> tuple[Path_, str]:
    keys = ("model", "dataset", "method", "baselines", "reference", "primary_metric", "architecture", "kinds", "genres", "token", "optim")
    there = [path for path in paths(raw) if isinstance(at(raw, path), str) and any(key in path[-2:] for key in keys)]
    return rng.choice(there), name


def _renamed(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {new if key == old else key: _renamed(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, old, new) for item in value]
    return new if value == old else value


def bombs(raw: dict[str, Any], rng: random.Random) -> Mutant:
    """A small file that would become a large one: aliases of aliases, depth, length, merges of merges."""
    width, depth = rng.randint(2, 9), rng.randint(8, 60)
    ways = {
        "aliases in lists": [f"a0: &a0 [{', '.join(['x'] * width)}]"]
        + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, depth)],
        "aliases in mappings": ["b0: &b0 {x: 1}"]
        + [f"b{n}: &b{n} {{{', '.join(f'k{m}: *b{n - 1}' for m in range(width))}}}" for n in range(1, depth)],
        "merges": ["m0: &m0 {x: 1}"] + [f"m{n}: &m{n}\n  <<: [{', '.join([f'*m{n - 1}'] * width)}]" for n in range(1, depth)],
        "itself": ["s: &s [*s]"],
        "depth of flow": ["d: " + "[" * depth * 20 + "]" * depth * 20],
        "depth of blocks": [" " * n + f"k{n}:" for n in range(depth * 10)],
        "open brackets": ["o: " + "[" * rng.choice([100, 10_000, 200_000])],
        "question marks": ["? " * depth * 50],
        "dashes": ["q:", "  " + "- " * depth * 50 + "1"],
        "length": ["l: " + "x" * 1_100_000],
        "one long key": ["k" * 100_000 + ": 1"],
        "many documents": ["---\na: 1"] * depth,
        "many keys": [f"k{n}: 1" for n in range(3000)],
    }
    name = rng.choice(list(ways))
    return f"{name}, {width} wide, {depth} deep", (text(raw) + "\n".join(ways[name]) + "\n").encode(), ONLY_REFUSED, ()


def anchors(raw: dict[str, Any], rng: random.Random) -> Mutant:
    """An anchor, an alias or a merge key, also where they would change nothing or where nothing is referred to."""
    lines = text(raw).splitlines()
    index = rng.choice([index for index, line in enumerate(lines) if re.match(r" +[\"\w]+:", line)])
    key, _, value = lines[index].partition(":")
    indent = " " * (len(key) - len(key.lstrip()))
    way = rng.choice(["anchor", "alias", "merge", "merge_inline", "unused", "twice"])
    if way in ("anchor", "unused"):
        lines[index] = f"{key}: &x{value}"
    elif way == "twice":
        lines[index] = f"{key}: &x{value}"
        lines += [f"more: &x{value or ' 1'}", "again: *x"]
    elif way == "alias":
        lines[index] = f"{key}: *nowhere"
    else:
        lines.insert(index, f"{indent}<<: " + ("*nowhere" if way == "merge" else "{zz: 1}"))
    return f"{way} in line {index + 1}", "\n".join(lines).encode(), ONLY_REFUSED, ()


def tags(raw: dict[str, Any], rng: random.Random) -> Mutant:
    """A tag or a directive: what asks a reader to build something else than what is written."""
    lines = text(raw).splitlines()
    index = rng.choice([index for index, line in enumerate(lines) if re.match(r" +[\"\w]+: \S", line)])
    key, _, value = lines[index].partition(": ")
    tag = rng.choice([
        "!!python/object/apply:os.system [id]", "!!python/name:os.system", "!!binary aGk=", "!!set {a}", "!!omap [a: 1]",
        "!!timestamp 2026-01-01",
        f"!!str {value}", f"!!float {value}", f"!!int {value}", f"!local {value}", "!<tag:yaml.org,2002:str> x", "!!null x", "!!bool yes",
        "! 1",
    ])  # fmt: skip
    if rng.random() < 0.25:
        head = rng.choice(
            ["%YAML 1.1\n---\n", "%YAML 1.2\n---\n", "%TAG ! tag:x,2026:\n---\n", "%FOO bar\n---\n", "%YAML 9.9\n---\n", "%\n"]
        )
        known = head.startswith(("%YAML", "%TAG")) or head == "%\n"  # YAML ignores any other directive
        return f"directive {head!r}", (head + "\n".join(lines)).encode(), ONLY_REFUSED if known else EITHER, ()
    lines[index] = f"{key}: {tag}"
    return f"line {index + 1}: {tag}", "\n".join(lines).encode(), ONLY_REFUSED, ()


def texts(raw: dict[str, Any], rng: random.Random) -> Mutant:
    """Damage to the text: tabs, bytes, a cut, lines lost, moved or indented otherwise."""
    whole = text(raw).encode()
    lines = whole.splitlines(keepends=True)
    index = rng.randrange(len(lines))
    place = rng.randrange(1, len(whole))
    line = lines[index]
    ways: dict[str, tuple[bytes, frozenset[str]]] = {
        "empty": (b"", ONLY_REFUSED),
        "only comments": (b"# nothing\n\n", ONLY_REFUSED),
        "only null": (b"null\n", ONLY_REFUSED),
        "a list": (b"- scale\n- studies\n", ONLY_REFUSED),
        "binary": (rng.randbytes(2000), ONLY_REFUSED),
        "gzip": (b"\x1f\x8b\x08\x00" + rng.randbytes(500), ONLY_REFUSED),
        "utf-16": (whole.decode().encode("utf-16"), ONLY_REFUSED),
        "latin-1": (whole[:place] + b"\xe9" + whole[place:], ONLY_REFUSED),
        "nul": (whole[:place] + b"\0" + whole[place:], ONLY_REFUSED),
        "escape": (whole[:place] + b"\x1b[31m" + whole[place:], ONLY_REFUSED),
        "byte order mark": (b"\xef\xbb\xbf" + whole, EITHER),
        "crlf": (whole.replace(b"\n", b"\r\n"), ONLY_ACCEPTED),
        "cr alone": (whole.replace(b"\n", b"\r"), EITHER),
        "truncated": (whole[:place], EITHER),
        "a byte changed": (whole[:place] + bytes([rng.randrange(256)]) + whole[place + 1 :], EITHER),
        "a tab": (b"".join([*lines[:index], b"\t" + line, *lines[index + 1 :]]), EITHER),
        "tabs for spaces": (whole.replace(b"    ", b"\t"), ONLY_REFUSED),
        "a line lost": (b"".join([*lines[:index], *lines[index + 1 :]]), EITHER),
        "a line twice": (b"".join([*lines[:index], line, *lines[index:]]), EITHER),
        "indented": (b"".join([*lines[:index], b" " + line, *lines[index + 1 :]]), EITHER),
        "outdented": (b"".join([*lines[:index], line.removeprefix(b"  "), *lines[index + 1 :]]), EITHER),
        "two lines swapped": (b"".join([*lines[:index][:-1], line, *lines[:index][-1:], *lines[index + 1 :]]), EITHER),
        "a conflict of a merge": (b"".join([*lines[:index], b"<<<<<<< ours\n", line, b"=======\n", line, b">>>>>>> theirs\n",
                                            *lines[index + 1 :]]), ONLY_REFUSED),
        "comments": (b"# a comment\n" + whole.replace(b"\n", b" # here\n"), ONLY_ACCEPTED),
        "blank lines": (whole.replace(b"\n", b"\n\n"), ONLY_ACCEPTED),
        "as json": (json.dumps(raw).encode(), ONLY_ACCEPTED),
        "end marker": (whole + b"...\n", EITHER),
    }  # fmt: skip
    name = rng.choice(list(ways))
    mutant, allowed = ways[name]
    return f"{name} at line {index + 1}, byte {place}", mutant, allowed, ()


KINDS: dict[str, Callable[[dict[str, Any], random.Random], Mutant]] = {
    function.__name__: function
    for function in (
        types, ranges, unknown_keys, missing, duplicates, notations, unicode_names, bombs, anchors, tags, texts,
    )
}  # fmt: skip


def checked(content: bytes, path: Path) -> None:
    """What `ftbench check` does with a file of these bytes. Raises WronglyAcceptedError where it lets in what cannot be meant."""
    path.write_bytes(content)
    raw = params.read(path)
    checks.everything(raw, ROOT)
    if odd := meaningless(raw):
        raise WronglyAcceptedError("; ".join(odd[:3]))


def cases(rounds: int, seed: int, folder: Path) -> Iterator[Case]:
    """`rounds` mutants, the kinds in turn."""
    raw = base()
    kinds = list(KINDS.items())
    for number in range(rounds):
        kind, make = kinds[number % len(kinds)]
        name, content, expected, names = make(raw, random.Random(f"{seed}-{number}"))
        act = _acting(content, folder / "params.yaml")
        yield Case(f"params: {kind}", f"{number}: {name}", act, expected, names or ("params.yaml",))


def _acting(content: bytes, path: Path) -> Callable[[], None]:
    return lambda: checked(content, path)
