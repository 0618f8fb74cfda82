"""The record beside a trained state. It is written last, so where it is and fits, the state is complete."""

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from anomaly.measure.calibration import Calibration
from anomaly.networks.weights import Backbone
from anomaly.run.errors import DataError
from anomaly.run.files import read_json, sha256, write_json, write_text
from anomaly.run.options import to_yaml

RECORD = "state.json"
CONFIG = "config.yaml"


def begin(folder: Path):
    """From here until `save` the folder holds no valid state."""
    (folder / RECORD).unlink(missing_ok=True)


def save(
    folder: Path, *, method: str, backbone: Backbone, calibration: Calibration, files: tuple, config, details=None
):
    """`details`: what else the method wants to know of its state, as JSON has it."""
    write_text(folder / CONFIG, to_yaml(replace(config, pre_ckpt_path=backbone.source)))
    write_json(
        folder / RECORD,
        {
            "method": method,
            "backbone": backbone.name,
            "random_backbone": backbone.is_random,
            "fingerprint": backbone.fingerprint,
            "good_scores": calibration.scores.tolist(),
            "good_peaks": calibration.peaks.tolist(),
            "files": {name: sha256(folder / name) for name in (*files, CONFIG)},
            "details": details or {},
        },
    )


@contextmanager
def kept(folder: Path):
    """For what follows `save`: where it fails, not all was in vain."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{error}; the trained state in {folder} is complete: mend this and run eval.py") from None


def require(folder: Path, method: str) -> Path:
    """The path of the saved options of a category that the method was trained on."""
    if not (folder / RECORD).is_file():
        others = sorted(path.parent.name for path in folder.parent.glob(f"*/{RECORD}"))
        hint = f"trained there: {', '.join(others)}" if others else "run train.py first"
        raise DataError(f"{folder}: holds no trained state ({hint})")
    _require_whole(folder, CONFIG, _record_of(folder, method))
    return folder / CONFIG


def _record(folder: Path) -> dict:
    record = read_json(folder / RECORD)
    keys = ("method", "backbone", "random_backbone", "fingerprint", "good_scores", "good_peaks", "files", "details")
    if not isinstance(record, dict) or any(key not in record for key in keys) or not isinstance(record["files"], dict):
        raise DataError(f"{folder / RECORD}: damaged; train again")
    return record


def _record_of(folder: Path, method: str) -> dict:
    record = _record(folder)
    if record["method"] != method:
        raise DataError(f"{folder}: is a state of {record['method']}, not of {method}")
    return record


def _require_whole(folder: Path, name: str, record: dict):
    path = folder / name
    if not path.is_file() or sha256(path) != record["files"].get(name):
        raise DataError(f"{path}: missing or changed since training; train again")


def load(folder: Path, *, method: str, backbone: Backbone) -> Calibration:
    """Checks that the state is whole, of this method and of this backbone; returns its calibration."""
    record = _record_of(folder, method)
    for name in record["files"]:
        _require_whole(folder, name, record)
    if record["fingerprint"] != backbone.fingerprint:
        kind = "random weights" if record["random_backbone"] else f"other weights of {record['backbone']}"
        raise DataError(
            f"{folder}: was trained with {kind}, not with {backbone.source}; give the --pre_ckpt_path of training"
        )
    return Calibration(np.array(record["good_scores"], float), np.array(record["good_peaks"], float))


def details(folder: Path) -> dict:
    return _record(folder)["details"]
