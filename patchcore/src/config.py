"""The options of PatchCore; presets are in patchcore/config."""

from dataclasses import dataclass

from anomaly import config
from anomaly.networks import registry
from anomaly.networks.registry import Record
from anomaly.run.errors import UsageError
from anomaly.run.options import boolean, count, fraction, option, positive, zero_or_more

FINEST = 8
REWEIGHTED, MAX, TOP = "reweighted", "max", "top1"
SCORES = (REWEIGHTED, MAX, TOP)


def layers(record: Record) -> tuple:
    """Of the network, that it looks through: those that are not finer than a position in eight pixels."""
    return tuple(layer for layer, stride in zip(record.layers, record.strides) if stride >= FINEST)


@dataclass(frozen=True)
class Config(config.Config):
    coreset_ratio: float = option(0.01, fraction, "share of all patches that the memory bank keeps", trained=True)
    k: int = option(
        9, positive, "neighbours that re-weight the image score (b in Eq. 7); 1: no re-weighting", trained=True
    )
    score: str = option(
        REWEIGHTED,
        str,
        "of a photograph; reweighted: its largest distance, weighed (Eq. 7); max: that distance as it is; top1: the "
        "mean of its largest 1 % of distances",
        choices=SCORES,
        trained=True,
    )
    dimensions: int = option(
        0,
        count,
        "dimensions that patches are reduced to, by principal components; 0: keep all that the network has",
        trained=True,
    )
    whiten: bool = option(False, boolean, "with --dimensions: scale all dimensions to the same spread", trained=True)
    update: bool = option(False, boolean, "add the new photographs to the state that was trained before")
    gather_limit: float = option(
        0.0,
        zero_or_more,
        "several processes: GB of patches that one of them gathers, beyond it the coreset is an approximation; "
        "0: half of the free memory",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.members:
            return
        record = registry.get(self.backbone)
        channels = sum(record.channels_of(layer) for layer in layers(record))
        if self.dimensions > channels:
            raise UsageError(f"--dimensions {self.dimensions}: {self.backbone} has {channels}")
        if self.whiten and not self.dimensions:
            raise UsageError("--whiten needs --dimensions")
