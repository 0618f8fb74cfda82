"""What a threshold costs, and what decides it."""

import numpy as np
import pytest

from anomaly.measure import rates
from anomaly.measure.calibration import Calibration, Choice, changed, dominating, threshold
from anomaly.measure.evaluation import Judged
from anomaly.run.errors import UsageError

GOOD = np.random.default_rng(0).normal(10, 1, 150)
CALIBRATION = Calibration(GOOD, GOOD + 1, tuple(f"{i}.png" for i in range(150)))
IMAGES = tuple(Judged(f"{i}", i % 2 == 1, 8.0 + i / 2, "NORMAL") for i in range(20))


def naive(limit):
    return (
        sum(1 for score in GOOD if score > limit),
        sum(1 for image in IMAGES if not image.anomalous and image.score > limit),
        sum(1 for image in IMAGES if image.anomalous and image.score <= limit),
    )


@pytest.mark.parametrize("choice", [Choice(0.01), Choice(0.03), Choice(0.05, value=11.5), Choice(robust=True)])
def test_each_row_says_what_its_threshold_does(choice):
    rows = rates.rates(CALIBRATION, IMAGES, scales=CALIBRATION.at(choice))
    assert [row.threshold for row in rows] == sorted((row.threshold for row in rows), reverse=True)
    for row in rows:
        assert (row.good_above, row.false_alarms, row.missed) == naive(row.threshold)
        if row.false_alarm_rate is not None:
            assert row.threshold == threshold(GOOD, row.false_alarm_rate)
    [own] = [row for row in rows if row.chosen]
    assert own.threshold == CALIBRATION.at(choice).image.threshold
    assert own.false_alarm_rate == (None if choice.value else choice.false_alarm_rate)


def test_without_a_threshold_there_is_no_table():
    few = Calibration(GOOD[:1], GOOD[:1])
    assert rates.rates(few, IMAGES, scales=few.at(0.01)) == []


def test_one_photograph_unlike_the_others_is_named_and_can_be_left_out():
    scores = np.r_[np.random.default_rng(1).normal(10, 1, 40), 60.0]
    found = Calibration(scores, scores, (*(f"{i}.png" for i in range(40)), "odd.png"))
    assert dominating(scores, 0.01) == [40]
    assert rates.deciding(found, Choice())[0] == ("odd.png", 60.0, True)
    assert "odd.png is unlike" in rates.advice(found, Choice())
    assert found.at(Choice(robust=True)).image.threshold == threshold(scores[:40], 0.01)
    assert rates.advice(found, Choice(robust=True)) == ""


def test_of_scores_that_are_alike_none_dominates():
    assert dominating(GOOD, 0.01) == []
    assert rates.advice(CALIBRATION, Choice()) == ""
    assert not any(each.dominates for each in rates.deciding(CALIBRATION, Choice()))


def test_a_value_moves_the_threshold_of_places_by_as_many_units():
    before, after = CALIBRATION.at(0.01), CALIBRATION.at(Choice(value=12.0))
    assert after.image.threshold == 12.0
    steps = (12.0 - before.image.threshold) / before.image.unit
    assert after.pixel.threshold == pytest.approx(before.pixel.threshold + steps * before.pixel.unit)
    assert after.image.normalise(np.median(GOOD)) == pytest.approx(0.25)
    same = Calibration(GOOD, GOOD).at(Choice(value=12.0))  # as where the score is the map's peak
    assert same.pixel.threshold == pytest.approx(12.0)


def test_a_value_needs_no_good_photographs():
    scales = Calibration(GOOD[:0], GOOD[:0]).at(Choice(value=3.0))
    assert scales.known
    assert [row.threshold for row in rates.rates(Calibration(GOOD[:1], GOOD[:1]), (), scales=scales)] == [3.0]
    assert (scales.image.verdict(3.1), scales.image.verdict(2.9)) == ("ANOMALOUS", "NORMAL")


@pytest.mark.parametrize("wrong", [{"value": float("nan")}, {"value": "2"}, {"false_alarm_rate": 0.0}])
def test_what_is_no_choice_is_refused(wrong):
    with pytest.raises(UsageError):
        Choice(**wrong)


def test_a_new_rate_replaces_a_value_and_its_source():
    kept = Choice(0.01, value=3.0, robust=True, source="test labels")
    assert changed(kept, {}) is None
    assert changed(kept, {"false_alarm_rate": 0.1}) == Choice(0.1, robust=True)
    assert changed(kept, {"threshold": 4.0}) == Choice(0.01, value=4.0, robust=True)
    assert changed(kept, {"robust_threshold": True}) == Choice(0.01, robust=True)
    assert changed(kept, {"robust_threshold": True, "threshold": 4.0}) == Choice(0.01, value=4.0, robust=True)
    assert changed(kept, {"robust_threshold": False}) == Choice(0.01, value=3.0, source="test labels")
