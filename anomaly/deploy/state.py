"""The record beside a trained state. It is written last, so where it is and fits, the state is whole.

    state.json      method, network, options, what good photographs scored when they were left out, and a checksum of
                    each file and of the record itself
    config.yaml     the options of training once more, to read, and for --config of another training
    network.int8.onnx    with --precision int8: the network as it was quantised on the photographs of training

Format 2 added the version and the record's own checksum; what was written before has neither and is read as it is.
Format 3 has the options, and the names of the photographs that were scored.
"""

import hashlib
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import yaml

from anomaly.deploy.record import KEYS, checksum, is_whole
from anomaly.measure.calibration import Calibration, calibration_of
from anomaly.networks.registry import Backbone
from anomaly.run import options
from anomaly.run.errors import DataError
from anomaly.run.files import begins, finish, read_json, replacing_together, require_own, sha256, write_json, write_text
from anomaly.run.progress import log
from anomaly.show.report.page import HEAD
from anomaly.show.tables import CSV_HEADER

RECORD = "state.json"
CONFIG = "config.yaml"
NETWORK = "network.int8.onnx"
FORMAT_VERSION = 3
HEADS = ('{\n  "format_version"', '{\n  "method"')  # with which records begin


def write(folder: Path, record: dict) -> Path:
    write_json(folder / RECORD, {**record, "checksum": checksum(record)})
    return folder / RECORD


@contextmanager
def kept(folder: Path) -> Iterator[None]:
    """For what follows `save`: where it fails, not all was in vain."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{error}; the trained state in {folder} is complete: mend this and run eval.py") from None


@dataclass(frozen=True)
class State:
    """A record that has been read and found whole; its files are checked as they are read."""

    folder: Path
    record: dict
    pending: Optional[Path] = None  # where what a kill kept from being moved lies, if it cannot be moved now

    def place(self, name: str) -> Path:
        """Where one of its files lies."""
        moved = self.pending is None or not (self.pending / name).exists()
        return (self.folder if moved or self.pending is None else self.pending) / name

    @property
    def method(self) -> str:
        return self.record["method"]

    @property
    def details(self) -> dict:
        return self.record["details"]

    @property
    def calibration(self) -> Calibration:
        names = self.record.get("good_names", ())
        try:
            return calibration_of(self.record["good_scores"], self.record["good_peaks"], names=names)
        except (TypeError, ValueError, OverflowError):
            raise DataError(f"{self.folder / RECORD}: damaged; train again") from None

    def options(self, cls: type) -> dict:
        """With which it was trained."""
        if "options" in self.record:
            if self.place(CONFIG).is_file() and sha256(self.place(CONFIG)) != self.record["config"]:
                log.warning(
                    "note: %s was edited after training and is not looked at; `anomaly threshold` chooses another "
                    "threshold, and flags whatever else is open",
                    self.folder / CONFIG,
                )
            return options.from_values(cls, self.record["options"], path=self.folder / RECORD)
        with self.file(CONFIG) as content:
            return options.from_text(cls, content[:], path=self.folder / CONFIG)

    @contextmanager
    def file(self, name: str) -> Iterator[Any]:
        """The bytes of one of its files, mapped into memory, after they have been checked."""
        path, wanted = self.place(name), self.record["files"].get(name)
        try:
            with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if hashlib.sha256(content).hexdigest() == wanted:
                    yield content
                    return
        except (OSError, ValueError):  # ValueError: an empty file
            pass
        if json_of(self.place(RECORD)) not in (None, self.record):
            raise DataError(f"{self.folder}: another training has just replaced what was there; run this again")
        raise DataError(f"{path}: missing or changed since training; train again")

    def array(self, name: str) -> np.ndarray:
        """Of numbers, all of which are finite."""
        with self.file(name) as content:
            try:
                found = np.load(content, allow_pickle=False)
            except Exception:  # numpy has many ways of saying no
                raise self.damaged(name) from None
        if (
            not isinstance(found, np.ndarray)
            or found.dtype.kind not in "fiu"
            or not found.size
            or not np.isfinite(found).all()
        ):
            raise self.damaged(name)
        return found

    def damaged(self, name: str) -> DataError:
        return DataError(f"{self.folder / name}: missing or damaged; train again")

    @property
    def images(self) -> list:
        """What is known of the photographs of training, as data/trained_on.py has it; earlier versions knew nothing."""
        found = self.details.get("images", [])
        known = isinstance(found, list) and all(isinstance(image, dict) for image in found)
        if known and all(isinstance(image.get(key), str) for image in found for key in ("path", "sha256")):
            return found
        raise self.damaged(RECORD)

    def network(self, backbone: Backbone) -> Backbone:
        """The network as this state wants it: in int8 with the graph of training."""
        if NETWORK not in self.record["files"]:
            return backbone.plain
        with self.file(NETWORK) as content:
            return replace(backbone, quantised=content[:])

    def require_method(self, method: str) -> None:
        if self.method != method:
            raise DataError(f"{self.folder}: is a state of {self.method}, not of {method}")

    def require_backbone(self, backbone: Backbone) -> None:
        if self.record["fingerprint"] != backbone.fingerprint:
            name = self.record["backbone"]
            kind = "random weights" if self.record["random_backbone"] else f"other weights of {name}"
            raise DataError(
                f"{self.folder}: was trained with {kind}, not with {backbone.source}; give the --pre_ckpt_path of "
                "training"
            )


def trained_in(output: Path) -> list:
    """The names of the categories that have a state there."""
    return sorted(path.parent.name for path in output.glob(f"*/{RECORD}"))


def read(folder: Path, *, pending: Optional[Path] = None) -> State:
    """The record in a folder of a category that something was trained on."""
    folder = Path(folder)
    pending = finish(folder, last=RECORD, first=forget) or pending
    path = State(folder, {}, pending).place(RECORD)
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is no file; move it away and train again")
    if not path.is_file():
        others = trained_in(folder.parent)
        hint = f"trained there: {', '.join(others)}" if others else "run train.py first"
        raise DataError(f"{folder}: holds no trained state ({hint})")
    record = read_json(path)
    if not is_whole(record):
        raise DataError(f"{path}: damaged; train again")
    version = record.get("format_version", 1)
    if version not in range(1, FORMAT_VERSION + 1):
        raise DataError(f"{path}: of format {version}; this version knows those up to {FORMAT_VERSION}")
    if version > 1 and record.get("checksum") != checksum(record):
        raise DataError(f"{path}: changed since training; train again")
    return State(folder, record, pending)


# What an evaluation leaves, and how it begins.
RESULTS = {"results.json": ('{\n  "method"',), "results.csv": (CSV_HEADER,), "report.html": (HEAD,)}


def forget(place: Path) -> None:
    """Before the state at a place is moved to the folder above: the results of another detector there go."""
    new, old = (json_of(folder / RECORD) for folder in (place, place.parent))
    if isinstance(new, dict) and isinstance(old, dict) and new.get("good_scores") == old.get("good_scores"):
        return  # the same one with another threshold
    for name, heads in RESULTS.items():
        if begins(place.parent / name, heads):
            (place.parent / name).unlink()


def with_options(found: State, chosen: dict) -> Path:
    """The same state with other options, of those that are open after training; written in one step.

    config.yaml follows, unless somebody has edited it.
    """
    record = {key: value for key, value in found.record.items() if key != "checksum"}
    if "options" not in record:  # of an earlier format
        with found.file(CONFIG) as content:
            record["options"], record["config"] = yaml.safe_load(content[:]), sha256(found.folder / CONFIG)
        record["files"] = {name: value for name, value in record["files"].items() if name != CONFIG}
        record["format_version"] = FORMAT_VERSION
    record["options"] = {**record["options"], **chosen}
    path = found.folder / CONFIG
    if path.is_file() and sha256(path) == record["config"]:
        with replacing_together(found.folder, last=RECORD, first=forget) as place:
            write_text(place / CONFIG, options.to_yaml(record["options"]))
            record["config"] = sha256(place / CONFIG)
            write(place, record)
        return found.folder / RECORD
    return write(found.folder, record)


def json_of(path: Path) -> Any:
    try:
        return read_json(path)
    except DataError:
        return None


def require_place(folder: Path) -> None:
    """No record and no options of another program are replaced. A damaged state may be: train again, it says."""
    record = folder / RECORD
    found = json_of(record) if record.is_file() else None
    ours = bool(set(KEYS) & found.keys()) if isinstance(found, dict) else begins(record, HEADS)
    require_own(record, is_own=ours)
    config = folder / CONFIG
    require_own(config, is_own=config.is_file() and record.is_file())


def folder_of(path: Path) -> Path:
    """The folder of the state that this is, or that a file in it, such as a checkpoint, belongs to."""
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such checkpoint")
    at = path.resolve()
    folder = next((place for place in (at, *at.parents) if os.path.isfile(place / RECORD)), None)
    if folder is None:
        raise DataError(f"{path}: there is no {RECORD} in it or beside it; it is not a trained checkpoint")
    return folder
