"""Distances of patches -> a map of the size of the network's input, blurred with sigma 4 (arXiv 2106.08265, 3.3)."""

from anomaly.networks.resample import Enlarge


class AnomalyMap(Enlarge):
    """B N distances -> B H W."""
