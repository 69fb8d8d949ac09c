"""Confusions and sweeps as drawings: what is said in them, worked out by hand."""

import re

from ftbench import figures_cells, figures_scores, figures_sweeps, report_cases, report_sweeps
from ftbench.report_data import Study
from ftbench.report_inline import inline
from ftbench.report_svg import follows_the_theme
from ftbench.text import LABELS


def texts(svg):
    return re.findall(r"<text[^>]*>([^<]+)</text>", svg)


def titles(svg):
    return re.findall(r"<title>([^<]+)</title>", svg)


def test_a_confusion_has_in_each_cell_the_share_of_its_gold_label_and_a_label_that_never_occurs_none():
    svg = figures_cells.confusions({"after: a": [[3, 1, 0], [0, 4, 0], [0, 0, 0]]}, LABELS)
    assert [one for one in texts(svg) if re.fullmatch(r"[\d.]+", one)] == [
        "75.0",
        "25.0",
        "0.0",
        "0.0",
        "100.0",
        "0.0",
        "0.0",
        "0.0",
        "0.0",
    ]
    assert "after: a: entailment taken for neutral, 25.0 %" in titles(svg)
    assert {"entailment", "neutral", "contradiction"} <= set(texts(svg))


def test_what_is_right_is_blue_and_what_is_mistaken_orange_and_no_cell_is_too_deep_for_a_text_of_either_theme():
    svg = inline(figures_cells.confusions({"a": [[1, 1, 0], [0, 2, 0], [0, 0, 2]]}, LABELS), "p", "alt")
    assert follows_the_theme(svg)
    assert set(re.findall(r'fill="(#\w+)"', svg)) == {figures_cells.RIGHT.lower(), figures_cells.MISTAKEN.lower()}
    depths = {float(one) for one in re.findall(r' opacity="([\d.]+)"', svg)}
    assert max(depths) == figures_cells.DEEPEST


def of_pairs(**cases):
    entries = {"a": {"mean": 0.9}, "b": {"mean": 0.8}}
    comparison = {
        "scale": "offline", "reference": "b", "ranked": ["a", "b"], "entries": entries, "cases": cases,
        "confusion": {"a": [[1, 0, 0]] * 3, "b": [[0, 1, 0]] * 3},
    }  # fmt: skip
    return Study("s", {}, comparison, {}, {})


def test_the_base_of_both_arms_is_drawn_once_and_before_them():
    shift = {"base": {"against": "zero_shot", "shift": {"before": [[1, 0, 0]] * 3, "after": [[0, 0, 1]] * 3}}}
    figure = report_cases.confusion_figure(of_pairs(a=shift, b=shift))
    assert [one for one in texts(figure.svg) if ":" in one] == ["before: zero_shot", "after: b", "after: a"]
    assert figure.alt.endswith("before: zero_shot, after: b, after: a")
    alone = report_cases.confusion_figure(of_pairs())
    assert [one for one in texts(alone.svg) if one in ("a", "b")] == ["b", "a"]


def trial(value, *losses):
    return {"value": value, "eval_loss": sum(losses) / len(losses), "eval_loss_by_seed": list(losses)}


def swept(values, trials, current):
    arms = {"lora": {"trials": trials, "current": current}, "failed": {"trials": [], "current": current}}
    return {"metric": "eval_loss", "parameter": "learning_rate", "values": values, "arms": arms}


def study(found):
    return Study("s", {}, {"scale": "offline"}, {}, {}, sweeps={"rate": found})


def test_a_sweep_shows_every_value_its_mean_its_seeds_and_the_one_of_params():
    found = swept([0.001, 0.01, 0.1], [trial(0.001, 0.4, 0.6), trial(0.1, 1.0, 1.2)], 0.1)
    drawn = report_sweeps.drawings(study(found))
    figure = drawn["sweep_rate"]
    assert figure.path == "figures/sweep_rate.svg"
    assert figure.alt == "s, scale offline: validation loss after the last step at each value of learning_rate, of lora"
    assert {"0.001", "0.01", "0.1", "lora", "validation loss"} <= set(texts(figure.svg))
    assert {"lora: 0.001 0.5, 0.1 1.1", "lora, by seed", "lora: 0.1, as params.yaml has it"} <= set(titles(figure.svg))
    (_, _, first, *_) = report_sweeps.sweeps({"rate": {**found, "scale": "offline", "seeds": [0, 1], "failed": [], "arms": {}}}, drawn)
    assert first == figure


def test_a_sweep_over_words_places_them_in_their_order_and_one_seed_has_no_dots_of_its_own():
    svg = figures_sweeps.sweep({"a": [("sgd", 2.0, [2.0]), ("adam", 1.0, [1.0])]}, {"a": "other"}, ["sgd", "adam"], "optim", "loss")
    assert [one for one in texts(svg) if one in ("sgd", "adam")] == ["sgd", "adam"]
    assert titles(svg) == ["a: sgd 2, adam 1"]


def test_a_sweep_of_which_no_trial_ended_is_not_drawn():
    assert report_sweeps.drawings(study(swept([1], [], 1))) == {}


def test_the_same_scores_give_the_same_drawing():
    entries = {"a": {"mean": 0.5, "low": 0.4, "high": 0.6, "trained": True, "by_seed": [0.5, 0.5]}}
    assert figures_scores.scores(entries, ["a"], "accuracy", True) == figures_scores.scores(entries, ["a"], "accuracy", True)
