"""What the report says of answers group by group."""

from __future__ import annotations

from ftbench import report_kinds
from ftbench.report_data import Study
from ftbench.tables import Heading, Paragraph, Table, markdown


def block(mean):
    return {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "n": 7}


def study(stopped=0.99, kinds=("facts", "facts_pretraining_only")):
    names = {"m-study": True, "m": False, "m_three_shot": False}
    scores = {"looping": 0.25, "repetition": 0.125, "mean_tokens": 12.0, "length_ratio": 1.5}
    metrics = {name: {**scores, "stopped": stopped if trained else 0.0} for name, trained in names.items()}
    values = {"m-study": 0.8, "m": 0.1, "m_three_shot": 0.3}
    groups = {metric: {kind: {name: block(value) for name, value in values.items()} for kind in kinds} for metric in report_kinds.SHOWN}
    empty = {metric: {} for metric in report_kinds.SHOWN}
    gains = {
        metric: {
            kind: {
                "m-study": {
                    "m": {"difference": 0.7, "low": 0.6, "high": 0.8},
                    "m_three_shot": {"difference": 0.5, "low": None, "high": None},
                }
            }
            for kind in kinds
        }
        for metric in report_kinds.SHOWN
    }
    comparison = {
        "scale": "offline",
        "primary_metric": "bits_per_byte",
        "lower_is_better": True,
        "ranked": ["m-study"],
        "bases": {"m-study": "m"},
        "entries": {name: {"trained": trained, "mean": 1.0} for name, trained in names.items()},
        "floors": {name: {"nll": 2.5 if trained else None, "n": 40 if trained else 0} for name, trained in names.items()},
        "by_kind": groups,
        **dict.fromkeys(("by_pool", "by_input", "by_length"), empty),
        "gains": {"by_kind": gains, **dict.fromkeys(("by_pool", "by_input", "by_length"), empty)},
    }
    return Study("alpaca", metrics, comparison, {}, {}, answers={})


def test_that_all_arms_stop_is_said_in_one_sentence():
    assert report_kinds.stops(study(0.95)) == "Every arm ends at least 95 % of its answers to held-out instructions by itself."


def test_an_arm_that_does_not_stop_is_a_defect_by_name_and_a_base_that_does_not_is_none():
    said = report_kinds.stops(study(0.949))
    assert said == "A defect: fewer than 95 % of the answers to held-out instructions end by themselves in `m-study` (94.9 %)."


def test_every_entry_has_its_endings_loops_and_lengths():
    [heading, _, table, _, floors] = report_kinds.endings(study())
    assert heading == Heading("Stopping, loops and length", 2)
    assert ["m-study", "99.0 %", "25.0 %", "12.5 %", "12.0", "1.50 ×", "2.50"] in table.rows
    assert sorted(row[-1] for row in table.rows) == ["2.50", "–", "–"]
    assert "the end of sequence shares its probability" in floors.text


def test_base_base_with_examples_and_arm_stand_side_by_side_with_the_gains():
    blocks = report_kinds.side_by_side(study())
    [table] = [one for one in blocks if isinstance(one, Table)]
    assert table.headers == [
        "instructions", "n", "m", "m_three_shot", "m-study", "exact match gained over base", "token F1 gained over base",
        "bits per byte gained over base", "exact match gained over base with examples", "token F1 gained over base with examples",
    ]  # fmt: skip
    assert table.rows[0] == [
        "facts", "7", "10.0 % / 10.0 % / 0.100", "30.0 % / 30.0 % / 0.300", "80.0 % / 80.0 % / 0.800",
        "+70.0 (+60.0 to +80.0)", "+70.0 (+60.0 to +80.0)", "0.70 (0.60 to 0.80)", "+50.0", "+50.0",
    ]  # fmt: skip
    assert table.rows[1][0] == "facts stated only in pretraining"
    assert "Scale offline." in table.caption
    assert any(isinstance(one, Paragraph) and "_three_shot" in one.text for one in blocks)


def test_examples_before_a_miniature_are_said_to_tell_nothing_of_the_checkpoint():
    one = study()
    for published_as, says in ((None, True), ("someone/m", False)):
        one.comparison["made_of"] = {"bases": {"m": {"published_as": published_as}}}
        assert ("are miniatures" in markdown(report_kinds.side_by_side(one))) is says


def test_without_any_group_there_is_no_section():
    assert report_kinds.side_by_side(study(kinds=())) == []


def test_the_name_of_a_kind_from_a_users_file_comes_out_inert():
    page = markdown(report_kinds.kinds(study(kinds=("<script>alert(1)</script> | \x1b[31m",))))
    assert "<script>" not in page
    assert "\x1b" not in page
