"""Evaluate a trained arm on held-out instructions, and put the study's fifteen questions to it.

Reads the split test, the base model and the arm. Writes the answers (one row per instruction, then one per question), the scores of those
that have a reference, and what the evaluation cost.
Parameters: the study's `text` and `evaluation`.
Example: python stages/evaluate_answers.py --study alpaca --arm open_llama_3b-study --seed 0
    --data data/alpaca --base models/base/open_llama_3b --model models/alpaca/open_llama_3b-study-0
    --predictions reports/alpaca/predictions/open_llama_3b-study-0.parquet
    --scores reports/alpaca/scores/open_llama_3b-study-0.json
    --cost reports/alpaca/costs/open_llama_3b-study-0-evaluate.json
"""

from __future__ import annotations

import argparse

from ftbench import answers, evaluation, grid, params, stage


def main(arguments: argparse.Namespace) -> None:
    """Evaluate one arm by its own answers and by the likelihood of the reference answers."""
    raw = params.read()
    text, settings = grid.text(raw, arguments.study), grid.evaluation(raw, arguments.study)
    arm = evaluation.read_arm(arguments.model, arguments.study, arguments.arm, arguments.seed, kinds=["answers"])
    instructions = evaluation.read_split(arguments.data, answers.HELD_OUT)

    from ftbench import costs, models  # slow to import: only once settings and data are known to be good

    with costs.measure() as cost:
        model, tokenizer = models.load_arm(arguments.model, arguments.base)
        with evaluation.timed(cost):
            rows, num_truncated = answers.rows(model, tokenizer, instructions, text, settings, arguments.seed)
    answers.write(arguments.predictions, arguments.scores, rows, num_truncated)
    evaluation.write_cost(arguments.cost, cost, arguments.study, arguments.arm, arguments.seed, arm["model"], len(rows))


if __name__ == "__main__":
    arguments = evaluation.options(__doc__, trained=True).parse_args()
    stage.run(main, arguments, outs=evaluation.outs(arguments))
