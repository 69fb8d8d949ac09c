"""How fast the pieces of a run are beside what people would use instead: ratios on the same work, in the same run, with the same output.

Each row names a piece of work, an alternative and a bar. Both are run once and must give the same output; then they are timed by turns,
and the medians' ratio is held against the bar. Texts are real where a folder of them lies beside the project, and generated elsewhere;
models are the trained arms that a run left under models/, or miniatures that are made here: so a fresh clone can run all of it.

It writes the rows that were run into a file of records, where rows that were not run stay as they are, and the README's table from it;
with each row it keeps what the run before found. It prints the rows, and exits with 1 where one does not pass.
Example: python benchmarks/bench.py generation prompt_scoring --repeats 7
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # so that the rows are found however this script is run

import page
from made import GENERATED, Options, real_texts
from timing import NotRunError, Row, measure

from ftbench import costs, files
from ftbench.errors import Problem, UserError, nearest

ROWS = {  # name -> module of rows/ and its function
    "generation": "generation:row",
    "prompt_scoring": "prompt_scoring:split_words",
    "prompt_scoring_one_token": "prompt_scoring:whole_words",
    "nli_evaluation": "nli_evaluation:in_float32",
    "nli_evaluation_bf16": "nli_evaluation:in_bfloat16",
    "prepare_snli": "prepare:snli",
    "prepare_multinli": "prepare:multinli",
    "nli_training_padded": "nli_training:padded_to_the_limit",
    "nli_training_dynamic": "nli_training:dynamic_padding",
    "nli_training_loop": "nli_training:bare_loop",
    "nli_training_bf16": "nli_training:in_bfloat16",
    "sft": "sft:row",
    "qlora_step": "qlora_step:row",
    "start_up": "start_up:row",
    "parallel_stages": "repro:parallel_stages",
    "nothing_to_do": "repro:nothing_to_do",
    "nothing_to_do_50": "repro:nothing_to_do_50",
    "nothing_to_do_200": "repro:nothing_to_do_200",
    "report": "reports:report",
    "diff": "reports:diff",
}
RECORD = page.RECORD
REPEATS = 5
SAME = ("work", "against", "sizes", "bar", "most_extra_seconds", "at_most", "texts", "checkpoint")  # in what two records must agree

Find = Callable[[str], Callable[[Options], Row]]


def find(name: str) -> Callable[[Options], Row]:
    """The function that makes a row; its imports are its own, so that a row without torch is timed without torch."""
    module, function = ROWS[name].split(":")
    found: Callable[[Options], Row] = getattr(importlib.import_module(f"rows.{module}"), function)
    return found


def chosen(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """The rows to run, in their own order; all where none is named. Raises UserError for names that are none, all at once."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError([Problem("a row", repr(name), ", ".join(known), nearest(name, known)) for name in unknown])
    return [name for name in known if not names or name in names]


def run(names: Sequence[str], options: Options, num_repeats: int, out: Path, find: Find = find) -> dict[str, dict[str, Any]]:
    """Run rows and put each into the file `out` as soon as it is done; returns the records of these rows."""
    kept = before(out, options.quick)
    records = {}
    for name in names:
        print(f"{name} ...", flush=True)
        started = time.perf_counter()
        try:
            record = measure(find(name)(options), num_repeats)
        except NotRunError as error:
            record = {"not_run": str(error)}
        record |= {"quick": options.quick, "total_seconds": time.perf_counter() - started, "environment": costs.environment()}
        record |= {"texts": "real" if options.texts else GENERATED, "checkpoint": options.checkpoint.name if options.checkpoint else None}
        record["before"] = found_before(record, kept.get(name, {}))
        records[name] = record
        kept[name] = record
        files.write_json(out, {"rows": kept})
    return records


def found_before(record: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """`passed` and `ratio` of the record that was kept, where it is of the same work on the same kind of processor; or nothing."""
    now = json.loads(files.canonical_json(record))  # numbers as the file has them
    alike = all(now.get(key) == kept.get(key) for key in SAME) and kept["environment"]["processor"] == now["environment"]["processor"]
    return {key: kept[key] for key in ("passed", "ratio") if key in kept} if alike else {}


def before(out: Path, quick: bool) -> dict[str, Any]:
    """The rows that a file of records holds already, none where there is no file.

    Raises UserError where the small sizes of a trial would be mixed with those of a record.
    """
    if quick and out.resolve() == RECORD.resolve():
        mend = "leave --quick out, or name another file with --out"
        raise UserError(Problem(f"--out {out}", "small sizes (--quick)", "a record is of the whole sizes", mend))
    rows: dict[str, Any] = files.read_json(out)["rows"] if out.exists() else {}
    if other := [name for name, record in rows.items() if record["quick"] != quick]:
        found = f"{', '.join(other)} {'of the whole sizes' if quick else 'of small sizes (--quick)'}"
        raise UserError(Problem(str(out), found, "rows of one kind", "name another file with --out"))
    return rows


def main(arguments: argparse.Namespace) -> int:
    """Run what was asked for; 1 where a row does not pass."""
    names = chosen(arguments.rows, list(ROWS))
    texts = None if arguments.texts == Path(GENERATED) else arguments.texts
    options = Options(arguments.models, texts, arguments.quick, arguments.checkpoint)
    records = run(names, options, arguments.repeats, arguments.out)
    print(page.table(records))
    print(page.beside_before(records))
    if arguments.out.resolve() == RECORD.resolve():
        page.write()
    return 0 if all(record.get("passed", True) for record in records.values()) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"the rows to run, all of them where none is named: {', '.join(ROWS)}")
    parser.add_argument(
        "--repeats", type=int, default=REPEATS, help="timed runs of either side, at least 1; rows whose runs are long have fewer"
    )
    parser.add_argument("--models", type=Path, default=Path("models"), help="the folder of trained arms and bases; used where it is there")
    texts = "a folder with snli/<split>.jsonl and alpaca/alpaca_data.json (default: ../shared/data where it is there), or `generated`"
    parser.add_argument("--texts", type=Path, default=real_texts(), help=texts)
    parser.add_argument("--checkpoint", type=Path, help="the folder of a real encoder, for the miniature of 22 M parameters")
    parser.add_argument("--quick", action="store_true", help="small sizes, to try a row; marked so, and refused as the record")
    parser.add_argument("--out", type=Path, default=RECORD, help="the file of records")
    given = parser.parse_args()
    if given.repeats < 1:
        parser.error("--repeats at least 1")
    try:
        sys.exit(main(given))
    except UserError as error:
        print(f"bench: to mend:\n{error}", file=sys.stderr)
        sys.exit(2)
