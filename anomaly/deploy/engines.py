"""Runs exported models: MINDIR with MindSpore, ONNX with ONNX Runtime. Both are detectors like the methods' own."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

import numpy as np

from anomaly.data.images import Transform
from anomaly.deploy.export import DYNAMIC, OUTPUTS
from anomaly.measure.calibration import Calibration
from anomaly.run.errors import DataError, first_line
from anomaly.run.files import read_json, sha256

NONE = np.zeros(0)


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
    run: Optional[Callable]  # B H W 3 uint8, of the model's batch -> map, score
    batch: Optional[int]  # None: any
    transform: Optional[Transform]
    method: str
    category: str
    weights: Weights
    remark: str
    calibration: Calibration
    checksums: dict  # by the ending of the file

    def score(self, images: np.ndarray) -> tuple:
        """Any number of images, as many at a time as the model takes."""
        parts, size = [], self.batch or len(images)
        for start in range(0, len(images), size):
            part = images[start : start + size]
            filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            parts.append([output[: len(part)] for output in self.run(filled)])
        maps, scores = zip(*parts)
        return np.concatenate(maps), np.concatenate(scores)


def mindir(path: Path) -> Callable:
    import mindspore

    try:
        net = mindspore.nn.GraphCell(mindspore.load(str(path)))
    except (RuntimeError, ValueError) as error:
        raise DataError(f"{path}: not a MINDIR file ({first_line(error)})") from None
    return lambda images: [output.asnumpy() for output in net(mindspore.Tensor(images))[:2]]


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

    def run(images: np.ndarray) -> list:
        try:
            return session.run(list(OUTPUTS[:2]), {"image": images})
        except Exception as error:
            raise DataError(f"{path}: does not fit its .json, or cannot run ({first_line(error)})") from None

    return run


ENGINES = {".mindir": mindir, ".onnx": onnx}


def described(path: Path) -> Exported:
    """A model as the .json beside it has it, which cannot run yet."""
    path, description = Path(path), Path(path).with_suffix(".json")
    for file in (path, description):
        if not file.is_file():
            raise DataError(f"{file}: no such file; export.py writes a model and its .json side by side")
    return from_description(read_json(description), description, path)


def from_description(info: dict, source: Path, model: Path) -> Exported:
    """`source`: where the description stands."""
    try:
        crop, batch = info["input"]["crop"], info["input"]["batch_size"]
        return Exported(
            None,
            None if batch == DYNAMIC else int(batch),
            Transform(tuple(info["input"]["resize"]), tuple(crop) if crop else None),
            info["method"],
            info["category"],
            Weights(info["backbone"], info["random_backbone"], str(model)),
            info["remark"],
            Calibration(np.array(info["good_scores"], float), np.array(info["good_peaks"], float)),
            dict(info["sha256"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError):
        raise DataError(f"{source}: damaged; export the model again") from None


def unknown(method: str) -> Exported:
    """Of a model of which nothing else is known, not even a threshold."""
    return Exported(None, None, None, method, "", Weights("unknown", False, ""), "", Calibration(NONE, NONE), {})


def load(path: Path) -> Exported:
    path = Path(path)
    if path.suffix not in ENGINES:
        raise DataError(f"{path}: models come as {', '.join(ENGINES)}")
    model = described(path)
    if model.checksums.get(path.suffix[1:]) != sha256(path):
        raise DataError(f"{path}: is not the model that {path.with_suffix('.json').name} describes; export it again")
    return replace(model, run=ENGINES[path.suffix](path))
