"""PatchCore as one Cell from photographs to maps and scores, for export.

The search is a matrix product with the whole bank. What would be an index (which patch is the worst, which row its
nearest) is a mask and a product here: that needs no gathering, and so works with any batch.
"""

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from anomaly.deployed import EnlargeCell
from patchcore.src.detector import PatchCore


class DeployedPatchCore(nn.Cell):
    """B H W 3 uint8 -> maps, B H W, and scores, B."""

    def __init__(self, detector: PatchCore):
        super().__init__()
        vectors = detector.bank.vectors
        mean = vectors.mean(axis=0)  # distances stay, norms shrink, and with them rounding
        shifted = vectors - mean
        self.embedding = detector.embedding
        self.mean = Tensor(mean)
        self.bank = Tensor(shifted)  # M D
        self.factor = Tensor(np.ascontiguousarray(-2 * shifted.T))  # D M
        self.norms = Tensor((shifted**2).sum(axis=1))  # M
        self.grid = detector.embedding.grid
        self.k = min(detector.bank.k, len(vectors))
        self.enlarge = EnlargeCell(detector.anomaly_map)
        self.set_train(False)

    def construct(self, images):
        patches = self.embedding(images) - self.mean  # B N D
        squared = self.to_rows(patches)  # B N M
        distances = ops.sqrt(ops.relu(squared.min(2)))  # B N
        maps = self.enlarge(distances.reshape(-1, self.grid[0], self.grid[1]))
        star = distances.max(1)  # B, s* of Eq. (6)
        chosen = (distances >= star.reshape(-1, 1)).astype(mstype.float32)
        chosen = chosen / chosen.sum(1).reshape(-1, 1)
        test = ops.matmul(chosen.reshape(-1, 1, distances.shape[1]), patches)  # B 1 D, m_test
        return maps, self.reweighted(test, star)

    def to_rows(self, points):
        """B n D -> squared distances to the rows of the bank, B n M."""
        norms = (points * points).sum(2)
        return ops.matmul(points, self.factor) + self.norms + norms.reshape(norms.shape[0], -1, 1)

    def reweighted(self, test, star):
        """Eq. (7), as in memory_bank.py."""
        if self.k < 2:
            return star
        squared = self.to_rows(test).reshape(-1, self.norms.shape[0])  # B M
        least = squared.min(1).reshape(-1, 1)
        nearest = (squared <= least).astype(mstype.float32)
        nearest = nearest / nearest.sum(1).reshape(-1, 1)
        star_row = ops.matmul(nearest, self.bank).reshape(-1, 1, self.bank.shape[1])  # B 1 D, m*
        around = self.to_rows(star_row).reshape(-1, self.norms.shape[0])
        closest, _ = ops.topk(-around, self.k)
        inside = (-around >= closest.min(1).reshape(-1, 1)).astype(mstype.float32)  # N_b(m*)
        far = ops.sqrt(ops.relu(squared)) * inside
        top = far.max(1).reshape(-1, 1)
        total = (ops.exp(far - top) * inside).sum(1)
        weight = 1 - ops.exp(star - top.reshape(-1)) / total
        return weight * star
