"""Score a baseline of a study: what needs no fine-tuning.

`majority` and the shallow classifiers (`hypothesis_only` and its kin) learn from the split train. `untrained_head` is the base model under
a random head. `zero_shot` and `one_shot` read the label off the base model's next words, in several wordings of the prompt, of which the
first gives the predictions. In a study of several models a baseline is the model itself, untouched, answering instructions: as it is, or
(`<model>_three_shot`) after solved examples from train, where its answer ends as `ftbench.few_shot` says.

Reads the splits of a data set and the base model. Writes predictions, scores and cost as for a trained arm, at seed 0. In the scores,
`hypothesis_only` has the accuracies of all shallow classifiers under `shallow`, a prompted baseline the scores of each wording under
`wordings`, each with what the model writes freely, and the probability of the label words after the prompt as `label_mass`.
Parameters: the study's `text` and `evaluation`, and the wordings or the examples of a prompted baseline.
Example: python stages/baseline.py --study snli --baseline zero_shot
    --data data/snli --base models/base/phi_2
    --predictions reports/snli/predictions/zero_shot-0.parquet
    --scores reports/snli/scores/zero_shot-0.json
    --cost reports/snli/costs/zero_shot-0-evaluate.json
"""

from __future__ import annotations

import argparse
from typing import Any

from ftbench import answers, baselines, bases, evaluation, evaluation_nli, few_shot, grid, params, scores, seeds, stage
from ftbench.errors import Problem, UserError, nearest
from ftbench.evaluation import Columns
from ftbench.evaluation_nli import Judged

SEED = 0


def main(arguments: argparse.Namespace) -> None:
    """Score one baseline."""
    raw = params.read()
    model = bases.manifest(arguments.base)["model"]
    known = [*grid.BASELINES, model, grid.with_examples(model)]
    if arguments.baseline not in known:
        mend = nearest(arguments.baseline, known)
        raise UserError(Problem(f"a baseline of {arguments.study}", repr(arguments.baseline), allowed=", ".join(known), mend=mend))
    if arguments.baseline in grid.BASELINES:
        classify(arguments, raw)
    else:
        answer(arguments, raw, solved(arguments, raw) if arguments.baseline != model else None)


def solved(arguments: argparse.Namespace, raw: grid.Raw) -> few_shot.Examples:
    """The examples in front of every prompt: the same for every model and every instruction."""
    settings, train = grid.three_shot(raw, arguments.study), evaluation.read_split(arguments.data, "train")
    where = params.at(grid.scale(raw), arguments.study, grid.THREE_SHOT, "num_examples")
    drawn = few_shot.drawn(where, train, settings.num_examples, seeds.derive(settings.seed, arguments.study, "examples"))
    return few_shot.Examples([(train["instruction"][k], train["input"][k], train["output"][k]) for k in drawn], settings.max_length)


def answer(arguments: argparse.Namespace, raw: grid.Raw, examples: few_shot.Examples | None) -> None:
    """The untouched base model's answers to instructions."""
    from ftbench import costs

    text, settings = grid.text(raw, arguments.study), grid.evaluation(raw, arguments.study)
    instructions = evaluation.read_split(arguments.data, answers.HELD_OUT)
    with costs.measure() as cost:
        model, tokenizer = decoder(arguments)
        with evaluation.timed(cost):
            rows, num_truncated = answers.rows(model, tokenizer, instructions, text, settings, SEED, examples)
    answers.write(arguments.predictions, arguments.scores, rows, num_truncated)
    finish(arguments, cost, len(rows))


def classify(arguments: argparse.Namespace, raw: grid.Raw) -> None:
    """The labels of all test pairs, by any of the baselines."""
    from ftbench import costs

    splits = {split: evaluation.read_split(arguments.data, split) for split in evaluation.test_splits(arguments.data)}
    besides = evaluation_nli.besides(arguments.data)
    with costs.measure() as cost:
        freely: Any = None
        if arguments.baseline == "majority" or arguments.baseline in baselines.BASELINES:
            judge = learnt_from_train(arguments)
        elif arguments.baseline == "untrained_head":
            judge = untrained_head(arguments, raw)
        else:
            judge, freely = prompted(arguments, raw)
        with evaluation.timed(cost):
            judged = {split: (pairs, judge(pairs)) for split, pairs in splits.items()}
    if freely:
        judged = {split: (pairs, freely(pairs, one)) for split, (pairs, one) in judged.items()}
    judged |= {split: (pairs, judge(pairs)) for split, pairs in besides.items()}
    evaluation_nli.write_nli(arguments.predictions, arguments.scores, SEED, judged)
    finish(arguments, cost, sum(len(pairs["id"]) for pairs in splits.values()))


def learnt_from_train(arguments: argparse.Namespace) -> Any:
    """A judge that knows only train's labels, or a part of its pairs."""
    train = evaluation.read_split(arguments.data, "train")
    own = baselines.BASELINES.get(arguments.baseline)
    names = baselines.SHALLOW if arguments.baseline == "hypothesis_only" else [own] if own else []
    classifiers = baselines.fit_shallow(train["premise"], train["hypothesis"], train["label"], names) if own else {}

    def judge(pairs: Columns) -> Judged:
        sides = pairs["premise"], pairs["hypothesis"]
        hashes = evaluation_nli.pair_hashes(pairs, {"hypothesis_only": "hypothesis", "premise_only": "premise"}.get(arguments.baseline))
        if own is None:
            return Judged(baselines.majority(train["label"], len(pairs["id"])), hashes)
        shallow = baselines.shallow_controls(classifiers, *sides, pairs["label"])
        return Judged(classifiers[own](*sides), hashes, {"shallow": shallow} if len(shallow) > 1 else {})

    return judge


def untrained_head(arguments: argparse.Namespace, raw: grid.Raw) -> Any:
    """A judge that is the base model under a random 3-way head: pairs for an encoder, prompts and the last token for a decoder."""
    from ftbench import models

    text, batch_size = grid.text(raw, arguments.study), grid.evaluation(raw, arguments.study).per_device_eval_batch_size
    tokenizer, seed = bases.load_tokenizer(arguments.base), seeds.derive(SEED, arguments.study, "head")
    if bases.manifest(arguments.base)["encoder"]:
        encoder = models.load_encoder(arguments.base, seed).to(models.device())
        return lambda pairs: evaluation_nli.judge_pairs(encoder, tokenizer, pairs, text, batch_size)
    headed = models.load_decoder_head(arguments.base, None, "last", seed, dtype(arguments)).to(models.device())
    return lambda pairs: evaluation_nli.judge_prompts(headed, tokenizer, pairs, text, batch_size)


def prompted(arguments: argparse.Namespace, raw: grid.Raw) -> tuple[Any, Any]:
    """A judge that prompts the base model, with solved pairs from train or without, and reads the label words' likelihood.

    Beside it what adds to its judgement, for each wording, what the model writes when it writes freely.
    """
    text, batch_size = grid.text(raw, arguments.study), grid.evaluation(raw, arguments.study).per_device_eval_batch_size
    prompts = grid.prompts(raw, arguments.study, arguments.baseline)
    train = evaluation.read_split(arguments.data, "train") if prompts.num_examples else {}
    examples = baselines.solved_pairs(train, prompts.num_examples, seeds.derive(prompts.seed, arguments.study, "examples"))
    model, tokenizer = decoder(arguments)

    def judge(pairs: Columns) -> Judged:
        said = [
            evaluation_nli.judge_labels(model, tokenizer, pairs, text, batch_size, template, examples) for template in prompts.templates
        ]
        wordings = []
        for template, judged in zip(prompts.templates, said, strict=True):
            figures = scores.classification(pairs["label"], judged.log_probabilities)
            wordings.append({"template": template, **judged.figures, **{name: figures[name] for name in ("accuracy", "macro_f1", "nll")}})
        return Judged(said[0].log_probabilities, said[0].prompt_hashes, {**said[0].figures, "wordings": wordings})

    def freely(pairs: Columns, judged: Judged) -> Judged:
        wordings = [
            {**one, "written": evaluation_nli.written(model, tokenizer, pairs, text, batch_size, one["template"], examples)}
            for one in judged.figures["wordings"]
        ]
        return judged.with_figures(wordings=wordings)

    return judge, freely


def decoder(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """The untouched base model and its tokenizer."""
    from ftbench import models

    model = models.load_decoder(arguments.base, None, dtype(arguments)).to(models.device())
    return model, bases.load_tokenizer(arguments.base)


def dtype(arguments: argparse.Namespace) -> str:
    """A miniature runs in the float32 it was made in; a checkpoint in 16 bits, since twice its size would fit on few cards."""
    return "float32" if bases.manifest(arguments.base)["source"] == "miniature" else "bfloat16"


def finish(arguments: argparse.Namespace, cost: dict[str, Any], num_examples: int) -> None:
    """Write what the baseline cost."""
    model = bases.manifest(arguments.base)["model"]
    evaluation.write_cost(arguments.cost, cost, arguments.study, arguments.baseline, SEED, model, num_examples)


if __name__ == "__main__":
    arguments = evaluation.options(__doc__, trained=False).parse_args()
    stage.run(main, arguments, outs=evaluation.outs(arguments))
