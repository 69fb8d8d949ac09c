"""Two runs of a whole project: are their results the same bytes?

The first is the one that this checkout holds, which must be up to date; the second is made here with an empty cache, or lies elsewhere.
Results must be the same bytes. Pages show seconds and memory too: they are drawn once more from the second run's results and the first
run's measurements, and must then be the same bytes as well. Sweeps are no stages and are not made again. Writes its counts to
reports/reliability.json.
Of runs on two machines, whose last bits differ, `--digits` compares the metrics instead: which differ once rounded, and by how much.
Examples:
  python soak/repeat.py
  python soak/repeat.py --finished ../another-checkout
  python soak/repeat.py --finished ../copied-from-another-machine --digits 3
"""

from __future__ import annotations

import argparse
import fnmatch
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import edits
import small
import table
from ruamel.yaml import YAML

from ftbench import dvc_files, files

KEY, KEY_OF_MACHINES = "two_runs", "two_machines"
PAGES = ("compare", "report")  # the stages that make pages begin so


def metrics(folder: Path) -> dict[str, float]:
    """Every number of a project's metrics.json, by study, entry and metric."""
    found = {}
    for path in sorted(folder.glob("reports/*/metrics.json")):
        for entry, values in files.read_json(path).items():
            numbers = {name: value for name, value in values.items() if isinstance(value, int | float)} if isinstance(values, dict) else {}
            found |= {f"{path.parent.name}.{entry}.{name}": float(value) for name, value in numbers.items()}
    return found


def apart(first: Mapping[str, float], second: Mapping[str, float], digits: int) -> list[str]:
    """Which metrics of two projects differ once rounded to so many digits after the point, by how much, those furthest apart first."""
    lacking = [f"{name} is in one of the two alone" for name in sorted(first.keys() ^ second.keys())]
    common = [name for name in first if name in second and round(first[name], digits) != round(second[name], digits)]
    common.sort(key=lambda name: (-abs(first[name] - second[name]), name))
    return lacking + [f"{name}: {first[name]:.6g} and {second[name]:.6g}, {abs(first[name] - second[name]):.2g} apart" for name in common]


def pages_again(first: Path, second: Path) -> None:
    """Draw the pages of the second run once more, from its own results and the measurements of the first."""
    for path in measured(first):
        target = second / path.relative_to(first)
        target.unlink(missing_ok=True)  # never through a link into the cache
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    lock = YAML(typ="safe", pure=True).load((second / dvc_files.LOCK_FILE).read_text(encoding="utf-8"))["stages"]
    for kind in PAGES:
        for name in sorted(edits.stages(second)):
            if name.startswith(kind):
                small.shrunken.run(second, *shlex.split(lock[name]["cmd"]))


def measured(folder: Path) -> list[Path]:
    """The files of a project that hold seconds or memory, and no page."""
    return [path for pattern in small.MEASURED for path in sorted(folder.glob(pattern)) if path.is_file()]


def pages(folder: Path) -> dict[str, str]:
    """{page or figure: hash} of what shows seconds and memory beside results."""
    found = [path for path in (folder / "reports").rglob("*") if path.is_file()]
    names = {path.relative_to(folder).as_posix(): path for path in found}
    shown = {name: path for name, path in names.items() if any(fnmatch.fnmatch(name, pattern) for pattern in small.OF_BOTH)}
    return {name: files.sha256_file(path) for name, path in sorted(shown.items())}


def _what_no_stage_reads(place: str, names: list[str]) -> set[str]:
    return {"cache", "tmp"} if Path(place).name == ".dvc" else {".venv"} & set(names)


def main() -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--finished", type=Path, metavar="FOLDER", help="a checkout that was run from scratch: the second, not made again")
    parser.add_argument("--digits", type=int, help="with --finished: compare metrics alone, rounded to so many")
    parser.add_argument("--small", action="store_true", help="two runs of the small project in place of the whole")
    parser.add_argument("--out", type=Path, default=table.RELIABILITY)
    arguments = parser.parse_args()
    if arguments.digits is not None:
        if not arguments.finished:
            parser.error("--digits needs --finished")
        ours, theirs = metrics(small.shrunken.ROOT), metrics(arguments.finished)
        content = {"metrics_compared": len(ours), "digits": arguments.digits}
        table.finish(KEY_OF_MACHINES, content, apart(ours, theirs, arguments.digits), arguments.out)
        return
    with tempfile.TemporaryDirectory(prefix="repeat-") as name:
        first, second = small.shrunken.ROOT, Path(name) / "second"
        if arguments.small:
            first = small.make(Path(name) / "first", checkpoint_every_step=False)
            small.repro(first)
        if "nothing to do" not in small.repro(first):
            raise SystemExit(f"{first} was not up to date and is now: run this again")
        if not list(first.glob("reports/*/costs/*.json")):
            raise SystemExit(f"{first} holds no cost files, which are not in git: run make repro there")
        if arguments.finished:
            shutil.copytree(arguments.finished, second, ignore=_what_no_stage_reads)
        else:
            edits.from_scratch(first, second)
        made, again = edits.current(first), edits.current(second)
        faults = [f"{path} differs" for path in small.differing(made, again)]
        pages_again(first, second)
        shown = pages(first)
        faults += [f"{path} differs, given the same measurements" for path in small.differing(shown, pages(second))]
    content = {"outputs_compared": len(made), "pages_compared": len(shown)}
    table.finish(KEY, content, faults, arguments.out)


if __name__ == "__main__":
    main()
