"""The options of nearest mean: those that every method has, and one of its own."""

from dataclasses import dataclass

from anomaly import config
from anomaly.networks.registry import Record
from anomaly.run.options import option, zero_or_more


def layers(record: Record) -> tuple:
    """Of the network, that it looks through: the one with a position in eight pixels."""
    return (record.layers[record.strides.index(8)],)


@dataclass(frozen=True)
class Config(config.Config):
    sigma: float = option(4.0, zero_or_more, "standard deviation of the map's blur, in pixels", trained=True)
