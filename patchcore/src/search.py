"""The nearest rows of a memory bank: exact, with most distances never computed.

A vector x has a shadow y: its coordinates along the directions in which the bank varies most, and the length of the
rest. Shadows are not farther apart than their vectors. They are rounded to small integers, ŷ, which processors multiply
fastest, and how much that moves them is known: |x - m| >= |ŷx - ŷm| - |yx - ŷx| - |ym - ŷm|. The distance to the row
whose ŷ is nearest is an upper bound; only the rows that could be below it have their distances computed.
"""

from collections.abc import Callable

import faiss
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from anomaly.run.threads import cores, parallel, spans

WIDTH = 256  # of a shadow
SAMPLE = 4096  # rows that the directions are taken from, at least
LARGEST = 63  # of the bank's integers: AVX2 adds two products with 8 bits of the other side in 16 bits
ZERO = 128  # of the other side's
VALUES = 2**20  # products at once
CHUNK = 1024  # distances at once
FEW = 16  # rows and this part of the bank: where more could be nearest, products with all of it are faster
UNIT = 2.0**-24  # of rounding in single precision


class Search:
    def __init__(self, vectors: np.ndarray, width: int = WIDTH) -> None:
        self.vectors = vectors
        sample = vectors[:: max(1, len(vectors) // SAMPLE)]
        self.mean = sample.mean(axis=0)  # distances stay, norms shrink, and with them rounding
        sample = sample - self.mean
        axes = np.linalg.eigh(sample.T @ sample)[1]  # the widest last
        width = min(width, len(axes))
        # Turned once more, all coordinates are of about one size, and one step suits them all.
        turn = np.linalg.qr(np.random.default_rng(0).normal(size=(width, width)))[0].astype(np.float32)
        self.first = axes[:, len(axes) - width + 1 :] @ turn[:-1]
        self.rest = axes[:, : len(axes) - width + 1]
        self.last = turn[-1]
        chunks = [vectors[i : i + SAMPLE] - self.mean for i in range(0, len(vectors), SAMPLE)]
        self.farthest = np.sqrt(max(_squares(chunk).max() for chunk in chunks))
        shadows = np.concatenate([self._shadows(chunk) for chunk in chunks])
        self.step = _step(shadows, LARGEST)
        codes = np.rint(shadows / self.step)
        norms = _squares(codes) * self.step**2
        self.longest = np.sqrt(norms.max())
        shadows -= codes * self.step
        self.error = np.sqrt(_squares(shadows).max())
        self.session = _session(codes.astype(np.int8).T, step=self.step, norms=norms)

    def nearest(self, points: np.ndarray, k: int = 1, *, skip: slice = slice(0)) -> tuple:
        """N D -> the distances to the nearest k rows and their indices, N k, fewer if there are fewer; `skip`: rows
        that do not count."""
        k = min(k, len(self.vectors) - len(range(len(self.vectors))[skip]))
        squared = np.empty((len(points), k), np.float32)
        found = np.full((len(points), k), -1)
        shifted = points - self.mean
        shadows = self._shadows(shifted)
        reach = np.sqrt(_squares(shifted)) + self.farthest

        def search(some: slice) -> None:
            row, column = self._possible(points[some], shadows[some], reach[some], k=k, skip=skip)
            count = np.bincount(row, minlength=len(points[some]))
            few = (count >= k) & (count <= k + FEW + len(self.vectors) // FEW)
            kept, index = few[row], some.start + np.flatnonzero(few)
            squared[index], found[index] = self._closest(points[some], row[kept], column[kept], k=k)

        self._in_blocks(search, len(points))
        many = np.flatnonzero(found[:, 0] < 0)
        if many.size:
            squared[many], found[many] = self._among_all(points[many], k=k, skip=skip)
        return np.sqrt(squared), found

    def _among_all(self, points: np.ndarray, *, k: int, skip: slice) -> tuple:
        rows = np.delete(np.arange(len(self.vectors)), skip)
        faiss.omp_set_num_threads(cores())  # MindSpore leaves it at one
        _, nearest = faiss.knn(points - self.mean, self.vectors[rows] - self.mean, k)
        return self._closest(points, np.repeat(np.arange(len(points)), k), rows[nearest].ravel(), k=k)

    def _shadows(self, shifted: np.ndarray) -> np.ndarray:
        length = np.sqrt(_squares(shifted @ self.rest))
        return shifted @ self.first + length[:, None] * self.last

    def near(self, points: np.ndarray, *, skip: slice = slice(0)) -> np.ndarray:
        """N D -> the distances to rows that are about the nearest, N: never less than those to the nearest."""
        shadows = self._shadows(points - self.mean)
        bounds = np.empty(len(points), np.float32)

        def search(some: slice) -> None:
            bounds[some] = self._screen(points[some], shadows[some], k=1, skip=skip)[1]

        self._in_blocks(search, len(points))
        return bounds

    def _in_blocks(self, search: Callable, count: int) -> None:
        size = max(1, VALUES // len(self.vectors))
        parallel(search, spans(count, size))

    def _screen(self, points: np.ndarray, shadows: np.ndarray, *, k: int, skip: slice) -> tuple:
        """ŷx ŷm - |ŷm|² / 2 for all pairs, an upper bound for the distances of the nearest k, yx - ŷx, and |ŷx|²."""
        step = _step(shadows, ZERO - 1)
        codes = np.rint(shadows / step)
        inputs = {"codes": (codes + ZERO).astype(np.uint8), "step": step.reshape(1)}
        products = self.session.run(None, inputs)[0]
        products[:, skip] = -np.inf
        best = products.argmax(axis=1)[:, None] if k == 1 else np.argpartition(-products, k - 1, axis=1)[:, :k]
        bound = np.sqrt(_squares(points[:, None] - self.vectors[best])).max(axis=1)
        return products, bound, shadows - codes * step, _squares(codes) * step**2

    def _possible(self, points: np.ndarray, shadows: np.ndarray, reach: np.ndarray, *, k: int, skip: slice) -> tuple:
        """Which rows could be among a point's nearest k: pairs of a point and a row, rising."""
        products, bound, moved, length = self._screen(points, shadows, k=k, skip=skip)
        error = np.sqrt(_squares(moved)) + self.error + 4 * UNIT * (points.shape[1] + 2) * reach
        margin = 8 * UNIT * (np.sqrt(length) + self.longest) ** 2
        least = (length - (bound + error) ** 2) / 2 - margin
        return np.divmod(np.flatnonzero(products >= least[:, None]), products.shape[1])

    def _closest(self, points: np.ndarray, row: np.ndarray, column: np.ndarray, *, k: int) -> tuple:
        """The nearest k of the given pairs of a point and a row, for each point that has any."""
        squared = np.empty(len(row), np.float32)
        for i in range(0, len(row), CHUNK):
            some = slice(i, i + CHUNK)
            squared[some] = _squares(points[row[some]] - self.vectors[column[some]])
        order = np.lexsort((squared, row))  # of equal distances the first
        first = np.flatnonzero(np.diff(row, prepend=-1))
        chosen = order[first[:, None] + np.arange(k)]
        return squared[chosen], column[chosen]


def _step(values: np.ndarray, largest: int) -> np.float32:
    return np.float32(np.abs(values).max() / largest or 1)


def _squares(rows: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", rows, rows)


def _session(codes: np.ndarray, *, step: np.float32, norms: np.ndarray) -> onnxruntime.InferenceSession:
    """Integers of points, N K, and their step -> ŷx ŷm - |ŷm|² / 2, N M. The runtime does all of it in one pass."""
    nodes = [
        helper.make_node("MatMulInteger", ["codes", "bank", "zero"], ["integers"]),
        helper.make_node("Cast", ["integers"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["step", "bank_step"], ["scale"]),
        helper.make_node("Mul", ["cast", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "half"], ["products"]),
    ]
    constants = {"bank": codes, "zero": np.uint8(ZERO), "bank_step": step.reshape(1), "half": -norms / 2}
    graph = helper.make_graph(
        nodes,
        "products",
        [
            helper.make_tensor_value_info("codes", TensorProto.UINT8, ["n", len(codes)]),
            helper.make_tensor_value_info("step", TensorProto.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info("products", TensorProto.FLOAT, ["n", codes.shape[1]])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # several points are searched for at a time
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
