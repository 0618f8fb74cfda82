"""By what the epoch to keep is chosen. Lower is better."""

from collections.abc import Callable
from typing import Optional

import numpy as np

from anomaly.data.loader import batches
from anomaly.engines.frozen import Frozen
from anomaly.measure import metrics
from anomaly.run.errors import UsageError
from anomaly.run.job import Job
from fastflow.src import dataset
from fastflow.src.backbone import shapes
from fastflow.src.config import LAST, TEST_PIXEL_AUC, Config
from fastflow.src.dataset import Features, chunks

AT_ONCE = 4  # held-out images; MindSpore keeps memory for each function that it has compiled


def by(
    config: Config,
    likelihood: Callable,
    *,
    score: Callable,
    backbone: Frozen,
    cache: Features,
    kept_out: np.ndarray,
    job: Job,
) -> Optional[Callable]:
    """A function that judges the flow as it then is; None where there is nothing to judge by.

    `likelihood`: features -> that of each image, negative and logarithmic; `score`: features -> maps and scores.
    """
    if config.select == TEST_PIXEL_AUC:
        if not any(sample.mask or sample.truth is not None for sample in job.test):
            raise UsageError("--select test_pixel_auc: there are no masks to judge by")
        return test_images(config, score, backbone=backbone, job=job)
    if config.select == LAST or not len(kept_out):
        return None
    size = min(AT_ONCE, len(kept_out))

    def held_out() -> float:
        found = [likelihood(cache.arrays(index))[:count] for index, count in chunks(kept_out, size)]
        return float(np.concatenate(found).mean())

    return held_out


def test_images(config: Config, score: Callable, *, backbone: Frozen, job: Job) -> Callable:
    """The zoo's way; the test images too go through the backbone once."""
    cache = dataset.collect(config, job.test, backbone=backbone, shapes=shapes(config), job=job)
    decoded = batches(job.test, config.transform, batch_size=config.batch_size, workers=config.workers, with_masks=True)
    masks = [mask for batch in decoded for mask in batch.masks]

    def minus_pixel_auc() -> float:
        pixels, done = metrics.PixelScores(), 0
        for index, count in chunks(np.arange(len(masks)), config.batch_size):
            maps, _ = score(cache.arrays(index))
            for values, mask in zip(maps[:count], masks[done : done + count]):
                if mask is not None:
                    pixels.add(values, mask)
            done += count
        return -(metrics.auroc(pixels.curve()) or 0.0)

    return minus_pixel_auc
