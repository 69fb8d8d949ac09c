"""What a report names as not run, worked out by hand."""

from ftbench import report_absent
from ftbench.report_data import Study
from ftbench.tables import LONGEST_CELL, Heading, Paragraph, Table

DESIGNS = {"snli": {"question": "Which?"}, "alpaca": {"question": "Why?"}}


def ran(*arms, scale="offline"):
    entries = {arm: {"trained": True} for arm in arms} | {"majority": {"trained": False}}
    return Study("snli", {}, {"scale": scale, "entries": entries}, {}, {})


def test_a_report_of_everything_names_nothing():
    assert report_absent.absent("offline", {"snli": {}}, {"snli": ran("a")}, {"offline": {"snli": {"a": {}}}}) == []


def test_every_arm_and_baseline_of_another_scale_is_named_study_by_study():
    counted = {scale: {"snli": {"a": {}, "b": {}}, "alpaca": {"c": {}}} for scale in ("offline", "paper")}
    heading, studies, said, table = report_absent.absent("offline", DESIGNS, {"snli": ran("a", "b")}, counted)
    assert heading == Heading("What did not run", 2)
    assert studies.rows == [["alpaca", "Why?"]]
    assert said == Paragraph("A report holds one scale. Of `paper` nothing was run here.")
    assert table.rows == [
        ["offline", "alpaca", "arm", "c"],
        ["paper", "snli", "arm", "a, b"],
        ["paper", "snli", "baseline", "majority"],
        ["paper", "alpaca", "arm", "c"],
    ]
    assert "Scale offline" in table.caption


def test_an_arm_of_the_same_scale_that_has_no_results_is_named():
    _, said, table = report_absent.absent("offline", {"snli": {}}, {"snli": ran("a")}, {"offline": {"snli": {"a": {}, "new": {}}}})
    assert said == Paragraph("Named in params.yaml, and without results.")
    assert table.rows == [["offline", "snli", "arm", "new"]]


def test_no_name_is_cut_however_many_there_are():
    arms = {f"arm_number_{number}": {} for number in range(60)}
    *_, table = report_absent.absent("offline", {"snli": {}}, {"snli": ran("a", scale="other")}, {"offline": {"snli": arms}})
    shown = [row[3] for row in table.rows if row[2] == "arm"]
    assert len(shown) > 1
    assert max(map(len, shown)) <= LONGEST_CELL
    assert ", ".join(shown).split(", ") == list(arms)
    assert isinstance(table, Table)
