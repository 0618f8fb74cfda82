"""Runs exported models: a table of what can, by the ending of the file. An exported model is a detector like others."""

import importlib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.deploy import description, lite, proof, seal
from anomaly.deploy.description import OUTPUTS, Description
from anomaly.detector import Detector
from anomaly.engines import open_vino
from anomaly.engines.choice import AUTO, MINDSPORE, OPENVINO, TENSORRT, choose_for_onnx
from anomaly.run.errors import DataError, UsageError
from anomaly.run.files import require_writable, sha256

# Each has open(path, outputs, name=, target=, device_id=) -> (run, what it runs on).
ENGINES = {".mindir": "anomaly.engines.mindir", ".onnx": "anomaly.engines.onnx_runtime"}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Exported(Detector):
    about: Description
    path: Path
    run: Callable

    @property
    def runs_beside(self) -> bool:
        return self.path.suffix == ".onnx"

    def score(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Any number of images, as many at a time as the model takes."""
        parts, size = [], self.about.batch or len(images)
        for start in range(0, len(images), size):
            part = images[start : start + size]
            filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            parts.append([output[: len(part)] for output in self.run(filled)])
        maps, scores = zip(*parts)
        return np.concatenate(maps), np.concatenate(scores)

    def save(self, folder: Path) -> None:
        """Copies the model, its description and its settings, and the folder of numbers that a large MINDIR has."""
        folder = Path(folder)
        require_writable(folder)
        if folder.resolve() == self.path.parent.resolve():
            return
        for path in (self.path, description.beside(self.path), lite.beside(self.path)):
            if path.is_file():
                shutil.copy(path, folder)
        numbers = self.path.with_name(f"{self.path.stem.removesuffix('_graph')}_variables")
        if numbers.is_dir():
            shutil.copytree(numbers, folder / numbers.name, dirs_exist_ok=True)


def _open(path: Path, about: Description, *, engine: str, target: str, device_id: int) -> tuple[Callable, str]:
    """A function from photographs, B H W 3 uint8, to maps and scores, and what it runs on."""
    known: dict = {"name": str(path), "target": target, "device_id": device_id}
    if path.suffix == ".onnx":
        runtime = choose_for_onnx(engine, about.precision, target=target)
        if runtime.engine == OPENVINO:
            return open_vino.open(path, OUTPUTS[:2], name=str(path), precision=runtime.precision)
        # TensorRT does not look at the numbers in a model: of each, by its checksum, what was made is kept apart
        cache = path.with_suffix(".tensorrt") / about.checksums["onnx"][:16] if runtime.engine == TENSORRT else None
        known |= {"target": runtime.target, "cache": cache}
    elif engine not in (AUTO, MINDSPORE):
        raise UsageError(f"--engine {engine}: does not run {path.suffix} files; give it the .onnx")
    return importlib.import_module(ENGINES[path.suffix]).open(path, OUTPUTS[:2], **known)


def _checked(path: Path, about: Description, **how: Any) -> tuple[Callable, str]:
    """The same of the file that is described, and of no other. What a large .onnx is opened in its checksum takes too,
    so both are done at once; over a damaged .mindir MindSpore may end the process."""

    def require(found: str) -> None:
        if about.checksums.get(path.suffix[1:]) != found:
            raise DataError(f"{path}: is not the model that {about.source.name} describes; export it again")

    if path.suffix != ".onnx":
        require(sha256(path))
        return _open(path, about, **how)
    with ThreadPoolExecutor(1) as pool:
        checksum = pool.submit(sha256, path)
        try:
            return _open(path, about, **how)
        finally:
            require(checksum.result())


def load(path: Path, target: str = "", *, device_id: int = 0, engine: str = AUTO) -> Exported:
    path = Path(path)
    if path.suffix not in ENGINES:
        raise DataError(f"{path}: models come as {', '.join(ENGINES)}")
    about = description.read(path)
    _require_consistent(about)
    run, runs_on = _checked(path, about, engine=engine, target=target, device_id=device_id)
    found = Exported(
        method=about.method,
        backbone=about.backbone,
        transform=about.known_transform,
        calibration=about.calibration,
        scales=about.scales,
        remark=about.remark,
        category=about.category,
        runs_on=runs_on,
        about=about,
        path=path,
        run=run,
    )
    if about.proof:
        proof.require(about.proof, found.score(about.proof.picture[None]), precision=about.precision, name=str(path))
    return found


def _require_consistent(about: Description) -> None:
    """The threshold, which other programs read, is the one that follows from the scores, which Python reads.

    Where there is a checksum both are as they were written; to work the threshold out again would only take time.
    """
    if seal.KEY in about.content or len(about.calibration.scores) < 2:
        return
    wanted, here = about.calibration.at(about.scales.choice), about.scales
    pairs = [(each.threshold, each.unit) for scales in (wanted, here) for each in (scales.image, scales.pixel)]
    if not np.allclose(pairs[:2], pairs[2:], rtol=1e-6, atol=0, equal_nan=True):
        raise DataError(
            f"{about.source}: its threshold is not the one that follows from its scores of good photographs; "
            "`anomaly threshold` puts it right, or export the model again"
        )
