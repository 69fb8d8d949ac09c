"""The comparison of a study of instructions: metrics.json, comparison.json and answers.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ftbench import answer_groups, cases, comparison, files, flags, matching, predictions, questions, rubrics, statistics
from ftbench.comparison import Grid, Scored
from ftbench.errors import Problem, UserError
from ftbench.grid import with_examples
from ftbench.predictions import Entry, Predictions

QUESTIONS = "questions"  # as `answers` names the split of the questions, whose imports a comparison can do without
LEAST = 20  # answers that a percentile is taken of
SCORES = (  # of metrics.json, as the scores files have them
    "perplexity", "bits_per_byte", "nll_per_token", "exact_match", "token_f1", "stopped", "mean_tokens", "length_ratio", "repetition",
    "looping",
)  # fmt: skip


def others_of(grid: Grid, arm: str) -> list[str]:
    """What an arm's answers are set beside: its base model untouched, and the same with examples in front, where the study scores them."""
    base, there = comparison.base_of(grid, arm), [row.name for row in grid.rows]
    model = grid.row(arm).levels.get("model")
    return [name for name in (base, with_examples(model) if model else None) if name in there]


def compare(grid: Grid) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """metrics.json, comparison.json and answers.json of a study of instructions.

    Raises UserError for files that are broken, edited or cannot be paired.
    """
    shared = ("id", "example_hash", "split", "prompt_hash", "kind", "instruction", "input", "reference")
    per_seed = ("text", "tokens", "bytes", "nll", "stopped", "exact_match", "token_f1", "repetition", "looping")
    read = {row.name: predictions.read(grid.report, row, shared, per_seed) for row in grid.rows}
    comparison.refuse_other_examples(grid, read, ("example_hash",))
    comparison.refuse_other_prompts(grid, read)
    split = predictions.first_split(read[grid.rows[0].name])
    held_out = {name: one[split] for name, one in read.items()}
    scored, metrics = {}, {}
    for row in grid.rows:
        one = held_out[row.name]
        nll, tokens, num_bytes = (one.by_seed[name].astype(np.float64) for name in ("nll", "tokens", "bytes"))
        right = one.by_seed["exact_match"].astype(bool)
        f1 = one.by_seed["token_f1"].astype(np.float64)
        by_metric = {
            "bits_per_byte": statistics.ratio_scores(nll / np.log(2), num_bytes),
            "nll": statistics.ratio_scores(nll, tokens),
            "exact_match": right.astype(np.float64),
            "token_f1": f1,
        }
        _refuse_other_texts(grid, row, split, one)
        scored[row.name] = Scored(row, comparison.primary_scores(grid, by_metric), right, one.by_seed["text"])
        seeds = _answer_scores(grid, row, split, nll, tokens, num_bytes, right, f1)
        found = comparison.mean_scores(seeds, SCORES)
        for name in ("bits_per_byte", "exact_match", "token_f1"):
            limits = statistics.interval(by_metric[name])
            found |= {f"{name}_ci_low": limits.low, f"{name}_ci_high": limits.high}
        metrics[row.name] = comparison.rounded(found | {"n": len(one), "seeds": len(row.seeds)})
    content = comparison.summary(grid, scored, split)
    content |= answer_groups.of({row.name: others_of(grid, row.name) for row in grid.rows if row.trained}, held_out)
    content["floors"] = {name: floor(one) for name, one in held_out.items()}
    content["flags"] = _flags(grid, held_out)
    content["cases"] = _answer_cases(grid, scored, held_out)
    asked = {name: one[QUESTIONS] for name, one in read.items()}
    _add_questions_passed(metrics, asked)
    return metrics, content, _answers_to_questions(grid, asked)


def floor(one: Predictions) -> dict[str, Any]:
    """What right answers cost a model at least: the 5th percentile of the nats of its answers to the letter, and their number.

    The reference and its end of sequence are what is scored. A model that writes just them may still give them little probability, as one
    whose tokenizer has many tokens that it never saw: these share what the end of sequence is given. None below LEAST such answers.
    """
    nll = one.by_seed["nll"][one.by_seed["exact_match"].astype(bool) & one.by_seed["stopped"].astype(bool)].astype(np.float64)
    return {"nll": float(np.percentile(nll, 5)) if len(nll) >= LEAST else None, "n": len(nll)}


def _flags(grid: Grid, held_out: Mapping[str, Predictions]) -> dict[str, list[flags.Flag]]:
    said, trained = {}, {}
    for row in (row for row in grid.rows if row.trained):
        name = comparison.base_of(grid, row.name)
        texts = {one: (held_out[one].by_seed["text"], held_out[one].by_seed["nll"].astype(np.float64)) for one in (row.name, name) if one}
        base = (name, texts[name][0][0], texts[name][1][0]) if name else None
        said[row.name] = flags.of_answers(*texts[row.name], base, row.seeds)
        pairs = zip(row.seeds, row.stems(), strict=True)
        trained[row.name] = [flag for seed, stem in pairs for flag in flags.of_files(grid.report, stem, False, seed)]
    return flags.merged(trained, said)


def _refuse_other_texts(grid: Grid, row: Entry, split: str, one: Predictions) -> None:
    """Raises UserError where a text does not have the score beside it: one of the two was changed by hand."""
    for stem, texts, stated in zip(row.stems(), one.by_seed["text"], one.by_seed["exact_match"], strict=True):
        again = [matching.exact_match(str(text), str(wanted)) for text, wanted in zip(texts, one.columns["reference"], strict=True)]
        wrong = np.flatnonzero(np.array(again) != stated.astype(bool))
        if len(wrong):
            where, found = f"{grid.report}/predictions/{stem}.parquet: {split}.exact_match", f"{len(wrong)} rows, first row {wrong[0]}"
            raise UserError(Problem(where, found, allowed="what the texts beside it give", mend="evaluate this arm again"))


def _answer_scores(grid: Grid, row: Entry, split: str, *tables: NDArray[Any]) -> list[dict[str, Any]]:
    found = []
    for index, stem in enumerate(row.stems()):
        nll, tokens, num_bytes, right, f1 = (table[index].astype(np.float64) for table in tables)
        again = {
            "n": float(len(nll)),
            "nll_per_token": float(nll.sum() / tokens.sum()),
            "bits_per_byte": float(nll.sum() / np.log(2) / num_bytes.sum()),
            "exact_match": float(right.mean()),
            "token_f1": float(f1.mean()),
        }
        path = grid.report / "scores" / f"{stem}.json"
        scores = files.read_json(path)
        predictions.refuse_edited(path, split, scores, again)
        found.append(scores[split])
    return found


def _answer_cases(grid: Grid, scored: Mapping[str, Scored], held_out: Mapping[str, Predictions]) -> dict[str, Any]:
    columns = next(iter(held_out.values())).columns
    breakdowns = {"kind": list(columns["kind"])}

    def one(arm: Scored, other: Scored, at_most: int) -> dict[str, Any]:
        def shown(index: int) -> dict[str, Any]:
            asked = {name: str(columns[name][index])[: comparison.LONGEST_TEXT] for name in ("id", "instruction", "input", "reference")}
            said = {key: str(one.said[0][index])[: comparison.LONGEST_TEXT] for key, one in (("before", other), ("after", arm))}
            return {**asked, **said, "kind": columns["kind"][index]}

        return comparison.cases_of(*cases.paired(other.right, arm.right), breakdowns, columns, at_most, shown)

    return comparison.cases_by_arm(grid, scored, one)


def _answers_to_questions(grid: Grid, asked: Mapping[str, Predictions]) -> dict[str, Any]:
    """answers.json: what each entry wrote at its first seed, and what each question's rubric says of it."""
    put = [questions.asked(str(text)) for text in next(iter(asked.values())).columns["instruction"]]
    answers = {row.name: _judged(put, asked[row.name]) for row in grid.rows}
    return {
        "scale": grid.scale,
        "questions": [question.text for question in put],
        "rubrics": [{"id": question.id, **rubrics.described(question.rubric)} for question in put],
        "answers": answers,
        "num_passed": {name: sum(one["passed"] is True for one in found) for name, found in answers.items()},
        "num_scored": sum(not isinstance(question.rubric, rubrics.Open) for question in put),
    }


def _judged(put: Sequence[questions.Question], said: Predictions) -> list[dict[str, Any]]:
    pairs = zip(put, said.by_seed["text"][0], said.by_seed["stopped"][0], strict=True)
    return [
        {
            "text": str(text),
            "stopped": bool(stopped),
            "checks": rubrics.verdicts(question.rubric, str(text)),
            "passed": rubrics.passed(question.rubric, str(text)),
        }
        for question, text, stopped in pairs
    ]


def _add_questions_passed(metrics: dict[str, Any], asked: Mapping[str, Predictions]) -> None:
    for name, said in asked.items():
        put = [questions.asked(str(text)).rubric for text in said.columns["instruction"]]
        share = rubrics.share_passed(put, said.by_seed["text"].tolist())
        if share is not None:
            metrics[name] |= comparison.rounded({"questions_passed": share})
