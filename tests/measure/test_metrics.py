"""Figures against scikit-learn's and against naive loops."""

import itertools
import time
import tracemalloc
from typing import Optional

import numpy as np
import pytest
from scipy.ndimage import label
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from anomaly.measure.metrics import (
    PixelScores,
    aupro,
    auroc,
    average_precision,
    best_f1,
    curve,
    defect_weights,
    keys,
    precision_recall,
    pro,
    roc,
)


def scored(seed: int, ties: bool, count: int = 500) -> tuple:
    rng = np.random.default_rng(seed)
    labels = rng.random(count) < 0.3
    scores = rng.normal(labels * 1.0 - 2, 1)  # many are negative
    return (np.round(scores, 1) if ties else scores), labels


def maps(seed: int, ties: bool = False, images: int = 4, size: int = 40) -> tuple:
    """Scores and masks with defects of different sizes, some of them touching at a corner only."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((images, size, size), bool)
    for mask in masks[1:]:
        for _ in range(4):
            y, x = rng.integers(0, size - 8, 2)
            h, w = rng.integers(1, 9, 2)
            mask[y : y + h, x : x + w] = True
    masks[1, :2, :2] = np.eye(2, dtype=bool)
    scores = rng.normal(masks * 1.2 - 0.5, 1).astype(np.float32)
    return (np.round(scores, 1) if ties else scores), masks


def naive_aupro(scores: np.ndarray, masks: np.ndarray, limit: float) -> float:
    """Every threshold in turn; the mean part found of all defects against the part of good pixels above it."""
    defects = []
    for values, mask in zip(scores, masks):
        components, count = label(mask, structure=np.ones((3, 3)))
        defects += [values[components == i + 1] for i in range(count)]
    x, y = [0.0], [0.0]
    for limit_score in np.unique(scores)[::-1]:
        x.append((scores[~masks] >= limit_score).mean())
        y.append(np.mean([(values >= limit_score).mean() for values in defects]))
    grid = np.unique(np.r_[[v for v in x if v <= limit], limit])
    area = 0.0
    for left, right in itertools.pairwise(grid):  # a step in y at one x counts from its upper end
        start = y[max(i for i, v in enumerate(x) if v <= left)]
        stop = np.interp(right, x, y) if right not in x else y[x.index(right)]
        area += (right - left) * (start + stop) / 2
    return area / limit


def collected(scores, masks, exact_limit: Optional[int] = None) -> PixelScores:
    pixels = PixelScores() if exact_limit is None else PixelScores(exact_limit)
    for values, mask in zip(scores, masks):
        pixels.add(values, mask)
    return pixels


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_image_figures_are_scikit_learns(seed, ties):
    scores, labels = scored(seed, ties)
    c = curve(scores, labels)
    assert auroc(c) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(c) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    precision, recall, thresholds = precision_recall_curve(labels, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    found, threshold = best_f1(c)
    assert found == pytest.approx(f1.max(), abs=1e-12)
    assert f1[np.flatnonzero(thresholds == threshold)[0]] == pytest.approx(f1.max(), abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("exact_limit,tolerance", [(None, 1e-9), (2000, 1e-3)])
def test_pixel_figures_are_scikit_learns(seed, ties, exact_limit, tolerance):
    scores, masks = maps(seed, ties)
    c = collected(scores, masks, exact_limit).curve()
    flat, labels = scores.ravel(), masks.ravel()
    precision, recall, _ = precision_recall_curve(labels, flat)
    f1 = (2 * precision * recall / np.maximum(precision + recall, 1e-300)).max()
    found, threshold = best_f1(c)
    assert auroc(c) == pytest.approx(roc_auc_score(labels, flat), abs=tolerance)
    assert average_precision(c) == pytest.approx(average_precision_score(labels, flat), abs=tolerance)
    assert found == pytest.approx(f1, abs=tolerance)
    called = flat >= threshold
    at_threshold = 2 * (called & labels).sum() / (called.sum() + labels.sum())
    assert at_threshold == pytest.approx(f1, abs=max(tolerance, 1e-3))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("exact_limit,tolerance", [(None, 1e-9), (2000, 1e-3)])
@pytest.mark.parametrize("limit", [0.3, 0.05, 1.0])
def test_aupro_is_that_of_the_naive_loop(seed, ties, exact_limit, tolerance, limit):
    scores, masks = maps(seed, ties, images=3, size=24)
    found = aupro(collected(scores, masks, exact_limit).curve(), limit)
    assert found == pytest.approx(naive_aupro(scores, masks, limit), abs=tolerance)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("exact_limit,tolerance", [(None, 1e-12), (1000, 1e-3)])
def test_every_point_of_a_curve_of_pixels_is_what_its_threshold_does(ties, exact_limit, tolerance):
    scores, masks = maps(3, ties, images=3, size=24)
    scores = scores + np.float32(0)  # no -0.0, which has a bin of its own
    c = collected(scores, masks, exact_limit).curve()
    defects = []
    for values, mask in zip(scores, masks):
        components, count = label(mask, structure=np.ones((3, 3)))
        defects += [values[components == i + 1] for i in range(count)]
    assert (np.diff(c.scores) < 0).all()
    for points, name in ((pro(c), "pro"), (roc(c), "roc"), (precision_recall(c), "pr")):
        for x, y, limit in zip(points.x, points.y, points.thresholds):
            called = scores >= limit
            alarms, recall = called[~masks].mean(), called[masks].mean()
            found = np.mean([(values >= limit).mean() for values in defects])
            precision = masks[called].sum() / max(called.sum(), 1)
            wanted = {"pro": (alarms, found), "roc": (alarms, recall), "pr": (recall, precision)}[name]
            assert (x, y) == pytest.approx(wanted, abs=tolerance), (name, limit)


@pytest.mark.parametrize("shift", [0.0, -100.0, 1000.0])
def test_counting_in_bins_agrees_with_the_exact_curve(shift):
    scores, masks = maps(7, images=6, size=64)
    scores = (scores + shift).astype(np.float32)
    exact, binned = collected(scores, masks), collected(scores, masks, exact_limit=64 * 64 * 3)
    assert exact.bins is None
    assert binned.bins is not None
    for figure in (auroc, average_precision, aupro):
        # Bins are relative to the score: far from zero they are coarser than the spread of these scores.
        tolerance = 1e-3 if abs(shift) < 10 else 0.05
        assert figure(binned.curve()) == pytest.approx(figure(exact.curve()), abs=tolerance)
    best, threshold = best_f1(exact.curve())
    best_binned, threshold_binned = best_f1(binned.curve())
    assert best_binned == pytest.approx(best, abs=1e-3 if abs(shift) < 10 else 0.05)
    assert abs(threshold_binned - threshold) < 0.3


def test_a_defect_counts_the_same_whatever_its_size():
    mask = np.zeros((20, 20), bool)
    mask[0:10, 0:10] = True
    mask[15, 15] = True
    mask[16, 16] = True  # touches the one before at a corner: one defect of two pixels
    weights = defect_weights(mask)
    assert weights == pytest.approx([0.01] * 100 + [0.5] * 2)
    assert not defect_weights(np.zeros((20, 20), bool)).size


@pytest.mark.parametrize("exact_limit", [None, 100])
def test_a_perfect_detector_gets_one_in_everything(exact_limit):
    _, masks = maps(0)
    c = collected(np.where(masks, 2.0, 1.0).astype(np.float32), masks, exact_limit).curve()
    assert auroc(c) == average_precision(c) == best_f1(c)[0] == aupro(c) == 1.0


@pytest.mark.parametrize("exact_limit", [None, 100])
def test_no_figure_leaves_the_range_from_zero_to_one(exact_limit):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        masks = rng.random((2, 12, 12)) < rng.choice([0.02, 0.5, 0.98])
        masks[0, 0, 0], masks[0, 11, 11] = True, False
        noise = rng.normal(size=masks.shape) * rng.choice([0, 0.01, 1])
        c = collected((masks * 3 + noise).astype(np.float32), masks, exact_limit).curve()
        assert all(0 <= figure <= 1 for figure in (auroc(c), average_precision(c), best_f1(c)[0], aupro(c)))


@pytest.mark.parametrize("exact_limit", [None, 100])
def test_a_detector_that_is_always_wrong_gets_nothing(exact_limit):
    _, masks = maps(0)
    c = collected(np.where(masks, -2.0, -1.0).astype(np.float32), masks, exact_limit).curve()
    assert auroc(c) == 0
    assert aupro(c) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("exact_limit", [None, 100])
def test_equal_scores_everywhere_are_worth_a_coin(exact_limit):
    _, masks = maps(0)
    c = collected(np.ones(masks.shape, np.float32), masks, exact_limit).curve()
    assert auroc(c) == 0.5
    assert average_precision(c) == pytest.approx(masks.mean())
    assert aupro(c) == pytest.approx(0.15)


@pytest.mark.parametrize("labels", [np.zeros(5, bool), np.ones(5, bool), np.zeros(0, bool)])
def test_figures_of_one_kind_only_are_undefined(labels):
    c = curve(np.arange(len(labels)), labels)
    assert auroc(c) is None
    assert average_precision(c) is None
    assert best_f1(c) == (None, None)
    assert aupro(c) is None


@pytest.mark.parametrize("value", [None, False, True])
@pytest.mark.parametrize("exact_limit", [None, 10])
def test_pixel_figures_of_one_kind_only_are_undefined(value, exact_limit):
    images = 0 if value is None else 2
    masks = np.full((images, 8, 8), bool(value))
    c = collected(np.random.default_rng(0).random(masks.shape).astype(np.float32), masks, exact_limit).curve()
    assert auroc(c) is None
    assert aupro(c) is None


def test_keys_rise_with_the_scores():
    scores = np.float32([-np.inf, -1e30, -2, -1, -1e-30, 0, 1e-30, 0.5, 1, 2, 1e30, np.inf])
    assert (np.diff(keys(scores).astype(np.int64)) > 0).all()


def test_many_large_maps_are_counted_quickly_and_in_bounded_memory():
    rng = np.random.default_rng(0)
    mask = np.zeros((1024, 1024), bool)
    mask[100:200, 300:420] = True
    values = rng.gamma(2, 1, mask.shape).astype(np.float32) + mask
    pixels, start = PixelScores(exact_limit=1 << 20), time.perf_counter()
    tracemalloc.start()
    held = []
    for _ in range(20):
        pixels.add(values, mask)
        held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    c = pixels.curve()
    assert time.perf_counter() - start < 20
    assert pixels.parts == []
    assert held[-1] < 150e6
    assert held[-1] - held[2] < 1e6
    assert c.positives.sum() == 20 * mask.sum()
    assert c.negatives.sum() == 20 * (~mask).sum()
    assert c.weights.sum() == pytest.approx(20)
    assert auroc(c) == pytest.approx(roc_auc_score(mask.ravel(), values.ravel()), abs=1e-3)
