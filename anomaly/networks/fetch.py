"""Where pretrained weights are, and how they get there. A file's name ends in the first eight digits of its SHA-256."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from anomaly.networks import registry
from anomaly.run.errors import DataError
from anomaly.run.files import HOME, sha256

PRETRAINED = HOME / "pretrained"
SUFFIXES = (".pth", ".safetensors", ".ckpt")  # of files of weights; the first that is there is taken
TIMEOUT = 20  # seconds without an answer


def command(name: str) -> str:
    """How to get weights here."""
    script = "python pretrained/fetch.py" if (PRETRAINED / "fetch.py").is_file() else "anomaly fetch"
    return f"{script} {name}"


def checkpoint(chosen: str, name: str) -> str:
    """The file asked for; in a folder, and where nothing was asked for, the one that has the weights' own name."""
    folder = Path(chosen) if chosen else PRETRAINED
    if chosen and not folder.is_dir():
        return chosen
    found = next((folder / f"{name}{s}" for s in SUFFIXES if (folder / f"{name}{s}").is_file()), None)
    return str(found or packaged(name) or folder / f"{name}.pth")


def packaged(name: str) -> Optional[Path]:
    """The file of these weights in a Python package that is installed, where one holds them."""
    package = registry.packages().get(name)
    spec = importlib.util.find_spec(package) if package else None
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / "models" / f"{name}.pth"
        if path.is_file():
            require_checksum(path)
            return path
    return None


def require_checksum(path: Path) -> None:
    digits = path.stem.rpartition("-")[2]
    if not sha256(path).startswith(digits):
        raise DataError(f"{path}: has not the checksum {digits}, so it is damaged; install its package again")


def fetch(name: str, folder: Path = PRETRAINED, *, timeout: float = TIMEOUT, report: Optional[Callable] = None) -> Path:
    """Downloads NAME.pth unless it is there; raises DataError in one line where that is not possible.

    What an interrupted download has left, NAME.pth.part, is gone on with. `report` is told of the bytes that are there
    and of the bytes of the whole.
    """
    from anomaly.networks.download import Failed, download  # here, since few runs need the network

    target = Path(folder) / f"{name}.pth"
    digits = name.rpartition("-")[2]
    if target.is_file():
        if sha256(target).startswith(digits):
            return target
        raise DataError(f"{target}: is there already and has not the checksum {digits}; move it away, then fetch again")
    known = os.environ.get("WEIGHTS_ADDRESS", "").split() or registry.addresses()[name]
    reasons = []
    for address in known:
        url = f"{address}/{name}.pth"
        try:
            download(url, target, digits=digits, timeout=timeout, report=report or (lambda done, total: None))
            return target
        except Failed as error:
            reasons.append(f"{url}: {error}")
    raise DataError(f"{'; '.join(reasons)}; try again, or download it elsewhere and put it into {folder}")
