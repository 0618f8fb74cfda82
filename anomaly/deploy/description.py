"""The JSON file beside an exported model: written by export, read by whatever runs the model.

It says how to resize and crop, what the model gives, the threshold, and a checksum.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from anomaly.data.transform import Transform
from anomaly.deploy import proof, seal
from anomaly.deploy.proof import Proof
from anomaly.deploy.view import count, transform_of, views
from anomaly.detector import Fitted
from anomaly.engines.choice import FLOAT32, PRECISIONS
from anomaly.engines.frozen import IMAGE
from anomaly.measure.calibration import NONE, UNSCALED, Calibration, Choice, Scale, Scales, calibration_of, changed
from anomaly.networks.registry import Backbone
from anomaly.run.errors import DataError, UsageError
from anomaly.run.files import is_name, read_json, sha256

PLAIN_VERSION = 1  # where every picture shows the photograph, as every reader knows it
FORMAT_VERSION = 2  # with tiles, proportions kept, or a region
SUFFIXES = {"MINDIR": ".mindir", "ONNX": ".onnx", "AIR": ".air"}
INPUT = IMAGE
OUTPUTS = ("map", "score", "normalised")
DYNAMIC = "dynamic"
PROOF = "proof"
FORMER = "former"  # checksums of what a model has taken the place of
COLOUR = "RGB"
PACKAGES = ("mindspore", "numpy", "opencv-python-headless")


@dataclass(frozen=True)
class Description:
    """What is known of an exported model; of a device's results without a model it may be little."""

    method: str
    category: str
    backbone: Backbone
    remark: str
    batch: Optional[int]  # images at once; None: any number
    transform: Optional[Transform]
    calibration: Calibration
    scales: Scales  # the threshold as it stands in the file
    precision: str  # in which it computes, where that can be chosen
    checksums: dict  # by the ending of the model's file
    source: Path  # where the description stands
    content: dict  # the whole of it
    proof: Optional[Proof] = None

    def at(self, chosen: dict) -> Scales:
        """What the file says holds, unless options ask for another threshold."""
        choice = changed(self.scales.choice, chosen)
        return self.scales if choice is None else self.calibration.at(choice)

    @property
    def known_transform(self) -> Transform:
        if self.transform is None:
            raise DataError(f"{self.source}: does not say how photographs are resized")
        return self.transform

    def require_method(self, method: str) -> None:
        if self.method != method:
            raise DataError(f"{self.source}: is a model of {self.method}, not of {method}")


def unknown(method: str) -> Description:
    """Of a model of which nothing else is known, not even a threshold."""
    nothing = Scales(UNSCALED, UNSCALED, Choice())
    return Description(method, "", Backbone("unknown", ""), "", None, None, NONE, nothing, FLOAT32, {}, Path(), {})


def common(backbone: Backbone, transform: Transform, *, batch: Optional[int]) -> dict:
    """What is to be known of any exported network that takes photographs."""
    from importlib.metadata import version  # here, since --help need not wait for it

    return {
        "format_version": FORMAT_VERSION if views(transform) else PLAIN_VERSION,
        "backbone": backbone.name,
        "random_backbone": backbone.is_random,
        "input": {
            "name": INPUT,
            "type": "uint8",
            "layout": "NHWC",
            "colour": COLOUR,
            "resize": list(transform.resize),
            "crop": list(transform.crop) if transform.crop else None,
            "size": list(transform.size),
            **views(transform),
            "batch_size": batch or DYNAMIC,
        },
        "versions": {name: version(name) for name in PACKAGES},
    }


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def describe(detector: Fitted, category: str, *, batch: Optional[int]) -> dict:
    scales, size = detector.scales, detector.transform.size
    return {
        **common(detector.backbone, detector.transform, batch=batch),
        "method": detector.method,
        "category": category,
        "precision": detector.config.precision,
        "remark": detector.remark,
        "outputs": {"map": {"shape": list(size)}, "score": {}, "normalised": {}},
        **threshold(scales),
        "good_scores": detector.calibration.scores.tolist(),
        "good_peaks": detector.calibration.peaks.tolist(),
        "good_names": list(detector.calibration.names),
        PROOF: proof.made(size, detector.score),
    }


def threshold(scales: Scales) -> dict:
    """The part of a description that says where a photograph becomes anomalous."""
    choice = scales.choice
    return {
        "false_alarm_rate": choice.false_alarm_rate,
        "threshold_chosen": choice.value,
        "threshold_source": choice.source,
        "robust_threshold": choice.robust,
        "threshold": scales.image.threshold if scales.known else None,
        "unit": scales.image.unit,
        "pixel_threshold": scales.pixel.threshold if scales.known else None,
        "pixel_unit": scales.pixel.unit,
    }


def beside(model: Path) -> Path:
    return Path(model).with_suffix(".json")


def write(model: Path, about: dict, *, made: Optional[Path] = None) -> None:
    """Beside the model, with its checksum, and with those of the same in other formats.

    `made`: what is about to take the model's place. What lies there is not described any more, but known as ours.
    """
    path, own = beside(model), model.suffix[1:]
    files = [model.with_suffix(suffix) for suffix in SUFFIXES.values()]
    sums = {file.suffix[1:]: sha256(file) for file in files if file.is_file()}
    former = {FORMER: {own: sums[own]}} if made and own in sums else {}
    sums[own] = sha256(made or model)
    if path.is_file() and not same_model(read_json(path), about):
        for suffix in sorted(sums.keys() - {own}):
            print(f"note: {model.stem}.{suffix} was exported otherwise; {path.name} no longer describes it", flush=True)
        sums = {own: sums[own]}
    seal.write(path, {**about, "sha256": sums, **former})


def same_model(one: Any, other: dict) -> bool:
    return isinstance(one, dict) and all(one.get(key) == other[key] for key in other if key != PROOF)


def read(model: Path) -> Description:
    model = Path(model)
    if model.is_dir():
        raise DataError(f"{model}: is a folder; a model is a .onnx or .mindir, and a trained state is for --ckpt_path")
    if missing := [file for file in (model, beside(model)) if not file.is_file()]:
        raise DataError(f"{missing[0]}: no such file; export.py writes a model and its .json side by side")
    return parse(_whole(beside(model)), beside(model), model=model)


def _whole(path: Path) -> Any:
    """What stands there. A proof came with the checksum: where one is without the other, somebody took it away."""
    found = seal.read(path)
    if isinstance(found, dict) and PROOF in found and seal.KEY not in found:
        raise DataError(f"{path}: has lost its checksum; export the model again")
    return found


def read_beside(path: Path) -> Optional[Description]:
    """Of a .json that lies beside a model; None for any other."""
    try:
        return parse(_whole(path), path, model=path)
    except DataError:
        return None


def keep(about: Description, choice: Choice) -> Path:
    """Writes another threshold into a description."""
    seal.write(about.source, {**about.content, **threshold(about.calibration.at(choice))})
    return about.source


def parse(info: Any, source: Path, *, model: Path) -> Description:
    """`source`: where the description stands."""
    damaged = DataError(f"{source}: damaged; export the model again")
    if not isinstance(info, dict):
        raise damaged
    if info.get("format_version") not in (PLAIN_VERSION, FORMAT_VERSION):
        raise DataError(
            f"{source}: of format {info.get('format_version')}, and this version knows those up to {FORMAT_VERSION}"
        )
    try:
        batch, names = info["input"]["batch_size"], info.get("good_names", [])
        if info["input"]["colour"] != COLOUR:
            raise DataError(f"{source}: wants {info['input']['colour']} images; here they are {COLOUR}")
        if not is_name(_text(info["category"])):
            raise DataError(f"{source}: its category {info['category']!r} is no name; export the model again")
        precision = info.get("precision", FLOAT32)
        if precision not in PRECISIONS:
            raise DataError(f"{source}: computes in {precision}, which this version does not know")
        return Description(
            _text(info["method"]),
            info["category"],
            Backbone(_text(info["backbone"]), str(model), bool(info["random_backbone"])),
            _text(info["remark"]),
            None if batch == DYNAMIC else count(batch),
            transform_of(info["input"]),
            calibration_of(info["good_scores"], info["good_peaks"], names=names),
            Scales(_scale(info, ""), _scale(info, "pixel_"), _choice(info)),
            precision,
            dict(info["sha256"]),
            source,
            info,
            proof.parse(info.get(PROOF), tuple(info["input"]["size"])),
        )
    except UsageError as error:  # of what is no option here
        raise DataError(f"{damaged} ({error})") from None
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        raise damaged from None


def _choice(info: dict) -> Choice:
    value, source = info.get("threshold_chosen"), info.get("threshold_source", "")
    rate, robust = _real(info["false_alarm_rate"]), bool(info.get("robust_threshold", False))
    return Choice(rate, None if value is None else _real(value), robust, str(source))


def _real(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError("no number")
    return float(value)


def _scale(info: dict, kind: str) -> Scale:
    if info[f"{kind}threshold"] is None:
        return UNSCALED
    limit, unit = _real(info[f"{kind}threshold"]), _real(info[f"{kind}unit"])
    if not np.isfinite([limit, unit]).all() or unit <= 0:
        raise ValueError("no scale")
    return Scale(limit, unit)
