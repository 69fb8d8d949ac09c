"""Evaluate a trained arm on the test split, or the two test splits, of its NLI data set, and on those of other data sets.

Reads the test splits, the base model and the arm. Writes the predictions (one row per pair), their scores, and what the evaluation cost.
Beside the test pairs it judges those of validation, by which probabilities are scaled, and the fixed probes; the cost is of the test alone.
An arm that writes its label also does so freely: the scores count what is no label.
Parameters: the study's `text` and `evaluation`.
Example: python stages/evaluate_nli.py --study multinli --arm lora-own --seed 0
    --data data/multinli --base models/base/roberta_large --model models/multinli/lora-own-0 --transfer data/snli
    --predictions reports/multinli/predictions/lora-own-0.parquet
    --scores reports/multinli/scores/lora-own-0.json
    --cost reports/multinli/costs/lora-own-0-evaluate.json
"""

from __future__ import annotations

import argparse

from ftbench import evaluation, evaluation_nli, grid, params, stage


def main(arguments: argparse.Namespace) -> None:
    """Evaluate one arm: by its head, or by the likelihood of the words that it writes."""
    raw = params.read()
    text, batch_size = grid.text(raw, arguments.study), grid.evaluation(raw, arguments.study).per_device_eval_batch_size
    arm = evaluation.read_arm(arguments.model, arguments.study, arguments.arm, arguments.seed, evaluation_nli.PAIR_KINDS)
    splits = {split: evaluation.read_split(arguments.data, split) for split in evaluation.test_splits(arguments.data)}
    besides = evaluation_nli.besides(arguments.data, arguments.transfer)

    from ftbench import costs, models  # slow to import: only once settings and data are known to be good

    def judge(pairs: evaluation.Columns) -> evaluation_nli.Judged:
        return evaluation_nli.judge(arm, model, tokenizer, pairs, text, batch_size)

    with costs.measure() as cost:
        model, tokenizer = models.load_arm(arguments.model, arguments.base)
        with evaluation.timed(cost):
            judged = {split: (pairs, judge(pairs)) for split, pairs in splits.items()}
    if arm["kind"] == "label":
        for split, (pairs, one) in judged.items():
            freely = evaluation_nli.written(model, tokenizer, pairs, text, batch_size)
            judged[split] = pairs, one.with_figures(written=freely)
    judged |= {split: (pairs, judge(pairs)) for split, pairs in besides.items()}
    evaluation_nli.write_nli(arguments.predictions, arguments.scores, arguments.seed, judged)
    num_examples = sum(len(pairs["id"]) for pairs in splits.values())
    evaluation.write_cost(arguments.cost, cost, arguments.study, arguments.arm, arguments.seed, arm["model"], num_examples)


if __name__ == "__main__":
    arguments = evaluation.options(__doc__, trained=True).parse_args()
    stage.run(main, arguments, outs=evaluation.outs(arguments))
