"""Edit a project at random, again and again, and compare what `ftbench repro` makes of it to a run from scratch in a copy.

The promise of the whole project: what is made bit by bit equals what is made at once. The edits are of params (a rate, steps, rows, a seed,
a template), of scripts and modules (with and without an effect on results), of outputs (one is edited, cut off or deleted), of DVC's cache
(an object is cut off), and back to an earlier state. Writes its counts to reports/reliability.json.
Example: python soak/edits.py --rounds 30
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import small
import table

KEY = "edits"
OUTPUTS = ("data/*/*.parquet", "models/*/*/*.safetensors", "reports/*/predictions/*.parquet", "reports/*/scores/*.json", "reports/*/*.json")
EFFECT = ("src/ftbench/scores.py", r"^NUM_BINS = (\d+)")  # a constant that scores depend on

Edit = Callable[[Path, random.Random], str]


def params(change: Callable[[dict[str, Any], random.Random], str]) -> Edit:
    """The edit of params.yaml that `change` makes to its content; it returns what it did."""

    def edit(folder: Path, rng: random.Random) -> str:
        from ftbench import params as reading

        raw = reading.read(folder / "params.yaml")
        said = change(raw, rng)
        small.shrunken.write(folder, raw)
        return said

    return edit


def _rate(raw: dict[str, Any], rng: random.Random) -> str:
    raw["offline"]["snli"]["qkv"]["learning_rate"] = rate = rng.choice([1e-3, 2e-3, 3.5e-3, 5e-3])
    return f"learning rate {rate}"


def _steps(raw: dict[str, Any], rng: random.Random) -> str:
    raw["offline"]["snli"]["qkv"]["training"]["max_steps"] = steps = rng.randint(1, 5)
    return f"{steps} steps"


def _rows(raw: dict[str, Any], rng: random.Random) -> str:
    splits = raw["offline"]["datasets"]["snli"]["splits"]
    split = rng.choice(["train", "test"])
    splits[split] = rng.choice([30, 36, 48])
    return f"{splits[split]} rows of {split}"


def _seed(raw: dict[str, Any], rng: random.Random) -> str:
    raw["studies"]["snli"]["seeds"] = seeds = [0] if len(raw["studies"]["snli"]["seeds"]) > 1 else [0, rng.randint(1, 3)]
    return f"seeds {seeds}"


def _template(raw: dict[str, Any], rng: random.Random) -> str:
    text = raw["offline"]["snli"]["text"]
    text["template"] = rng.choice(["Premise: {premise}\nHypothesis: {hypothesis}\nRelation:", "{premise}\n{hypothesis}\nRelation:"])
    return "a template"


def _comment(folder: Path, rng: random.Random) -> str:
    path = rng.choice(sorted([*(folder / "stages").glob("*.py"), *(folder / "src/ftbench").glob("*.py")]))
    with path.open("a", encoding="utf-8") as stream:
        stream.write(f"# {rng.random()}\n")
    return f"a comment in {path.relative_to(folder)}"


def _code(folder: Path, rng: random.Random) -> str:
    path = folder / EFFECT[0]
    number = rng.choice([5, 10, 20])
    text, found = re.subn(EFFECT[1], f"NUM_BINS = {number}", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert found == 1
    path.write_text(text, encoding="utf-8")
    return f"{number} bins in {EFFECT[0]}"


def _output(folder: Path, rng: random.Random) -> str:
    path = rng.choice(sorted(path for pattern in OUTPUTS for path in folder.glob(pattern)))
    how = rng.choice(["deleted", "cut off", "edited"])
    content = path.read_bytes()
    path.unlink()  # never through a link into the cache
    if how != "deleted":
        path.write_bytes(content[: len(content) // 2] if how == "cut off" else content[:-1] + bytes([content[-1] ^ 1]))
    return f"{path.relative_to(folder)} {how}"


def _cache(folder: Path, rng: random.Random) -> str:
    path = rng.choice(sorted(path for path in (folder / ".dvc/cache/files/md5").rglob("*") if path.is_file()))
    content = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(content[: len(content) // 2])
    path.chmod(rng.choice([0o644, 0o444]))  # DVC believes what nobody may write
    return f"an object of the cache cut off ({path.parent.name}{path.name[:6]})"


EDITS: dict[str, Edit] = {
    "learning_rate": params(_rate), "steps": params(_steps), "rows": params(_rows), "seed": params(_seed), "template": params(_template),
    "comment": _comment, "code": _code, "output": _output, "cache": _cache,
}  # fmt: skip
BACK = "back"  # to the sources of an earlier round


def sources(folder: Path, target: Path) -> Path:
    """A copy of a project's sources, without anything that a run has made."""
    for name in ("params.yaml", *small.shrunken.COPIED):
        source, copied = folder / name, target / name
        copied.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.rmtree(copied, ignore_errors=True)
            shutil.copytree(source, copied, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copied)
    return target


def _back(folder: Path, earlier: Path) -> str:
    sources(earlier, folder)
    return f"back to {earlier.name}"


def from_scratch(folder: Path, target: Path) -> dict[str, str]:
    """The results of a copy of a project's sources, made with an empty cache."""
    sources(folder, target)
    (target / "reports/alpaca/sweeps").mkdir(parents=True)
    for path in folder.glob("reports/*/sweeps"):
        shutil.copytree(path, target / path.relative_to(folder), dirs_exist_ok=True)
    small.shrunken.run(target, "git", "init", "--quiet")
    small.repro(target)
    return small.results(target)


def current(folder: Path) -> dict[str, str]:
    """The results of a project that belong to its params: dvc.lock keeps what stages that are gone have left."""
    return small.results(folder, stages(folder))


def stages(folder: Path) -> set[str]:
    """The names of a project's stages, as its dvc.yaml and params.yaml make them."""
    return set(small.shrunken.run(folder, sys.executable, "-c", STAGES).split())


STAGES = "from dvc.repo import Repo\nfor stage in Repo().index.stages: print(stage.addressing)\n"


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=30, metavar="N")
    parser.add_argument("--seed", type=int, default=0, help="of the edits")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further round after these")
    parser.add_argument("--out", type=Path, default=table.RELIABILITY)
    arguments = parser.parse_args()
    rng, started = random.Random(arguments.seed), time.monotonic()
    done: Counter[str] = Counter()
    faults: list[str] = []
    compared = rounds = 0
    with tempfile.TemporaryDirectory(prefix="edits-") as name:
        place = Path(name)
        folder = small.make(place / "project", studies=["snli"], checkpoint_every_step=False)
        small.repro(folder)
        earlier = [sources(folder, place / "earlier-0")]
        kinds = [*EDITS, BACK]
        while rounds < arguments.rounds and time.monotonic() - started < arguments.seconds and not faults:
            fresh = [kind for kind in kinds if done[kind] == min(done[kind] for kind in kinds)]
            chosen = [rng.choice(fresh), *([rng.choice(list(EDITS))] if rng.random() < 0.4 else [])]
            said = []
            for kind in chosen:
                said.append(_back(folder, rng.choice(earlier)) if kind == BACK else EDITS[kind](folder, rng))
                done[kind] += 1
            print(f"{rounds + 1}: {'; '.join(said)}", flush=True)
            small.repro(folder)
            ours, theirs = current(folder), from_scratch(folder, place / "copy")
            shutil.rmtree(place / "copy")
            compared += len(ours)
            faults += [f"round {rounds + 1} ({'; '.join(said)}): {path} differs" for path in small.differing(ours, theirs)]
            faults += [f"round {rounds + 1}: {path} was left" for path in small.left_behind(folder)]
            rounds += 1
            earlier.append(sources(folder, place / f"earlier-{rounds}"))
    content = {"rounds": rounds, "seed": arguments.seed, "by_edit": done, "outputs_compared": compared}
    table.finish(KEY, content, faults, arguments.out)


if __name__ == "__main__":
    main()
