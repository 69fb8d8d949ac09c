"""Mutants of params.yaml: every way in which a file of settings goes wrong by hand, by a merge, by an editor or by malice.

The start is the file that this repository ships, shrunken to some studies, with a scale of local files added. A mutant is a change of its
content (another type, a value out of range, an unknown key, a block that is gone, another name) or of its text (twice the same key,
anchors, tags, numbers in odd notations, bytes that are no text). Each goes through what `ftbench check` does. What is let in is checked
against RULES, which know nothing of the schema.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from judging import ACCEPTED, REFUSED, Case, WronglyAcceptedError
from settings_file import ROOT, Literal, Path_, at, base, changed, paths, text
from settings_rules import OPTIONAL, meaningless

from ftbench import checks, params

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
    # a data set or a model more is allowed: their names are free, and a study says which it needs
    free = EITHER if path[-1] in ("factors", "datasets", "models") else ONLY_REFUSED
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
