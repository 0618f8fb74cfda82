"""Distances of patches -> a map of the size of the network's input, blurred with sigma 4 (section 3.3)."""

import numpy as np

from anomaly.resample import enlarge


class AnomalyMap:
    def __init__(self, grid: tuple, size: tuple):
        self.grid = grid
        self.rows = enlarge(size[0], grid[0])  # H h
        self.columns = enlarge(size[1], grid[1]).T  # w W

    def __call__(self, distances: np.ndarray) -> np.ndarray:
        """B N -> B H W."""
        return self.rows @ distances.reshape(-1, *self.grid).astype(np.float32) @ self.columns
