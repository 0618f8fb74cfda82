"""What PaDiM's embedding computes (backbone.py says what it is)."""

import numpy as np
from mindspore import Tensor, nn, ops

from anomaly.networks import registry
from anomaly.networks.cells import Resample
from anomaly.networks.registry import Backbone
from anomaly.networks.resample import bilinear
from padim.src.backbone import projection


class PositionEmbedding(nn.Cell):
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
