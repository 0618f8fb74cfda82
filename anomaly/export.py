"""A method as one model that takes photographs and gives maps and scores, with a JSON file beside it.

The JSON file says what a program needs that runs the model: how to resize and crop, the threshold, and a checksum.
"""

import importlib.metadata
from pathlib import Path
from typing import Optional

import numpy as np
from mindspore import nn, ops

from anomaly.deployed import Judging
from anomaly.evaluation import Detector
from anomaly.files import read_json, sha256, write_json
from anomaly.images import Transform
from anomaly.model_file import SUFFIXES, fits, size_of, write
from anomaly.weights import Backbone

FORMAT_VERSION = 1
OUTPUTS = ("map", "score", "normalised")
DYNAMIC = "dynamic"
PACKAGES = ("mindspore", "numpy", "opencv-python-headless")


def checksums(model: Path) -> dict:
    """Of this model, and of the same one in another format beside it, by the file's ending."""
    files = [model.with_suffix(suffix) for suffix in SUFFIXES.values()]
    return {file.suffix[1:]: sha256(file) for file in files if file.is_file()}


def input_of(transform: Transform, batch: Optional[int]) -> dict:
    return {
        "name": "image",
        "type": "uint8",
        "layout": "NHWC",
        "colour": "RGB",
        "resize": list(transform.resize),
        "crop": list(transform.crop) if transform.crop else None,
        "size": list(transform.size),
        "batch_size": batch or DYNAMIC,
    }


def versions() -> dict:
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def describe(detector: Detector, config, category: str, batch: Optional[int], model: Path) -> dict:
    """What is written beside the model."""
    image = detector.calibration.image_scale(config.false_alarm_rate)
    pixel = detector.calibration.pixel_scale(config.false_alarm_rate)
    transform, known = config.transform, not np.isnan(image.threshold)
    return {
        "format_version": FORMAT_VERSION,
        "method": detector.method,
        "category": category,
        "backbone": detector.weights.name,
        "random_backbone": detector.weights.is_random,
        "remark": detector.remark,
        "input": input_of(transform, batch),
        "outputs": {"map": {"shape": list(transform.size)}, "score": {}, "normalised": {}},
        "false_alarm_rate": config.false_alarm_rate,
        "threshold": image.threshold if known else None,
        "unit": image.unit,
        "pixel_threshold": pixel.threshold if known else None,
        "pixel_unit": pixel.unit,
        "good_scores": detector.calibration.scores.tolist(),
        "good_peaks": detector.calibration.peaks.tolist(),
        "sha256": checksums(model),
        "versions": versions(),
    }


def export(method, detector: Detector, config, category: str, target: Path, file_format: str, batch: Optional[int]):
    """The model and its description; returns the path of the model."""
    scale = detector.calibration.image_scale(config.false_alarm_rate)
    cell = Judging(method.deployed(detector), scale)
    if not fits(cell, file_format) and method.compact:
        print(f"{size_of(cell) / 1e9:.2f} GB do not fit an {file_format} file: with the state in float16", flush=True)
        cell = Judging(method.deployed(method.compact(detector)), scale)
    target = write(cell, config.transform.size, batch, target, file_format, OUTPUTS)
    description, whole = target.with_suffix(".json"), describe(detector, config, category, batch, target)
    if description.is_file() and not same_model(read_json(description), whole):
        others = [target.with_suffix(f".{suffix}").name for suffix in whole["sha256"] if suffix != target.suffix[1:]]
        for name in others:
            print(f"note: {name} was exported otherwise; {description.name} no longer describes it", flush=True)
        whole["sha256"] = {target.suffix[1:]: whole["sha256"][target.suffix[1:]]}
    write_json(description, whole)
    return target


def same_model(one: dict, other: dict) -> bool:
    return isinstance(one, dict) and all(one.get(key) == other[key] for key in other if key != "sha256")


class Features(nn.Cell):
    """A backbone whose outputs end in operations of their own, as the ONNX exporter wants it; none is below 0."""

    def __init__(self, backbone: nn.Cell):
        super().__init__(auto_prefix=False)
        self.backbone = backbone

    def construct(self, images):
        outputs = ()
        for layer in self.backbone(images):
            outputs += (ops.relu(layer),)
        return outputs


def export_backbone(
    weights: Backbone, layers: tuple, config, target: Path, file_format: str, batch: Optional[int]
) -> Path:
    """The features of photographs alone; the outputs have the names of the layers."""
    target = write(Features(weights.net), config.transform.size, batch, target, file_format, layers)
    about = {
        "format_version": FORMAT_VERSION,
        "part": "backbone",
        "backbone": weights.name,
        "random_backbone": weights.is_random,
        "input": input_of(config.transform, batch),
        "outputs": {layer: {} for layer in layers},
        "sha256": {target.suffix[1:]: sha256(target)},
        "versions": versions(),
    }
    write_json(target.with_suffix(".json"), about)
    return target
