"""Runs exported models: MINDIR with MindSpore, ONNX with ONNX Runtime. Both are detectors like the methods' own."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anomaly.calibration import Calibration
from anomaly.errors import DataError, first_line
from anomaly.files import read_json, sha256
from anomaly.images import Transform


@dataclass(frozen=True)
class Weights:
    """What is known of the backbone inside."""

    name: str
    is_random: bool
    source: str

    @property
    def label(self) -> str:
        return f"{self.name}{' (random)' if self.is_random else ''}"


@dataclass(frozen=True)
class Exported:
    run: Callable  # B H W 3 uint8, of the model's batch -> map, score
    batch_size: int
    transform: Transform
    method: str
    weights: Weights
    remark: str
    calibration: Calibration

    def score(self, images: np.ndarray) -> tuple:
        """Any number of images, as many at a time as the model takes."""
        parts = []
        for start in range(0, len(images), self.batch_size):
            part = images[start : start + self.batch_size]
            filled = np.concatenate([part, np.repeat(part[-1:], self.batch_size - len(part), axis=0)])
            parts.append([output[: len(part)] for output in self.run(filled)])
        maps, scores = zip(*parts)
        return np.concatenate(maps), np.concatenate(scores)


def mindir(path: Path) -> Callable:
    import mindspore

    try:
        net = mindspore.nn.GraphCell(mindspore.load(str(path)))
    except (RuntimeError, ValueError) as error:
        raise DataError(f"{path}: not a MINDIR file ({first_line(error)})") from None
    return lambda images: [output.asnumpy() for output in net(mindspore.Tensor(images))]


def onnx(path: Path) -> Callable:
    try:
        import onnxruntime
    except ImportError:
        raise DataError(f"{path}: running ONNX files needs onnxruntime: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=onnxruntime.get_available_providers())
    except Exception as error:  # onnxruntime has a type of its own for each way in which a file can be wrong
        raise DataError(f"{path}: not an ONNX file ({first_line(error)})") from None
    return lambda images: session.run(["map", "score"], {"image": images})


ENGINES = {".mindir": mindir, ".onnx": onnx}


def load(path: Path) -> Exported:
    path, description = Path(path), Path(path).with_suffix(".json")
    if path.suffix not in ENGINES:
        raise DataError(f"{path}: models come as {', '.join(ENGINES)}")
    for file in (path, description):
        if not file.is_file():
            raise DataError(f"{file}: no such file; export.py writes a model and its .json side by side")
    info = read_json(description)
    try:
        if info["sha256"].get(path.suffix[1:]) != sha256(path):
            raise DataError(f"{path}: is not the model that {description.name} describes; export it again")
        crop = info["input"]["crop"]
        return Exported(
            ENGINES[path.suffix](path),
            info["input"]["batch_size"],
            Transform(tuple(info["input"]["resize"]), tuple(crop) if crop else None),
            info["method"],
            Weights(info["backbone"], info["random_backbone"], str(path)),
            info["remark"],
            Calibration(np.array(info["good_scores"], float), np.array(info["good_peaks"], float)),
        )
    except (KeyError, TypeError, AttributeError):
        raise DataError(f"{description}: damaged; export the model again") from None
