"""Writes a trained state: the files of its method, those that every state has, and the record that names them all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Optional

from anomaly.deploy.state import CONFIG, FORMAT_VERSION, NETWORK, RECORD, forget, read, write
from anomaly.detector import Fitted
from anomaly.run import options
from anomaly.run.errors import DataError
from anomaly.run.files import replacing, replacing_together, sha256, write_text


@contextmanager
def saving(folder: Path, detector: Fitted, *, details: Optional[dict] = None) -> Iterator[Path]:
    """Yields a folder into which the method writes its files; a state that was there stays until this one is whole.

    `details`: what else the method wants to know, as JSON has it.
    """
    folder = Path(folder)
    before = files_of(folder)
    with replacing_together(folder, last=RECORD, first=forget) as place:
        yield place
        _complete(place, detector, details or {})
    for name in before - files_of(folder):  # of another kind of training
        (folder / name).unlink(missing_ok=True)


def files_of(folder: Path) -> set:
    try:
        return set(read(folder).record["files"])
    except DataError:
        return set()


def _complete(folder: Path, detector: Fitted, details: dict) -> None:
    """Writes what every state has beside the files of its method."""
    backbone, calibration = detector.backbone, detector.calibration
    config = replace(detector.config, pre_ckpt_path=backbone.source)
    if backbone.quantised:
        with replacing(folder / NETWORK) as temporary:
            temporary.write_bytes(backbone.quantised)
    names = [path.relative_to(folder).as_posix() for path in _written(folder)]
    write_text(folder / CONFIG, options.to_yaml(options.to_values(config)))
    record = {
        "format_version": FORMAT_VERSION,
        "method": detector.method,
        "backbone": backbone.name,
        "random_backbone": backbone.is_random,
        "fingerprint": backbone.fingerprint,
        "good_scores": calibration.scores.tolist(),
        "good_peaks": calibration.peaks.tolist(),
        "good_names": list(calibration.names),
        "options": options.to_values(config),
        "config": sha256(folder / CONFIG),
        "files": {name: sha256(folder / name) for name in names},
        "details": details,
        "runs_on": detector.runs_on,
    }
    write(folder, record)


def _written(folder: Path) -> Iterator[Path]:
    """The files below a folder; of a part with a record of its own the record alone, which has the rest of them."""
    for path in sorted(folder.iterdir()):
        if path.is_file():
            yield path
        elif (path / RECORD).is_file():
            yield path / RECORD
        elif path.is_dir():
            yield from _written(path)
