import numpy as np
import pytest

from ftbench import calibration, scores


def test_the_temperature_undoes_scores_that_were_multiplied():
    # Of ten pairs eight have the first label, one each of the others: at (0.8, 0.1, 0.1) the gold labels are likeliest.
    right = np.log(np.array([[0.8, 0.1, 0.1]] * 10))
    gold = [0] * 8 + [1, 2]
    assert calibration.temperature(right, gold) == pytest.approx(1.0, abs=1e-4)
    assert calibration.temperature(scores.normalised(3 * right), gold) == pytest.approx(3.0, abs=1e-3)
    assert calibration.temperature(scores.normalised(0.5 * right), gold) == pytest.approx(0.5, abs=1e-4)


def test_scaling_by_two_takes_the_square_root_of_the_odds_and_keeps_the_order():
    scaled = np.exp(calibration.scaled(np.log(np.array([[0.64, 0.32, 0.04]])), 2.0))
    roots = np.sqrt([0.64, 0.32, 0.04])
    assert scaled[0] == pytest.approx(roots / roots.sum())
    assert scaled.argmax() == 0


def test_the_temperature_stays_within_bounds_where_scores_are_always_right_or_always_wrong():
    unsure = np.log(np.array([[0.34, 0.33, 0.33]] * 4))
    lowest, highest = calibration.TEMPERATURES
    assert calibration.temperature(unsure, [0] * 4) == pytest.approx(lowest, rel=0.01)
    assert calibration.temperature(unsure, [1] * 4) == pytest.approx(highest, rel=0.01)


def test_the_bins_by_hand_add_up_to_the_calibration_error():
    # Confidence 0.5 (right, wrong, wrong) and 0.9 (right): gaps 1/6 and 0.1, weighted 3/4 and 1/4.
    probabilities = np.array([[0.5, 0.3, 0.2]] * 3 + [[0.05, 0.9, 0.05]])
    found = calibration.reliability(np.log(probabilities), [0, 1, 2, 1])
    assert [tuple(one.values()) for one in found] == [
        pytest.approx((0.75, 0.5, 1 / 3)),
        pytest.approx((0.25, 0.9, 1.0)),
    ]
    error = sum(one["share"] * abs(one["accuracy"] - one["confidence"]) for one in found)
    assert error == pytest.approx(0.75 / 6 + 0.1 / 4)
    assert error == pytest.approx(scores.calibration_error(probabilities.max(axis=1), np.array([True, False, False, True])))
