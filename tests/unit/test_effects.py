import itertools

import described
import numpy as np
import pytest
from scipy import stats

from ftbench import effects, statistics

FACTORS = {"method": ["full", "lora"], "rate": ["shared", "own"]}
CELLS = {"full-shared": 0.80, "full-own": 0.82, "lora-shared": 0.60, "lora-own": 0.76}  # rate +2 under full, +16 under lora


def arms(factors=FACTORS):
    combinations = list(itertools.product(*factors.values()))
    return {"-".join(levels): dict(zip(factors, levels, strict=True)) for levels in combinations}


def constant(cells, seeds=3, items=10):
    return {name: np.full((seeds, items), mean) for name, mean in cells.items()}


def test_a_two_by_two_design_by_hand():
    found = effects.of(FACTORS, "full-shared", arms(), constant(CELLS))
    assert [(row["kind"], row["factors"], row["levels"], row["against"]) for row in found] == [
        ("main", ["method"], ["lora"], ["full"]),
        ("main", ["rate"], ["own"], ["shared"]),
        ("interaction", ["method", "rate"], ["lora", "own"], ["full", "shared"]),
    ]
    # lora less full: (0.60 + 0.76) / 2 - (0.80 + 0.82) / 2; own less shared: 0.79 - 0.70; and the one under lora less the one under full
    assert [row["difference"] for row in found] == pytest.approx([-0.13, 0.09, 0.14])


def test_cells_that_are_equal_have_no_effects():
    found = effects.of(FACTORS, "full-shared", arms(), constant(dict.fromkeys(CELLS, 0.7)))
    assert [(row["difference"], row["p_holm"], row["told_apart"]) for row in found] == [(0.0, 1.0, False)] * 3


def test_the_reference_arms_levels_are_what_the_others_are_taken_against():
    found = effects.of(FACTORS, "lora-own", arms(), constant(CELLS))
    assert [(row["levels"], row["against"]) for row in found[:2]] == [(["full"], ["lora"]), (["shared"], ["own"])]
    assert [row["difference"] for row in found] == pytest.approx([0.13, -0.09, 0.14])


def test_every_level_but_the_references_has_a_main_effect_and_every_pair_of_them_an_interaction():
    factors = {"method": ["a", "b", "c"], "rate": ["x", "y"], "only": ["one"]}
    found = effects.of(factors, "b-y-one", arms(factors), constant(dict.fromkeys(arms(factors), 0.5)))
    assert [row["levels"] for row in found] == [["a"], ["c"], ["x"], ["a", "x"], ["c", "x"]]


def test_effects_are_averaged_over_the_levels_of_every_other_factor():
    factors = {"one": ["a", "b"], "two": ["c", "d"], "three": ["e", "f", "g"]}
    reference, changed = {"one": "a", "two": "c", "three": "e"}, {"one": "b", "two": "d"}
    weights = {name: effects.weight(factors, reference, changed, levels) for name, levels in arms(factors).items()}
    assert weights["b-d-f"] == pytest.approx(1 / 3)
    assert weights["a-d-g"] == pytest.approx(-1 / 3)
    main = {name: effects.weight(factors, reference, {"three": "g"}, levels) for name, levels in arms(factors).items()}
    assert (main["a-c-g"], main["b-d-e"], main["b-d-f"]) == (0.25, -0.25, 0.0)
    assert [sum(weights.values()), sum(main.values())] == pytest.approx([0, 0])


@pytest.mark.parametrize("factors", [{"method": ["a", "b"]}, {"method": ["a", "b"], "rate": ["own"]}])
def test_a_design_with_one_factor_to_tell_apart_has_no_effects(factors):
    reference = "a" if len(factors) == 1 else "a-own"
    assert effects.of(factors, reference, arms(factors), constant(dict.fromkeys(arms(factors), 0.5))) == []


def test_without_a_reference_arm_there_is_nothing_to_take_effects_against():
    assert effects.of(FACTORS, None, arms(), constant(CELLS)) == []


def test_every_field_of_an_effect_is_described():
    found = effects.of(FACTORS, "full-shared", arms(), constant(CELLS))
    assert {"effects", *found[0]} - described.fields("reports/<study>/comparison.json") == set()


def test_holm_counts_the_effects_of_the_study():
    rng = np.random.default_rng(0)
    tables = {name: (rng.random((3, 400)) < mean).astype(float) for name, mean in CELLS.items()}
    found = effects.of(FACTORS, "full-shared", arms(), tables)
    assert [row["p_holm"] for row in found] == statistics.holm([row["p"] for row in found])
    assert max(row["p_holm"] / row["p"] for row in found) == pytest.approx(3)
    assert [row["told_apart"] for row in found] == [row["p_holm"] < 0.05 for row in found]


def test_one_seed_is_students_test_of_each_items_effect():
    rng = np.random.default_rng(1)
    tables = {name: rng.normal(mean, 1, (1, 80)) for name, mean in CELLS.items()}
    method, _, both = effects.of(FACTORS, "full-shared", arms(), tables)
    by_item = {name: table[0] for name, table in tables.items()}
    lora, full = ((by_item[f"{name}-shared"] + by_item[f"{name}-own"]) / 2 for name in ("lora", "full"))
    assert method["p"] == pytest.approx(stats.ttest_rel(lora, full).pvalue)
    own, shared = (by_item[f"lora-{name}"] - by_item[f"full-{name}"] for name in ("own", "shared"))
    expected = stats.ttest_1samp(own - shared, 0)
    assert (both["low"], both["high"]) == pytest.approx(tuple(expected.confidence_interval()))
    assert both["p"] == pytest.approx(expected.pvalue)
    assert both["seed_se"] is None
    assert both["item_se"] == pytest.approx(stats.sem(own - shared))


def test_seeds_alone_that_spread_alike_in_every_cell_are_the_f_tests_of_a_two_way_analysis_of_variance():
    spread, items = np.array([-0.03, 0.01, 0.02]), 50
    seeds = {name: mean + spread for name, mean in CELLS.items()}
    found = effects.of(FACTORS, "full-shared", arms(), {name: one[:, None] + np.zeros((3, items)) for name, one in seeds.items()})
    within = sum(float(one.var(ddof=1)) for one in seeds.values()) / 4  # mean square within the cells, on 4 * 2 degrees of freedom
    cells = np.array([[CELLS["full-shared"], CELLS["full-own"]], [CELLS["lora-shared"], CELLS["lora-own"]]])
    rows, columns, grand = cells.mean(axis=1, keepdims=True), cells.mean(axis=0, keepdims=True), cells.mean()
    between = [
        3 * 2 * ((rows - grand) ** 2).sum(),
        3 * 2 * ((columns - grand) ** 2).sum(),
        3 * ((cells - rows - columns + grand) ** 2).sum(),
    ]
    assert [row["p"] for row in found] == pytest.approx([stats.f.sf(square / within, 1, 8) for square in between])
    assert found[0]["seed_se"] == pytest.approx((within / 3) ** 0.5)  # four cells, each with a weight of one half


def test_seeds_of_two_arms_alone_are_welchs_t_test_of_scipy():
    a, b = np.array([0.70, 0.75, 0.71]), np.array([0.60, 0.61, 0.66, 0.60])
    tables = {"full-shared": a, "lora-shared": b, "full-own": np.full(3, 0.5), "lora-own": np.full(3, 0.5)}
    found = effects.of(FACTORS, "full-shared", arms(), {name: one[:, None] + np.zeros((len(one), 40)) for name, one in tables.items()})
    interaction = found[-1]  # (0.5 - 0.5) less (lora-shared less full-shared)
    scipy = stats.ttest_ind(a, b, equal_var=False)
    assert interaction["p"] == pytest.approx(scipy.pvalue)
    assert (interaction["low"], interaction["high"]) == pytest.approx(tuple(scipy.confidence_interval()))


def test_arms_on_unequal_items_are_refused():
    tables = constant(CELLS) | {"lora-own": np.zeros((3, 9))}
    with pytest.raises(ValueError, match="10 items against 9: only scores of the same items"):
        effects.of(FACTORS, "full-shared", arms(), tables)
