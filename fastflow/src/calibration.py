"""What good images score, for the threshold: those that were held out of training, as a new good image would be."""

from collections.abc import Callable

import numpy as np

from anomaly.measure.calibration import Calibration, of_photographs
from anomaly.run.errors import DataError
from anomaly.run.progress import log
from fastflow.src.dataset import Features, chunks

LEAST = 0.0  # a likelihood with its sign turned, of what is as improbable as can be
ENOUGH = 20  # held-out images from which on they alone are asked


def calibrate(
    score: Callable, cache: Features, *, index: np.ndarray, kept_out: np.ndarray, batch: int, photographs: tuple
) -> Calibration:
    """With few images held out their level is taken, and the spread around it from the images trained on.

    `score`: features -> maps and scores; `batch`: how many at once, as in evaluation, so that it is compiled once;
    `photographs`: their names, and for each image the number of the one that it is, or is a piece of.
    """
    called, number = photographs

    def scores(of: np.ndarray) -> Calibration:
        found = [score(cache.arrays(part))[1][:count] for part, count in chunks(of, batch)]
        values = np.concatenate([np.zeros(0), *found])
        return of_photographs(values, values, photographs=number[of], called=called)

    fresh = scores(kept_out)
    require_learnt(fresh.scores)
    if len(fresh.scores) >= ENOUGH:
        return fresh
    seen = scores(index)
    require_learnt(seen.scores)
    shift = np.median(fresh.scores) - np.median(seen.scores) if len(fresh.scores) else 0.0
    log.info("threshold: %d held-out images are few; the spread is that of the training images", len(fresh.scores))
    values = np.r_[fresh.scores, seen.scores + max(shift, 0.0)]
    return Calibration(values, values, fresh.names + seen.names)


def require_learnt(good: np.ndarray) -> None:
    """A flow for which good photographs are as improbable as anything else would call everything alike."""
    if len(good) and not np.median(good) < LEAST:
        raise DataError("most good photographs have no likelihood above 0: training went astray; use a smaller --lr")
