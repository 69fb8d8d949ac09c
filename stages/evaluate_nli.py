"""Evaluate a trained arm on the test split, or the two test splits, of its NLI data set.

Reads the test splits, the base model and the arm. Writes the predictions (one row per pair), their scores, and what the evaluation cost.
Parameters: the study's `text` and `evaluation`.
Example: python stages/evaluate_nli.py --study multinli --arm lora-own --seed 0
    --data data/multinli --base models/base/roberta_large --model models/multinli/lora-own-0
    --predictions reports/multinli/predictions/lora-own-0.parquet
    --scores reports/multinli/scores/lora-own-0.json
    --cost reports/multinli/costs/lora-own-0-evaluate.json
"""

from __future__ import annotations

import argparse

from ftbench import evaluation, grid, params, stage


def main(arguments: argparse.Namespace) -> None:
    """Evaluate one arm: by its head, or by the likelihood of the words that it writes."""
    raw = params.read()
    text, batch_size = grid.text(raw, arguments.study), grid.evaluation(raw, arguments.study).per_device_eval_batch_size
    arm = evaluation.read_arm(arguments.model, arguments.study, arguments.arm, arguments.seed, evaluation.PAIR_KINDS)
    splits = {split: evaluation.read_split(arguments.data, split) for split in evaluation.test_splits(arguments.data)}

    from ftbench import costs, models  # slow to import: only once settings and data are known to be good

    with costs.measure() as cost:
        model, tokenizer = models.load_arm(arguments.model, arguments.base)
        with evaluation.timed(cost):
            judged = {split: (pairs, evaluation.judge(arm, model, tokenizer, pairs, text, batch_size)) for split, pairs in splits.items()}
    evaluation.write_nli(arguments.predictions, arguments.scores, arguments.seed, judged)
    num_examples = sum(len(pairs["id"]) for pairs in splits.values())
    evaluation.write_cost(arguments.cost, cost, arguments.study, arguments.arm, arguments.seed, arm["model"], num_examples)


if __name__ == "__main__":
    arguments = evaluation.options(__doc__, trained=True).parse_args()
    stage.run(main, arguments, outs=evaluation.outs(arguments))
