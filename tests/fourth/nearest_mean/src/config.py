"""The options of nearest mean: those that every method has, and one of its own."""

from dataclasses import dataclass

from anomaly import config
from anomaly.run.options import option, zero_or_more

LAYERS = ("layer2",)  # of the network, that it looks through


@dataclass(frozen=True)
class Config(config.Config):
    sigma: float = option(4.0, zero_or_more, "standard deviation of the map's blur, in pixels", trained=True)
