"""What photographs score when several images of training are left out at once: one and its changed copies.

With x_1 ... x_m of N images gone, n = N - m are left. In deviations d_i = x_i - mean of all N, with D their rows, the
scatter that stays is S - D^T K D, K = I + 1 1^T / n, and x_i deviates from the mean that stays by D^T (e_i + 1 / n).
So with A = S + (n - 1) eps I, T = D^T L, L L^T = K and M = I - T^T A^-1 T, by Woodbury's identity

    d'^2 = (n - 1) y^T (A^-1 + A^-1 T M^-1 T^T A^-1) y,     y = D^T (e_i + 1 / n)

which for m = 1 is what gaussian.py has. It is exact: as if the m images had not been trained on.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from anomaly.run.threads import parallel, spans
from padim.src.gaussian import CHUNK, EPSILON, Gaussians


def left_out(gaussians: Gaussians, x: np.ndarray) -> np.ndarray:
    """m P D, images that were trained on -> their distances to the Gaussians without all of them, m P."""
    m, positions, _ = x.shape
    left = gaussians.count - m
    if left < 1:
        raise ValueError(f"{m} of {gaussians.count} images cannot be left out")
    if left == 1:  # its Gaussian is eps I around it
        away = x + (x - gaussians.mean).sum(axis=0) - gaussians.mean
        return np.sqrt(np.einsum("mpd,mpd->mp", away, away) / EPSILON)
    result = np.empty((m, positions))

    def fill(part: slice) -> None:
        result[:, part] = np.sqrt(_squared(gaussians, x, part)).T

    parallel(fill, spans(positions, max(1, CHUNK // max(1, m // 8))))
    return result


def _squared(gaussians: Gaussians, x: np.ndarray, part: slice) -> np.ndarray:
    """p m, of some positions, in the coordinates of the eigenvectors, which the deviations lie in the span of.

    Where M is small it is summed from small terms, not subtracted from I: if all N images are independent, T^T S^+ T
    is exactly I.
    """
    m, n = len(x), gaussians.count - len(x)
    values = gaussians.eigenvalues[part].astype(np.float64)  # p R
    spread = (gaussians.count - 1) * values  # of S
    inverse = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
    more = (n - 1) * EPSILON
    delta = (x[:, part] - gaussians.mean[part]).transpose(1, 0, 2).astype(np.float64)
    along = delta @ gaussians.factor[part].astype(np.float64).transpose(0, 2, 1)  # p m R
    along *= np.sqrt((values + EPSILON) * (_inverse(values) if gaussians.low_rank else 1))[:, None]
    root = np.linalg.cholesky(np.eye(m) + 1 / n)
    t = root.T @ along  # p m R, the transpose of T
    if m > values.shape[1]:
        return (n - 1) * _solved(along + along.sum(axis=1, keepdims=True) / n, t=t, spread=spread + more)
    weighted = along / (spread + more)[:, None]  # D A^-1
    small = (t * (inverse * more / (spread + more))[:, None]) @ t.transpose(0, 2, 1)
    spanned = ((values > 0).sum(axis=1) == gaussians.count - 1)[:, None, None]
    rest = np.eye(m) - (t * inverse[:, None]) @ t.transpose(0, 2, 1)
    remaining = small + np.where(spanned, 0, rest) + 1e-12 * np.eye(m)
    y = np.eye(m) + 1 / n  # a row for each image
    own = y @ along
    first = ((own / (spread + more)[:, None]) * own).sum(axis=2)
    across = (y @ weighted) @ t.transpose(0, 2, 1)  # p m m, y^T A^-1 T
    second = (across * np.linalg.solve(remaining, across.transpose(0, 2, 1)).transpose(0, 2, 1)).sum(axis=2)
    return (n - 1) * np.maximum(first + second, 0)


def _solved(own: np.ndarray, *, t: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """y^T (A - T T^T)^-1 y without Woodbury: of more images than directions, as of a photograph in tiles, the matrix
    of the directions is the smaller one.
    """
    stays = -(t.transpose(0, 2, 1) @ t)  # p R R
    diagonal = np.arange(spread.shape[1])
    stays[:, diagonal, diagonal] += spread
    return (own * np.linalg.solve(stays, own.transpose(0, 2, 1)).transpose(0, 2, 1)).sum(axis=2)


def _inverse(values: np.ndarray) -> np.ndarray:
    return np.divide(1, values, out=np.zeros_like(values), where=values > 0)


def groups(batches: Iterable, numbers: np.ndarray) -> Iterator[np.ndarray]:
    """From images in batches, B P D, those of one photograph after the other, m P D; `numbers` of them rise."""
    sizes, kept = iter(np.unique(numbers, return_counts=True)[1]), []
    wanted = next(sizes, 0)
    for batch in batches:
        for image in batch:
            kept.append(np.array(image))
            if len(kept) == wanted:
                yield np.stack(kept)
                kept, wanted = [], next(sizes, 0)
