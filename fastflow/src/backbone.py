"""What FastFlow takes of the network: the outputs of three layers, as they are (arXiv 2111.07677, section 3.2)."""

from anomaly.networks import registry
from fastflow.src.config import LAYERS, Config


def grids(config: Config) -> tuple:
    """Rows and columns of each layer's output."""
    return tuple(registry.get(config.backbone).grid(layer, config.transform.size) for layer in LAYERS)


def shapes(config: Config) -> tuple:
    """C, H, W of each layer's output."""
    record = registry.get(config.backbone)
    return tuple((record.channels_of(layer), *grid) for layer, grid in zip(LAYERS, grids(config)))
