"""Products of small integers by ONNX Runtime, and which rows of a bank they leave (search.py says how)."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from patchcore.src.rounding import UNIT, ZERO, few, rounded, squares, step_of

LARGEST = 63  # of the bank's integers: AVX2 adds two products with 8 bits of the other side in 16 bits
WIDTH = 256  # of a shadow
VALUES = 2**20  # products at once


class Products:
    def __init__(self, vectors: np.ndarray, shadows: np.ndarray) -> None:
        """`shadows` is overwritten."""
        self.vectors = vectors
        self.at_once = max(1, VALUES // len(vectors))
        step = step_of(shadows, LARGEST)
        codes, norms, moved = rounded(shadows, step)
        self.longest, self.error = np.sqrt(norms.max()), moved.max()
        self.session = _session(codes.astype(np.int8).T, step=step, norms=norms)

    def near(self, points: np.ndarray, shadows: np.ndarray, *, skip: slice) -> np.ndarray:
        return self._screen(points, shadows, k=1, skip=skip)[1]

    def possible(self, points: np.ndarray, shadows: np.ndarray, *, slack: np.ndarray, k: int, skip: slice) -> tuple:
        products, bound, moved, length = self._screen(points, shadows, k=k, skip=skip)
        error = moved + self.error + slack
        margin = 8 * UNIT * (np.sqrt(length) + self.longest) ** 2
        least = (length - (bound + error) ** 2) / 2 - margin
        row, column = np.divmod(np.flatnonzero(products >= least[:, None]), products.shape[1])
        count = np.bincount(row, minlength=len(points))
        kept = ((count >= k) & (count <= few(k, len(self.vectors))))[row]
        return row[kept], column[kept]

    def _screen(self, points: np.ndarray, shadows: np.ndarray, *, k: int, skip: slice) -> tuple:
        """ŷx ŷm - |ŷm|² / 2 for all pairs, an upper bound for the distances of the nearest k, |yx - ŷx|, and |ŷx|²."""
        step = step_of(shadows, ZERO - 1)
        codes, length, moved = rounded(shadows, step)
        inputs = {"codes": (codes + ZERO).astype(np.uint8), "step": step.reshape(1)}
        products = self.session.run(None, inputs)[0]
        products[:, skip] = -np.inf
        best = products.argmax(axis=1)[:, None] if k == 1 else np.argpartition(-products, k - 1, axis=1)[:, :k]
        bound = np.sqrt(squares(points[:, None] - self.vectors[best])).max(axis=1)
        return products, bound, moved, length


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
    width, count = codes.shape
    graph = helper.make_graph(
        nodes,
        "products",
        [
            helper.make_tensor_value_info("codes", TensorProto.UINT8, ["n", width]),
            helper.make_tensor_value_info("step", TensorProto.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info("products", TensorProto.FLOAT, ["n", count])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # several points are searched for at a time
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
