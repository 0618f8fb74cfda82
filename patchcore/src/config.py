"""The options of PatchCore; presets are in patchcore/config."""

from dataclasses import dataclass

from anomaly import config
from anomaly.run.options import fraction, option, positive, zero_or_more

LAYERS = ("layer2", "layer3")  # of the network, that it looks through


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
