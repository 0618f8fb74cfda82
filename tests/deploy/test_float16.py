"""The distances of exported models, computed in float16 as some devices do, on numbers as large as networks give.

The graph that is exported is computed by numpy, with every number in that type; but matrix products add up in float32,
as the units of processors that multiply matrices of float16 do.
"""

from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from mindspore import nn
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from sklearn.metrics import roc_auc_score

from anomaly.engines import onnx_file
from anomaly.networks.resample import Enlarge
from padim.src import model as padim
from padim.src.anomaly_map import AnomalyMap as PaDiMMap
from padim.src.gaussian import Accumulator
from patchcore.src import memory_bank
from patchcore.src import model as patchcore
from patchcore.src.config import Config

GRID, SIZE, D = (3, 4), (12, 16), 40
LARGE = 4.0  # EfficientNet-Lite0's features give |delta|^2 up to 12000 and distances of 860


class MatMul(OpRun):
    def _run(self, a, b):
        return (np.matmul(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype),)


class Given(nn.Cell):
    """In the place of a network: features come in."""

    grid = GRID

    def construct(self, x):
        return x


def features(rng: np.random.Generator, images: int) -> np.ndarray:
    """B P D: of good parts, as if few causes lay behind them, far from 0."""
    causes = rng.normal(size=(images, GRID[0] * GRID[1], 8)) @ np.random.default_rng(0).normal(size=(8, D))
    return (LARGE * (causes + 0.6 * rng.normal(size=causes.shape) + 3)).astype(np.float32)


def photographs() -> tuple:
    """Features of good and bad parts, B P D, and which of them are bad; some of those can hardly be told."""
    rng = np.random.default_rng(1)
    x, bad = features(rng, 40), np.arange(40) >= 20
    x[bad, 5] += (LARGE * rng.uniform(0, 6, (20, 1)) * rng.normal(size=(20, D))).astype(np.float32)
    return x, bad


def detector(**parts) -> SimpleNamespace:
    network = SimpleNamespace(network=SimpleNamespace(cell=Given()))
    return SimpleNamespace(embedding=network, config=SimpleNamespace(precision="float32"), **parts)


def padim_of(images: int) -> nn.Cell:
    x = features(np.random.default_rng(2), images)
    sums = Accumulator(x.shape[1], D, images=images)
    sums.add(x)
    return padim.model(detector(gaussians=sums.gaussians(), anomaly_map=PaDiMMap(GRID, SIZE)))


def patchcore_of(images: int) -> nn.Cell:
    rows = features(np.random.default_rng(3), images).reshape(-1, D)
    bank = memory_bank.made(rows, np.arange(len(rows)) // 12, config=Config(k=5))
    return patchcore.model(detector(bank=bank, anomaly_map=Enlarge(GRID, SIZE)))


def in_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    half = onnx.ModelProto()
    half.CopyFrom(model)
    for value in half.graph.initializer:
        if value.data_type == TensorProto.FLOAT:
            value.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(value).astype(np.float16), value.name))
    for node in half.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
    return half


@pytest.mark.parametrize(
    ("cell", "images"), [(padim_of, 20), (padim_of, 80), (patchcore_of, 6)], ids=["low rank", "full", "patchcore"]
)
def test_float16_costs_little(cell, images, tmp_path):
    x, bad = photographs()
    path = tmp_path / "head.onnx"
    onnx_file.write(onnx_file.Ended(cell(images)), {"x": x}, outputs=("map", "score"), target=path, dynamic=False)
    model = onnx.load(path)
    maps, scores = ReferenceEvaluator(model).run(None, {"x": x})
    found = ReferenceEvaluator(in_float16(model), new_ops=[MatMul]).run(None, {"x": x.astype(np.float16)})
    assert [value.dtype for value in found] == [np.float16] * 2
    halves, half_scores = (value.astype(np.float32) for value in found)
    print(
        np.abs(halves - maps).max(),
        maps.max(),
        maps.min(),
        roc_auc_score(bad, scores),
        roc_auc_score(bad, half_scores),
        scores.max(),
    )
    assert np.abs(halves - maps).max() < 0.01 * maps.max()
    auroc = roc_auc_score(bad, scores)
    assert 0.6 < auroc < 0.95
    assert roc_auc_score(bad, half_scores) == pytest.approx(auroc, abs=0.01)
    if images == 20:
        assert scores.max() > 256  # whose square is too large for float16
