"""The options of PaDiM; presets are in padim/config."""

from dataclasses import dataclass

from anomaly.run import options as config

RANDOM, SEMI_ORTHOGONAL = "random", "semi_orthogonal"


@dataclass(frozen=True)
class Config(config.Config):
    embedding: str = config.option(
        RANDOM,
        str,
        "random: D channels drawn by the seed, as in the paper; semi_orthogonal: a projection to D dimensions",
        choices=(RANDOM, SEMI_ORTHOGONAL),
        trained=True,
    )
    embedding_dim: int = config.option(550, config.positive, "D, dimensions kept at each position", trained=True)
    storage: str = config.option(
        "float32", str, "numbers in the state; float16 halves it", choices=("float32", "float16"), trained=True
    )
    update: bool = config.option(False, config.boolean, "fold new images into the state that is there")
