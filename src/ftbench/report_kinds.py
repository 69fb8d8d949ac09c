"""What a study page says of answers group by group: the untouched base, the base with examples and every arm side by side, and stopping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftbench.report_data import Study
from ftbench.tables import Block, Heading, Paragraph, Table, count, metric, number, percent, points

SHOWN = {"exact_match": "exact match", "token_f1": "token F1", "bits_per_byte": "bits per byte"}
STOPS = 0.95  # of the held-out instructions: a model that ends fewer of its answers has not learnt to stop
GROUPINGS = ("by_kind", "by_pool", "by_input", "by_length")
NAMES = {
    "knowledge": "knowledge, pooled",
    "with_input": "with an input",
    "without_input": "without an input",
    "short": "reference of at most 5 words",
    "medium": "reference of 6 to 50 words",
    "long": "reference of more than 50 words",
    "facts_pretraining_only": "facts stated only in pretraining",
}
RULE = (
    "A gain is the arm's score less the other's on the same instructions, with its 95 % interval over instructions and, of an arm with "
    "several seeds, over these; no correction for the number of groups. Read exact match beside token F1, which rewards echoing a template."
)
EXAMPLES = (
    "A base model with examples in front (`_three_shot`) has not learnt to stop and would go on with a next example: its answer is what "
    "stands before one would begin, before a line that opens a prompt or, unless a solved answer holds one, before a blank line. It "
    "counts as ended by itself only where it ended the sequence before that place. All models are scored by the likelihood of the same "
    "references, the end of sequence after them included, which the examples do not show."
)

MINIATURES = (
    " The base models here are miniatures, pretrained on short pieces of text: what examples do for them says nothing of the checkpoints."
)


def kinds(study: Study) -> list[Block]:
    """How the answers end, how long they are, and how they do by group of instructions."""
    return [*endings(study), *side_by_side(study)]


def endings(study: Study) -> list[Block]:
    """Which arms do not learn to stop, in one sentence, and every entry's endings, repetitions and lengths."""
    rows = []
    for name in study.order():
        one = study.metrics[name]
        shares = [percent(one[key]) for key in ("stopped", "looping", "repetition")]
        floor = study.comparison["floors"][name]["nll"]
        rows.append([name, *shares, number(one["mean_tokens"], 1), f"{number(one['length_ratio'], 2)} ×", number(floor, 2)])
    headers = ["name", "ended by itself", "ends in a loop", "repeated 4-grams", "tokens", "of the references' length", "floor (nats)"]
    text = (
        "Loop: the answer ends in a phrase of two or more words, three times in a row or more. Repeated 4-grams: the mean share of an "
        "answer's runs of four words that stand earlier in it. Tokens: written, on average. Length: bytes of all answers over those of all "
        "references."
    )
    floors = (
        "Floor: what an answer costs that the model writes to the letter and ends itself (5th percentile). It is no lack of knowledge, and "
        "differs from model to model: the end of sequence shares its probability with tokens of the vocabulary that were hardly ever seen. "
        "Bits per byte hold it, the more so the shorter the answers: read their order beside exact match."
    )
    table = Table(study.caption("How the answers to held-out instructions end, and how long they are"), headers, rows)
    return [Heading("Stopping, loops and length", 2), Paragraph(stops(study)), table, Paragraph(text), Paragraph(floors)]


def stops(study: Study) -> str:
    """Whether every arm ends its answers by itself; else which do not, which is a defect."""
    arms = [name for name in study.order() if study.entries[name]["trained"]]
    failing = [name for name in arms if study.metrics[name]["stopped"] < STOPS]
    if not failing:
        return f"Every arm ends at least {percent(STOPS, 0)} of its answers to held-out instructions by itself."
    said = ", ".join(f"`{name}` ({percent(study.metrics[name]['stopped'])})" for name in failing)
    return f"A defect: fewer than {percent(STOPS, 0)} of the answers to held-out instructions end by themselves in {said}."


def side_by_side(study: Study) -> list[Block]:
    """A table per arm: base, base with examples and arm by group of instructions, and what the arm gains."""
    found = study.comparison
    blocks: list[Block] = []
    for arm in found["ranked"]:
        model = found["bases"].get(arm)
        others = _others(study, arm)
        rows = []
        for by in GROUPINGS:
            for group, entries in found[by]["exact_match"].items():
                shown = [_pair(found[by], group, name) for name in (*others, arm)]
                gains = [_gain(key, found["gains"][by][key][group].get(arm, {}).get(other)) for key, other in _columns(others)]
                rows.append([NAMES.get(group, group.replace("_", " ")), count(entries[arm]["n"]), *shown, *gains])
        if rows:
            gained = [f"{SHOWN[name]} gained over {_short(other, model)}" for name, other in _columns(others)]
            headers = ["instructions", "n", *others, arm, *gained]
            caption = f"{arm} by group of instructions: exact match / token F1 / bits per byte"
            blocks += [Heading(arm, 3), Table(study.caption(caption), headers, rows, frozenset())]
    if not blocks:
        return []
    said = [Paragraph(RULE)]
    if any(len(_others(study, arm)) > 1 for arm in found["ranked"]):
        bases = (found.get("made_of") or {}).get("bases", {}).values()
        said.append(Paragraph(EXAMPLES + (MINIATURES if any(one["published_as"] is None for one in bases) else "")))
    return [Heading("Kinds of instruction", 2), *said, *blocks]


def _others(study: Study, arm: str) -> list[str]:
    """The entries that an arm is set beside, the untouched base first."""
    gains = study.comparison["gains"]
    known = (entries.get(arm, {}) for by in gains.values() for groups in by.values() for entries in groups.values())
    return list(dict.fromkeys(other for beside in known for other in sorted(beside, key=len)))


def _columns(others: list[str]) -> list[tuple[str, str]]:
    return [(name, other) for other in others for name in (SHOWN if other == others[0] else ("exact_match", "token_f1"))]


def _short(other: str, model: str | None) -> str:
    return "base" if other == model else "base with examples"


def _pair(by: Mapping[str, Any], group: str, name: str) -> str:
    values = [(key, by[key][group].get(name)) for key in SHOWN]
    return " / ".join("–" if one is None else metric(key, one["mean"]) for key, one in values)


def _gain(name: str, one: Mapping[str, Any] | None) -> str:
    if one is None:
        return "–"
    shown = (lambda value: number(value, 2)) if name == "bits_per_byte" else points
    if one["low"] is None:
        return shown(one["difference"])
    return f"{shown(one['difference'])} ({shown(one['low'])} to {shown(one['high'])})"
