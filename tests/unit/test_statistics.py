import runpy
import time
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ftbench import statistics

ROOT = Path(__file__).parents[2]


def test_one_seed_gives_wilsons_interval_and_no_seed_part():
    right = np.array([1.0] * 75 + [0.0] * 25)
    found = statistics.interval(right)
    wilson = stats.binomtest(75, 100).proportion_ci(method="wilson")
    assert found.mean == 0.75
    assert found.seed_se is None
    # The item variance divides by n - 1, Wilson by n: the two differ in the third digit.
    assert (found.low, found.high) == pytest.approx((wilson.low, wilson.high), abs=0.001)


def test_scores_that_are_all_right_keep_an_interval_below_one():
    found = statistics.interval(np.ones((3, 100)))
    assert (found.mean, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(stats.binomtest(100, 100).proportion_ci(method="wilson").low)


def test_seeds_that_answer_every_item_alike_but_for_their_level_give_students_interval():
    levels = np.array([0.2, 0.5, 0.8])
    table = levels[:, None] + np.zeros((3, 50))
    found = statistics.interval(table)
    expected = stats.t.interval(0.95, 2, loc=0.5, scale=stats.sem(levels))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.seed_se == pytest.approx(0.3 / 3**0.5)
    assert found.item_se == 0


def test_items_alone_give_students_interval_over_items():
    items = np.array([1.0, 2.0, 4.0, 7.0])
    found = statistics.interval(np.tile(items, (3, 1)))
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 3, loc=3.5, scale=stats.sem(items)))


def test_both_parts_add_as_squares_by_hand():
    # Seeds' means 1, 3; items' means 1.5, 2.5; no noise in the cells, so the parts are 1 (variance 2 over 2) and 0.25 (0.5 over 2).
    table = np.array([[0.5, 1.5], [2.5, 3.5]])
    found = statistics.interval(table)
    t = stats.t.isf(0.025, 1)
    assert (found.seed_se, found.item_se) == pytest.approx((1.0, 0.5))
    assert found.high - found.mean == pytest.approx((t**2 * 1.0 + t**2 * 0.25) ** 0.5)


def test_a_ratio_is_the_mean_over_seeds_of_the_ratios_of_sums():
    numerator, denominator = np.array([[1.0, 5.0], [2.0, 2.0]]), np.array([[1.0, 2.0], [1.0, 3.0]])
    assert statistics.ratio_scores(numerator, denominator).mean(axis=1) == pytest.approx([2.0, 1.0])
    with pytest.raises(ValueError, match="sums to 0"):
        statistics.ratio_scores(numerator, np.zeros((2, 2)))


def test_a_share_among_some_items_is_spread_like_a_share_of_that_many_items():
    denominator = np.array([1.0] * 40 + [0.0] * 60)
    numerator = np.array([1.0] * 10 + [0.0] * 90)
    found = statistics.interval(statistics.ratio_scores(numerator, denominator))
    assert found.mean == pytest.approx(0.25)
    assert found.item_se == pytest.approx((0.25 * 0.75 / 40) ** 0.5, rel=0.02)


def test_mcnemar_agrees_with_the_binomial_test_by_hand():
    a, b = np.array([1] * 8 + [0] * 2 + [1] * 10, dtype=bool), np.array([0] * 8 + [1] * 2 + [1] * 10, dtype=bool)
    found = statistics.mcnemar(a, b)
    assert (found.only_a, found.only_b) == (8, 2)
    assert found.p == pytest.approx(2 * (1 + 10 + 45) / 1024)  # P(at most 2 of 10), twice
    assert statistics.mcnemar(a, a).p == 1.0
    with pytest.raises(ValueError, match="same items"):
        statistics.mcnemar(a, b[:-1])


def test_one_seed_each_is_the_paired_t_test_of_scipy():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.2, 1, 60), rng.normal(0, 1, 60)
    found, scipy = statistics.difference(a, b), stats.ttest_rel(a, b)
    assert found.p == pytest.approx(scipy.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(scipy.confidence_interval()))
    assert found.seed_se is None


def test_seeds_alone_are_welchs_t_test_of_scipy():
    a, b = np.array([0.70, 0.75, 0.71]), np.array([0.60, 0.61, 0.66, 0.60])
    found = statistics.difference(a[:, None] + np.zeros((3, 40)), b[:, None] + np.zeros((4, 40)))
    scipy = stats.ttest_ind(a, b, equal_var=False)
    assert found.p == pytest.approx(scipy.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(scipy.confidence_interval()))


def test_p_is_below_five_percent_exactly_when_the_interval_leaves_out_zero():
    rng = np.random.default_rng(2)
    for shift in np.linspace(0, 0.2, 40):
        found = statistics.difference(rng.random((3, 200)) < 0.6 + shift, rng.random((3, 200)) < 0.6)
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_equal_scores_have_p_one_and_a_constant_difference_the_smallest_p():
    table = np.random.default_rng(3).random((3, 50))
    assert statistics.difference(table, table).p == 1.0
    assert statistics.difference(np.ones(9), np.zeros(9)).p == statistics.SMALLEST_P


def test_a_difference_is_the_contrast_of_plus_one_and_minus_one_to_the_bit():
    rng = np.random.default_rng(9)
    for seeds_a, seeds_b in [(3, 3), (1, 1), (1, 4), (5, 2)]:
        a, b = (rng.random((seeds_a, 300)) < 0.7).astype(float), rng.normal(0.6, 0.2, (seeds_b, 300))
        found = statistics.difference(a, b)
        assert found == statistics.contrast((a, b), (1, -1))
        # the item part is that of the items' differences, less the noise within both tables' cells
        items = a.mean(axis=0) - b.mean(axis=0)
        noise = sum(
            ((one - one.mean(axis=1, keepdims=True) - one.mean(axis=0) + one.mean()) ** 2).sum() / ((len(one) - 1) * 299) / one.size
            for one in (a, b)
            if len(one) > 1
        )
        assert found.item_se == pytest.approx((items.var(ddof=1) / 300 - noise) ** 0.5)
        assert found.difference == float(a.mean() - b.mean())
        seed_variance = sum(one.mean(axis=1).var(ddof=1) / len(one) for one in (a, b) if len(one) > 1)
        assert found.seed_se is None if seeds_a == seeds_b == 1 else found.seed_se == pytest.approx(seed_variance**0.5)


def test_a_weight_scales_the_estimate_its_interval_and_both_its_parts():
    rng = np.random.default_rng(10)
    tables = [rng.random((3, 100)) for _ in range(3)]
    one, two = statistics.contrast(tables, (1, -0.5, -0.5)), statistics.contrast(tables, (-2, 1, 1))
    scaled = (-2 * one.difference, -2 * one.high, -2 * one.low, one.p, 2 * one.detectable, 2 * one.seed_se, 2 * one.item_se)
    assert (two.difference, two.low, two.high, two.p, two.detectable, two.seed_se, two.item_se) == pytest.approx(scaled)


def test_different_numbers_of_items_are_not_paired():
    with pytest.raises(ValueError, match="same items"):
        statistics.difference(np.zeros((3, 5)), np.zeros((3, 6)))


def test_holm_multiplies_by_what_is_left_and_never_falls():
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.9, 0.6]) == [1.0, 1.0]
    assert statistics.holm([]) == []


def test_groups_overlap_where_not_being_told_apart_is_not_transitive():
    told_apart = {frozenset(pair) for pair in [("a", "c"), ("a", "d"), ("b", "d")]}
    assert statistics.groups(["a", "b", "c", "d"], told_apart) == [["a", "b"], ["b", "c"], ["c", "d"]]
    assert statistics.groups(["a", "b"], set()) == [["a", "b"]]
    assert statistics.groups(["a", "b"], {frozenset(("a", "b"))}) == [["a"], ["b"]]


def _study(rng, seeds, items, spread, mean=0.7):
    difficulty = rng.beta(mean * 1.5, (1 - mean) * 1.5, items)
    levels = rng.normal(0, spread, seeds)
    return (rng.random((seeds, items)) < np.clip(difficulty + levels[:, None], 0, 1)).astype(float)


def test_two_thousand_simulated_studies_are_covered_raise_few_false_alarms_and_widths_shrink():
    """112 studies of four equally good arms for each number of seeds, of items and spread of seeds; the benchmark itself runs more."""
    simulation = runpy.run_path(str(ROOT / "benchmarks/coverage.py"), run_name="read")
    found = simulation["cells"](112)
    studies = sum(one["num_studies"] for one in found)
    assert (len(found), studies) == (18, 2016)

    def pooled(name, **only):
        return float(np.mean([one[name] for one in found if all(one[key] == value for key, value in only.items())]))

    assert pooled("coverage") >= 0.93
    assert pooled("false_alarms") <= 0.05 + 2 * (0.05 * 0.95 / studies) ** 0.5
    assert pooled("width", num_items=10_000) < pooled("width", num_items=1_000)
    assert pooled("width", num_seeds=10) < pooled("width", num_seeds=5) < pooled("width", num_seeds=3)


def test_the_detectable_difference_is_found_four_times_in_five():
    rng = np.random.default_rng(6)
    found = statistics.difference(rng.normal(0, 1, 400), rng.normal(0, 1, 400))
    hits = sum(statistics.difference(rng.normal(found.detectable, 1, 400), rng.normal(0, 1, 400)).p < 0.05 for _ in range(400))
    assert 0.72 <= hits / 400 <= 0.88


def test_twenty_arms_of_five_seeds_and_ten_thousand_items_take_seconds():
    rng = np.random.default_rng(8)
    tables = [_study(rng, 5, 10_000, 0.01) for _ in range(20)]
    started = time.process_time()
    for i, a in enumerate(tables):
        for b in tables[:i]:
            statistics.difference(a, b)
    assert time.process_time() - started < 10
