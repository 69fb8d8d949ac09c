import pytest

from ftbench import traits

PREMISE = "Two men aren't near the old red car."


@pytest.mark.parametrize(
    ("hypothesis", "overlap"),
    [
        ("Two men.", "every word"),
        ("Two old men drive near the car", "most words"),  # six of seven
        ("Two men sing", "half of the words or more"),
        ("Nobody sings", "under half of the words"),
    ],
)
def test_overlap_is_the_share_of_the_hypothesis_words_that_the_premise_has(hypothesis, overlap):
    assert traits.traits([PREMISE], [hypothesis])["overlap"] == [overlap]


def test_a_negation_is_found_in_one_side_the_other_both_or_neither():
    premises = ["A man isn't here.", "A man sits.", "No man sits.", "A notable knot."]
    hypotheses = ["He sits.", "Nobody sits.", "He never sat.", "A notable knot."]
    found = traits.traits(premises, hypotheses)["negation"]
    assert found == ["in the premise", "in the hypothesis", "in both", "in neither"]


def test_numbers_are_words_or_digits_and_compared_with_the_premise():
    found = traits.traits([PREMISE] * 4, ["Men.", "two men", "3 men", "Two men and four dogs"])["numbers"]
    assert found == ["none in the hypothesis", "all in the premise too", "one that the premise lacks", "one that the premise lacks"]


def test_length_counts_the_words_of_the_hypothesis_at_fixed_bounds():
    hypotheses = ["one two three four five", "a b c d e f", "a b c d e f g h", "a b c d e f g h i"]
    assert traits.traits([PREMISE] * 4, hypotheses)["length"] == ["up to 5 words", "6 to 8 words", "6 to 8 words", "over 8 words"]


def test_an_empty_hypothesis_has_traits_too():
    assert {name: values[0] for name, values in traits.traits([""], [""]).items()} == {
        "overlap": "under half of the words", "negation": "in neither", "numbers": "none in the hypothesis", "length": "up to 5 words",
    }  # fmt: skip
