"""padim/src/gaussian.py against scipy on the full covariance."""

import numpy as np
import pytest
from commands import state_of
from scipy.spatial.distance import mahalanobis

from padim.src.gaussian import EPSILON, Accumulator, Gaussians

POSITIONS = 5


def features(images, dimensions, seed=0):
    """Correlated, far from the origin, like those behind a ReLU."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(dimensions, dimensions)) * 0.3
    return (rng.normal(size=(images, POSITIONS, dimensions)) @ mixing + 3).astype(np.float32)


def fit(x, batch=4, start=None):
    sums = Accumulator(x.shape[1], x.shape[2], images=len(x) + (start.count if start else 0), start=start)
    for i in range(0, len(x), batch):
        sums.add(x[i : i + batch])
    return sums.gaussians()


def naive(x, tests):
    """The paper's way: the whole covariance, inverted."""
    result = np.zeros(tests.shape[:2])
    for p in range(x.shape[1]):
        rows = x[:, p].astype(np.float64)
        covariance = EPSILON * np.eye(rows.shape[1])
        if len(rows) > 1:
            covariance += np.cov(rows, rowvar=False)
        inverse = np.linalg.inv(covariance)
        for b, test in enumerate(tests[:, p]):
            result[b, p] = mahalanobis(test.astype(np.float64), rows.mean(axis=0), inverse)
    return result


@pytest.mark.parametrize("images", [2, 7, 15, 16, 17, 40])
def test_distances_are_those_of_the_full_covariance(images):
    x, tests = features(images, 16), features(6, 16, seed=1)
    tests[:3] += 2
    np.testing.assert_allclose(fit(x).distances(tests), naive(x, tests), rtol=1e-3)


def test_one_image_gives_the_euclidean_distance_over_the_root_of_epsilon():
    x, tests = features(1, 16), features(3, 16, seed=1)
    np.testing.assert_allclose(fit(x).distances(tests), naive(x, tests), rtol=1e-4)


@pytest.mark.parametrize(("images", "low_rank"), [(16, True), (17, False)])
def test_the_form_is_chosen_by_size(images, low_rank):
    gaussians = fit(features(images, 16))
    assert gaussians.low_rank == low_rank
    assert gaussians.factor.shape == (POSITIONS, min(images - 1, 16), 16)


@pytest.mark.parametrize("images", [2, 3, 8, 16, 17, 40])
def test_leaving_an_image_out_equals_training_without_it(images):
    x = features(images, 16)
    expected = [naive(np.delete(x, i, axis=0), x[i : i + 1])[0] for i in range(images)]
    np.testing.assert_allclose(fit(x).left_out(x), expected, rtol=2e-3)


@pytest.mark.parametrize(("first", "second"), [(5, 6), (5, 20), (12, 10), (20, 9), (1, 5), (5, 1)])
def test_going_on_gives_the_state_of_training_on_all_at_once(first, second):
    x, tests = features(first + second, 16), features(4, 16, seed=1) + 1
    whole, updated = fit(x), fit(x[first:], start=fit(x[:first]))
    assert updated.count == whole.count
    np.testing.assert_allclose(updated.mean, whole.mean, rtol=1e-5)
    np.testing.assert_allclose(updated.distances(tests), whole.distances(tests), rtol=1e-3)
    np.testing.assert_allclose(updated.left_out(x), whole.left_out(x), rtol=5e-3)


def test_batch_size_changes_nothing():
    x, tests = features(11, 16), features(3, 16, seed=1)
    np.testing.assert_allclose(fit(x, batch=1).distances(tests), fit(x, batch=11).distances(tests), rtol=1e-4)


def test_an_image_seen_twice_does_no_harm():
    x, tests = np.concatenate([features(6, 16)] * 2), features(3, 16, seed=1)
    np.testing.assert_allclose(fit(x).distances(tests), naive(x, tests), rtol=1e-3)


@pytest.mark.parametrize("images", [8, 40])
def test_half_precision_stays_close(images):
    x, tests = features(images, 16), features(6, 16, seed=1) + 1
    gaussians = fit(x)
    half = gaussians.stored_as("float16")
    assert half.factor.nbytes * 2 == gaussians.factor.nbytes
    np.testing.assert_allclose(half.distances(tests), gaussians.distances(tests), rtol=1e-2)


def test_a_state_comes_back_from_disk_as_it_was(tmp_path):
    gaussians = fit(features(9, 16))
    gaussians.save(tmp_path)
    back = Gaussians.load(state_of(tmp_path), gaussians.count)
    for name in ("mean", "factor", "eigenvalues"):
        np.testing.assert_array_equal(getattr(back, name), getattr(gaussians, name))
