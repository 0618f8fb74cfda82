"""How unlikely each position is -> a map of the size of the network's input (arXiv 2111.07677, section 3.4).

On each scale the value is -exp(-mean_C(z^2) / 2); the scales are brought to full size and averaged, without a blur.
"""

from collections.abc import Sequence

import numpy as np

from anomaly.networks.resample import Enlarge


class AnomalyMap:
    def __init__(self, grids: tuple, size: tuple) -> None:
        self.scales = [Enlarge(grid, size, sigma=0) for grid in grids]

    def __call__(self, squares: Sequence) -> np.ndarray:
        """The means of z^2 over the channels, B h w for each scale -> B H W."""
        return np.mean([enlarge(-np.exp(-0.5 * square)) for enlarge, square in zip(self.scales, squares)], axis=0)


def image_scores(maps: np.ndarray) -> np.ndarray:
    """B H W -> B: the largest value of each map."""
    return maps.max(axis=(1, 2))
