"""The nearest rows of a memory bank: exact, with most distances never computed.

A vector x has a shadow y: its coordinates along the directions in which the bank varies most, and the length of the
rest. Shadows are not farther apart than their vectors. They are rounded to small integers, ŷ, which processors multiply
fastest, and how much that moves them is known: |x - m| >= |ŷx - ŷm| - |yx - ŷx| - |ym - ŷm|. The distance to the row
whose ŷ is nearest is an upper bound; only the rows that could be below it have their distances computed.
"""

from collections.abc import Callable

import faiss
import numpy as np

from anomaly.run.threads import cores, parallel, spans
from patchcore.src import products, screen
from patchcore.src.rounding import UNIT, squares, whole

SAMPLE = 4096  # rows that the directions are taken from, at least
CHUNK = 1024  # distances at once
TINY = np.finfo(np.float32).tiny


class Search:
    def __init__(self, vectors: np.ndarray, width: int = 0) -> None:
        """`width`: of the shadows; 0: what is fastest."""
        self.vectors, own = vectors, screen.library()
        width = width or (screen.WIDTH if own else products.WIDTH)
        sample = vectors[:: max(1, len(vectors) // SAMPLE)]
        self.mean = sample.mean(axis=0)  # distances stay, norms shrink, and with them rounding
        sample = sample - self.mean
        axes = np.linalg.eigh(sample.T @ sample)[1]  # the widest last
        width = whole(min(width, len(axes)))
        count = min(len(axes), width - 1)
        # Turned once more, all coordinates are of about one size, and one step suits them all.
        turn = np.linalg.qr(np.random.default_rng(0).normal(size=(width, width)))[0].astype(np.float32)
        self.axes = axes[:, len(axes) - count :] @ turn[:count]
        self.rest = turn[-1] if count < len(axes) else None
        shadows, self.farthest, self.slack = np.empty((len(vectors), width), np.float32), 0, 0
        for some in spans(len(vectors), SAMPLE):
            shadows[some], lengths, slack = self._shadows(vectors[some] - self.mean)
            self.farthest, self.slack = max(self.farthest, lengths.max()), max(self.slack, slack.max())
        self.screen = screen.Screen.of(vectors, shadows, library=own) if own else products.Products(vectors, shadows)

    def _shadows(self, shifted: np.ndarray) -> tuple:
        """N D -> their shadows, N K, their lengths, and by how much rounding can make the lengths of the rest wrong."""
        shadows, squared = shifted @ self.axes, squares(shifted)
        slack = np.zeros(len(shifted), np.float32)
        if self.rest is not None:
            rest = np.sqrt(np.maximum(squared - squares(shadows), 0))
            shadows += rest[:, None] * self.rest
            wrong = 8 * UNIT * (shifted.shape[1] + 2) * squared
            slack = wrong / np.maximum(np.maximum(rest, np.sqrt(wrong)), TINY)
        return shadows, np.sqrt(squared), slack

    def nearest(self, points: np.ndarray, k: int = 1, *, skip: slice = slice(0)) -> tuple:
        """N D -> the distances to the nearest k rows and their indices, N k, fewer if there are fewer; `skip`: rows
        that do not count."""
        k = min(k, len(self.vectors) - len(range(len(self.vectors))[skip]))
        squared = np.empty((len(points), k), np.float32)
        found = np.full((len(points), k), -1)

        def search(some: slice) -> None:
            shadows, lengths, slack = self._shadows(points[some] - self.mean)
            slack += self.slack + 4 * UNIT * (points.shape[1] + 2) * (lengths + self.farthest)
            row, column = self.screen.possible(points[some], shadows, slack=slack, k=k, skip=skip)
            index = some.start + np.flatnonzero(np.bincount(row))
            squared[index], found[index] = self._closest(points[some], row, column, k=k)

        self._in_blocks(search, len(points))
        many = np.flatnonzero(found[:, 0] < 0)
        if many.size:
            squared[many], found[many] = self._among_all(points[many], k=k, skip=skip)
        return np.sqrt(squared), found

    def _among_all(self, points: np.ndarray, *, k: int, skip: slice) -> tuple:
        rows = np.delete(np.arange(len(self.vectors)), skip)
        faiss.omp_set_num_threads(cores())  # MindSpore leaves it at one
        _, nearest = faiss.knn(points - self.mean, self.vectors[rows] - self.mean, k)
        return self._closest(points, np.repeat(np.arange(len(points)), k), rows[nearest].ravel(), k=k)

    def near(self, points: np.ndarray, *, skip: slice = slice(0)) -> np.ndarray:
        """N D -> the distances to rows that are about the nearest, N: never less than those to the nearest."""
        bounds = np.empty(len(points), np.float32)

        def search(some: slice) -> None:
            bounds[some] = self.screen.near(points[some], self._shadows(points[some] - self.mean)[0], skip=skip)

        self._in_blocks(search, len(points))
        return bounds

    def _in_blocks(self, search: Callable, count: int) -> None:
        parallel(search, spans(count, self.screen.at_once))

    def _closest(self, points: np.ndarray, row: np.ndarray, column: np.ndarray, *, k: int) -> tuple:
        """The nearest k of the given pairs of a point and a row, for each point that has any."""
        squared = np.empty(len(row), np.float32)
        for i in range(0, len(row), CHUNK):
            some = slice(i, i + CHUNK)
            squared[some] = squares(points[row[some]] - self.vectors[column[some]])
        order = np.lexsort((squared, row))  # of equal distances the first
        first = np.flatnonzero(np.diff(row, prepend=-1))
        chosen = order[first[:, None] + np.arange(k)]
        return squared[chosen], column[chosen]
