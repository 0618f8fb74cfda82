"""Changes of grid as fixed matrices, one for each axis: out = M_h · x · M_wᵀ.

Averaging, bilinear interpolation and a Gaussian blur are linear and separable, so any chain of them is one matrix an
axis. That is exact, needs no operator beyond a matrix product (which every exporter knows), and a blur of the full-size
map costs next to nothing.
"""

import numpy as np

SIGMA = 4.0


def bilinear(outputs: int, inputs: int) -> np.ndarray:
    """outputs x inputs; pixel centres correspond (align_corners=False), edges are repeated."""
    centres = np.clip((np.arange(outputs) + 0.5) * inputs / outputs - 0.5, 0, inputs - 1)
    low = np.floor(centres).astype(int)
    high = np.minimum(low + 1, inputs - 1)
    matrix = np.zeros((outputs, inputs))
    np.add.at(matrix, (np.arange(outputs), low), 1 - (centres - low))
    np.add.at(matrix, (np.arange(outputs), high), centres - low)
    return matrix


def area(outputs: int, inputs: int) -> np.ndarray:
    """outputs x inputs; the mean of what an output covers; where there are more outputs than inputs, as bilinear."""
    if outputs >= inputs:
        return bilinear(outputs, inputs)
    edges = np.linspace(0, inputs, outputs + 1)
    low, high = edges[:-1, None], edges[1:, None]
    positions = np.arange(inputs)
    covered = np.minimum(high, positions + 1) - np.maximum(low, positions)
    return np.maximum(covered, 0) * outputs / inputs


def bicubic(outputs: int, inputs: int) -> np.ndarray:
    """outputs x inputs; a cubic with a = -1/2, as wide as the larger step (antialiased), cut off at the border."""
    step = max(inputs / outputs, 1)
    centres = (np.arange(outputs)[:, None] + 0.5) * inputs / outputs
    x = np.abs(np.arange(inputs) + 0.5 - centres) / step
    near, far = 1 - 2.5 * x**2 + 1.5 * x**3, 2 - 4 * x + 2.5 * x**2 - 0.5 * x**3
    matrix = np.where(x < 1, near, np.where(x < 2, far, 0))
    return matrix / matrix.sum(axis=1, keepdims=True)


def average3(size: int) -> np.ndarray:
    """size x size; the mean of a position and its two neighbours, zeros beyond the border."""
    return (np.eye(size) + np.eye(size, k=1) + np.eye(size, k=-1)) / 3


def blur(size: int, sigma: float) -> np.ndarray:
    """size x size; a Gaussian, cut off at 4 sigma, that mirrors at the border: scipy's filter, without the tenth of
    a second that it takes to load."""
    matrix, radius = np.zeros((size, size)), int(4 * sigma + 0.5)
    away = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (away / sigma) ** 2) if sigma > 0 else np.ones(1)
    rows = np.arange(size)[:, None]
    columns = (rows + away) % (2 * size)
    np.add.at(matrix, (rows, np.minimum(columns, 2 * size - 1 - columns)), weights / weights.sum())
    return matrix


def enlarge(outputs: int, inputs: int, *, sigma: float = SIGMA) -> np.ndarray:
    """Bilinear interpolation followed by a blur, as float32."""
    return (blur(outputs, sigma) @ bilinear(outputs, inputs)).astype(np.float32)


class Enlarge:
    """Values on a grid -> a blurred map of the size of the network's input."""

    def __init__(self, grid: tuple, size: tuple, *, sigma: float = SIGMA) -> None:
        self.grid = grid
        self.rows = enlarge(size[0], grid[0], sigma=sigma)  # H h
        self.columns = enlarge(size[1], grid[1], sigma=sigma).T  # w W

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """B N, row after row -> B H W."""
        return self.rows @ values.reshape(-1, *self.grid).astype(np.float32) @ self.columns
