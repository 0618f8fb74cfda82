"""Whether drift is noticed, and only drift. The full simulation is `python -m benchmarks.drift`."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from anomaly.line import drift
from anomaly.line.drift import HIGHER, LOWER, MANY, UNKNOWN, USUAL, Drift, Reference
from anomaly.measure.calibration import NONE, Calibration, Choice
from benchmarks.drift import simulated


def watching(good: np.ndarray, window: int = 100) -> Drift:
    calibration = Calibration(good, good)
    return Drift(calibration, calibration.at(Choice()), window=window)


def test_the_statistic_is_that_of_scipy(monkeypatch):
    monkeypatch.setattr(drift, "TOLERANCE", 0.0)
    rng = np.random.default_rng(0)
    for shift in (0, 0.3, -1):
        known, now = rng.normal(size=40).round(1), (rng.normal(size=70) + shift).round(2)
        reference = Reference("", known)
        wanted = mannwhitneyu(now, known, use_continuity=False, method="asymptotic")
        larger = reference.larger(now)
        assert larger == pytest.approx(wanted.statistic / (40 * 70))
        assert reference.chance(larger, 70) == pytest.approx(
            wanted.pvalue, rel=2e-3
        )  # ties change its variance a little


def test_without_drift_it_is_silent_and_a_shift_of_one_sigma_is_noticed():
    found = simulated(number=60, window=100, runs=8, windows=10, seed=1)
    assert found["alarms in 1000 windows"] == 0
    assert found["seconds"] < 20 and max(found["delay up"], found["delay down"]) <= 100


def test_many_defects_are_no_drift():
    rng = np.random.default_rng(0)
    seen = watching(rng.normal(size=100))
    scores = rng.normal(size=400)
    scores[rng.random(400) < 0.4] += 20
    assert seen.see(scores) is None
    assert seen.picture.state == USUAL and 0.3 < seen.picture.above < 0.5


def test_all_anomalous_is_said_and_taken_back():
    rng = np.random.default_rng(0)
    seen = watching(rng.normal(size=100))
    assert "mostly anomalous" in seen.see(rng.normal(size=100) + 9)
    assert seen.picture.state == MANY and not seen.picture.drifted
    assert seen.see(rng.normal(size=100) + 9) is None  # once
    assert seen.see(rng.normal(size=100)).startswith("drift over:")


def test_scores_that_were_high_from_the_beginning_are_held_against_training():
    rng = np.random.default_rng(0)
    seen = watching(rng.normal(size=100))
    line = seen.see(rng.normal(size=100) + 1.2)
    assert seen.picture.state == HIGHER and drift.TRAINING in line


def test_lower_ones_than_in_training_are_usual_until_they_change():
    """Left out of training a photograph scores more than it would now."""
    rng = np.random.default_rng(0)
    seen = watching(rng.normal(size=100) + 2)
    assert seen.see(rng.normal(size=300)) is None
    assert seen.picture.state == USUAL
    assert drift.START in seen.see(rng.normal(size=100) - 1)
    assert seen.picture.state == LOWER and seen.picture.drifted


def test_few_scores_tell_nothing():
    seen = watching(np.arange(30.0))
    assert seen.see(np.zeros(5)) is None and seen.picture.state == UNKNOWN
    assert watching(np.arange(3.0)).see(np.full(50, 2.0)) is None
    without = Drift(NONE, NONE.at(Choice()))
    assert without.see(np.arange(50.0)) is None and without.picture.state == UNKNOWN and str(without.picture)
