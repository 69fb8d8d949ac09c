from collections import Counter

from ftbench import probes
from ftbench.text import LABELS


def test_the_six_pairs_are_two_of_each_case_and_what_the_report_says_of_them_fits_their_case():
    assert Counter(probe.case for probe in probes.PROBES) == {"corrected": 2, "introduced": 2, "persistent": 2}
    for probe in probes.PROBES:
        assert {probe.gold, probe.after} <= set(LABELS)
        assert (probe.after == probe.gold) == (probe.case == "corrected")
        assert probe.before != probe.gold
        assert (probe.before is None) == (probe.case == "introduced")  # the report does not say what was right before


def test_as_a_split_they_have_the_columns_of_one():
    columns = probes.columns()
    assert {len(values) for values in columns.values()} == {6}
    assert [LABELS[label] for label in columns["label"]] == ["neutral", "neutral", "contradiction", "contradiction", "neutral", "neutral"]
    assert columns["premise"][5] == "A boy drags his sled through the snow."
