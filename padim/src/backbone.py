"""Photographs -> one embedding for each position (arXiv 2011.08785, section 3.1).

Layers 1 to 3 are brought to the grid of layer 1. Of their channels D are drawn (the paper), or all are projected to D
dimensions by a matrix with orthonormal columns (Kim et al., ICCV 2021). Either is a linear map of the channels, so it
is done first, as a 1 x 1 convolution on each layer's own small grid, and the interpolation has only D channels left.

Departure from the zoo's code: interpolation is bilinear, where it repeats each value of layers 2 and 3.
"""

import functools

import numpy as np
from mindspore import Tensor, nn, ops

from anomaly.engines.choice import Runtime
from anomaly.engines.frozen import Frozen, photographs
from anomaly.networks import registry
from anomaly.networks.cells import Resample
from anomaly.networks.registry import Backbone
from anomaly.networks.resample import bilinear
from padim.src.config import RANDOM, Config


def projection(channels: int, d: int, *, kind: str, seed: int) -> np.ndarray:
    """C D: what the channels of all layers are multiplied by."""
    rng = np.random.default_rng(seed)
    if kind == RANDOM:
        return np.eye(channels, dtype=np.float32)[:, np.sort(rng.permutation(channels)[:d])]
    basis, triangle = np.linalg.qr(rng.normal(size=(channels, d)))
    return (basis * np.sign(np.diag(triangle))).astype(np.float32)  # signs as if drawn uniformly


class Embedding(nn.Cell):
    """B H W 3 uint8 -> B P D, with P positions of the finest layer's grid."""

    def __init__(self, backbone: Backbone, size: tuple, *, d: int, kind: str, seed: int) -> None:
        super().__init__()
        record = registry.get(backbone.name)
        self.backbone, self.dimensions = backbone.net(size), d
        grids = [record.grid(layer, size) for layer in backbone.layers]
        self.grid = grids[0]
        channels = [record.channels_of(layer) for layer in backbone.layers]
        parts = np.split(projection(sum(channels), d, kind=kind, seed=seed), np.cumsum(channels)[:-1])  # C_l D each
        self.parts = tuple(Tensor(np.ascontiguousarray(part.T)[:, :, None, None]) for part in parts)  # D C_l 1 1
        to_grid = [[bilinear(*sides) for sides in zip(self.grid, grid)] for grid in grids[1:]]
        self.resample = nn.CellList([Resample(*matrices) for matrices in to_grid])
        self.project = ops.Conv2D(self.dimensions, (1, 1))
        self.set_train(False)

    def construct(self, images):
        layers = self.backbone(images)
        x = ops.transpose(self.project(layers[0], self.parts[0]), (0, 2, 3, 1))  # B h w D
        for i in range(len(self.resample)):
            x = x + self.resample[i](self.project(layers[i + 1], self.parts[i + 1]))
        return x.reshape(-1, self.grid[0] * self.grid[1], self.dimensions)  # B P D


def embedding(backbone: Backbone, config: Config) -> Frozen:
    """The same for every category, since each new one costs a compilation."""
    drawn = (config.embedding_dim, config.embedding, config.seed)
    return _embedding(backbone, config.transform.size, drawn=drawn, runtime=config.runtime)


@functools.lru_cache(maxsize=1)
def _embedding(backbone: Backbone, size: tuple, *, drawn: tuple, runtime: Runtime) -> Frozen:
    d, kind, seed = drawn
    cell = Embedding(backbone, size, d=d, kind=kind, seed=seed)
    return Frozen(cell, photographs(size), outputs=("positions",), runtime=runtime)
