"""Scores against the paper's equations written out, and the bank on disk."""

import warnings

import faiss
import numpy as np
import pytest
from commands import state_of

from anomaly.run.errors import DataError
from patchcore.src import memory_bank
from patchcore.src.memory_bank import INDEX, ROWS, MemoryBank


def bank(count: int = 60, dimensions: int = 24, k: int = 9, seed: int = 0) -> MemoryBank:
    rng = np.random.default_rng(seed)
    vectors = rng.gamma(2, 0.5, (count, dimensions)).astype(np.float32)
    return MemoryBank(vectors, np.sort(rng.integers(0, 5, count)).astype(np.int32), k)


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
    loaded = MemoryBank.load(state_of(tmp_path), b.k)
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
        MemoryBank.load(state_of(tmp_path), 9)


def test_an_index_of_another_kind_is_refused(tmp_path):
    bank().save(tmp_path)
    other = faiss.IndexHNSWFlat(24, 4)
    other.add(bank().vectors)
    faiss.write_index(other, str(tmp_path / INDEX))
    with pytest.raises(DataError, match="embeddings"):
        MemoryBank.load(state_of(tmp_path), 9)


@pytest.mark.parametrize("k", [1, 9, 500])
def test_skipping_the_rows_of_an_image_is_a_bank_without_them(k):
    b = bank(k=k)
    for image in range(-1, 6):
        kept = b.image_of_row != image
        assert np.array_equal(np.delete(b.vectors, b.rows_of(image), axis=0), b.vectors[kept])
        distances, scores = b.score(patches(), skip=b.rows_of(image))
        for found, score, photograph in zip(distances, scores, patches()):
            nearest, wanted = equations_6_and_7(photograph, b.vectors[kept], k)
            assert np.allclose(found, nearest.astype(float), rtol=1e-5)
            assert score == pytest.approx(float(wanted), rel=1e-5)


@pytest.mark.parametrize("ratio", [0.05, 0.5, 1.0])
def test_rows_know_which_image_they_came_from(ratio):
    features = np.random.default_rng(0).normal(size=(5 * 40, 16)).astype(np.float32)
    features[:, 0] = np.arange(200) // 40
    b = memory_bank.fit(features, 40, ratio=ratio, k=9, seed=0)
    assert len(b.vectors) == int(200 * ratio)
    assert np.array_equal(b.image_of_row, b.vectors[:, 0])
    assert len(np.unique(b.vectors, axis=0)) == len(b.vectors)
    assert {tuple(row) for row in b.vectors} <= {tuple(row) for row in features}


def test_the_smallest_ratio_keeps_one_row():
    features = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    assert len(memory_bank.fit(features, 10, ratio=1e-6, k=9, seed=0).vectors) == 1


def test_the_same_seed_keeps_the_same_rows():
    features = np.random.default_rng(0).normal(size=(400, 300)).astype(np.float32)
    first, again, other = (memory_bank.fit(features, 40, ratio=0.1, k=9, seed=seed).vectors for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_rows_cover_the_features_better_than_chance():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1000, 6)).astype(np.float32)

    def radius(rows) -> float:
        return max(np.linalg.norm(features[i] - rows, axis=1).min() for i in range(len(features)))

    chosen = memory_bank.fit(features, 100, ratio=0.05, k=9, seed=0).vectors
    assert radius(chosen) < min(radius(features[rng.choice(1000, 50, replace=False)]) for _ in range(10))
