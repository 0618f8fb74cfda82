"""By what the epoch to keep is chosen. Lower is better."""

from collections.abc import Callable
from pathlib import Path
from typing import Optional

import numpy as np

from anomaly.data.layouts import Category
from anomaly.measure import metrics
from anomaly.run.errors import UsageError
from fastflow.src import dataset, features
from fastflow.src.config import LAST, TEST_PIXEL_AUC, Config
from fastflow.src.detector import FastFlow, shapes
from fastflow.src.training import HeldOut

BATCH = 8  # images judged at once


def chunks(index: np.ndarray):
    """Indices in batches of one shape, and how many of each count."""
    size = max(min(BATCH, len(index)), 1)
    for start in range(0, len(index), size):
        part = index[start : start + size]
        yield np.r_[part, np.repeat(part[:1], size - len(part))], len(part)


def by(
    config: Config, data: Category, detector: FastFlow, cache, kept_out: np.ndarray, scratch: Path
) -> Optional[Callable]:
    """A function that judges the detector's flow as it then is; None where there is nothing to judge by."""
    if config.select == TEST_PIXEL_AUC:
        if not data.has_masks:
            raise UsageError("--select test_pixel_auc: there are no masks to judge by")
        return test_images(config, data, detector, scratch)
    if config.select == LAST or not len(kept_out):
        return None
    cell = HeldOut(detector.squares.flows)

    def held_out() -> float:
        found = [cell(cache.take(index)).asnumpy()[:count] for index, count in chunks(kept_out)]
        return float(np.concatenate(found).mean())

    return held_out


def test_images(config: Config, data: Category, detector: FastFlow, scratch: Path) -> Callable:
    """The zoo's way; the test images too go through the backbone once."""
    cache = features.collect(config, data.test, detector.weights.net, shapes(config), scratch)
    masks = [mask for batch in dataset.batches(config, data.test, with_masks=True) for mask in batch.masks]

    def minus_pixel_auc() -> float:
        pixels, done = metrics.PixelScores(), 0
        for index, count in chunks(np.arange(len(masks))):
            maps, _ = detector.score_features(cache.take(index))
            for values, mask in zip(maps[:count], masks[done : done + count]):
                if mask is not None:
                    pixels.add(values, mask)
            done += count
        return -metrics.auroc(pixels.curve())

    return minus_pixel_auc
