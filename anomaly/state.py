"""The record beside a trained state. It is written last, so where it is and fits, the state is complete."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from anomaly.calibration import Calibration
from anomaly.config import to_yaml
from anomaly.errors import DataError
from anomaly.files import read_json, sha256, write_json, write_text
from anomaly.weights import Backbone

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
            "files": {name: sha256(folder / name) for name in files},
            "details": details or {},
        },
    )


def require(folder: Path) -> Path:
    """The path of the saved options of a trained category."""
    if not (folder / RECORD).is_file():
        others = sorted(path.parent.name for path in folder.parent.glob(f"*/{RECORD}"))
        hint = f"trained there: {', '.join(others)}" if others else "run train.py first"
        raise DataError(f"{folder}: holds no trained state ({hint})")
    return folder / CONFIG


def load(folder: Path, *, method: str, backbone: Backbone) -> Calibration:
    """Checks that the state is whole, of this method and of this backbone; returns its calibration."""
    record = read_json(folder / RECORD)
    try:
        if record["method"] != method:
            raise DataError(f"{folder}: is a state of {record['method']}, not of {method}")
        for name, digest in record["files"].items():
            if not (folder / name).is_file() or sha256(folder / name) != digest:
                raise DataError(f"{folder / name}: missing or damaged; train again")
        if record["fingerprint"] != backbone.fingerprint:
            kind = "a random backbone" if record["random_backbone"] else f"other weights of {record['backbone']}"
            raise DataError(
                f"{folder}: was trained with {kind} than {backbone.source}; give the --pre_ckpt_path of training"
            )
        return Calibration(np.array(record["good_scores"]), np.array(record["good_peaks"]))
    except (KeyError, TypeError, AttributeError):
        raise DataError(f"{folder / RECORD}: damaged; train again") from None


def details(folder: Path) -> dict:
    return read_json(folder / RECORD)["details"]
