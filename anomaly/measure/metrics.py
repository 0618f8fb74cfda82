"""How good the scores are: AUROC, average precision, best F1 and AUPRO.

All four need nothing but, for every distinct score in falling order, how many normal and how many anomalous ones have
it. AUPRO, the mean over defects of the part of each that is found, is the same curve with every anomalous pixel
weighted by one over the size of its defect. So there is one pass over the pixels and one curve.

Up to EXACT_LIMIT pixels the curve is exact. Beyond, scores are counted in bins of a relative width of 2^-13, which
bounds memory whatever the number of images.
"""

from dataclasses import dataclass
from typing import Any, Optional

import cv2
import numpy as np

EXACT_LIMIT = 1 << 25  # pixels
KEY_BITS = 22
FPR_LIMIT = 0.3  # AUPRO is the area up to here


def keys(scores: np.ndarray) -> np.ndarray:
    """Unsigned integers in the order of the scores: the bits of float32, made monotone for both signs."""
    bits = np.ascontiguousarray(scores, np.float32).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


@dataclass(frozen=True)
class Curve:
    """One entry for each distinct score, the highest first."""

    scores: np.ndarray
    negatives: np.ndarray  # how many normal ones have this score
    positives: np.ndarray
    weights: np.ndarray  # the sum of the anomalous ones' weights

    @property
    def defined(self) -> bool:
        return self.positives.sum() > 0 and self.negatives.sum() > 0


def curve(scores: np.ndarray, labels: np.ndarray, *, weights: Optional[np.ndarray] = None) -> Curve:
    scores, labels = np.ravel(scores), np.ravel(labels).astype(bool)
    order = np.argsort(-scores, kind="stable")
    ranked, labels = scores[order], labels[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if ranked.size else np.zeros(0, int)
    positives = np.add.reduceat(labels.astype(np.int64), starts) if ranked.size else starts
    totals = np.diff(np.r_[starts, ranked.size])
    weighted = positives.astype(float)
    if weights is not None and ranked.size:
        weighted = np.add.reduceat(np.where(labels, np.ravel(weights)[order], 0.0).astype(float), starts)
    return Curve(ranked[starts], totals - positives, positives, weighted)


def auroc(c: Curve) -> Optional[float]:
    if not c.defined:
        return None
    below = c.negatives[::-1].cumsum()[::-1] - c.negatives  # normal ones with a lower score
    wins = (c.positives * (below + c.negatives / 2)).sum()
    return float(wins / (c.positives.sum() * float(c.negatives.sum())))


def average_precision(c: Curve) -> Optional[float]:
    if not c.defined:
        return None
    found = c.positives.cumsum()
    precision = found / np.maximum(found + c.negatives.cumsum(), 1)
    return float((precision * c.positives).sum() / found[-1])


def best_f1(c: Curve) -> tuple:
    """The best F1 and the threshold at which it is reached: at or above it is anomalous."""
    if not c.defined:
        return None, None
    found = c.positives.cumsum()
    f1 = 2 * found / (found + c.negatives.cumsum() + found[-1])
    best = int(f1.argmax())
    return float(f1[best]), float(c.scores[best])


def aupro(c: Curve, limit: float = FPR_LIMIT) -> Optional[float]:
    """The area under (false positive rate, mean part found of each defect) up to `limit`, divided by `limit`."""
    if not c.defined:
        return None
    fpr = np.r_[0, c.negatives.cumsum() / c.negatives.sum()]
    found = np.r_[0, c.weights.cumsum() / c.weights.sum()]
    end = int(np.searchsorted(fpr, limit, side="right"))
    x, y = fpr[:end], found[:end]
    if x[-1] < limit:
        x, y = np.r_[x, limit], np.r_[y, np.interp(limit, fpr[end - 1 : end + 1], found[end - 1 : end + 1])]
    return float(min(1.0, np.trapz(y, x) / limit))


@dataclass(frozen=True)
class Points:
    """A curve to draw: one point for each threshold, from the strictest to the most lenient."""

    x: np.ndarray
    y: np.ndarray
    thresholds: np.ndarray  # at or above is anomalous


def roc(c: Curve) -> Points:
    """False positive rate and true positive rate, from (0, 0) on; empty where one of the two kinds is missing."""
    if not c.defined:
        return Points(np.zeros(0), np.zeros(0), np.zeros(0))
    x, y = c.negatives.cumsum() / c.negatives.sum(), c.positives.cumsum() / c.positives.sum()
    return Points(np.r_[0, x], np.r_[0, y], np.r_[np.inf, c.scores])


def precision_recall(c: Curve) -> Points:
    """Recall and precision."""
    if not c.defined:
        return Points(np.zeros(0), np.zeros(0), np.zeros(0))
    found = c.positives.cumsum()
    return Points(found / found[-1], found / np.maximum(found + c.negatives.cumsum(), 1), c.scores)


def pro(c: Curve) -> Points:
    """False positive rate and the mean part found of each defect, from (0, 0) on; AUPRO is the area under its start."""
    if not c.defined:
        return Points(np.zeros(0), np.zeros(0), np.zeros(0))
    x, y = c.negatives.cumsum() / c.negatives.sum(), c.weights.cumsum() / c.weights.sum()
    return Points(np.r_[0, x], np.r_[0, y], np.r_[np.inf, c.scores])


def thinned(points: Points, most: int) -> Points:
    """At most so many of them, spread evenly over the curve's length."""
    if points.x.size <= most:
        return points
    length = np.r_[0, np.cumsum(np.abs(np.diff(points.x)) + np.abs(np.diff(points.y)))]
    kept = np.unique(np.searchsorted(length, np.linspace(0, length[-1], most)))
    return Points(points.x[kept], points.y[kept], points.thresholds[kept])


def defect_weights(mask: np.ndarray) -> np.ndarray:
    """The weight of each anomalous pixel, row after row: one over the pixels of its defect, a connected component (8
    neighbours)."""
    _, components = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    own = components[mask]
    return 1 / np.bincount(own).astype(float)[own] if own.size else np.zeros(0)


class PixelScores:
    """Collects maps and masks one image at a time; `curve()` gives what they add up to."""

    def __init__(self, exact_limit: int = EXACT_LIMIT) -> None:
        self.exact_limit = exact_limit
        self.parts: list[tuple] = []  # (scores, labels, weights), while exact
        self.count = 0
        self.bins: Any = None  # negatives, positives, weights of each key, afterwards

    def add(self, scores: np.ndarray, mask: np.ndarray, *, within: Optional[np.ndarray] = None) -> None:
        """`within`: the pixels that count, where not all do."""
        normal = ~mask if within is None else within & ~mask
        mask = mask if within is None else within & mask
        weights = defect_weights(mask)
        part = (
            np.ascontiguousarray(scores[normal], np.float32),
            np.ascontiguousarray(scores[mask], np.float32),
            weights,
        )
        self.count += int(normal.sum() + mask.sum())
        if self.bins is None and self.count > self.exact_limit:
            self.bins = [np.zeros(1 << KEY_BITS) for _ in range(3)]
            for earlier in self.parts:
                self._count(*earlier)
            self.parts = []
        if self.bins is None:
            self.parts.append(part)
        else:
            self._count(*part)

    def _count(self, negatives: np.ndarray, positives: np.ndarray, weights: np.ndarray) -> None:
        for total, values, weight in zip(self.bins, (negatives, positives, positives), (None, None, weights)):
            if values.size:
                key = (keys(values) >> (32 - KEY_BITS)).astype(np.int64)
                low = key.min()
                counted = np.bincount(key - low, weight)
                total[low : low + counted.size] += counted

    def curve(self) -> Curve:
        if self.bins is not None:
            negatives, positives, weights = (total[::-1] for total in self.bins)
            used = np.flatnonzero(negatives + positives)
            bits = ((1 << KEY_BITS) - 1 - used).astype(np.uint32) << np.uint32(32 - KEY_BITS)
            scores = np.where(bits >> 31, bits ^ np.uint32(1 << 31), ~bits).astype(np.uint32).view(np.float32)
            return Curve(scores, negatives[used], positives[used], weights[used])
        if not any(part[1].size for part in self.parts):  # no defect, no figures: the rest need not be sorted
            return curve(np.zeros(0), np.zeros(0))
        return self._exact()

    def _exact(self) -> Curve:
        """Only the anomalous scores are distinct entries; normal ones between two of them share one, the lowest."""
        negatives = np.sort(np.concatenate([part[0] for part in self.parts] or [np.zeros(0, np.float32)]))
        positives = np.concatenate([part[1] for part in self.parts] or [np.zeros(0, np.float32)])
        weights = np.concatenate([part[2] for part in self.parts] or [np.zeros(0)])
        found = curve(positives, np.ones(positives.size, bool), weights=weights)
        at_least = negatives.size - np.searchsorted(negatives, found.scores, side="left")
        above = negatives.size - np.searchsorted(negatives, found.scores, side="right")
        # Interleave: what lies above each anomalous score, then the score itself with its ties, then what is left.
        counts = np.empty(2 * found.scores.size + 1, np.int64)
        counts[0:-1:2] = above - np.r_[0, at_least[:-1]]
        counts[1::2] = at_least - above
        counts[-1] = negatives.size - (at_least[-1] if at_least.size else 0)
        expanded = [np.zeros(counts.size) for _ in range(3)]
        for target, values in zip(expanded, (found.scores, found.positives, found.weights)):
            target[1::2] = values
        expanded[0][0::2] = np.r_[
            np.r_[negatives, np.nan][negatives.size - above], negatives[:1] if negatives.size else 0
        ]
        used = counts + expanded[1] > 0
        return Curve(expanded[0][used], counts[used], expanded[1][used], expanded[2][used])
