"""What a page of a study of pairs says beyond its scores, from a comparison written by hand."""

from ftbench import report_pairs
from ftbench.report_data import Study
from ftbench.tables import Heading, Paragraph, Table, markdown

ARM, BASE = "lora-own", "zero_shot"
PAIR = {"premise": "A | man.", "hypothesis": "No man.", "gold": "neutral", "case": "corrected", "before": None, "after": "neutral"}


def between(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 10}


def around(value, n=50):
    return {"mean": value, "low": value - 0.1, "high": value + 0.1, "n": n}


def study(**changes):
    readings = {
        "neutral_as_entailment_before": between(0.9),
        "neutral_share_after": between(0.3),
        "contradiction_as_neutral_after": None,
        "persistent_neutral_flips": between(0.1),
        "recall_change": {"entailment": between(0.2), "neutral": between(-0.0004), "contradiction": None},
    }
    bins = [{"share": 1.0, "confidence": 0.8, "accuracy": 0.7}]
    calibration = {
        "temperature": [1.0, 2.0],
        "at_bound": False,
        "before": {"nll": 0.9, "brier": 0.6, "ece": 0.3},
        "after": {"nll": 0.8, "brier": 0.5, "ece": 0.1},
        "reliability_before": bins,
        "reliability_after": bins,
    }
    one = {"same_label": 0.8, "all_right": 0.5, "all_wrong": 0.1}
    comparison = {
        "scale": "offline", "primary_metric": "nll", "lower_is_better": True, "reference": ARM, "ranked": [ARM], "split": "test",
        "entries": {ARM: {"mean": 0.9, "trained": True}, BASE: {"mean": 1.1, "trained": False}},
        "cases": {ARM: {"base": {"against": BASE, "readings": readings}}},
        "agreement": {ARM: {**one, "num_labels": [3, 3]}, BASE: {**one, "num_labels": [2]}},
        "calibration": {ARM: calibration, BASE: {**calibration, "temperature": [1.0]}},
        "transfer": {"other/test": {"majority": around(0.34), ARM: around(0.6)}},
        "wordings": {BASE: [{"template": wording, "accuracy": accuracy, "written": {"n": 50, "accuracy": 0.2, "num_invalid": 30}}
                            for wording, accuracy in (("{premise}?", 0.31), ("{hypothesis}!", 0.43))]},
        "written": {ARM: {"n": 50, "accuracy": 0.7, "num_invalid": 1.5}},
        "probes": {"pairs": [PAIR], "said": {ARM: [["neutral", "entailment", "neutral"]], BASE: [["contradiction"]]}},
    }  # fmt: skip
    metrics = {ARM: {"accuracy": 0.75, "accuracy_ci_low": 0.7, "accuracy_ci_high": 0.8}, BASE: {"accuracy": 0.3}}
    return Study("s", metrics, {**comparison, **changes}, {}, {})


def test_shifts_say_what_the_reports_asked_of_errors_with_intervals_and_how_seeds_agree():
    heading, errors, classes, title, agreement = report_pairs.shifts(study())
    assert heading == Heading("What fine-tuning changes", 2)
    assert list(errors.rows) == [[ARM, "90.0 % (80.0 %–100.0 %)", "30.0 % (20.0 %–40.0 %)", "–", "10.0 % (0.0 %–20.0 %)"]]
    assert f"from `{BASE}`" in errors.caption
    assert list(errors.headers)[1:] == list(report_pairs.READINGS.values())
    assert list(classes.rows) == [[ARM, "+20.0 (+10.0 to +30.0)", "0.0 (−10.0 to +10.0)", "–"]]
    assert title == Heading("Agreement of seeds", 3)
    assert list(agreement.rows) == [[ARM, "80.0 %", "50.0 %", "10.0 %"]]  # a baseline of one seed agrees with itself


def test_without_a_base_only_agreement_is_left_under_a_heading_of_its_own():
    title, table = report_pairs.shifts(study(cases={"rule": "r"}))
    assert title == Heading("Agreement of seeds", 2)
    assert isinstance(table, Table)


def test_calibration_stands_before_and_after_with_the_mean_temperature_and_its_figure():
    one = study()
    figure = report_pairs.reliability(one)
    assert "lora-own" in figure.alt
    assert figure.svg.count("before scaling") == figure.svg.count("after scaling") == 1
    _, table, drawn = report_pairs.calibration(one, {"reliability": figure})
    assert list(table.rows) == [
        [ARM, "1.50", "0.900 → 0.800", "0.600 → 0.500", "0.300 → 0.100"],
        [BASE, "1.00", "0.900 → 0.800", "0.600 → 0.500", "0.300 → 0.100"],
    ]
    assert drawn is figure


def test_transfer_shows_accuracy_whatever_the_primary_metric_is_and_the_commonest_label_there():
    _, table = report_pairs.transfer(study())
    assert list(table.headers) == ["arm", "its own, test", "other/test (n 50)"]
    assert list(table.rows) == [[ARM, "75.0 % (70.0–80.0)", "60.0 % (50.0–70.0)"], ["majority", "–", "34.0 % (24.0–44.0)"]]
    assert report_pairs.transfer(study(transfer={})) == []


def test_written_answers_are_counted_by_wording_and_the_spread_of_wordings_is_said():
    _, table, spread = report_pairs.written(study())
    assert list(table.rows) == [
        [BASE, "{premise}?", "31.0 %", "20.0 %", "30 of 50"],
        [BASE, "{hypothesis}!", "43.0 %", "20.0 %", "30 of 50"],
        [ARM, "the study's", "75.0 %", "70.0 %", "2 of 50"],
    ]
    assert isinstance(spread, Paragraph)
    assert spread.text == f"From the worst wording to the best: 12.0 points for `{BASE}`."
    assert report_pairs.written(study(wordings={}, written={})) == []


def test_the_probes_are_listed_once_and_then_said_by_everybody_with_the_gold_label_ticked():
    heading, pairs, said, remark = report_pairs.probes(study())
    assert heading == Heading("Pairs of the report", 2)
    assert list(pairs.rows) == [["1", "A | man.", "No man.", "neutral", "corrected", "–", "neutral"]]
    assert pairs.caption.startswith("The 1 pairs that")  # as many as the file holds
    assert "full size" in pairs.caption
    assert list(said.rows) == [[ARM, "neutral ✓ 2/3, entailment 1/3"], [BASE, "contradiction"]]
    assert "measure nothing" in remark.text
    assert "A &#124; man." in markdown([pairs])


def test_a_temperature_at_its_bound_is_explained():
    one = study()
    one.comparison["calibration"][BASE]["at_bound"] = True
    *_, remark, _ = report_pairs.calibration(one, {"reliability": report_pairs.reliability(one)})
    assert remark == Paragraph("At the highest temperature that is tried, since their scores say nothing of the labels: `zero_shot`.")
