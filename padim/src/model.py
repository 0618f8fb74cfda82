"""PaDiM as one Cell from photographs to maps and scores, for export."""

from dataclasses import replace

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from anomaly.deploy.cells import EnlargeCell, up_to_here
from anomaly.deploy.model_file import constant
from padim.src.detector import PaDiM
from padim.src.gaussian import EPSILON


class Model(nn.Cell):
    """B H W 3 uint8 -> maps, B H W, and scores, B."""

    def __init__(self, detector: PaDiM) -> None:
        super().__init__()
        gaussians = detector.gaussians
        self.embedding = detector.embedding.network.cell
        self.up_to_here = up_to_here(detector.config.precision)
        self.mean = Tensor(gaussians.mean)  # P D
        self.factor = constant(np.ascontiguousarray(gaussians.factor.transpose(0, 2, 1)))  # P D R
        root = np.array([EPSILON**0.5], np.float32)
        self.root, self.per_root = Tensor(root), Tensor(1 / root)
        self.low_rank = gaussians.low_rank and gaussians.count > 1
        self.one_image = gaussians.count == 1
        rank, d = gaussians.factor.shape[1:]
        terms = d if self.one_image else d + rank if self.low_rank else rank
        self.ones = Tensor(np.ones((terms, 1), np.float32))
        self.grid = self.embedding.grid
        self.pixels = len(detector.anomaly_map.rows) * detector.anomaly_map.columns.shape[1]
        self.enlarge = EnlargeCell(detector.anomaly_map)
        self.set_train(False)

    def construct(self, images):
        delta = ops.transpose(self.up_to_here(self.embedding(images)) - self.mean, (1, 0, 2))  # P B D
        maps = self.enlarge(self.distances(delta).reshape(-1, self.grid[0], self.grid[1]))
        # The exporter wants an operation of its own for an output that is used inside; no map is below 0.
        return ops.relu(maps), maps.reshape(-1, self.pixels).max(1)

    def distances(self, delta):
        """gaussian.py's two forms -> B P, so that they also work in float16, in which some devices compute.

        It ends at 65504, which distances of 256 have as their square, so EPSILON keeps squares down until the root is
        taken. A small difference of large sums would be lost, so a matrix product adds all up, in float32 there too.
        """
        if self.one_image:
            squares = delta * delta
        elif self.low_rank:
            squares = ops.concat((delta * delta, -self.projected(delta)), 2)
        else:
            squares = self.projected(delta * self.root)
        squared = ops.matmul(squares, self.ones).reshape(self.grid[0] * self.grid[1], -1)
        return ops.sqrt(ops.abs(ops.transpose(squared, (1, 0)))) * self.per_root

    def projected(self, delta):
        """The squares of W delta, P B R."""
        along = ops.bmm(delta, self.factor.astype(mstype.float32))
        return along * along


def model(detector: PaDiM) -> Model:
    return Model(detector)


def compact(detector: PaDiM) -> PaDiM:
    """In half the space; see padim/README.md for what that changes."""
    return replace(detector, gaussians=detector.gaussians.stored_as("float16"))
