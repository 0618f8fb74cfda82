"""What PatchCore's embedding computes (backbone.py says what it is)."""

from typing import Optional

from mindspore import Tensor, nn, ops

from anomaly.networks import registry
from anomaly.networks.cells import Resample
from anomaly.networks.registry import Backbone
from anomaly.networks.resample import average3, bilinear
from patchcore.src.reduction import Reduction


class PatchEmbedding(nn.Cell):
    """B H W 3 uint8 -> B N D, with N = h · w positions of the finest layer's grid."""

    def __init__(self, backbone: Backbone, size: tuple, *, fewer: Optional[Reduction] = None) -> None:
        super().__init__()
        record = registry.get(backbone.name)
        self.backbone = backbone.net(size)
        grids = [record.grid(layer, size) for layer in backbone.layers]
        self.grid, self.dimensions = grids[0], sum(record.channels_of(layer) for layer in backbone.layers)
        to_grid = [[bilinear(*sides) @ average3(sides[1]) for sides in zip(self.grid, grid)] for grid in grids]
        self.resample = nn.CellList([Resample(*matrices) for matrices in to_grid])
        self.concat = ops.Concat(axis=3)
        self.is_reduced = fewer is not None
        if fewer:
            self.dimensions = fewer.dimensions
            self.matrix, self.offset = Tensor(fewer.matrix[:-1]), Tensor(fewer.matrix[-1])
        self.set_train(False)

    def construct(self, images):
        layers, patches = self.backbone(images), ()
        for i in range(len(self.resample)):
            patches += (self.resample[i](layers[i]),)
        patches = self.concat(patches)
        if self.is_reduced:
            patches = ops.matmul(patches, self.matrix) + self.offset
        return patches.reshape(-1, self.grid[0] * self.grid[1], self.dimensions)  # B N D
