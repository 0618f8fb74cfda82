"""A method as one model that takes photographs and gives maps and scores, with its description beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Optional

from anomaly.data.transform import Transform
from anomaly.deploy import description, lite, placing
from anomaly.deploy.cells import Judging
from anomaly.deploy.description import OUTPUTS
from anomaly.deploy.model_file import fits, size_of, write
from anomaly.detector import Fitted
from anomaly.engines.choice import FLOAT32, INT8
from anomaly.engines.onnx_file import Ended
from anomaly.networks.registry import Backbone
from anomaly.run.errors import UsageError


def export(
    detector: Fitted,
    model: Callable,
    *,
    target: Path,
    file_format: str,
    category: str,
    batch: Optional[int],
    compact: Optional[Callable] = None,
) -> Path:
    """`model`: a detector -> the whole of it as one Cell; `compact`: a detector -> the same in less space."""
    if detector.backbone.quantised and file_format != "ONNX":
        raise UsageError(f"{INT8} goes into ONNX alone: give --file_format ONNX, or train with --precision {FLOAT32}")
    scale = detector.scales.image
    with placing.held(target):
        cell = Judging(model(detector), scale)
        if not fits(cell, file_format) and compact:
            size = f"{size_of(cell) / 1e9:.2f} GB"
            print(f"{size} do not fit an {file_format} file: with the state in float16", flush=True)
            cell = Judging(model(compact(detector)), scale)
        about = description.describe(detector, category, batch=batch)
        target = write(
            cell,
            detector.transform.size,
            batch=batch,
            target=target,
            file_format=file_format,
            outputs=OUTPUTS,
            first=lambda final, made: description.write(final, about, made=made),
        )
        if file_format == "ONNX" and not detector.backbone.quantised:
            lite.write(target)
    return target


def export_backbone(
    backbone: Backbone, transform: Transform, *, target: Path, file_format: str, batch: Optional[int]
) -> Path:
    """The features of photographs alone; the outputs have the names of the layers."""
    known = description.common(backbone, transform, batch=batch)
    about = {**known, "part": "backbone", "outputs": {layer: {} for layer in backbone.layers}}
    with placing.held(target):
        return write(
            Ended(backbone.net(transform.size)),
            transform.size,
            batch=batch,
            target=target,
            file_format=file_format,
            outputs=backbone.layers,
            first=lambda final, made: description.write(final, about, made=made),
        )
