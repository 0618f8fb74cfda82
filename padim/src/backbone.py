"""Photographs -> one embedding for each position (arXiv 2011.08785, section 3.1).

Layers 1 to 3 are brought to the grid of layer 1. Of their channels D are drawn (the paper), or all are projected to D
dimensions by a matrix with orthonormal columns (Kim et al., ICCV 2021). Either is a linear map of the channels, so it
is done first, as a 1 x 1 convolution on each layer's own small grid, and the interpolation has only D channels left.

Departure from the zoo's code: interpolation is bilinear, where it repeats each value of layers 2 and 3.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from anomaly.engines.choice import Runtime
from anomaly.engines.frozen import Frozen, photographs
from anomaly.networks import registry
from anomaly.networks.registry import Backbone
from padim.src.config import RANDOM, Config


def projection(channels: int, d: int, *, kind: str, seed: int) -> np.ndarray:
    """C D: what the channels of all layers are multiplied by."""
    rng = np.random.default_rng(seed)
    if kind == RANDOM:
        return np.eye(channels, dtype=np.float32)[:, np.sort(rng.permutation(channels)[:d])]
    basis, triangle = np.linalg.qr(rng.normal(size=(channels, d)))
    return (basis * np.sign(np.diag(triangle))).astype(np.float32)  # signs as if drawn uniformly


@dataclass(frozen=True, eq=False)
class Embedding:
    """B H W 3 uint8 -> B P D, with P positions of the finest layer's grid."""

    network: Frozen
    grid: tuple
    dimensions: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.network(images)[0]


def embedding(backbone: Backbone, config: Config) -> Embedding:
    """The same for every category, since each new one costs a compilation."""
    drawn = (config.embedding_dim, config.embedding, config.seed)
    return _embedding(backbone, config.transform.size, drawn=drawn, runtime=config.runtime)


@functools.lru_cache(maxsize=1)
def _embedding(backbone: Backbone, size: tuple, *, drawn: tuple, runtime: Runtime) -> Embedding:
    make, identity = functools.partial(_cell, backbone, size, drawn), (*backbone.identity, *drawn)
    network = Frozen(make, photographs(size), outputs=("positions",), runtime=runtime, identity=identity)
    return Embedding(network, registry.get(backbone.name).grid(backbone.layers[0], size), drawn[0])


def _cell(backbone: Backbone, size: tuple, drawn: tuple) -> Any:
    from padim.src.embedding import PositionEmbedding  # which loads MindSpore

    d, kind, seed = drawn
    return PositionEmbedding(backbone, size, d=d, kind=kind, seed=seed)
