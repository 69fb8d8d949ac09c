"""What a study page says in numbers: scores, differences, controls, cost, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ftbench import figures_scores, gpu, report_budgets, report_learning
from ftbench.report_data import Study, first, names
from ftbench.tables import (
    PERCENTAGES,
    Block,
    Figure,
    Heading,
    Paragraph,
    Table,
    count,
    gigabytes,
    metric,
    number,
    percent,
    points,
    probability,
    seconds,
    with_interval,
)
from ftbench.text import LABELS

AT_FULL_SIZE = (
    "Predicted, every input as long as it may be. held: on the GPU after an optimiser step, without activations; peak: while training, as "
    "the arm is set; recomputing: the peak if every block is computed twice; host: memory to load the base."
)
UNCONFIRMED = " No GPU has confirmed these here."
MEANING = {
    "majority": "nothing but how often each label occurs",
    "hypothesis_only": "the hypothesis alone",
    "premise_only": "the premise alone",
    "overlap": "how many words the two share, their lengths, negations and numbers",
    "pair_ngrams": "the words of both, side by side",
}


def drawings(study: Study, said: str) -> dict[str, Figure]:
    """The study's figures by file name; `said` is its answer in one sentence."""
    percent_axis = study.metric in PERCENTAGES
    alt = f"{study.name}, scale {study.scale}: {study.metric} of every arm and baseline with 95 % intervals; " + said.replace("`", "")
    found = {"scores": Figure("figures/scores.svg", alt, figures_scores.scores(study.entries, study.order(), study.metric, percent_axis))}
    return found | report_learning.drawings(study) | report_budgets.drawings(study)


def overview(studies: Sequence[Study], scale: str) -> Figure:
    """The primary metric of every entry of every study, in one figure."""
    panels = []
    for study in studies:
        shallow = [found["mean"] for found in study.comparison["shallow"].values()]
        chance = 1 / len(LABELS) if study.metric == "accuracy" else None
        percent_axis = study.metric in PERCENTAGES
        best = max(shallow) if shallow and percent_axis else None
        panels.append(figures_scores.Panel(study.name, study.entries, study.order(), study.metric, percent_axis, chance, best))
    names_of = ", ".join(f"{study.name} ({study.metric.replace('_', ' ')})" for study in studies) or "no study has results"
    alt = f"Scale {scale}: every arm and baseline with 95 % intervals, study by study: {names_of}"
    return Figure("figures/overview.svg", alt, figures_scores.overview(panels))


SEEDS = (
    "Means over seeds with 95 % intervals, which hold both that other seeds would have trained other models (seed part: the standard "
    "error from seeds) and that other examples would have asked other questions (item part)."
)
ONE_SEED = (
    "Every arm has one seed. The 95 % intervals and tests say that other examples would have asked other questions (item part); how far "
    "other seeds would have trained other models is in none of them."
)


def results(study: Study) -> list[Block]:
    """Means with intervals of every arm and baseline, and what cannot be told apart."""
    if study.answers is None:
        columns = ["accuracy", "macro_f1", "nll", "brier", "ece"] + [
            name for name in ("accuracy_mismatched",) if name in first(study.metrics)
        ]
    else:
        columns = ["bits_per_byte", "nll_per_token", "perplexity", "exact_match", "token_f1", "stopped"]
    rows = []
    for name in study.order():
        scores = study.metrics[name]
        cells = [name, "arm" if study.entries[name]["trained"] else "baseline"]
        for column in columns:
            base = column.removesuffix("_mismatched")
            suffix = column[len(base) :]
            low, high = scores.get(f"{base}_ci_low{suffix}"), scores.get(f"{base}_ci_high{suffix}")
            found = {"mean": scores[column], "low": low, "high": high}
            cells.append(metric(base, scores[column]) if low is None else with_interval(base, found))
        spread = study.entries[name]["seed_se"]
        factor, digits = (100, 2) if study.metric in PERCENTAGES else (1, 4)
        cells += ["–" if spread is None else number(factor * spread, digits), number(factor * study.entries[name]["item_se"], digits)]
        rows.append([*cells, str(scores["seeds"]), count(scores["n"])])
    headers = ["name", "kind", *[column.replace("_", " ") for column in columns], "seed part", "item part", "seeds", "n"]
    blocks: list[Block] = [
        Heading("Results", 2),
        Table(
            study.caption(f"Every arm and baseline on {study.comparison['dataset']}, split {study.comparison['split']}"),
            headers,
            rows,
            filters=frozenset({"kind"}),
        ),
        Paragraph(SEEDS if any(one["seed_se"] is not None for one in study.entries.values()) else ONE_SEED),
    ]
    together = [names(group) for group in study.comparison["groups"] if len(group) > 1]
    if together:
        blocks.append(Paragraph("Cannot be told apart: " + "; ".join(together) + "."))
    if study.comparison["detectable"] is not None:
        shown = (
            points(study.comparison["detectable"]).removeprefix("+") + " points"
            if study.metric in PERCENTAGES
            else number(study.comparison["detectable"])
        )
        blocks.append(
            Paragraph(f"A difference between two arms would be seen four times in five from about {shown} on (before Holm's correction).")
        )
    return blocks


def tests(study: Study) -> list[Block]:
    """Every arm against the reference and against its base, with and without examples in front of it."""
    rows = []
    for row in study.comparison["tests"]:
        if "mcnemar" not in row and row["b"] not in _beside(study, row["a"]):
            continue
        a, b, sign = (
            (row["b"], row["a"], -1)
            if row["a"] == study.comparison["reference"] and study.entries[row["b"]]["trained"]
            else (row["a"], row["b"], 1)
        )
        low, high = sorted((sign * row["low"], sign * row["high"]))
        shown = points if study.metric in PERCENTAGES else lambda value: number(value)
        exact = ", ".join(probability(one["p"]) for one in row.get("mcnemar", [])) or "–"
        told = "yes" if row["told_apart"] else "no"
        rows.append([a, b, shown(sign * row["difference"]), f"{shown(low)} to {shown(high)}", probability(row["p_holm"]), told, exact])
    if not rows:
        return []
    unit = "points" if study.metric in PERCENTAGES else study.metric.replace("_", " ")
    right = "accuracy" if study.answers is None else "exact match"
    headers = ["arm", "against", f"difference ({unit})", "95 % interval", "p (Holm)", "told apart", f"McNemar p of {right} by seed"]
    caption = study.caption("Differences on the same examples: the seed-aware test compares methods, McNemar's the models of one seed")
    return [Heading("Differences", 2), Table(caption, headers, rows, frozenset({0, 1}), frozenset({"told apart"}))]


def _beside(study: Study, arm: str) -> set[str]:
    """The entries beside which a study of instructions sets an arm, group by group."""
    groups = [group for by in study.comparison.get("gains", {}).values() for metric in by.values() for group in metric.values()]
    return {other for group in groups for other in group.get(arm, {})}


def controls(study: Study) -> list[Block]:
    """What is reached by seeing only a part, which an arm must beat to have learnt inference, and how far a prompt's wording matters."""
    blocks: list[Block] = []
    rows = [[name, MEANING.get(name, ""), with_interval(study.metric, found)] for name, found in study.comparison["shallow"].items()]
    if rows:
        headers = ["control", "sees", study.metric]
        blocks += [
            Heading("Shallow controls", 2),
            Table(study.caption("What can be reached without reading both sentences"), headers, rows),
        ]
    rows = [
        [name, one["template"], percent(one["accuracy"]), percent(one["label_mass"])]
        for name, found in study.comparison.get("wordings", {}).items()
        for one in found
    ]
    made_of = study.comparison.get("made_of") or {}
    if structures := made_of.get("structures"):
        counts, kept = structures["all"], [name for name in structures if name.startswith("test")]
        shared = ", ".join(f"{structures[name]['num_pairs_with_a_structure_of_train']:,} of {name}" for name in kept)
        text = f"The generated sentences have {counts['num_sentence_structures']:,} distinct structures and their pairs"
        blocks.append(Paragraph(f"{text} {counts['num_pair_structures']:,}; pairs with a structure that train has too: {shared}."))
    if bases := {name: one for name, one in made_of.get("bases", {}).items() if "perplexity" in one}:
        said = [f"`{name}` {number(one['perplexity'], 1)} against {number(one['unigram_perplexity'], 1)}" for name, one in bases.items()]
        blocks += [] if blocks else [Heading("Base models", 2)]
        blocks.append(Paragraph(f"Perplexity on held-out pretraining text, and a unigram model's: {'; '.join(said)}."))
    if rows:
        caption = study.caption("The wordings of each prompt; the first is the baseline. Label mass: the probability of the label words")
        blocks += [Heading("Wordings", 2), Table(caption, ["baseline", "wording", "accuracy", "label mass"], rows)]
    return blocks


def costs(study: Study) -> list[Block]:
    """Measured cost, and what the arms would count and hold at full size."""
    entries = study.cost["entries"]
    trained = [name for name in entries if study.entries[name]["trained"]]
    rows = []
    for name in trained:
        one = entries[name]
        ratio = (one.get("ratio_to_reference") or {}).get("train_seconds")
        counts = [
            "–" if one[key] is None else count(one[key])
            for key in ("parameters_total", "parameters_packed", "parameters_trained", "parameters_saved")
        ]
        memory = [gigabytes(one[key]) for key in ("train_peak_resident_bytes", "train_peak_gpu_allocated_bytes", "bytes_on_disk")]
        evaluated = one["evaluate_seconds"] if one["evaluate_seconds"] is not None else one["evaluate_total_seconds"]
        rows.append([name, seconds(one["train_seconds"]), "–" if ratio is None else f"{ratio:.2f} ×", seconds(evaluated), *counts, *memory])
    headers = [
        "arm",
        "training",
        "of reference",
        "evaluation",
        "parameters",
        "packed",
        "trained",
        "saved",
        "peak memory",
        "peak GPU",
        "disk",
    ]
    blocks: list[Block] = [
        Heading("Cost", 2),
        Table(study.caption("Measured, means over seeds, on the machine named below"), headers, rows),
    ]
    if study.full_size:
        on_a_gpu = any(one.get("gpu") for one in study.cost["environments"])
        blocks += [Paragraph(AT_FULL_SIZE + ("" if on_a_gpu else UNCONFIRMED)), _full_size(study.full_size)]
    return blocks


def _full_size(arms: Mapping[str, Any]) -> Table:
    cards = {f"fits {name}": num_bytes for name, num_bytes in gpu.CARDS.items()}
    headers = ["arm", "model", "parameters", "packed", "trained", "saved", "trained share", "held", "peak", "recomputing", "host", *cards]
    rows = []
    for name, one in arms.items():
        counts = [count(one[key]) for key in ("total", "packed", "trained", "saved")]
        share = percent(one["trained_share_percent"] / 100, 3)
        peaks = [gigabytes(one["step_bytes"][key]) for key in ("peak", "peak_with_recomputation")]
        memory = [gigabytes(one["memory_bytes"]["total"]), *peaks, gigabytes(one["host_bytes"]["predicted"])]
        rows.append([name, str(one["model"]), *counts, share, *memory, *(gpu.fits(one, num_bytes) for num_bytes in cards.values())])
    return Table("The same arms counted at the studies' size, by arithmetic on shapes. Scale paper.", headers, rows, frozenset({0, 1}))
