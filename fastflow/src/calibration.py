"""What good images score, for the threshold: those that were held out of training, as a new good image would be."""

from collections.abc import Callable

import numpy as np

from anomaly.measure.calibration import Calibration
from anomaly.run.progress import log
from fastflow.src.dataset import Features, chunks

ENOUGH = 20  # held-out images from which on they alone are asked


def calibrate(
    score: Callable, cache: Features, *, index: np.ndarray, kept_out: np.ndarray, batch: int, called: tuple = ()
) -> Calibration:
    """With few images held out their level is taken, and the spread around it from the images trained on.

    `score`: features -> maps and scores; `batch`: how many at once, as in evaluation, so that it is compiled once;
    `called`: the names of all images.
    """

    def scores(of: np.ndarray) -> np.ndarray:
        found = [score(cache.arrays(part))[1][:count] for part, count in chunks(of, batch)]
        return np.concatenate(found) if found else np.zeros(0)

    fresh, order = scores(kept_out), kept_out
    if len(fresh) < ENOUGH:
        seen = scores(index)
        shift = np.median(fresh) - np.median(seen) if len(fresh) else 0.0
        log.info("threshold: %d held-out images are few; the spread is that of the training images", len(fresh))
        fresh, order = np.r_[fresh, seen + max(shift, 0.0)], np.r_[kept_out, index]
    return Calibration(fresh, fresh, tuple(called[number] for number in order) if called else ())
