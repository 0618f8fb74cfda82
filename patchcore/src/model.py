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
        self.factors = tuple(Tensor(np.ascontiguousarray(chunk.T)) for chunk in chunks)  # D m
        self.halves = tuple(Tensor((chunk**2).sum(axis=1) / 2) for chunk in chunks)  # |m|^2 / 2 of each, m
        self.gather = ops.Gather()
        self.two = Tensor(np.array([2], np.float32))
        self.grid = self.embedding.grid
        self.k = min(detector.bank.k, len(vectors))
        self.number = Tensor(np.array([self.k], np.float32))
        self.kind = detector.bank.kind
        self.top = top_of(self.grid[0] * self.grid[1], self.kind)
        self.enlarge = EnlargeCell(detector.anomaly_map)
        self.set_train(False)

    def construct(self, images):
        patches = self.up_to_here(self.embedding(images)) - self.mean  # B N D
        distances = ops.sqrt(ops.abs(self.to_nearest(patches)))  # B N
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
        """B N D -> squared distances to the nearest rows of the bank, B N: |x|^2 - 2 max(x m - |m|^2 / 2).

        A maximum, since the exporter makes two operations of a minimum, one of which nobody wants.
        """
        nearest = ops.amax(ops.matmul(points, self.factors[0]) - self.halves[0], 2)
        for i in range(1, len(self.factors)):
            nearest = ops.maximum(nearest, ops.amax(ops.matmul(points, self.factors[i]) - self.halves[i], 2))
        return (points * points).sum(2) - nearest * self.two

    def to_rows(self, points):
        """B D -> what grows with the distance to each row of the bank, |m|^2 / 2 - x m, in chunks: B m each."""
        parts = ()
        for i in range(len(self.factors)):
            parts += (self.halves[i] - ops.matmul(points, self.factors[i]),)
        return parts

    def nearest_row(self, parts):
        """What to_rows gives -> the row that is nearest, B D."""
        found, closest = (), ()
        for i in range(len(self.factors)):
            value, place = ops.topk(-parts[i], 1)  # B 1
            closest += (value,)
            found += (ops.transpose(self.gather(self.factors[i], place.reshape(-1), 1), (1, 0)),)
        best = closest[0]
        for i in range(1, len(self.factors)):
            best = ops.maximum(best, closest[i])
        total, count = 0, 0
        for i in range(len(self.factors)):
            chosen = (closest[i] >= best).astype(mstype.float32)
            total, count = total + chosen * found[i], count + chosen
        return total / count

    def reweighted(self, test, star):
        """Eq. (7), as in memory_bank.py."""
        if self.k < 2:
            return star
        parts = self.to_rows(test)
        around = ops.concat(self.to_rows(self.nearest_row(parts)), 1)  # B M, from m*
        closest, _ = ops.topk(-around, self.k)
        last = -ops.amax(-closest, 1, True)
        inside = (-around >= last).astype(mstype.float32)  # N_b(m*), and all that are as near as the last of them
        nearer = (-around > last).astype(mstype.float32)
        as_near = inside - nearer
        share = (self.number - nearer.sum(1)) / as_near.sum(1)  # of these, since k are meant in all
        squared = ops.concat(parts, 1) * self.two + (test * test).sum(1, keepdims=True)
        far = ops.sqrt(ops.abs(squared)) * inside
        top = far.max(1).reshape(-1, 1)
        total = (ops.exp(far - top) * (nearer + as_near * share.reshape(-1, 1))).sum(1)
        weight = 1 - ops.exp(star - top.reshape(-1)) / total
        return weight * star


def model(detector: PatchCore) -> Model:
    return Model(detector)
