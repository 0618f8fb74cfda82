"""Scores against the paper's equations written out, and the bank on disk."""

import warnings

import faiss
import numpy as np
import pytest
from commands import state_of

from anomaly.run.errors import DataError
from patchcore.src import memory_bank
from patchcore.src.anomaly_map import AnomalyMap
from patchcore.src.config import Config
from patchcore.src.memory_bank import INDEX, ROWS, MemoryBank


def bank(count: int = 60, dimensions: int = 24, k: int = 9, seed: int = 0) -> MemoryBank:
    rng = np.random.default_rng(seed)
    vectors = rng.gamma(2, 0.5, (count, dimensions)).astype(np.float32)
    return MemoryBank(vectors, np.sort(rng.integers(0, 5, count)).astype(np.int32), k)


def options(ratio: float, k: int, seed: int) -> Config:
    return Config(backbone="resnet18", coreset_ratio=ratio, k=k, seed=seed)


def patches(images: int = 3, count: int = 30, dimensions: int = 24, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).gamma(2, 0.6, (images, count, dimensions)).astype(np.float32)


def equations_6_and_7(image: np.ndarray, vectors: np.ndarray, k: int) -> tuple:
    """One image, in extended precision, without care for the size of exp."""
    image, vectors = image.astype(np.longdouble), vectors.astype(np.longdouble)
    distances = np.array([[np.sqrt(((p - m) ** 2).sum()) for m in vectors] for p in image])
    nearest = distances.min(axis=1)
    test = int(nearest.argmax())  # m^test,*
    star = int(distances[test].argmin())  # m*
    if k == 1:
        return nearest, nearest[test]
    around = np.sqrt(((vectors - vectors[star]) ** 2).sum(axis=1)).argsort(kind="stable")[:k]  # N_b(m*)
    weight = 1 - np.exp(distances[test, star]) / np.exp(distances[test, around]).sum()
    return nearest, weight * nearest[test]


@pytest.mark.parametrize("k", [1, 2, 9, 60, 500])
def test_scores_are_those_of_equations_6_and_7(k):
    b, images = bank(k=k), patches()
    distances, scores = b.score(images)
    for found, score, image in zip(distances, scores, images):
        nearest, wanted = equations_6_and_7(image, b.vectors, k)
        assert np.allclose(found, nearest.astype(float), rtol=1e-4)
        assert score == pytest.approx(float(wanted), rel=1e-4)


def test_without_neighbours_the_score_is_the_largest_distance():
    distances, scores = bank(k=1).score(patches())
    assert np.allclose(scores, distances.max(axis=1), rtol=1e-5)


def test_a_bank_of_one_row_scores_by_the_distance_to_it():
    b = bank(count=1)
    distances, scores = b.score(patches())
    wanted = np.linalg.norm(patches() - b.vectors[0], axis=2)
    assert np.allclose(distances, wanted, rtol=1e-4)
    assert np.allclose(scores, wanted.max(axis=1), rtol=1e-4)


@pytest.mark.parametrize("factor", [1e3, 1e6, 1e12])
def test_huge_distances_do_not_overflow(factor):
    b = bank()
    huge = MemoryBank(b.vectors * np.float32(factor), b.image_of_row, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        distances, scores = huge.score(patches() * np.float32(factor))
    assert np.isfinite(distances).all()
    assert np.isfinite(scores).all()
    assert (scores > 0).all()
    assert (scores <= distances.max(axis=1) * 1.001).all()


def test_a_patch_of_the_bank_itself_has_hardly_any_distance():
    b = bank(count=200, dimensions=384)
    distances, scores = b.score(b.vectors[None, :100])
    assert distances.max() < 2e-3 * np.linalg.norm(b.vectors, axis=1).max()
    assert np.isfinite(scores).all()


def test_images_are_scored_independently_of_each_other():
    b, images = bank(count=300, dimensions=64), patches(images=6, count=49, dimensions=64)
    distances, scores = b.score(images)
    for i in range(len(images)):
        alone = b.score(images[i : i + 1])
        assert np.allclose(alone[0][0], distances[i], rtol=1e-4)
        assert alone[1][0] == pytest.approx(scores[i], rel=1e-4)
    backwards = b.score(images[::-1])
    assert np.allclose(backwards[1][::-1], scores, rtol=1e-4)


def test_a_bank_comes_back_as_it_was(tmp_path):
    b = bank()
    b.save(tmp_path)
    loaded = MemoryBank.load(state_of(tmp_path), options(0.1, b.k, 0))
    assert np.array_equal(loaded.vectors, b.vectors)
    assert np.array_equal(loaded.image_of_row, b.image_of_row)
    assert np.array_equal(loaded.score(patches())[1], b.score(patches())[1])


def test_the_file_is_a_flat_index_of_faiss(tmp_path):
    b = bank()
    b.save(tmp_path)
    index = faiss.read_index(str(tmp_path / INDEX))
    assert isinstance(index, faiss.IndexFlatL2)
    assert (index.ntotal, index.d) == b.vectors.shape
    squared, _ = index.search(patches()[0], 1)
    assert np.allclose(np.sqrt(squared[:, 0]), b.score(patches())[0][0], rtol=1e-4)


@pytest.mark.parametrize("name", [INDEX, ROWS])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "words"])
def test_a_damaged_index_is_refused_by_name(tmp_path, name, damage):
    bank().save(tmp_path)
    path = tmp_path / name
    data = path.read_bytes()
    contents = {"empty": b"", "cut": data[: len(data) // 2], "words": b"these are words " * 50}
    path.unlink()
    if damage != "gone":
        path.write_bytes(contents[damage])
    with pytest.raises(DataError, match="embeddings"):
        MemoryBank.load(state_of(tmp_path), options(0.1, 9, 0))


def test_an_index_of_another_kind_is_refused(tmp_path):
    bank().save(tmp_path)
    other = faiss.IndexHNSWFlat(24, 4)
    other.add(bank().vectors)
    faiss.write_index(other, str(tmp_path / INDEX))
    with pytest.raises(DataError, match="embeddings"):
        MemoryBank.load(state_of(tmp_path), options(0.1, 9, 0))


def spotted(images: int, seed: int) -> np.ndarray:
    """Images of 8 x 6 patches in 24 dimensions, each with a few places that are unlike the rest."""
    rng = np.random.default_rng(seed)
    found = rng.gamma(2, 0.5, (images, 48, 24))
    spots = rng.random((images, 48, 1)) < 0.1
    return (found + spots * rng.gamma(3, 0.5, found.shape)).astype(np.float32)


@pytest.mark.parametrize("k", [1, 9, 500])
@pytest.mark.parametrize("ratio", [0.02, 0.3, 1.0])
def test_extremes_are_those_of_a_bank_without_the_rows_of_the_image(ratio, k):
    images, enlarge = spotted(8, 1), AnomalyMap((8, 6), (64, 48))
    b = memory_bank.fit(images.reshape(-1, 24), 48, config=options(ratio, k, 0))
    for number, image in enumerate(images):
        nearest, wanted = equations_6_and_7(image, b.vectors[b.image_of_row != number], k)
        score, peak = b.extremes(image, enlarge, skip=b.rows_of(number))
        assert score == pytest.approx(float(wanted), rel=1e-5)
        assert peak == pytest.approx(enlarge(nearest[None].astype(float)).max(), rel=1e-5)


def test_extremes_of_an_image_that_is_the_same_everywhere():
    b, image = bank(), np.ones((48, 24), np.float32)
    score, peak = b.extremes(image, AnomalyMap((8, 6), (64, 48)), skip=slice(0))
    nearest, wanted = equations_6_and_7(image, b.vectors, 9)
    assert score == pytest.approx(float(wanted), rel=1e-5)
    assert peak == pytest.approx(float(nearest[0]), rel=1e-5)


@pytest.mark.parametrize("image", range(-1, 6))
def test_the_rows_of_an_image_are_those_that_came_from_it(image):
    b = bank()
    assert np.array_equal(np.arange(60)[b.rows_of(image)], np.flatnonzero(b.image_of_row == image))


def test_a_pixel_has_its_value_from_the_patches_below_it():
    enlarge, values = AnomalyMap((8, 6), (64, 48), sigma=1), np.random.default_rng(0).random(48)
    for pixel in (0, 47, 48 * 31 + 20, 48 * 64 - 1):
        below = enlarge.below(pixel)
        assert 0 < below.sum() < 48
        for patch in range(48):
            changed = values + (np.arange(48) == patch)
            moved = enlarge(changed[None]).ravel()[pixel] != enlarge(values[None]).ravel()[pixel]
            assert moved <= below[patch]


@pytest.mark.parametrize("ratio", [0.05, 0.5, 1.0])
def test_rows_know_which_image_they_came_from(ratio):
    features = np.random.default_rng(0).normal(size=(5 * 40, 16)).astype(np.float32)
    features[:, 0] = np.arange(200) // 40
    b = memory_bank.fit(features, 40, config=options(ratio, 9, 0))
    assert len(b.vectors) == int(200 * ratio)
    assert np.array_equal(b.image_of_row, b.vectors[:, 0])
    assert len(np.unique(b.vectors, axis=0)) == len(b.vectors)
    assert {tuple(row) for row in b.vectors} <= {tuple(row) for row in features}


def test_the_smallest_ratio_keeps_one_row():
    features = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    assert len(memory_bank.fit(features, 10, config=options(1e-6, 9, 0)).vectors) == 1


def test_the_same_seed_keeps_the_same_rows():
    features = np.random.default_rng(0).normal(size=(400, 300)).astype(np.float32)
    first, again, other = (memory_bank.fit(features, 40, config=options(0.1, 9, seed)).vectors for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_rows_cover_the_features_better_than_chance():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1000, 6)).astype(np.float32)

    def radius(rows) -> float:
        return max(np.linalg.norm(features[i] - rows, axis=1).min() for i in range(len(features)))

    chosen = memory_bank.fit(features, 100, config=options(0.05, 9, 0)).vectors
    assert radius(chosen) < min(radius(features[rng.choice(1000, 50, replace=False)]) for _ in range(10))
