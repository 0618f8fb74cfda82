"""The options of PaDiM; presets are in padim/config."""

from dataclasses import dataclass

from anomaly import config
from anomaly.networks import registry
from anomaly.networks.registry import Record
from anomaly.run.errors import UsageError
from anomaly.run.options import boolean, count, option

RANDOM, SEMI_ORTHOGONAL = "random", "semi_orthogonal"
DIMENSIONS = (550, 100)  # the paper's, of a large network and of a small one


def layers(record: Record) -> tuple:
    """Of the network, that it looks through."""
    return record.layers


@dataclass(frozen=True)
class Config(config.Config):
    embedding: str = option(
        RANDOM,
        str,
        "random: D channels drawn by the seed, as in the paper; semi_orthogonal: a projection to D dimensions",
        choices=(RANDOM, SEMI_ORTHOGONAL),
        trained=True,
    )
    embedding_dim: int = option(
        0,
        count,
        "D, dimensions kept at each position; 0: the paper's, 550, or 100 of a network with fewer channels",
        trained=True,
    )
    storage: str = option(
        "float32",
        str,
        "number format of the state; float16 halves its size",
        choices=("float32", "float16"),
        trained=True,
    )
    update: bool = option(False, boolean, "fold new images into the state that is there")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.members:  # each has its own
            return
        channels = self.channels
        if not self.embedding_dim:
            object.__setattr__(self, "embedding_dim", DIMENSIONS[0] if channels > DIMENSIONS[0] else DIMENSIONS[1])
        if self.embedding_dim > channels:
            raise UsageError(f"--embedding_dim {self.embedding_dim}: {self.backbone} has {channels} channels")

    @property
    def channels(self) -> int:
        """Of all layers together."""
        record = registry.get(self.backbone)
        return sum(record.channels_of(layer) for layer in layers(record))
