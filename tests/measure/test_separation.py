"""Drawn defects against good places, and the warning where a lower precision tells them less well."""

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from anomaly.config import Config
from anomaly.data.samples import Sample
from anomaly.measure import reduced, separation

SIDE = 96


@pytest.fixture(scope="module")
def pictures():
    """Of one texture, each time with other noise."""
    rng = np.random.default_rng(0)
    waves = 128 + 60 * np.sin(np.arange(SIDE) / 5)[:, None, None] * np.sin(np.arange(SIDE) / 7)[:, None]
    return np.clip(waves + rng.normal(0, 8, (16, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


def features(images: np.ndarray) -> list:
    """Two layers: what random filters find, as means over grids of 4 and 8 pixels."""
    filters = np.random.default_rng(1).normal(size=(12, 7, 7))
    values = [[np.maximum(cv2.filter2D(image[..., 0] / 255, -1, each), 0) for each in filters] for image in images]
    values = np.array(values).transpose(0, 2, 3, 1)
    small = [
        [cv2.resize(value, (SIDE // n, SIDE // n), interpolation=cv2.INTER_AREA) for value in values] for n in (4, 8)
    ]
    return [np.float32(layer).transpose(0, 3, 1, 2) for layer in small]


def test_a_defect_is_where_its_mask_is_and_nowhere_else(pictures):
    made, masks = separation.damaged(pictures, seed=3)
    changed = (made != pictures).any(axis=3)
    assert not (changed & ~masks).any()
    assert all(changed[mask].mean() > 0.5 for changed, mask in zip(changed, masks))
    assert all(0.002 < mask.mean() < 0.04 for mask in masks)
    again, _ = separation.damaged(pictures, seed=3)
    np.testing.assert_array_equal(made, again)


def test_the_separation_is_the_auroc_of_the_distance_to_the_nearest(pictures, monkeypatch):
    monkeypatch.setattr(separation, "ROWS", 10**6)
    made, masks = separation.damaged(pictures[8:11], seed=0)
    good, found = features(pictures[:2])[0], features(made)[0]
    defect, clear = separation.places(masks, found.shape[2:])
    known = good.transpose(0, 2, 3, 1).reshape(-1, good.shape[1]).astype(float)
    distances, labels = [], []
    for b, y, x in np.argwhere(defect | clear):
        distances.append(np.linalg.norm(known - found[b, :, y, x], axis=1).min())
        labels.append(defect[b, y, x])
    assert separation.separation(good, found, masks=masks, seed=0) == pytest.approx(
        roc_auc_score(labels, distances), abs=1e-3
    )


def test_places_beside_a_defect_do_not_count():
    masks = np.zeros((1, SIDE, SIDE), bool)
    masks[0, 40:56, 40:56] = True
    defect, clear = separation.places(masks, (12, 12))
    assert defect.sum() == 4 and defect[0, 5:7, 5:7].all()
    assert not clear[0, 4:8, 4:8].any() and clear[0, 0].all() and clear[0, :, -1].all()


def coarse(step: float):
    return lambda images: [np.round(layer / step) * step for layer in features(images)]


@pytest.mark.parametrize("step, warns", [(0.0001, False), (0.002, False), (1, True)])
def test_a_network_that_is_too_coarse_is_warned_of(pictures, caplog, step, warns):
    config = Config(precision="int8")
    with caplog.at_level("INFO", logger="anomaly"):
        fits = reduced.compare(features, coarse(step), good=pictures[:8], held_out=pictures[8:], config=config)
    assert fits != warns
    assert "int8: features up to" in caplog.text
    assert ("warning: int8 is too far from float32" in caplog.text) == warns


def test_features_that_are_far_off_are_warned_of_even_if_defects_are_told(pictures, caplog):
    config = Config(precision="int8")
    for factor, fits in ((1.2, True), (1.3, False)):

        def scaled(images, by=factor):
            return [by * layer for layer in features(images)]

        assert reduced.compare(features, scaled, good=pictures[:8], held_out=pictures[8:], config=config) == fits
    assert "allowed: features 25 %" in caplog.text


@pytest.mark.parametrize("count, kept", [(1, 0), (3, 0), (4, 1), (20, 5), (500, 8)])
def test_what_is_held_out_is_not_quantised_on(count, kept):
    samples = tuple(Sample(f"{n}.png") for n in range(count))
    used, held_out = reduced.split(samples, seed=1)
    assert len(held_out) == kept and len(used) == min(count - kept, reduced.MOST)
    assert not set(used) & set(held_out)
    assert reduced.split(samples, seed=1) == (used, held_out)
    assert count < 4 or reduced.split(samples, seed=2) != (used, held_out)
