"""The options of PatchCore; presets are in patchcore/config."""

from dataclasses import dataclass

from anomaly import config
from anomaly.networks.registry import Record
from anomaly.run.options import fraction, option, positive, zero_or_more

FINEST = 8


def layers(record: Record) -> tuple:
    """Of the network, that it looks through: those that are not finer than a position in eight pixels."""
    return tuple(layer for layer, stride in zip(record.layers, record.strides) if stride >= FINEST)


@dataclass(frozen=True)
class Config(config.Config):
    coreset_ratio: float = option(0.01, fraction, "part of all patches that the memory bank keeps", trained=True)
    k: int = option(
        9, positive, "neighbours that re-weight the image score (b in Eq. 7); 1: no re-weighting", trained=True
    )
    gather_limit: float = option(
        0.0,
        zero_or_more,
        "several processes: GB of patches that one of them gathers, beyond it the coreset is an approximation; "
        "0: half of the free memory",
    )
