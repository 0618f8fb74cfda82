"""A method as one model that takes photographs and gives maps and scores, with a JSON file beside it.

The JSON file says what a program needs that runs the model: how to resize and crop, the threshold, and a checksum.
"""

import importlib.metadata
from pathlib import Path
from typing import Optional

import numpy as np
from mindspore import nn, ops

from anomaly.data.images import Transform
from anomaly.deploy.cells import Judging
from anomaly.deploy.model_file import SUFFIXES, fits, size_of, write
from anomaly.measure.evaluation import Detector
from anomaly.networks.weights import Backbone
from anomaly.run.files import read_json, sha256, write_json

FORMAT_VERSION = 1
OUTPUTS = ("map", "score", "normalised")
DYNAMIC = "dynamic"
PACKAGES = ("mindspore", "numpy", "opencv-python-headless")


def checksums(model: Path) -> dict:
    """Of this model, and of the same one in another format beside it, by the file's ending."""
    files = [model.with_suffix(suffix) for suffix in SUFFIXES.values()]
    return {file.suffix[1:]: sha256(file) for file in files if file.is_file()}


def common(weights: Backbone, transform: Transform, batch: Optional[int]) -> dict:
    """What is to be known of any exported network that takes photographs."""
    return {
        "format_version": FORMAT_VERSION,
        "backbone": weights.name,
        "random_backbone": weights.is_random,
        "input": {
            "name": "image",
            "type": "uint8",
            "layout": "NHWC",
            "colour": "RGB",
            "resize": list(transform.resize),
            "crop": list(transform.crop) if transform.crop else None,
            "size": list(transform.size),
            "batch_size": batch or DYNAMIC,
        },
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def describe(detector: Detector, config, category: str, batch: Optional[int]) -> dict:
    image = detector.calibration.image_scale(config.false_alarm_rate)
    pixel = detector.calibration.pixel_scale(config.false_alarm_rate)
    known = not np.isnan(image.threshold)
    return {
        **common(detector.weights, config.transform, batch),
        "method": detector.method,
        "category": category,
        "remark": detector.remark,
        "outputs": {"map": {"shape": list(config.transform.size)}, "score": {}, "normalised": {}},
        "false_alarm_rate": config.false_alarm_rate,
        "threshold": image.threshold if known else None,
        "unit": image.unit,
        "pixel_threshold": pixel.threshold if known else None,
        "pixel_unit": pixel.unit,
        "good_scores": detector.calibration.scores.tolist(),
        "good_peaks": detector.calibration.peaks.tolist(),
    }


def write_description(model: Path, about: dict):
    """Beside the model, with its checksum, and with those of other formats of the same."""
    path, sums, own = model.with_suffix(".json"), checksums(model), model.suffix[1:]
    if path.is_file() and not same_model(read_json(path), about):
        for suffix in sorted(sums.keys() - {own}):
            print(f"note: {model.stem}.{suffix} was exported otherwise; {path.name} no longer describes it", flush=True)
        sums = {own: sums[own]}
    write_json(path, {**about, "sha256": sums})


def export(method, detector: Detector, config, category: str, target: Path, file_format: str, batch: Optional[int]):
    """The model and its description; returns the path of the model."""
    scale = detector.calibration.image_scale(config.false_alarm_rate)
    cell = Judging(method.deployed(detector), scale)
    if not fits(cell, file_format) and method.compact:
        print(f"{size_of(cell) / 1e9:.2f} GB do not fit an {file_format} file: with the state in float16", flush=True)
        cell = Judging(method.deployed(method.compact(detector)), scale)
    target = write(cell, config.transform.size, batch, target, file_format, OUTPUTS)
    write_description(target, describe(detector, config, category, batch))
    return target


def same_model(one: dict, other: dict) -> bool:
    return isinstance(one, dict) and all(one.get(key) == other[key] for key in other)


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
    about = {**common(weights, config.transform, batch), "part": "backbone", "outputs": {layer: {} for layer in layers}}
    write_description(target, about)
    return target
