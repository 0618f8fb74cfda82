"""Writes a method as one file that takes photographs and gives maps and scores, with a JSON file beside it.

The JSON file says what a program needs that runs the model: how to resize and crop, the threshold, and a checksum.
"""

import importlib.metadata
from pathlib import Path

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops

from anomaly.errors import DataError, UsageError, first_line
from anomaly.evaluation import Detector
from anomaly.files import read_json, replacing, sha256, write_json
from anomaly.weights import Backbone

FORMAT_VERSION = 1
SUFFIXES = {"MINDIR": ".mindir", "ONNX": ".onnx", "AIR": ".air"}
LIMIT = 2**31 - 1  # bytes of a protobuf
PACKAGES = ("mindspore", "numpy", "opencv-python-headless")


def size_of(cell: nn.Cell) -> int:
    """Bytes of the numbers in a Cell: its parameters and the tensors that are its attributes."""
    total = sum(parameter.nbytes for parameter in cell.get_parameters())
    for _, part in cell.cells_and_names():
        total += sum(value.nbytes for value in vars(part).values() if type(value) is Tensor)
    return total


def write_model(cell: nn.Cell, images: np.ndarray, target: Path, file_format: str, outputs: tuple):
    """Exports, unless that cannot be or the file could not hold it."""
    if file_format == "AIR" and mindspore.get_context("device_target") != "Ascend":
        raise UsageError("--file_format AIR: can be written on a machine with an Ascend 910 only")
    needed = size_of(cell)
    if file_format == "ONNX" and needed > LIMIT:
        raise DataError(
            f"{target}: {needed / 1e9:.2f} GB do not fit an ONNX file (2 GB); use --file_format MINDIR, or train with "
            "a smaller --embedding_dim, --coreset_ratio or --resize"
        )
    try:
        with replacing(target) as temporary:
            if file_format == "ONNX":
                from mindspore import onnx

                names = {"input_names": ["image"], "output_names": list(outputs)}
                onnx.export(cell, Tensor(images), file_name=str(temporary), **names)
            else:
                mindspore.export(cell, Tensor(images), file_name=str(temporary), file_format=file_format)
            temporary.chmod(0o644)
    except (RuntimeError, ValueError, TypeError) as error:
        raise DataError(f"{target}: could not be exported ({first_line(error)})") from error


def checksums(model: Path) -> dict:
    """Of this model, and of the same one in another format beside it, by the file's ending."""
    files = [model.with_suffix(suffix) for suffix in SUFFIXES.values()]
    return {file.suffix[1:]: sha256(file) for file in files if file.is_file()}


def describe(detector: Detector, config, category: str, batch_size: int, model: Path) -> dict:
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
        "input": {
            "name": "image",
            "type": "uint8",
            "layout": "NHWC",
            "colour": "RGB",
            "resize": list(transform.resize),
            "crop": list(transform.crop) if transform.crop else None,
            "size": list(transform.size),
            "batch_size": batch_size,
        },
        "outputs": {"map": {"shape": list(transform.size)}, "score": {}},
        "false_alarm_rate": config.false_alarm_rate,
        "threshold": image.threshold if known else None,
        "unit": image.unit,
        "pixel_threshold": pixel.threshold if known else None,
        "pixel_unit": pixel.unit,
        "good_scores": detector.calibration.scores.tolist(),
        "good_peaks": detector.calibration.peaks.tolist(),
        "sha256": checksums(model),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def export(detector: Detector, cell: nn.Cell, config, category: str, target: Path, file_format: str, batch_size: int):
    """The model and its description."""
    images = np.zeros((batch_size, *config.transform.size, 3), np.uint8)
    write_model(cell, images, target, file_format, ("map", "score"))
    description, whole = target.with_suffix(".json"), describe(detector, config, category, batch_size, target)
    if description.is_file() and not same_model(read_json(description), whole):
        whole["sha256"] = {target.suffix[1:]: whole["sha256"][target.suffix[1:]]}  # what else lies there is older
    write_json(description, whole)


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


def export_backbone(weights: Backbone, layers: tuple, config, target: Path, file_format: str, batch_size: int):
    """The features of photographs alone; the outputs have the names of the layers."""
    images = np.zeros((batch_size, *config.transform.size, 3), np.uint8)
    write_model(Features(weights.net), images, target, file_format, layers)
