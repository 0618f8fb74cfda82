"""PatchCore with more patches than memory holds: picked in parts, which is said, and nearly as good."""

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

import patchcore
from anomaly.run import memory
from anomaly.run.errors import DataError
from patchcore.src import gathering, memory_bank
from patchcore.src.config import Config

OPTIONS = {"backbone": "resnet18", "resize": 64, "crop": None, "pre_ckpt_path": "random", "coreset_ratio": 0.05}


@pytest.mark.parametrize("sizes", [(3, 3, 3), (2, 5, 1, 1), (9,)])
@pytest.mark.parametrize("size", [1, 2, 4, 9, 20])
def test_parts_hold_all_images_in_their_order(sizes, size):
    images = np.arange(9 * 6, dtype=np.float32).reshape(9, 2, 3)
    batches = np.split(images, np.cumsum(sizes)[:-1])
    found = [part.copy() for part in gathering.parts(iter(batches), size)]
    assert [len(part) for part in found[:-1]] == [size] * (len(found) - 1)
    np.testing.assert_array_equal(np.concatenate(found), images)


def reach(points, bank):
    """The largest distance of any point to its nearest row, which the coreset keeps small."""
    return pairwise_distances(points, bank).min(axis=1).max()


def test_a_bank_in_parts_covers_nearly_as_well():
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(40, 1, 16)) + 0.3 * rng.normal(size=(40, 50, 16))).astype(np.float32)
    config = Config(coreset_ratio=0.05, backbone="resnet18")
    patches, image = gathering.candidates(config, iter(np.split(points, 10)), size=7)
    flat = points.reshape(-1, 16)
    np.testing.assert_array_equal([(points[i] == row).all(axis=1).any() for i, row in zip(image, patches)], True)
    found = gathering.choose(config, patches, image=image, picks=100, report=lambda number: None)
    whole = memory_bank.fit(flat, 50, config=config)
    assert found.vectors.shape == whole.vectors.shape == (100, 16)
    assert (np.diff(found.image_of_row) >= 0).all()
    drawn = flat[rng.choice(len(flat), 100, replace=False)]
    assert reach(flat, whole.vectors) <= reach(flat, found.vectors) < 1.3 * reach(flat, whole.vectors)
    assert reach(flat, found.vectors) < reach(flat, drawn)


def test_too_little_memory_makes_parts_and_says_so(toy, monkeypatch, caplog):
    whole = patchcore.fit(toy / "gear", **OPTIONS)
    monkeypatch.setattr(memory, "available", lambda: 600_000)  # an image takes 0.2 MB
    with caplog.at_level("INFO", logger="anomaly"):
        found = patchcore.fit(toy / "gear", **OPTIONS)
    assert "in parts of 3 images" in caplog.text and "approximation" in found.remark and not whole.remark
    assert found.bank.vectors.shape == whole.bank.vectors.shape
    np.testing.assert_allclose(np.median(found.calibration.scores), np.median(whole.calibration.scores), rtol=0.2)


def test_what_fits_in_no_part_is_refused_with_what_would_help(toy, monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 100_000)
    with pytest.raises(DataError, match=r"6 images need .*--coreset_ratio or --resize"):
        patchcore.fit(toy / "gear", **OPTIONS)
