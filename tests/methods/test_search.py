"""The nearest rows against distances written out in double precision."""

import threading

import numpy as np
import pytest

from patchcore.src import products, search
from patchcore.src.search import Search

pytestmark = pytest.mark.usefixtures("screening")


def naive(points: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """All distances, N M."""
    return np.array([np.linalg.norm(vectors.astype(np.float64) - point, axis=1) for point in points])


def check(points: np.ndarray, vectors: np.ndarray, k: int = 1, skip: slice = slice(0)) -> None:
    every = naive(points, vectors)
    every[:, skip] = np.inf
    allowed = len(vectors) - len(range(len(vectors))[skip])
    wanted = np.sort(every, axis=1)[:, : min(k, allowed)]
    distances, rows = Search(vectors).nearest(points, k, skip=skip)
    assert distances.shape == rows.shape == wanted.shape
    # The rows are as near as any can be, each is named once, and the distances are theirs.
    assert np.allclose(np.take_along_axis(every, rows, axis=1), wanted, rtol=2e-6, atol=0)
    assert np.allclose(distances, wanted, rtol=2e-6, atol=0)
    assert all(len(set(row)) == len(row) for row in rows.tolist())


def drawn(count: int, dimensions: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2, 0.5, (count, dimensions)).astype(np.float32)


def clustered(count: int, seed: int, spread: float = 0.05) -> np.ndarray:
    """Around 20 points in 384 dimensions, along few directions, as features are."""
    rng, layout = np.random.default_rng(seed), np.random.default_rng(7)
    centres, directions = layout.normal(size=(20, 384)), layout.normal(size=(30, 384))
    inside = rng.normal(size=(count, 30)) @ directions * spread
    return (centres[rng.integers(0, 20, count)] + inside + rng.normal(size=(count, 384)) * 0.01).astype(np.float32)


@pytest.mark.parametrize("k", [1, 2, 9, 1000])
@pytest.mark.parametrize("dimensions", [1, 3, 100, 255, 256, 257, 384])
def test_random_rows(dimensions, k):
    check(drawn(60, dimensions, 1), drawn(700, dimensions, 2), k)


@pytest.mark.parametrize("k", [1, 9])
@pytest.mark.parametrize("spread", [0.001, 0.05, 0.5])
def test_clustered_rows(spread, k):
    check(clustered(200, 1, spread), clustered(3000, 2, spread), k)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e4, 1e12])
def test_any_scale(scale):
    check(clustered(50, 1) * np.float32(scale), clustered(1000, 2) * np.float32(scale), 3)


@pytest.mark.parametrize("offset", [1e2, 1e4])
def test_rows_far_from_the_origin(offset):
    check(drawn(50, 64, 1) + np.float32(offset), drawn(1000, 64, 2) + np.float32(offset), 2)


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("skip", [slice(0), slice(300, 1700)])
def test_points_that_any_row_could_be_nearest_to(monkeypatch, skip, k):
    """They are searched for with plain products."""
    asked, knn = [], search.faiss.knn
    monkeypatch.setattr(search.faiss, "knn", lambda *given: asked.append(len(given[0])) or knn(*given))
    check(1e4 * clustered(10, 4), clustered(2000, 2), k, skip)
    assert asked == [10]


@pytest.mark.parametrize("k", [1, 4])
def test_points_far_from_all_rows_beside_near_ones(k):
    vectors = clustered(2000, 2)
    points = np.concatenate([clustered(30, 1), 10 * clustered(10, 3), 1e4 * clustered(10, 4), vectors[:5] + 1e-3])
    check(points.astype(np.float32), vectors, k)


@pytest.mark.parametrize("distance", [5, 50, 5000])
def test_a_row_far_from_all_others(distance):
    """It makes the steps of the integers large."""
    vectors = clustered(2000, 2)
    vectors[17] *= distance
    check(clustered(60, 1), vectors, 2)


@pytest.mark.parametrize("k", [1, 5])
def test_a_single_row(k):
    check(drawn(20, 30, 1), drawn(1, 30, 2), k)


def test_rows_that_are_all_the_same():
    check(drawn(20, 30, 1), np.repeat(drawn(1, 30, 2), 50, axis=0), 3)


def test_of_copies_the_first_are_found():
    vectors = np.tile(clustered(300, 2), (3, 1))
    _, rows = Search(vectors).nearest(clustered(100, 1), 2)
    assert (rows[:, 0] < 300).all()
    assert np.array_equal(rows[:, 1], rows[:, 0] + 300)


def test_a_row_itself_has_no_distance():
    vectors = clustered(1500, 2)
    distances, rows = Search(vectors).nearest(vectors[::7])
    assert (distances == 0).all()
    assert np.array_equal(rows[:, 0], np.arange(0, 1500, 7))


@pytest.mark.parametrize("k", [1, 9, 2000])
@pytest.mark.parametrize("skip", [slice(0, 40), slice(500, 777), slice(1400, 1500), slice(1, 1500), slice(0, 1499)])
def test_rows_that_are_skipped(skip, k):
    vectors = clustered(1500, 2)
    check(np.concatenate([vectors[::30], clustered(20, 1)]), vectors, k, skip)


@pytest.mark.parametrize("width", [2, 16, 64, 1000])
def test_any_width_of_shadows(width):
    vectors, points = clustered(2000, 2), np.concatenate([clustered(60, 1), 3 * clustered(10, 3)])
    every = naive(points, vectors)
    distances, rows = Search(vectors, width).nearest(points, 3)
    assert np.allclose(np.take_along_axis(every, rows, axis=1), np.sort(every, axis=1)[:, :3], rtol=2e-6)
    assert np.allclose(distances, np.sort(every, axis=1)[:, :3], rtol=2e-6)


@pytest.mark.parametrize("skip", [slice(0), slice(100, 900)])
def test_near_rows_are_never_nearer_than_the_nearest_and_seldom_far(skip):
    vectors = clustered(2000, 2)
    points = np.concatenate([vectors[::20], clustered(100, 1)])
    every = naive(points, vectors)
    every[:, skip] = np.inf
    nearest, near = every.min(axis=1), Search(vectors, 64).near(points, skip=skip)
    assert (near >= nearest * (1 - 2e-6)).all()
    assert np.median(near[100:] / nearest[100:]) < 1.05


@pytest.mark.parametrize("points_at_once", [1, 7, 10**9])
def test_the_size_of_a_block_changes_nothing(monkeypatch, points_at_once):
    vectors, points = clustered(1200, 2), clustered(40, 1)
    wanted = Search(vectors).nearest(points)
    one = Search(vectors)
    one.screen.at_once = points_at_once
    found = one.nearest(points)
    assert np.array_equal(found[0], wanted[0]) and np.array_equal(found[1], wanted[1])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_no_number_has_no_distance():
    vectors, points = clustered(500, 2), clustered(4, 1)
    points[1, 7], points[2], points[3, 0] = np.nan, np.nan, np.inf
    one = Search(vectors)
    for distances in (one.nearest(points)[0][:, 0], one.near(points)):
        assert np.isfinite(distances[0]) and not np.isfinite(distances[1:]).any()


def test_searches_at_the_same_time_do_not_disturb_each_other():
    one, points = Search(clustered(2000, 2)), [clustered(100, seed) for seed in range(4)]
    wanted, found = [one.nearest(some) for some in points], {}
    threads = [threading.Thread(target=lambda i=i: found.update({i: one.nearest(points[i])})) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, (distances, rows) in enumerate(wanted):
        assert np.array_equal(found[i][0], distances) and np.array_equal(found[i][1], rows)


def test_few_distances_are_computed(monkeypatch):
    """Where a nearest row stands out, the others are told by the integers; nothing falls back to plain products."""
    counted, squares = [], search.squares
    one, points = Search(clustered(3000, 2)), clustered(200, 1)
    monkeypatch.setattr(search, "squares", lambda rows: counted.append(rows.shape) or squares(rows))
    monkeypatch.setattr(products, "squares", search.squares)
    monkeypatch.setattr(search.faiss, "knn", None)
    one.nearest(points)
    assert sum(shape[0] for shape in counted if shape[-1] == 384) < 100 * len(points)
