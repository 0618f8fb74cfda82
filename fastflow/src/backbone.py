"""What FastFlow takes of the network: the outputs of its layers, as they are (arXiv 2111.07677, section 3.2)."""

from anomaly.networks import registry
from fastflow.src.config import Config, layers


def grids(config: Config) -> tuple:
    """Rows and columns of each layer's output."""
    return tuple(shape[1:] for shape in shapes(config))


def shapes(config: Config) -> tuple:
    """C, H, W of each layer's output."""
    record = registry.get(config.backbone)
    return tuple((record.channels_of(layer), *record.grid(layer, config.transform.size)) for layer in layers(record))
