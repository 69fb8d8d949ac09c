"""Ways to spoil the folder of a checkpoint: its weights, their index, a pickle in their place, its configuration, its tokenizer."""

from __future__ import annotations

import json
import os
import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from judging import ACCEPTED, REFUSED
from safetensors.torch import load_file, save_file

OK, NO, ANY = frozenset({ACCEPTED}), frozenset({REFUSED}), frozenset({ACCEPTED, REFUSED})
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
Spoil = Callable[[Path, random.Random], None]


def _edit(name: str, **changes: Any) -> Spoil:
    def spoil(folder: Path, rng: random.Random) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return spoil


def _with_tensors(change: Callable[[dict[str, Any]], None]) -> Spoil:
    def spoil(folder: Path, rng: random.Random) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / WEIGHTS, metadata={"format": "pt"})

    return spoil


def _content(name: str, make: Callable[[bytes, random.Random], bytes]) -> Spoil:
    return lambda folder, rng: void((folder / name).write_bytes(make((folder / name).read_bytes(), rng)))


def void(_: Any) -> None:
    """For what returns something that nobody wants."""


def _sharded(index: Callable[[dict[str, Any], list[str]], Any] = lambda names, shards: names) -> Spoil:
    """Two shards with an index, which `index` may change."""

    def spoil(folder: Path, rng: random.Random) -> None:
        tensors = load_file(folder / WEIGHTS)
        (folder / WEIGHTS).unlink()
        shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
        names = {name: shards[number % 2] for number, name in enumerate(sorted(tensors))}
        for shard in shards:
            save_file({name: tensors[name] for name, own in names.items() if own == shard}, folder / shard, metadata={"format": "pt"})
        found = index(names, shards)
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": found}) if not isinstance(found, str) else found)

    return spoil


def _then(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path, rng: random.Random) -> None:
        for one in spoils:
            one(folder, rng)

    return spoil


def _header(header: bytes, length: int | None = None, body: bytes = b"") -> Spoil:
    content = struct.pack("<Q", len(header) if length is None else length) + header + body
    return lambda folder, rng: void((folder / WEIGHTS).write_bytes(content))


def _pickled(make: Callable[[dict[str, Any]], Any], plain: bool = False) -> Spoil:
    def spoil(folder: Path, rng: random.Random) -> None:
        value = make(load_file(folder / WEIGHTS))
        (folder / WEIGHTS).unlink()
        if plain:
            (folder / "pytorch_model.bin").write_bytes(pickle.dumps(value))
        else:
            torch.save(value, folder / "pytorch_model.bin")

    return spoil


class Intruder:
    """Runs code where it is unpickled by a loader that is not restricted."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (Path("intruded"), "yes"))


def _replaced(name: str, kind: str) -> Spoil:
    def spoil(folder: Path, rng: random.Random) -> None:
        path = folder / name
        path.unlink(missing_ok=True)
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "loop":
            path.symlink_to(path.name)
        elif kind == "two loops":
            path.symlink_to("other")
            (folder / "other").symlink_to(path.name)
        elif kind == "dangling":
            path.symlink_to("nowhere")

    return spoil


def _loop_of_folders(folder: Path, rng: random.Random) -> None:
    (folder / "more").symlink_to(".")
    (folder / "deep").mkdir()
    (folder / "deep" / "up").symlink_to("..")


def _nan(value: float, last: bool = False) -> Spoil:
    def change(tensors: dict[str, Any]) -> None:
        name = sorted(tensors)[-1 if last else 0]
        tensors[name].view(-1)[-1] = value

    return _with_tensors(change)


def _huge_nan(tensors: dict[str, Any]) -> None:
    tensors["unused.weight"] = torch.zeros(5000, 1000)
    tensors["unused.weight"][-1, -1] = float("nan")


def _first(tensors: dict[str, Any]) -> str:
    return next(name for name in sorted(tensors) if "layer" in name and tensors[name].dim() == 2)


def _set(change: Callable[[torch.Tensor], torch.Tensor]) -> Spoil:
    return _with_tensors(lambda tensors: tensors.update({_first(tensors): change(tensors[_first(tensors)])}))


def _more_tokens(folder: Path, rng: random.Random) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    added = [{**content["added_tokens"][-1], "id": 9000 + number, "content": f"<{number}>"} for number in range(3)]
    (folder / "tokenizer.json").write_text(json.dumps({**content, "added_tokens": [*content["added_tokens"], *added]}))


def _code(folder: Path, rng: random.Random) -> None:
    module = "from pathlib import Path\nPath('intruded').write_text('yes')\n"
    for name in ("modeling_evil.py", "configuration_evil.py", "tokenization_evil.py"):
        (folder / name).write_text(module)


AUTO = {"AutoConfig": "configuration_evil.C", "AutoModel": "modeling_evil.M", "AutoModelForCausalLM": "modeling_evil.M"}
TENSOR = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
SPOILT: dict[str, dict[str, tuple[Spoil, frozenset[str]]]] = {
    "weights": {
        "as published": (lambda folder, rng: None, OK),
        "none": (lambda folder, rng: (folder / WEIGHTS).unlink(), NO),
        "empty": (_content(WEIGHTS, lambda old, rng: b""), NO),
        "truncated": (_content(WEIGHTS, lambda old, rng: old[: rng.randrange(1, len(old))]), NO),
        "the header truncated": (_content(WEIGHTS, lambda old, rng: old[: rng.randrange(8, 200)]), NO),
        "a header of 2**63 bytes": (_content(WEIGHTS, lambda old, rng: struct.pack("<Q", 2**63) + old[8:]), NO),
        "a header of 100 MB": (_header(b"{}", length=100_000_000), NO),
        "a header that is no json": (_header(b"not json"), NO),
        "a header nested deep": (_header(b'{"a":' * 100_000), NO),
        "an empty header": (_header(b"{}"), NO),
        "offsets beyond the file": (_header(TENSOR.replace(b"[0,4]", b"[0,4000000000]"), body=bytes(4)), NO),
        "offsets that overlap": (_header(TENSOR[:-1] + b"," + TENSOR[1:].replace(b'"a"', b'"b"'), body=bytes(4)), NO),
        "a shape of 10**18": (_header(TENSOR.replace(b"[1]", b"[1000000000,1000000000]"), body=bytes(4)), NO),
        "a type that is none": (_header(TENSOR.replace(b"F32", b"F99"), body=bytes(4)), NO),
        "bytes after the end": (_content(WEIGHTS, lambda old, rng: old + bytes(100)), NO),
        "noise": (_content(WEIGHTS, lambda old, rng: rng.randbytes(5000)), NO),
        "nan": (_nan(float("nan")), NO),
        "infinity": (_nan(float("inf"), last=True), NO),
        "nan at the end of a large tensor": (_with_tensors(_huge_nan), NO),
        "nan in half precision": (_set(lambda tensor: torch.full_like(tensor, float("nan"), dtype=torch.float16)), NO),
        "a row too few": (_set(lambda tensor: tensor[:-1].clone()), NO),
        "transposed": (_set(lambda tensor: tensor.repeat(1, 2)), NO),
        "a dimension more": (_set(lambda tensor: tensor[None]), NO),
        "a scalar": (_set(lambda tensor: torch.tensor(1.0)), NO),
        "no values": (_set(lambda tensor: torch.zeros(0)), NO),
        "a tensor missing": (_with_tensors(lambda tensors: void(tensors.pop(_first(tensors)))), NO),
        "every tensor renamed": (_with_tensors(lambda t: [t.update({f"x.{name}": t.pop(name)}) for name in list(t)] and None), NO),
        "a head of a classifier": (_with_tensors(lambda tensors: tensors.update({"classifier.weight": torch.zeros(3, 16)})), NO),
        "a name of a terminal's": (_with_tensors(lambda tensors: tensors.update({"\x1b[31m": torch.full((1,), float("nan"))})), NO),
        "a folder in place": (_replaced(WEIGHTS, "folder"), NO),
        "a pipe in place": (_replaced(WEIGHTS, "pipe"), NO),
        "a link to itself": (_replaced(WEIGHTS, "loop"), NO),
        "links to one another": (_replaced(WEIGHTS, "two loops"), NO),
        "a link to nothing": (_replaced(WEIGHTS, "dangling"), NO),
        "folders that hold themselves": (_loop_of_folders, ANY),
    },
    "index": {
        "two shards": (_sharded(), OK),
        "a shard missing": (_then(_sharded(), lambda folder, rng: (folder / "model-00001-of-00002.safetensors").unlink()), NO),
        "a shard truncated": (_then(_sharded(), _content("model-00002-of-00002.safetensors", lambda old, rng: old[: len(old) // 2])), NO),
        "a shard twice": (_sharded(lambda names, shards: dict.fromkeys(names, shards[0])), NO),
        "shards swapped": (_sharded(lambda names, shards: {n: shards[own == shards[0]] for n, own in names.items()}), NO),
        "out of the folder": (_sharded(lambda names, shards: {**names, "a": "../../secret.safetensors"}), NO),
        "an absolute path": (_sharded(lambda names, shards: {**names, "a": "/etc/passwd"}), NO),
        "up and back": (_sharded(lambda names, shards: {**names, "a": f"../spoilt/{shards[0]}"}), NO),
        "a file of another kind": (_sharded(lambda names, shards: {**names, "a": "config.json"}), NO),
        "the folder itself": (_sharded(lambda names, shards: {**names, "a": "."}), NO),
        "no name": (_sharded(lambda names, shards: {**names, "a": ""}), NO),
        "a nul in a name": (_sharded(lambda names, shards: {**names, "a": "model\0.safetensors"}), NO),
        "a number for a name": (_sharded(lambda names, shards: {**names, "a": 7}), NO),
        "a list for a name": (_sharded(lambda names, shards: {**names, "a": ["x"]}), NO),
        "null for names": (_sharded(lambda names, shards: None), NO),
        "a list for the index": (_sharded(lambda names, shards: "[]"), NO),
        "no json": (_sharded(lambda names, shards: "{"), NO),
        "an index nested deep": (_sharded(lambda names, shards: '{"weight_map":' + "[" * 100_000), NO),
        "an empty index": (_sharded(lambda names, shards: {}), NO),
        "a tensor that no shard holds": (_sharded(lambda names, shards: {**names, "more.weight": shards[0]}), NO),
        "a name of 5000 characters": (_sharded(lambda names, shards: {**names, "a": "m" * 5000}), NO),
    },
    "pickle": {
        "tensors": (_pickled(lambda tensors: tensors), OK),
        "code": (_pickled(lambda tensors: {**tensors, "evil": Intruder()}), NO),
        "code in an old pickle": (_pickled(lambda tensors: Intruder(), plain=True), NO),
        "a list": (_pickled(lambda tensors: list(tensors.values())), NO),
        "numbers for names": (_pickled(lambda tensors: dict(enumerate(tensors.values()))), NO),
        "a whole module": (_pickled(lambda tensors: torch.nn.Linear(2, 2)), NO),
        "nan": (_pickled(lambda tensors: {name: torch.full_like(tensor, float("nan")) for name, tensor in tensors.items()}), NO),
        "a terabyte from nothing": (_pickled(lambda tensors: {"a": torch.zeros(1).expand(2**38)}), NO),
        "a sparse tensor": (_pickled(lambda tensors: {**tensors, "a": torch.zeros(2, 2).to_sparse()}), NO),
        "a tensor without data": (_pickled(lambda tensors: {**tensors, "a": torch.empty(2, device="meta")}), NO),
        "empty": (_then(_pickled(lambda tensors: tensors), _content("pytorch_model.bin", lambda old, rng: b"")), NO),
        "truncated": (_then(_pickled(lambda t: t), _content("pytorch_model.bin", lambda old, rng: old[: rng.randrange(1, len(old))])), NO),
        "noise": (_then(_pickled(lambda tensors: tensors), _content("pytorch_model.bin", lambda old, rng: rng.randbytes(3000))), NO),
        "only another's": (_then(_pickled(lambda t: t), lambda f, rng: void((f / "pytorch_model.bin").rename(f / "model.pkl"))), NO),
    },
    "config": {
        "none": (lambda folder, rng: (folder / "config.json").unlink(), NO),
        "empty": (_content("config.json", lambda old, rng: b""), NO),
        "truncated": (_content("config.json", lambda old, rng: old[: rng.randrange(1, len(old) - 2)]), NO),
        "a list": (_content("config.json", lambda old, rng: b"[]"), NO),
        "not utf-8": (_content("config.json", lambda old, rng: b'{"model_type": "\xff"}'), NO),
        "nested deep": (_content("config.json", lambda old, rng: b'{"model_type":' + b"[" * 100_000), NO),
        "another architecture": (_edit("config.json", model_type="gpt2"), NO),
        "an unknown architecture": (_edit("config.json", model_type="evil"), NO),
        "no architecture": (_edit("config.json", model_type=None), NO),
        "a list for an architecture": (_edit("config.json", model_type=["llama"]), NO),
        "code of its own": (_then(_code, _edit("config.json", auto_map=AUTO)), OK),
        "code and an unknown architecture": (_then(_code, _edit("config.json", auto_map=AUTO, model_type="evil")), NO),
        "layers too many": (_edit("config.json", num_hidden_layers=3), NO),
        "a million layers": (_edit("config.json", num_hidden_layers=10**6), NO),
        "layers too few": (_edit("config.json", num_hidden_layers=1), NO),
        "no layers": (_edit("config.json", num_hidden_layers=0), NO),
        "a wider model": (_edit("config.json", hidden_size=32), NO),
        "a width of 0": (_edit("config.json", hidden_size=0), NO),
        "a negative width": (_edit("config.json", hidden_size=-16), NO),
        "a width of 10**12": (_edit("config.json", hidden_size=10**12), NO),
        "a word for a width": (_edit("config.json", hidden_size="sixteen"), NO),
        "no heads": (_edit("config.json", num_attention_heads=0), NO),
        "more words than weights": (_edit("config.json", vocab_size=50_000), NO),
        "fewer words than weights": (_edit("config.json", vocab_size=10), NO),
        "an activation that is none": (_edit("config.json", hidden_act="os.system"), NO),
        "a padding outside": (_edit("config.json", pad_token_id=10**6), NO),
        "a quantisation of others": (_edit("config.json", quantization_config={"quant_method": "gptq", "bits": 4}), NO),
        "a dtype that is none": (_edit("config.json", dtype="evil"), ANY),
    },
    "tokenizer": {
        "none": (lambda folder, rng: (folder / "tokenizer.json").unlink(), NO),
        "empty": (_content("tokenizer.json", lambda old, rng: b""), NO),
        "truncated": (_content("tokenizer.json", lambda old, rng: old[: rng.randrange(1, len(old) - 2)]), NO),
        "noise": (_content("tokenizer.json", lambda old, rng: rng.randbytes(2000)), NO),
        "nested deep": (_content("tokenizer.json", lambda old, rng: b'{"model":' * 10_000), NO),
        "another model's": (_more_tokens, NO),
        "no words": (_edit("tokenizer.json", model={"type": "BPE", "vocab": {}, "merges": []}, added_tokens=[]), NO),
        "a settings file that is none": (_content("tokenizer_config.json", lambda old, rng: b"{"), NO),
        "code of its own": (_then(_code, _edit("tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_evil.T", None]})), ANY),
        "a class that is none": (_edit("tokenizer_config.json", tokenizer_class="EvilTokenizer"), ANY),
        "nothing to pad with": (_edit("tokenizer_config.json", **dict.fromkeys(["pad_token", "eos_token", "unk_token", "bos_token"])), ANY),
        "a link to itself": (_replaced("tokenizer.json", "loop"), NO),
        "a folder in place": (_replaced("tokenizer.json", "folder"), NO),
    },
}  # fmt: skip
