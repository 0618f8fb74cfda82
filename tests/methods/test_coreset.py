"""The coreset against the naive loop."""

import numpy as np
import pytest
from sklearn.random_projection import SparseRandomProjection

from patchcore.src import coreset

pytestmark = pytest.mark.usefixtures("screening")
SIZES = {"as they are": {}, "small": {"POOL": 16, "BLOCK": 8, "CENTRES": 4, "CHUNK": 8}, "one": {"POOL": 1}}


def naive(points: np.ndarray, picks: int, first: int) -> list:
    """Algorithm 1 as it stands, in double precision: all distances after every pick, the lowest index of several."""
    points = points.astype(np.float64)
    chosen, distances = [first], np.full(len(points), np.inf)
    while len(chosen) < picks:
        distances = np.minimum(distances, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
        if distances.max() == 0:
            break
        chosen.append(int(distances.argmax()))
    return chosen


@pytest.fixture(params=SIZES)
def sizes(request, monkeypatch):
    for name, value in SIZES[request.param].items():
        monkeypatch.setattr(coreset, name, value)


def clustered(seed: int, count: int, dimensions: int) -> np.ndarray:
    """Groups of very different density, far from the origin: as features are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 3, (7, dimensions))
    group = rng.integers(0, 7, count)
    spread = 10.0 ** rng.uniform(-2, 0.5, 7)
    return (50 + centres[group] + rng.normal(size=(count, dimensions)) * spread[group, None]).astype(np.float32)


@pytest.mark.parametrize("count,dimensions,picks", [(1, 3, 1), (2, 3, 2), (50, 2, 50), (300, 20, 60), (700, 40, 200)])
@pytest.mark.parametrize("seed", range(2))
def test_coreset_picks_what_the_naive_loop_picks(sizes, count, dimensions, picks, seed):
    points = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    first = count // 3
    assert coreset.greedy(points, picks, first=first).tolist() == naive(points, picks, first)


@pytest.mark.parametrize("seed", range(3))
def test_coreset_picks_what_the_naive_loop_picks_among_groups(sizes, seed):
    points = clustered(seed, 600, 30)
    assert coreset.greedy(points, 150, first=5).tolist() == naive(points, 150, 5)


def test_coreset_picks_what_the_naive_loop_picks_with_more_points_than_the_pool():
    points = clustered(9, 6000, 12)
    assert len(points) > coreset.POOL
    assert coreset.greedy(points, 300, first=0).tolist() == naive(points, 300, 0)


@pytest.mark.parametrize("side,dimensions,picks", [(5, 2, 20), (4, 3, 64), (12, 2, 100), (2, 7, 60)])
def test_of_equally_far_points_the_lowest_index_is_picked(sizes, side, dimensions, picks):
    grid = np.stack(np.meshgrid(*[np.arange(side)] * dimensions), -1).reshape(-1, dimensions).astype(np.float32)
    points = grid[np.random.default_rng(0).permutation(len(grid))]
    assert coreset.greedy(points, picks, first=3).tolist() == naive(points, picks, 3)


def test_ties_on_a_lattice_larger_than_the_pool():
    grid = np.stack(np.meshgrid(np.arange(80), np.arange(80)), -1).reshape(-1, 2).astype(np.float32)
    assert len(grid) > coreset.POOL
    assert coreset.greedy(grid, 120, first=0).tolist() == naive(grid, 120, 0)


@pytest.mark.parametrize("copies", [2, 30])
def test_picking_stops_when_only_copies_are_left(sizes, copies):
    different = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    points = np.tile(different, (copies, 1))
    chosen = coreset.greedy(points, len(points), first=4)
    assert len(chosen) == 20
    assert len(np.unique(points[chosen], axis=0)) == 20
    assert chosen.tolist() == naive(points, len(points), 4)


def test_equal_points_give_one_pick(sizes):
    assert coreset.greedy(np.full((40, 3), 7, np.float32), 10, first=2).tolist() == [2]


def test_an_outlier_is_the_second_pick(sizes):
    points = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    points[123] += 100
    assert coreset.greedy(points, 2, first=0).tolist() == [0, 123]


@pytest.mark.parametrize("points,picks", [(np.random.default_rng(0).normal(size=(100, 4)), 30), (np.ones((9, 4)), 5)])
def test_every_pick_is_reported(sizes, points, picks):
    reported = []
    chosen = coreset.greedy(points.astype(np.float32), picks, first=0, report=reported.append)
    assert sum(reported) == len(chosen)


@pytest.mark.parametrize("count,dimensions", [(500, 384), (20000, 300), (64, 1536)])
def test_project_is_scikit_learns_sparse_random_projection(count, dimensions):
    features = np.random.default_rng(0).gamma(1, 1, (count, dimensions)).astype(np.float32)
    wanted = SparseRandomProjection(eps=0.9, random_state=3).fit_transform(features)
    found = coreset.project(features, 3)
    assert found.dtype == np.float32
    assert found.shape == wanted.shape
    assert found.shape[1] < dimensions
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("target,dimensions,seed", [(302, 384, 5), (27, 28, 1), (200, 100_000, 3)])
def test_the_drawn_numbers_are_those_of_scikit_learn(target, dimensions, seed):
    """To the last bit, so that a coreset stays what it was; of 100,000 numbers so few are drawn that it is done
    otherwise."""
    wanted = SparseRandomProjection(target, random_state=seed).fit(np.zeros((1, dimensions), np.float32))
    assert np.array_equal(wanted.components_.toarray(), coreset._drawn(target, dimensions, seed).astype(np.float32))


def test_project_goes_through_all_chunks(monkeypatch):
    features = np.random.default_rng(0).normal(size=(100, 300)).astype(np.float32)
    whole = coreset.project(features, 0)
    monkeypatch.setattr(coreset, "CHUNK", 7)
    assert np.allclose(coreset.project(features, 0), whole, atol=1e-4)


def test_another_seed_is_another_projection():
    features = np.random.default_rng(0).normal(size=(100, 300)).astype(np.float32)
    assert np.array_equal(coreset.project(features, 0), coreset.project(features, 0))
    assert not np.allclose(coreset.project(features, 0), coreset.project(features, 1))


@pytest.mark.parametrize("shape", [(1, 384), (1000, 64), (5000, 200)])
def test_few_dimensions_stay_as_they_are(shape):
    features = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    assert np.array_equal(coreset.project(features, 0), features)
