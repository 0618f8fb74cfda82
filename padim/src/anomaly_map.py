"""Mahalanobis distances -> a map of the size of the network's input, blurred with sigma 4 (arXiv 2011.08785, 3.3)."""

import numpy as np

from anomaly.networks.resample import Enlarge


class AnomalyMap(Enlarge):
    """B P distances -> B H W."""


def image_scores(maps: np.ndarray) -> np.ndarray:
    """B H W -> B: the largest value of each map."""
    return maps.max(axis=(1, 2))
