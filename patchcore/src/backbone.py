"""Photographs -> patch features (arXiv 2106.08265, section 3.1).

Each layer is averaged over 3 x 3 neighbourhoods and brought to the grid of the finest (of a ResNet's layers 2 and 3 to
that of layer 2). Both are linear and separable, so they are one matrix for each axis (anomaly/networks/resample.py);
multiplying by them with the channels last gives the patches in the order in which the memory bank wants them.

Departures from the paper's code: none in what is computed but that its final adaptive pooling of channels is left out,
as in the MindSpore zoo's version, so D = C2 + C3.
"""

import functools
from typing import Optional

from mindspore import Tensor, nn, ops

from anomaly.engines.choice import Runtime
from anomaly.engines.frozen import Frozen, photographs
from anomaly.networks import registry
from anomaly.networks.cells import Resample
from anomaly.networks.registry import Backbone
from anomaly.networks.resample import average3, bilinear
from patchcore.src.config import Config
from patchcore.src.reduction import Reduction


class PatchEmbedding(nn.Cell):
    """B H W 3 uint8 -> B N D, with N = h · w positions of the finest layer's grid."""

    def __init__(self, backbone: Backbone, size: tuple, *, fewer: Optional[Reduction] = None) -> None:
        super().__init__()
        self.fewer = fewer
        record = registry.get(backbone.name)
        self.backbone = backbone.net(size)
        grids = [record.grid(layer, size) for layer in backbone.layers]
        self.grid, self.dimensions = grids[0], sum(record.channels_of(layer) for layer in backbone.layers)
        to_grid = [[bilinear(*sides) @ average3(sides[1]) for sides in zip(self.grid, grid)] for grid in grids]
        self.resample = nn.CellList([Resample(*matrices) for matrices in to_grid])
        self.concat = ops.Concat(axis=3)
        if fewer:
            self.dimensions = fewer.dimensions
            self.matrix, self.offset = Tensor(fewer.matrix[:-1]), Tensor(fewer.matrix[-1])
        self.set_train(False)

    def construct(self, images):
        layers, patches = self.backbone(images), ()
        for i in range(len(self.resample)):
            patches += (self.resample[i](layers[i]),)
        patches = self.concat(patches)
        if self.fewer is not None:
            patches = ops.matmul(patches, self.matrix) + self.offset
        return patches.reshape(-1, self.grid[0] * self.grid[1], self.dimensions)  # B N D


def embedding(backbone: Backbone, config: Config, *, fewer: Optional[Reduction] = None) -> Frozen:
    """The same for every category, since each new one costs a compilation."""
    return _embedding(backbone, config.transform.size, fewer=fewer, runtime=config.runtime)


@functools.lru_cache(maxsize=1)
def _embedding(backbone: Backbone, size: tuple, *, fewer: Optional[Reduction], runtime: Runtime) -> Frozen:
    cell = PatchEmbedding(backbone, size, fewer=fewer)
    return Frozen(cell, photographs(size), outputs=("patches",), runtime=runtime)
