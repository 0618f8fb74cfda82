"""The patches that stay in the memory bank: greedy k-centre selection (arXiv 2106.08265, Algorithm 1).

Each pick is the patch farthest from all picked so far, the lowest index where several are equally far. The naive way
brings every distance up to date after every pick. Here distances are upper bounds that may be out of date: those of the
`POOL` patches with the largest bounds are brought up to date with one matrix product, and as long as the farthest of
them is farther than every bound outside, it is the farthest of all. The choice is exact and the same as the naive one;
double precision keeps rounding far below the differences between distances.
"""

from collections.abc import Callable
from typing import Any, Optional

import numpy as np

from anomaly.run.threads import parallel, spans
from patchcore.src import screen
from patchcore.src.centres import ByProducts, ByScreen
from patchcore.src.rounding import squares

POOL = 4096
BLOCK = 512  # points and
CENTRES = 2048  # centres in one product
CHUNK = 8192  # rows converted at once
EPSILON = 0.9  # of the Johnson-Lindenstrauss lemma, as the paper's and the zoo's code have it
TIE = 1e-11  # relative to the largest squared norm: closer distances count as equal


def width(rows: int, dimensions: int) -> int:
    """d, for so many rows: dimensions in which distances are kept; D where it would not be smaller."""
    return min(dimensions, int(4 * np.log(rows) / (EPSILON**2 / 2 - EPSILON**3 / 3)) if rows > 1 else dimensions)


def project(features: np.ndarray, seed: int) -> np.ndarray:
    """N D -> N d: a sparse random projection that keeps distances, in float32."""
    rows, dimensions = features.shape
    target = width(rows, dimensions)
    if target == dimensions:
        return features
    projection = _drawn(target, dimensions, seed).T.astype(np.float32)
    result = np.empty((rows, target), np.float32)

    def fill(span: slice) -> None:
        result[span] = features[span] @ projection

    parallel(fill, spans(rows, CHUNK))
    return result


def _drawn(target: int, dimensions: int, seed: int) -> np.ndarray:
    """target x dimensions: the numbers that scikit-learn draws for the same seed, without the second that it takes to
    load: in each row about √dimensions of them are not 0."""
    rng, density = np.random.RandomState(seed), 1 / np.sqrt(dimensions)
    rows = np.zeros((target, dimensions))
    places = []
    for row in range(target):
        count = rng.binomial(dimensions, density)
        if count > 0.01 * dimensions:
            chosen = rng.permutation(dimensions)[:count]
        else:
            chosen = _drawn_singly(count, dimensions, rng)
        places.append(row * dimensions + chosen)
    index = np.concatenate(places)
    rows.flat[index] = rng.binomial(1, 0.5, size=len(index)) * 2 - 1
    return np.sqrt(1 / density) / np.sqrt(target) * rows


def _drawn_singly(count: int, dimensions: int, rng: np.random.RandomState) -> np.ndarray:
    chosen: dict = {}
    while len(chosen) < count:
        chosen[rng.randint(dimensions)] = None
    return np.array(list(chosen), np.int64)


class _Distances:
    """Squared distances of all points to their nearest centre, each as of the centres that it has been shown.

    Those centres that could be the nearest are found with rounding, and their distances are then computed directly in
    double precision. So what is stored is exact.
    """

    def __init__(self, points: np.ndarray, picks: int) -> None:
        self.points, own = points, screen.library()
        self.near = ByScreen(points, picks, library=own) if own else ByProducts(points, picks)
        self.centres = np.empty(picks, np.int64)
        self.count = 0
        self.squared = np.full(len(points), np.inf)
        self.seen = np.zeros(len(points), np.int64)  # how many centres a distance knows of

    def double(self, index: Any) -> np.ndarray:
        return self.points[index] - self.near.mean

    def add(self, index: int) -> None:
        self.centres[self.count] = index
        self.count += 1

    def update(self, index: np.ndarray) -> None:
        """Shows all centres to these points."""
        if self.near.count < self.count:
            self.near.know(self.centres[self.near.count : self.count])
        index = index[self.seen[index] < self.count]
        index = index[np.argsort(self.seen[index], kind="stable")]  # a block starts at the oldest of its rows
        parallel(self._update, [index[span] for span in spans(len(index), BLOCK)])

    def _update(self, block: np.ndarray) -> None:
        for start in range(self.seen[block].min(), self.count, CENTRES):
            self._show(block, slice(start, min(start + CENTRES, self.count)))
        self.seen[block] = self.count

    def _show(self, block: np.ndarray, centres: slice) -> None:
        row, centre = self.near.nearer(block, among=centres, known=self.squared[block])
        index = block[row]
        for i in range(0, len(index), CHUNK):
            some, other = index[i : i + CHUNK], self.centres[centre[i : i + CHUNK]]
            np.minimum.at(self.squared, some, squares(self.points[some].astype(np.float64) - self.points[other]))


def greedy(points: np.ndarray, picks: int, *, first: Any, report: Optional[Callable] = None) -> np.ndarray:
    """Indices of `picks` points in the order in which they are chosen; fewer if the rest are copies of these.

    `first`: the one to begin with, or several that are chosen already.
    """
    state = _Distances(points, picks)
    for index in np.atleast_1d(first):
        state.add(index)
    state.update(np.arange(len(points)))
    tie = TIE * state.near.norms.max()
    report = report or (lambda picked: None)
    report(state.count)
    while state.count < picks:
        pool, outside = _pool(state.squared)
        state.update(pool)
        before = state.count
        farthest = _pick(state, pool, outside + tie, tie, picks)
        if state.count == before and farthest > tie and farthest >= outside - tie:
            _pick_tied(state, farthest - tie, tie)
        report(state.count - before)
        if max(farthest, outside) <= tie:
            break
    return state.centres[: state.count]


def _pick(state: _Distances, pool: np.ndarray, outside: float, tie: float, picks: int) -> float:
    """Picks from the pool while its farthest is farther than anything outside; returns that distance."""
    active = np.sort(pool[state.squared[pool] > outside])  # the others cannot be picked before the pool is made anew
    rows, squared = state.double(active), state.squared[active]
    norms = squares(rows)
    farthest = state.squared[pool].max()
    while state.count < picks and farthest > max(outside, tie):
        pick = int(np.argmax(squared >= farthest - tie))
        state.add(active[pick])
        squared = np.minimum(squared, np.maximum(norms - 2 * (rows @ rows[pick]) + norms[pick], 0))
        squared[pick] = 0
        farthest = squared.max()
    state.squared[active], state.seen[active] = squared, state.count
    return farthest


def _pick_tied(state: _Distances, least: float, tie: float) -> None:
    """Picks one of more equally far points than the pool holds, if it is still the farthest when all are up to date."""
    state.update(np.flatnonzero(state.squared >= least))
    farthest = state.squared.max()
    if farthest <= least + 2 * tie:
        pick = int(np.argmax(state.squared >= farthest - tie))
        state.add(pick)
        state.update(np.array([pick]))


def _pool(bounds: np.ndarray) -> tuple:
    """The points with the largest bounds, and the largest bound of all others."""
    if len(bounds) <= POOL:
        return np.arange(len(bounds)), -np.inf
    order = np.argpartition(bounds, len(bounds) - POOL)
    pool, rest = order[-POOL:], order[:-POOL]
    return pool, bounds[rest].max()
