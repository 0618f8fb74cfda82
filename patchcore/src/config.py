"""The options of PatchCore; presets are in patchcore/config."""

from dataclasses import dataclass

from anomaly.run import options as config


@dataclass(frozen=True)
class Config(config.Config):
    coreset_ratio: float = config.option(
        0.01, config.fraction, "part of all patches that the memory bank keeps", trained=True
    )
    k: int = config.option(
        9, config.positive, "neighbours that re-weight the image score (b in Eq. 7); 1: no re-weighting", trained=True
    )
    gather_limit: float = config.option(
        0.0,
        config.zero_or_more,
        "several processes: GB of patches that one of them gathers, beyond it the coreset is an approximation; "
        "0: half of the free memory",
    )
