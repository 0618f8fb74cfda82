"""Distances of patches -> a map of the size of the network's input, blurred with sigma 4 (arXiv 2106.08265, 3.3)."""

import numpy as np

from anomaly.networks.resample import Enlarge


class AnomalyMap(Enlarge):
    """B N distances -> B H W."""

    def below(self, pixel: int) -> np.ndarray:
        """The positions, N, that a pixel of the map, counted row after row, gets its value from."""
        y, x = divmod(pixel, self.columns.shape[1])
        return np.outer(self.rows[y], self.columns[:, x]).ravel() > 0
