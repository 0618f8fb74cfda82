"""Which centres of a coreset could be a point's nearest: found fast, with a margin for rounding (coreset.py)."""

import ctypes
from typing import Any

import numpy as np

from anomaly.run.threads import parallel, spans
from patchcore.src.rounding import UNIT, squares, whole
from patchcore.src.screen import Screen

CHUNK = 8192  # rows converted at once


class Centres:
    """The points, and their squared norms once the mean is taken off: distances stay, and rounding shrinks."""

    def __init__(self, points: np.ndarray) -> None:
        self.points = points
        self.mean = points.mean(axis=0, dtype=np.float64)
        norms = np.concatenate(parallel(lambda span: squares(self.shifted(span)), spans(len(points), CHUNK)))
        self.norms = norms.astype(np.float64)
        self.count = 0  # of the centres that are known

    def shifted(self, index: Any) -> np.ndarray:
        return self.points[index] - self.mean.astype(np.float32)


class ByProducts(Centres):
    """Products in single precision."""

    def __init__(self, points: np.ndarray, picks: int) -> None:
        super().__init__(points)
        self.margin = 4 * (points.shape[1] + 2) * UNIT * self.norms.max()  # of a product's rounding, at the worst
        # -2 c and |c|^2 side by side, so that one product with (x, 1) gives |x - c|^2 - |x|^2.
        self.factors = np.empty((picks, points.shape[1] + 1), np.float32)

    def know(self, index: np.ndarray) -> None:
        new = slice(self.count, self.count + len(index))
        self.factors[new, :-1], self.factors[new, -1] = -2 * self.shifted(index), self.norms[index]
        self.count = new.stop

    def nearer(self, block: np.ndarray, *, among: slice, known: np.ndarray) -> tuple:
        """Pairs of a point of the block and a centre that could be its nearest, and nearer than the squared distances
        `known`."""
        rows = np.hstack([self.shifted(block), np.ones((len(block), 1), np.float32)])
        products = rows @ self.factors[among].T  # rounded |x - c|^2 - |x|^2
        nearest, before = products.min(axis=1), known - self.norms[block]
        closer = np.flatnonzero(nearest <= before + self.margin)
        limit = (np.minimum(nearest, before)[closer] + 2 * self.margin).astype(np.float32)
        row, column = np.nonzero(products[closer] <= limit[:, None])
        return closer[row], among.start + column


class ByScreen(Centres):
    """Products of small integers, by code of our own."""

    def __init__(self, points: np.ndarray, picks: int, *, library: ctypes.CDLL) -> None:
        super().__init__(points)
        largest = max(parallel(lambda span: np.abs(self.shifted(span)).max(), spans(len(points), CHUNK)))
        room, step = np.empty((picks, points.shape[1]), np.float32), np.float32(largest / library.Largest() or 1)
        self.screen = Screen(room, width=whole(points.shape[1]), step=step, library=library)
        self.slack = 4 * UNIT * (points.shape[1] + 2) * (np.sqrt(self.norms) + np.sqrt(self.norms.max()))

    def know(self, index: np.ndarray) -> None:
        new = slice(self.count, self.count + len(index))
        self.screen.vectors[new] = self.points[index]
        self.screen.put(new, self._shadows(index))
        self.count = new.stop

    def nearer(self, block: np.ndarray, *, among: slice, known: np.ndarray) -> tuple:
        """As above."""
        slack, points = self.slack[block], self.points[block]
        return self.screen.nearer(points, self._shadows(block), slack=slack, among=among, known=known)

    def _shadows(self, index: np.ndarray) -> np.ndarray:
        shadows = np.zeros((len(index), self.screen.codes.shape[1]), np.float32)
        shadows[:, : self.points.shape[1]] = self.shifted(index)
        return shadows
