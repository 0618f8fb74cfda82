"""Thresholds and normalised scores."""

import numpy as np
import pytest

from anomaly.measure.calibration import ANOMALOUS, NORMAL, UNKNOWN, Calibration, scale, threshold

RATES = (0.01, 0.02, 0.05, 0.1, 0.3, 0.5, 0.9)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.3])
def test_fresh_good_images_exceed_the_threshold_as_often_as_asked(rate):
    rng, n, shares = np.random.default_rng(0), 200, []
    for _ in range(400):
        limit = threshold(rng.lognormal(0, 1, n), rate)
        shares.append((rng.lognormal(0, 1, 200) > limit).mean())
    error = 4 * np.std(shares) / np.sqrt(len(shares))
    assert np.mean(shares) <= rate + error
    assert np.mean(shares) >= rate - 1 / (n + 1) - error


@pytest.mark.parametrize("n", [99, 100, 101, 199, 200, 1000])
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.1, 0.5])
def test_the_threshold_is_the_smallest_score_whose_rank_suffices(n, rate):
    good = np.random.default_rng(n).normal(size=n)
    # A new score is above the i-th smallest of n with probability (n + 1 - i) / (n + 1).
    enough = [s for i, s in enumerate(sorted(good), 1) if (n + 1 - i) / (n + 1) <= rate + 1e-12]
    if enough:
        assert threshold(good, rate) == enough[0]
    else:
        assert threshold(good, rate) >= good.max()


def test_the_order_of_the_scores_does_not_matter():
    good = np.random.default_rng(0).normal(size=50)
    assert threshold(good, 0.1) == threshold(np.sort(good)[::-1], 0.1)


def test_few_normal_scores_are_extrapolated_at_the_right_rate():
    rng, above, rounds = np.random.default_rng(1), 0, 4000
    for _ in range(rounds):
        scores = rng.normal(5, 2, 11)
        above += scores[10] > threshold(scores[:10], 0.02)
    assert 0.01 < above / rounds <= 0.025


def test_an_extrapolated_threshold_is_never_below_the_largest_score():
    good = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 50.0])
    assert threshold(good, 0.09) >= 50


@pytest.mark.parametrize("n", [2, 3, 10, 28, 99, 100, 101, 500])
def test_a_smaller_rate_never_lowers_the_threshold(n):
    good = np.random.default_rng(n).gamma(2, 1, n)
    limits = [threshold(good, rate) for rate in (*RATES, 0.001, 0.005, 1 / (n + 1), 1 / (n + 1) - 1e-4)]
    rates = (*RATES, 0.001, 0.005, 1 / (n + 1), 1 / (n + 1) - 1e-4)
    by_rate = [limit for _, limit in sorted(zip(rates, limits))]
    assert by_rate == sorted(by_rate, reverse=True)


@pytest.mark.parametrize("good", [[], [3.0]])
def test_fewer_than_two_scores_give_no_verdict(good):
    s = scale(np.array(good), 0.01)
    assert np.isnan(s.threshold)
    assert s.verdict(1e9) == UNKNOWN


def test_above_the_threshold_is_anomalous():
    s = scale(np.arange(100.0), 0.1)
    assert s.verdict(s.threshold) == NORMAL
    assert s.verdict(np.nextafter(s.threshold, np.inf)) == ANOMALOUS


@pytest.mark.parametrize("good", [np.arange(100.0), np.random.default_rng(0).gamma(2, 1, 30), -np.arange(50.0)])
def test_normalised_scores_are_a_half_at_the_threshold_and_a_quarter_at_the_median(good):
    s = scale(good, 0.05)
    assert s.normalise(s.threshold) == pytest.approx(0.5)
    assert s.normalise(np.median(good)) == pytest.approx(0.25)


def test_normalised_scores_rise_strictly_far_beyond_the_threshold():
    s = scale(np.random.default_rng(0).gamma(2, 1, 30), 0.05)
    far = 10.0 ** np.arange(1, 13)
    scores = np.r_[-far[::-1], np.linspace(-5, 5, 101), far]
    normalised = s.normalise(scores)
    assert (np.diff(normalised) > 0).all()
    assert normalised.min() >= 0
    assert normalised.max() <= 1


@pytest.mark.parametrize("good", [np.zeros(5), np.full(200, 3.0)])
def test_equal_scores_still_give_finite_normalised_ones(good):
    s = scale(good, 0.01)
    assert s.normalise(s.threshold) == pytest.approx(0.5)
    assert np.isfinite(s.normalise(np.array([-1.0, 0.0, 3.0, 4.0]))).all()
    assert s.verdict(good[0] + 1) == ANOMALOUS
    assert s.verdict(good[0]) == NORMAL


def test_images_and_pixels_have_scales_of_their_own():
    calibration = Calibration(np.arange(100.0), np.arange(100.0) * 10)
    assert calibration.at(0.1).pixel.threshold == 10 * calibration.at(0.1).image.threshold
