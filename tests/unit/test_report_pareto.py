"""Fronts of score against cost, worked out by hand."""

import pytest

from ftbench import report_pareto
from ftbench.report_data import Study
from ftbench.tables import Paragraph, Table


def study(scores, costs, groups=(), metric="accuracy"):
    """Arms by mean; `costs` by arm as (memory, seconds, trained parameters)."""
    lower = metric == "bits_per_byte"
    ranked = sorted(scores, key=lambda arm: scores[arm] if lower else -scores[arm])
    entries = {arm: {"mean": mean, "low": mean - 0.01, "high": mean + 0.01, "trained": True} for arm, mean in scores.items()}
    keys = ("train_peak_resident_bytes", "train_seconds", "parameters_trained")
    cost = {arm: dict(zip(keys, values, strict=True)) for arm, values in costs.items()}
    comparison = {
        "scale": "offline",
        "primary_metric": metric,
        "lower_is_better": lower,
        "ranked": ranked,
        "entries": entries,
        "groups": [list(group) for group in groups],
    }
    return Study("s", {}, comparison, {"entries": cost}, {})


@pytest.mark.parametrize(
    ("costs", "scores", "lower", "expected"),
    [
        ({"a": 3, "b": 2, "c": 4}, {"a": 0.9, "b": 0.8, "c": 0.7}, False, {"a": None, "b": None, "c": "a"}),
        ({"a": 3, "b": 2, "c": 4}, {"a": 0.9, "b": 0.8, "c": 0.7}, True, {"a": "b", "b": None, "c": None}),
        ({"a": 1, "b": 1}, {"a": 0.9, "b": 0.9}, False, {"a": None, "b": None}),  # equal in both: neither is better
        ({"a": 1, "b": 1}, {"a": 0.9, "b": 0.8}, False, {"a": None, "b": "a"}),  # as cheap and better
        ({"a": 1, "b": 2}, {"a": 0.9, "b": 0.9}, False, {"a": None, "b": "a"}),  # as good and cheaper
        ({"a": 2, "b": 1, "c": 3}, {"a": 0.9, "b": 0.9, "c": 0.5}, False, {"a": "b", "b": None, "c": "b"}),  # of equals the cheaper
    ],
)
def test_an_arm_is_on_the_front_unless_another_is_as_good_and_as_cheap_and_in_one_of_them_better(costs, scores, lower, expected):
    assert report_pareto.dominators(costs, scores, lower) == expected


def test_the_table_says_front_or_behind_which_arm_and_asks_where_they_cannot_be_told_apart():
    one = study(
        {"full": 0.9, "lora": 0.8, "top": 0.7},
        {"full": (6e8, 20.0, 1000), "lora": (7e8, 30.0, 10), "top": (5e8, 40.0, 500)},
        groups=[["full", "lora"], ["top"]],
    )
    blocks = report_pareto.pareto(one, {"pareto": report_pareto.figure(one)})
    (table,) = [block for block in blocks if isinstance(block, Table)]
    assert list(table.headers)[2:4] == ["peak memory", "by peak memory"]
    assert table.rows == [
        ["full", "90.0 %", "600.0 MB", "front", "20.0 s", "front", "1,000", "front"],
        ["lora", "80.0 %", "700.0 MB", "behind full?", "30.0 s", "behind full?", "10", "front"],
        ["top", "70.0 %", "500.0 MB", "front", "40.0 s", "behind full", "500", "behind lora"],
    ]
    assert "Scale offline" in table.caption


def test_an_arm_without_a_cost_is_named_and_has_dashes():
    one = study({"a": 0.9, "b": 0.8, "c": 0.7}, {"a": (1e9, None, 5), "b": (2e9, 3.0, 0), "c": (2e9, 2.0, 6)})
    blocks = report_pareto.pareto(one, {"pareto": report_pareto.figure(one)})
    (table,) = [block for block in blocks if isinstance(block, Table)]
    assert table.rows[0][4:6] == ["–", "–"]
    said = [block.text for block in blocks if isinstance(block, Paragraph)][-1]
    assert said == "Not recorded, and so not shown: training time of `a`; trained parameters of `b`."


def test_gpu_memory_counts_where_every_arm_was_trained_on_one():
    one = study({"a": 0.9, "b": 0.8}, {"a": (1e9, 1.0, 5), "b": (2e9, 2.0, 6)})
    one.cost["entries"]["a"]["train_peak_gpu_allocated_bytes"] = 5e9
    assert report_pareto.measures(one)[0].title == "peak memory"
    one.cost["entries"]["b"]["train_peak_gpu_allocated_bytes"] = 4e9
    assert report_pareto.measures(one)[0].title == "peak GPU memory"


def test_a_study_with_one_arm_has_no_front_to_show():
    one = study({"a": 0.9}, {"a": (1e9, 1.0, 5)})
    assert report_pareto.figure(one) is None
    assert report_pareto.pareto(one, {}) == []


def test_the_drawing_names_every_arm_with_its_exact_figures_and_is_the_same_bytes_each_time():
    one = study({"a": 0.4, "b": 0.3}, {"a": (1e9, 10.0, 5), "b": (2e9, 20.0, 6)}, metric="bits_per_byte")
    drawn = report_pareto.figure(one)
    assert drawn.svg == report_pareto.figure(one).svg
    assert "<title>a: 0.400, 1.00 GB, on the front</title>" in drawn.svg
    assert "<title>b: 0.300, 2.00 GB, on the front</title>" in drawn.svg
    assert ">a</text>" in drawn.svg
    assert "on the front by peak memory: b, a" in drawn.alt
