"""Compare the arms and baselines of a study: intervals, paired tests, groups, failure cases, cost, usage and learning curves.

Reads every file of the study's grid (predictions/, scores/, costs/, resources/ and learning/ under --out, for each arm, seed and baseline
that params.yaml names), the test split and the card of its data set, and what pretraining its base models recorded. Writes metrics.json,
comparison.json, cost.json, cost.csv, scores.csv, curves/ and usage/, of pairs confusion/ and calibration/, and of instructions
answers.json, which git keeps. A file of the grid that is missing stops it; a file that belongs to nothing is named.
Parameters: `scale` and `studies.<study>`.
Example: python stages/compare.py --study multinli --out reports/multinli
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ftbench import (
    comparison,
    comparison_answers,
    comparison_nli,
    cost_table,
    curves,
    files,
    grid,
    params,
    partial_grid,
    plot_tables,
    predictions,
    schema,
    stage,
    text,
    usage,
)


def main(arguments: argparse.Namespace) -> None:
    """Write the comparison of one study."""
    raw = params.read()
    study = grid.study(raw, arguments.study)
    rows = predictions.entries(grid.arms(study), study.factors, grid.baselines(study), study.seeds)
    left_over = predictions.orphans(arguments.out, predictions.expected_files(arguments.out, rows))
    absent: list[str] = []
    if arguments.partial:
        partial_grid.refuse_tracked(arguments.out)
        rows, absent = partial_grid.present(arguments.out, rows)
        study = partial_grid.without(study, absent, arguments.out)
    expected = predictions.expected_files(arguments.out, rows)
    predictions.refuse_missing(expected)
    for path in left_over:
        print(
            f"compare: {arguments.out}/{path} belongs to no arm, seed or baseline of params.yaml: it is not read, and may be deleted",
            file=sys.stderr,
        )
    data = arguments.data or Path("data") / study.dataset
    one = comparison.Grid(arguments.study, study, rows, str(params.find(raw, "scale")), arguments.out, data)
    answers, of_pairs = None, {}
    if predictions.are_of_pairs(expected["predictions"][0]):
        metrics, content = comparison_nli.compare(one)
        of_pairs = plot_tables.of_pairs(content)
    else:
        metrics, content, answers = comparison_answers.compare(one)
    cost = cost_table.build(one.name, one.scale, study.reference, rows, arguments.out)
    stems = {row.name: dict(zip(row.seeds, row.stems(), strict=True)) for row in rows if row.trained}
    drawn = {
        "curves": {arm: curves.merged(arguments.out, by_seed) for arm, by_seed in stems.items()},
        "usage": {arm: usage.merged(arguments.out, by_seed) for arm, by_seed in stems.items()},
        **of_pairs,
    }
    for name, tables in drawn.items():
        with files.directory_written_atomically(arguments.out / name) as folder:
            for entry, table in tables.items():
                files.write_text(folder / f"{entry}.csv", table)
    files.write_json(arguments.out / "metrics.json", metrics)
    made_of = comparison.made_of(data, arguments.bases, list(study.factors.get("model", [study.model])))
    if answers is not None:
        template = grid.text(raw, arguments.study).template
        assert isinstance(template, schema.InstructionTemplate), "instructions have two templates"
        made_of["templates"] = {name: text.prompt_hash(one) for name, one in template.model_dump().items()}
    files.write_json(
        arguments.out / "comparison.json", {**content, "made_of": made_of, "orphans": left_over, **({"absent": absent} if absent else {})}
    )
    files.write_json(arguments.out / "cost.json", cost)
    files.write_text(arguments.out / "cost.csv", plot_tables.against_cost(content["entries"], cost["entries"]))
    files.write_text(arguments.out / "scores.csv", plot_tables.scores(content["entries"]))
    if answers is not None:
        files.write_json(arguments.out / "answers.json", answers)


if __name__ == "__main__":
    parser = stage.parser(__doc__)
    parser.add_argument("--study", required=True, help="the study, as params.yaml names it")
    parser.add_argument("--out", type=Path, required=True, help="the study's folder of the report, which also holds what is read")
    parser.add_argument("--data", type=Path, help="the folder of its data set (default: data/<dataset>)")
    parser.add_argument("--bases", type=Path, default=Path("models/base"), help="the folder of the base models")
    parser.add_argument("--partial", action="store_true", help="leave out arms and baselines that lack a file; not under reports/")
    arguments = parser.parse_args()
    written = (
        "metrics.json",
        "comparison.json",
        "cost.json",
        "cost.csv",
        "scores.csv",
        "curves",
        "usage",
        "confusion",
        "calibration",
        "answers.json",
    )
    stage.run(main, arguments, outs=[] if arguments.partial else [arguments.out / name for name in written])
