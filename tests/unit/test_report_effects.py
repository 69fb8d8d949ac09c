from ftbench import effects, report_effects
from ftbench.report_data import Study
from ftbench.tables import Heading, Paragraph, Table, markdown


def row(difference, kind="main", told_apart=True, seed_se: float | None = 0.004):
    two = kind == "interaction"
    return {
        "kind": kind,
        "factors": ["method", "rate"] if two else ["method"],
        "levels": ["lora", "own"] if two else ["lora"],
        "against": ["full", "shared"] if two else ["full"],
        "difference": difference,
        "low": difference - 0.02,
        "high": difference + 0.02,
        "p": 0.01,
        "p_holm": 0.02,
        "told_apart": told_apart,
        "seed_se": seed_se,
        "item_se": 0.006,
    }


def study(rows, metric="accuracy"):
    content = {"scale": "offline", "primary_metric": metric, "lower_is_better": metric == "bits_per_byte"}
    return Study("s", {}, content | ({"effects": rows} if rows else {}), {}, {})


def test_shares_are_shown_in_points_with_both_parts_and_a_sentence_that_says_how_to_read_them():
    heading, text, table = report_effects.effects(study([row(-0.13), row(0.14, "interaction", told_apart=False)]))
    assert heading == Heading("Effects of the factors", 2)
    assert isinstance(text, Paragraph)
    assert "averaged over the levels of the other factors" in text.text
    assert "Lower is better" not in text.text
    assert isinstance(table, Table)
    assert "in points" in table.caption
    assert "Scale offline." in table.caption
    assert list(table.rows) == [
        ["main effect: method", "lora", "full", "−13.0", "−15.0 to −11.0", "0.020", "yes", "0.40", "0.60"],
        ["interaction: method × rate", "lora × own", "full × shared", "+14.0", "+12.0 to +16.0", "0.020", "no", "0.40", "0.60"],
    ]
    assert "| `lora`" in markdown([table])


def test_bits_per_byte_are_numbers_of_which_fewer_are_better_and_one_seed_is_said_to_be_one():
    _, text, table = report_effects.effects(study([row(-0.13, seed_se=None)], metric="bits_per_byte"))
    assert "Lower is better" in text.text
    assert "one seed" in text.text
    assert "difference (bits per byte)" in table.headers
    assert list(table.rows[0][3:]) == ["−0.130", "−0.150 to −0.110", "0.020", "yes", "–", "0.0060"]


def test_a_study_without_effects_has_no_table():
    assert report_effects.effects(study([])) == []


def test_the_table_shows_every_field_that_an_effect_has_but_the_uncorrected_p():
    import numpy as np

    factors = {"a": ["x", "y"], "b": ["v", "w"]}
    arms = {f"{one}-{two}": {"a": one, "b": two} for one in "xy" for two in "vw"}
    made = effects.of(factors, "x-v", arms, {name: np.random.default_rng(0).random((2, 9)) for name in arms})
    assert set(made[0]) == set(row(0.1))
    assert len(report_effects.effects(study(made))[2].rows) == 3
