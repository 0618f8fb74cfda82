"""How well a network's features tell defects from good places, where there are only photographs of good parts.

Defects are drawn: a piece of a photograph, turned and somewhat brighter or darker, laid more or less opaquely over
another place. What is measured is how far each place is from the nearest of places on other good photographs, which is
what the methods look at too; and of that the AUROC of damaged places against places far from any damage.
"""

import cv2
import numpy as np

from anomaly.measure import metrics

ROWS = 1000  # places of good photographs that others are held against
CLEAR = 4000  # places without a defect that are asked about, at most
AROUND = 8  # a part of the side, within which good places may notice a defect: they do not count


def damaged(images: np.ndarray, *, seed: int) -> tuple:
    """Copies of B H W 3 with a defect each, and where it is, B H W."""
    rng = np.random.default_rng(seed)
    made, masks = images.copy(), np.zeros(images.shape[:3], bool)
    sides = np.array(images.shape[1:3])
    for image, mask in zip(made, masks):
        height, width = (sides * rng.uniform(0.06, 0.16, 2)).astype(int)
        (top, left), (y, x) = (rng.integers(0, sides - (height, width)) for _ in range(2))
        piece = image[y : y + height, x : x + width][::-1, ::-1] * rng.choice((0.6, 0.75, 1.3, 1.5))
        place, opaque = (slice(top, top + height), slice(left, left + width)), rng.uniform(0.2, 0.8)
        image[place] = np.clip(opaque * piece + (1 - opaque) * image[place], 0, 255)
        mask[place] = True
    return made, masks


def separation(good: np.ndarray, features: np.ndarray, *, masks: np.ndarray, seed: int) -> float:
    """Of one layer, B C h w: `good`, of the photographs to be held against; `features`, of those with defects."""
    rng = np.random.default_rng(seed)
    defect, clear = (where.ravel() for where in places(masks, features.shape[2:]))
    asked = np.r_[np.flatnonzero(defect), rng.permutation(np.flatnonzero(clear))[:CLEAR]]
    known, found = rng.permutation(rows(good))[:ROWS], rows(features)[asked]
    distances = ((known**2).sum(1) - 2 * found @ known.T).min(1) + (found**2).sum(1)
    told = metrics.auroc(metrics.curve(distances, defect[asked]))
    return 0.5 if told is None else told


def places(masks: np.ndarray, grid: tuple) -> tuple:
    """B h w each: positions that are mostly damaged, and those far from all damage."""
    side = 2 * (max(masks.shape[1:]) // AROUND) + 1
    wide = [cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) for mask in masks]
    shrunk = [cv2.resize(mask.astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA) for mask in masks]
    around = [cv2.resize(mask.astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA) for mask in wide]
    return np.array(shrunk) >= 0.5, np.array(around) == 0


def rows(features: np.ndarray) -> np.ndarray:
    """B C h w -> B·h·w C."""
    return features.transpose(0, 2, 3, 1).reshape(-1, features.shape[1])
