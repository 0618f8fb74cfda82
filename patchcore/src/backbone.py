"""Photographs -> patch features (arXiv 2106.08265, section 3.1).

Each layer is averaged over 3 x 3 neighbourhoods and brought to the grid of the finest (of a ResNet's layers 2 and 3 to
that of layer 2). Both are linear and separable, so they are one matrix for each axis (anomaly/networks/resample.py);
multiplying by them with the channels last gives the patches in the order in which the memory bank wants them.

Departures from the paper's code: none in what is computed but that its final adaptive pooling of channels is left out,
as in the MindSpore zoo's version, so D = C2 + C3.
"""

import functools
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from anomaly.engines.choice import Runtime
from anomaly.engines.frozen import Frozen, photographs
from anomaly.networks import registry
from anomaly.networks.registry import Backbone
from patchcore.src.config import Config
from patchcore.src.reduction import Reduction


@dataclass(frozen=True, eq=False)
class Embedding:
    """B H W 3 uint8 -> B N D, with N = h · w positions of the finest layer's grid."""

    network: Frozen
    grid: tuple
    dimensions: int
    fewer: Optional[Reduction]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.network(images)[0]


def embedding(backbone: Backbone, config: Config, *, fewer: Optional[Reduction] = None) -> Embedding:
    """The same for every category, since each new one costs a compilation."""
    return _embedding(backbone, config.transform.size, fewer=fewer, runtime=config.runtime)


@functools.lru_cache(maxsize=1)
def _embedding(backbone: Backbone, size: tuple, *, fewer: Optional[Reduction], runtime: Runtime) -> Embedding:
    record = registry.get(backbone.name)
    identity = (*backbone.identity, fewer.digest if fewer else "")
    make = functools.partial(_cell, backbone, size, fewer)
    network = Frozen(make, photographs(size), outputs=("patches",), runtime=runtime, identity=identity)
    width = sum(record.channels_of(layer) for layer in backbone.layers)
    return Embedding(network, record.grid(backbone.layers[0], size), fewer.dimensions if fewer else width, fewer)


def _cell(backbone: Backbone, size: tuple, fewer: Optional[Reduction]) -> Any:
    from patchcore.src.embedding import PatchEmbedding  # which loads MindSpore

    return PatchEmbedding(backbone, size, fewer=fewer)
