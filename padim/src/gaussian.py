"""A Gaussian for each position, in the form that scoring needs (arXiv 2011.08785, section 3.2).

With scatter S of N images around their mean, Sigma = S / (N - 1) + eps I has the eigenvalues lambda_j + eps and eps.
Where N - 1 < D only N - 1 of the lambda_j are not zero, and with rows w_j = sqrt(lambda_j / (lambda_j + eps)) v_j

    d^2 = (|delta|^2 - |W delta|^2) / eps                                 low rank, exact

and otherwise, with w_j = v_j / sqrt(lambda_j + eps),

    d^2 = |W delta|^2                                                     a whitening factor

so W and the mean are all that is stored, nothing is inverted later, and the lambda_j (small) allow to go back to S.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from anomaly.deploy.state import State
from anomaly.run.errors import DataError
from anomaly.run.files import replacing
from anomaly.run.processes import ALONE, Ranks
from anomaly.run.threads import parallel, spans

EPSILON = 0.01
FILES = ("gaussian/mean.npy", "gaussian/factor.npy", "gaussian/eigenvalues.npy")
CHUNK = 256  # positions handled at once


@dataclass(frozen=True)
class Gaussians:
    mean: np.ndarray  # P D
    factor: np.ndarray  # P R D, the rows w_j
    eigenvalues: np.ndarray  # P R, the lambda_j
    count: int  # N

    @property
    def low_rank(self) -> bool:
        return self.count - 1 < self.mean.shape[1]

    def squared(self, x: np.ndarray) -> np.ndarray:
        """B P D -> squared distances, B P."""
        result = np.empty(x.shape[:2], np.float32)

        def fill(part: slice) -> None:
            delta, projected = self._project(x, part)
            squared = np.einsum("pbr,pbr->pb", projected, projected)
            if self.low_rank:
                squared = (np.einsum("pbd,pbd->pb", delta, delta) - squared) / EPSILON
            result[:, part] = np.maximum(squared, 0).T

        parallel(fill, spans(x.shape[1], CHUNK))
        return result

    def _project(self, x: np.ndarray, part: slice) -> tuple:
        """delta, p B D, and W delta, p B R, of some positions."""
        delta = (x[:, part] - self.mean[part]).transpose(1, 0, 2)
        return delta, delta @ self.factor[part].astype(np.float32, copy=False).transpose(0, 2, 1)

    def distances(self, x: np.ndarray) -> np.ndarray:
        """B P D -> Mahalanobis distances, B P."""
        return np.sqrt(self.squared(x))

    def left_out(self, x: np.ndarray) -> np.ndarray:
        """Distances of images that were trained on, each to the Gaussians without it (a rank-one downdate).

        Without x the mean moves so that delta' = N / (N - 1) delta, and the scatter loses N / (N - 1) delta delta^T.
        With A = S / (N - 1) + eps' I, eps' = eps (N - 2) / (N - 1), q = delta^T A^-1 delta and c = N / (N - 1)^2,
        Sherman-Morrison gives d'^2 = N^2 (N - 2) / (N - 1)^3 * q / (1 - c q).
        """
        n = self.count
        if n < 3:  # one image is left: its Gaussian is eps I around it
            delta = (x - self.mean) * (n / (n - 1))
            return np.sqrt(np.einsum("bpd,bpd->bp", delta, delta) / EPSILON)
        result = np.empty(x.shape[:2])

        def fill(part: slice) -> None:
            q, remaining = self._leverage(x, part)
            result[:, part] = np.sqrt(n**2 * (n - 2) / (n - 1) ** 3 * q / np.maximum(remaining, 1e-12)).T

        parallel(fill, spans(x.shape[1], CHUNK))
        return result

    def _leverage(self, x: np.ndarray, part: slice) -> tuple:
        """q and 1 - c q, p B, for images that were trained on: their delta lies in the span of the v_j.

        Where 1 - c q is small it is summed from small terms, not subtracted from 1: if N - 1 of the lambda_j are not
        zero, c times the sum of (v_j delta)^2 / lambda_j is exactly 1.
        """
        n = self.count
        reduced, c = EPSILON * (n - 2) / (n - 1), n / (n - 1) ** 2
        values = self.eigenvalues[part, None].astype(np.float64)  # p 1 R
        inverse = np.divide(1, values, out=np.zeros_like(values), where=values > 0)
        along = self._project(x, part)[1].astype(np.float64) ** 2
        along *= (values + EPSILON) * (inverse if self.low_rank else 1)  # (v_j delta)^2
        q = (along / (values + reduced)).sum(axis=2)
        remaining = c * (along * inverse * reduced / (values + reduced)).sum(axis=2)
        spanned = (values > 0).sum(axis=2) == n - 1  # p 1
        return q, remaining + np.where(spanned, 0, 1 - c * (along * inverse).sum(axis=2))

    def stored_as(self, storage: str) -> "Gaussians":
        return Gaussians(self.mean, self.factor.astype(storage, copy=False), self.eigenvalues, self.count)

    def save(self, folder: Path) -> None:
        for name, array in zip(FILES, (self.mean, self.factor, self.eigenvalues)):
            with replacing(folder / name) as temporary:
                np.save(temporary, array)

    @staticmethod
    def load(state: State, count: int, *, shape: Optional[tuple] = None) -> "Gaussians":
        """`shape`: P D, as the embedding has it."""
        mean, factor, eigenvalues = (state.array(name) for name in FILES)
        rows = factor.shape[1] if factor.ndim == 3 else 0
        positions, dimensions = shape or (*mean.shape, 0, 0)[:2]
        wanted = ((positions, dimensions), (positions, rows, dimensions), (positions, rows))
        for name, array, size in zip(FILES, (mean, factor, eigenvalues), wanted):
            if array.shape != size or array.dtype.kind != "f":
                raise state.damaged(name)
        return Gaussians(mean, factor, eigenvalues, count)


class Accumulator:
    """Takes in images one after the other, in memory of the size of the state.

    With m the mean of the k images so far, an image x adds y y^T to the scatter, y = sqrt(k / (k + 1)) (x - m)
    (Welford). As long as all images together make at most D rows y, these are kept and W takes their place; otherwise
    their products are summed. Several processes may take in some of the `images` each; `before` is how many of them
    (and of those of an earlier state, `start`, which the first process has) go to the processes before this one.
    """

    def __init__(
        self, positions: int, dimensions: int, *, images: int, start: Optional[Gaussians] = None, before: int = 0
    ) -> None:
        self.keeps_rows = images - 1 <= dimensions
        self.count = 0
        self.mean = np.zeros((positions, dimensions), np.float32)
        shape = (positions, images - 1 if self.keeps_rows else dimensions, dimensions)
        self.state = np.zeros(shape, np.float32)  # rows y, or the scatter
        self.filled = max(before - 1, 0)  # rows
        if start:
            self._continue(start)

    def _continue(self, old: Gaussians) -> None:
        """The scatter of a state is that of the rows sqrt((N - 1) lambda_j) v_j."""
        if old.factor.dtype == np.float16:
            raise DataError("a state in float16 is too coarse to go on from; train with --storage float32")
        values = old.eigenvalues
        scale = values * (values + EPSILON) if not old.low_rank else values + EPSILON
        if old.low_rank:
            scale = np.where(values > 0, scale, 0)
        scale = np.sqrt((old.count - 1) * scale).astype(np.float32)
        for start in range(0, len(self.mean), CHUNK):
            part = slice(start, start + CHUNK)
            self._add_rows(part, old.factor[part] * scale[part, :, None])
        self.filled += old.factor.shape[1] if self.keeps_rows else 0
        self.mean[:], self.count = old.mean, old.count

    def _add_rows(self, part: slice, rows: np.ndarray) -> None:
        """p r D, for some positions."""
        if self.keeps_rows:
            self.state[part, self.filled : self.filled + rows.shape[1]] = rows
        else:
            self.state[part] += rows.transpose(0, 2, 1) @ rows

    def add(self, x: np.ndarray) -> None:
        """B P D."""
        first = int(self.count == 0)  # which has nothing to differ from

        def take_in(part: slice) -> None:
            mean = self.mean[part]
            rows = np.empty((len(mean), len(x), x.shape[2]), np.float32)
            for number, image in enumerate(x[:, part]):
                k = self.count + number
                difference = image - mean
                rows[:, number] = np.sqrt(k / (k + 1)) * difference
                mean += difference / (k + 1)
            self._add_rows(part, rows[:, first:])

        parallel(take_in, spans(len(self.mean), CHUNK))
        self.count += len(x)
        self.filled += len(x) - first if self.keeps_rows else 0

    def reduce(self, ranks: Ranks) -> None:
        """Adds up what the processes have seen: with the k images before it, of mean M, a process's n images add their
        own scatter and y y^T, y = sqrt(k n / (k + n)) (m - M)."""
        if ranks.size == 1:
            return
        counts = ranks.all_gather(np.array([self.count])).reshape(-1)
        means = ranks.all_gather(self.mean)
        weighted = np.einsum("r,rpd->rpd", counts, means, dtype=np.float64)
        k = counts[: ranks.rank].sum()
        if k and self.count:
            difference = self.mean - weighted[: ranks.rank].sum(axis=0) / k
            row = np.sqrt(k * self.count / (k + self.count)) * difference
            self._add_rows(slice(None), row[:, None].astype(np.float32))
        ranks.all_reduce(self.state)
        self.count = int(counts.sum())
        self.mean = (weighted.sum(axis=0) / self.count).astype(np.float32)

    def gaussians(self, report: Callable = lambda n: None, ranks: Ranks = ALONE) -> Gaussians:
        """Ends the accumulation: the rows or the scatter are turned into W where they are, by each process in part."""
        values = np.zeros(self.state.shape[:2], np.float32)
        mine, before = ranks.share(range(len(self.state)))
        self.state[:before] = 0
        self.state[before + len(mine) :] = 0

        def finish(part: slice) -> None:
            for p in mine[part]:
                values[p] = self._finish(self.state[p])

        parallel(finish, spans(len(mine), CHUNK), report=lambda part: report(part.stop - part.start))
        return Gaussians(self.mean, ranks.all_reduce(self.state), ranks.all_reduce(values), self.count)

    def _finish(self, state: np.ndarray) -> np.ndarray:
        """R D of one position, in double precision: overwrites it with W, returns the eigenvalues."""
        if not len(state):
            return np.zeros(0)
        n, matrix = max(self.count - 1, 1), state.astype(np.float64)
        low_rank = n < state.shape[1]
        if self.keeps_rows:
            product = matrix @ matrix.T if low_rank else matrix.T @ matrix
        else:
            product = matrix
        values, vectors = np.linalg.eigh(product / n)
        values = np.where(values > 1e-12 * values[-1], values, 0)
        if low_rank:  # V = U^T Y / sqrt(n lambda), W = sqrt(lambda / (lambda + eps)) V
            state[:] = (vectors.T @ matrix) * np.where(values > 0, 1 / np.sqrt(n * (values + EPSILON)), 0)[:, None]
        else:
            state[:] = vectors.T / np.sqrt(values + EPSILON)[:, None]
        largest = np.abs(state).argmax(axis=1)
        state *= np.sign(state[np.arange(len(state)), largest])[:, None]  # an eigenvector has no sign of its own
        return values
