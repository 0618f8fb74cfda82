"""Runs commands inside the process of the tests, as a user would see them."""

import contextlib
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from anomaly.deploy.state import State
from anomaly.run.errors import guarded
from anomaly.run.files import sha256

SMALL = ("--backbone", "resnet18", "--resize", "64", "--crop", "none", "--coreset_ratio", "0.2")
SIZE = ("--backbone", "resnet18", "--resize", "64", "--crop", "none")
METHODS = {  # small options of each
    "patchcore": (*SIZE, "--coreset_ratio", "0.2"),
    "padim": (*SIZE, "--embedding_dim", "20"),
    "fastflow": (*SIZE, "--flow_step", "1", "--hidden_ratio", "0.25", "--num_epochs", "3", "--train_batch_size", "4"),
}
CPU = ("--device_target", "CPU")
RANDOM = ("--pre_ckpt_path", "random")


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def errors(self) -> list:
        """The lines of errors; progress bars, which share the stream, left out."""
        lines = [line for line in re.split(r"[\r\n]", self.err) if line.strip()]
        return [
            line
            for line in lines
            if not re.match(r"(features|coreset|calibration|evaluation|gaussians|training|preprocessing): ", line)
        ]


def run(main, *arguments) -> Result:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = guarded(lambda: main([str(argument) for argument in arguments]))
        except SystemExit as stop:  # from argparse
            code = stop.code
    return Result(code, out.getvalue(), err.getvalue())


def train(data: Path, output: Path, *more, options=(*SMALL, *RANDOM, *CPU)) -> Result:
    from patchcore import train as module

    return run(module.main, "--dataset_path", data, "--output_dir", output, *options, *more)


def evaluate(data: Path, output: Path, *more) -> Result:
    from patchcore import eval as module

    return run(module.main, "--dataset_path", data, "--output_dir", output, *CPU, *more)


def predict(output: Path, *more) -> Result:
    from patchcore import predict as module

    return run(module.main, "--output_dir", output, *CPU, *more)


def write(path: Path, image: np.ndarray, *settings) -> Path:
    """BGR or grey -> a file, whatever the case of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(path.suffix.lower(), image, list(settings))
    assert done
    path.write_bytes(data.tobytes())
    return path


def picture(height: int = 64, width: int = 64, seed: int = 0) -> np.ndarray:
    """Noise that no format can make small."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def unsealed(path: Path) -> dict:
    """A description without checksum and proof, as an earlier version wrote it; what is changed in it is read."""
    return {key: value for key, value in json.loads(path.read_text()).items() if key not in ("checksum", "proof")}


def listing(folder: Path) -> dict:
    """Everything below a folder with its size and the time of its last change."""
    found = [folder, *folder.rglob("*")]
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in found}


def state_of(folder: Path) -> State:
    """A state of whatever lies in a folder, for what reads a part of one."""
    files = {str(path.relative_to(folder)): sha256(path) for path in folder.rglob("*") if path.is_file()}
    return State(folder, {"files": files})
