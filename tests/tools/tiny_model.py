"""An exported model that needs no training and no MindSpore: its map is how far a pixel's mean lies from grey."""

from pathlib import Path
from typing import Optional

import numpy as np
import onnx
from onnx import TensorProto, helper

from anomaly.data.transform import Transform
from anomaly.deploy import description
from anomaly.measure.calibration import Calibration, Choice
from anomaly.networks.registry import Backbone

SIDE, GREY = 64, 100.0
LIMIT = 20.0  # the threshold


def good_scores(number: int = 60) -> np.ndarray:
    return np.random.default_rng(0).normal(8.0, 2.0, number)


def write(
    path: Path, *, batch: Optional[int] = None, category: str = "part", scores: Optional[np.ndarray] = None
) -> Path:
    """Model and description; a photograph is anomalous where anything in it is more than LIMIT from grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = [batch or "batch", SIDE, SIDE]
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["float"], ["mean"], axes=[3], keepdims=0),
        helper.make_node("Sub", ["mean", "grey"], ["difference"]),
        helper.make_node("Abs", ["difference"], ["map"]),
        helper.make_node("ReduceMax", ["map"], ["score"], axes=[1, 2], keepdims=0),
        helper.make_node("Identity", ["score"], ["normalised"]),
    ]
    outputs = [("map", size), ("score", size[:1]), ("normalised", size[:1])]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [*size, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        [helper.make_tensor("grey", TensorProto.FLOAT, [], [GREY])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    good = good_scores() if scores is None else scores
    calibration = Calibration(good, good)
    about = {
        **description.common(Backbone("tiny", ""), Transform((SIDE, SIDE)), batch=batch),
        **description.threshold(calibration.at(Choice(value=LIMIT))),
        "method": "patchcore",
        "category": category,
        "remark": "",
        "outputs": {"map": {"shape": [SIDE, SIDE]}, "score": {}, "normalised": {}},
        "good_scores": good.tolist(),
        "good_peaks": good.tolist(),
        "good_names": [],
    }
    description.write(path, about)
    return path


def photograph(seed: int = 0, *, defect: bool = False, side: int = SIDE, level: float = GREY) -> np.ndarray:
    """H W 3: grey with a little noise; with a defect, a bright spot."""
    rng = np.random.default_rng(seed)
    image = np.clip(level + rng.normal(0, 3, (side, side, 1)) + np.zeros(3), 0, 255)
    if defect:
        image[side // 4 : side // 2, side // 4 : side // 2] = 200
    return image.astype(np.uint8)
