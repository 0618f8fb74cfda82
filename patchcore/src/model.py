"""PatchCore as one Cell from photographs to maps and scores, for export.

The search is a matrix product with the bank, a chunk of rows at a time, so that what it gives stays in the processor's
cache. What would be an index (which patch is the worst, which row its nearest) is a mask and a product here: that needs
no gathering, and so works with any batch.
"""

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from anomaly.deploy.cells import EnlargeCell, up_to_here
from patchcore.src.config import MAX, TOP
from patchcore.src.detector import PatchCore
from patchcore.src.memory_bank import top_of

CHUNK = 1024  # rows of the bank in one product
MOST = 32  # products


class Model(nn.Cell):
    """B H W 3 uint8 -> maps, B H W, and scores, B."""

    def __init__(self, detector: PatchCore) -> None:
        super().__init__()
        vectors = detector.bank.vectors
        mean = vectors.mean(axis=0)  # distances stay, norms shrink, and with them rounding
        shifted = vectors - mean
        self.embedding = detector.embedding.network.cell
        self.up_to_here = up_to_here(detector.config.precision)
        self.mean = Tensor(mean)
        chunks = np.array_split(shifted, min(-(-len(shifted) // CHUNK), MOST))
        stops = np.cumsum([len(chunk) for chunk in chunks]).tolist()
        self.spans = tuple(zip([0, *stops[:-1]], stops))
        self.factors = tuple(Tensor(np.ascontiguousarray(2 * chunk.T)) for chunk in chunks)  # D m
        self.norms = tuple(Tensor((chunk**2).sum(axis=1)) for chunk in chunks)  # m
        self.matmul = ops.MatMul(transpose_b=True)
        self.grid = self.embedding.grid
        self.k = min(detector.bank.k, len(vectors))
        self.kind = detector.bank.kind
        self.top = top_of(self.grid[0] * self.grid[1], self.kind)
        self.enlarge = EnlargeCell(detector.anomaly_map)
        self.set_train(False)

    def construct(self, images):
        patches = self.up_to_here(self.embedding(images)) - self.mean  # B N D
        distances = ops.sqrt(ops.relu(self.to_nearest(patches)))  # B N
        maps = self.enlarge(distances.reshape(-1, self.grid[0], self.grid[1]))
        return maps, self.score(distances, patches)

    def score(self, distances, patches):
        """B N, B N D -> B, as in memory_bank.py."""
        if self.kind == TOP:
            return ops.topk(distances, self.top)[0].mean(1)
        star = distances.max(1)  # B, s* of Eq. (6)
        if self.kind == MAX:
            return star
        chosen = (distances >= star.reshape(-1, 1)).astype(mstype.float32)
        chosen = chosen / chosen.sum(1).reshape(-1, 1)
        test = ops.matmul(chosen.reshape(-1, 1, distances.shape[1]), patches)  # B 1 D, m_test
        return self.reweighted(test.reshape(-1, patches.shape[2]), star)

    def to_nearest(self, points):
        """B N D -> squared distances to the nearest rows of the bank, B N: |x|^2 - max(2 x m - |m|^2).

        A maximum, since the exporter makes two operations of a minimum, one of which nobody wants.
        """
        nearest = ops.amax(ops.matmul(points, self.factors[0]) - self.norms[0], 2)
        for i in range(1, len(self.factors)):
            nearest = ops.maximum(nearest, ops.amax(ops.matmul(points, self.factors[i]) - self.norms[i], 2))
        return (points * points).sum(2) - nearest

    def to_rows(self, points):
        """B D -> squared distances to all rows of the bank, B M."""
        parts = ()
        for i in range(len(self.factors)):
            parts += (self.norms[i] - ops.matmul(points, self.factors[i]),)
        return ops.concat(parts, 1) + (points * points).sum(1, keepdims=True)

    def row(self, mask):
        """B M, of sum 1 -> the mean of the rows chosen, B D."""
        total = 0
        for i in range(len(self.factors)):
            low, high = self.spans[i]
            total = total + self.matmul(mask[:, low:high], self.factors[i])
        return total * 0.5

    def reweighted(self, test, star):
        """Eq. (7), as in memory_bank.py."""
        if self.k < 2:
            return star
        squared = self.to_rows(test)
        least = squared.min(1).reshape(-1, 1)
        nearest = (squared <= least).astype(mstype.float32)
        nearest = nearest / nearest.sum(1).reshape(-1, 1)
        around = self.to_rows(self.row(nearest))  # B M, from m*
        closest, _ = ops.topk(-around, self.k)
        inside = (-around >= closest.min(1).reshape(-1, 1)).astype(mstype.float32)  # N_b(m*)
        far = ops.sqrt(ops.relu(squared)) * inside
        top = far.max(1).reshape(-1, 1)
        total = (ops.exp(far - top) * inside).sum(1)
        weight = 1 - ops.exp(star - top.reshape(-1)) / total
        return weight * star


def model(detector: PatchCore) -> Model:
    return Model(detector)
