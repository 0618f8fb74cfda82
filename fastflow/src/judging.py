"""By what the epoch to keep is chosen. Lower is better."""

from collections.abc import Callable
from typing import Optional

import numpy as np

from anomaly import metrics
from anomaly.calibration import Calibration
from anomaly.dataset import Category
from anomaly.errors import UsageError
from anomaly.weights import Backbone
from fastflow.src import dataset
from fastflow.src.config import LAST, TEST_PIXEL_AUC, Config
from fastflow.src.detector import FastFlow
from fastflow.src.model import Flows
from fastflow.src.training import HeldOut

BATCH = 8  # images judged at once


def chunks(index: np.ndarray):
    """Indices in batches of one shape, and how many of each count."""
    size = max(min(BATCH, len(index)), 1)
    for start in range(0, len(index), size):
        part = index[start : start + size]
        yield np.r_[part, np.repeat(part[:1], size - len(part))], len(part)


def by(config: Config, data: Category, weights: Backbone, cache, kept_out: np.ndarray) -> Optional[Callable]:
    if config.select == TEST_PIXEL_AUC:
        if not data.has_masks:
            raise UsageError("--select test_pixel_auc: there are no masks to judge by")
        return lambda flows: -pixel_auc(config, data, weights, flows)
    if config.select == LAST or not len(kept_out):
        return None
    cells = {}

    def held_out(flows: Flows) -> float:
        cell = cells.setdefault("held out", HeldOut(flows))
        found = [cell(cache.take(index)).asnumpy()[:count] for index, count in chunks(kept_out)]
        return float(np.concatenate(found).mean())

    return held_out


def pixel_auc(config: Config, data: Category, weights: Backbone, flows: Flows) -> float:
    detector = FastFlow.of(config, weights, flows, Calibration(np.zeros(0), np.zeros(0)))
    pixels = metrics.PixelScores()
    for batch in dataset.batches(config, data.test, with_masks=True):
        maps, _ = detector.score(batch.images)
        for values, mask in zip(maps, batch.masks):
            if mask is not None:
                pixels.add(values, mask)
    return metrics.auroc(pixels.curve())
