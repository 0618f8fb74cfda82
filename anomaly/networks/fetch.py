"""Where pretrained weights are, and how they get there. A file's name ends in the first eight digits of its SHA-256."""

import fcntl
import http.client
import importlib.util
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Optional

from anomaly.networks import registry
from anomaly.run.errors import DataError, first_line
from anomaly.run.files import HOME, sha256, writing

PRETRAINED = HOME / "pretrained"
SUFFIXES = (".pth", ".safetensors", ".ckpt")  # of files of weights; the first that is there is taken
TIMEOUT = 20  # seconds without an answer
LIMIT = 3600  # seconds for the whole file
BLOCK = 1 << 18


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


NETWORK = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ValueError)


class Failed(Exception):
    """What an address did not give."""


def fetch(name: str, folder: Path = PRETRAINED, *, timeout: float = TIMEOUT, report: Optional[Callable] = None) -> Path:
    """Downloads NAME.pth unless it is there; raises DataError in one line where that is not possible.

    What an interrupted download has left, NAME.pth.part, is gone on with. `report` is told of the bytes that are there
    and of the bytes of the whole.
    """
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
            _download(url, target, digits=digits, timeout=timeout, report=report or (lambda done, total: None))
            return target
        except Failed as error:
            reasons.append(f"{url}: {error}")
    raise DataError(f"{'; '.join(reasons)}; try again, or download it elsewhere and put it into {folder}")


def _download(url: str, target: Path, *, digits: str, timeout: float, report: Callable) -> None:
    part = target.with_name(f"{target.name}.part")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(part) and (part.is_symlink() or not part.is_file()):
            raise DataError(f"{part}: is no file of this program; move it away")
        with open(part, "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataError(f"{part}: another download is writing it; wait for that one") from None
            try:
                _receive(url, file, timeout=timeout, report=report)
            except NETWORK as error:
                raise Failed(f"no answer ({first_line(getattr(error, 'reason', error))})") from None
            finally:
                file.flush()
                if not os.fstat(file.fileno()).st_size:
                    part.unlink(missing_ok=True)
            if not sha256(part).startswith(digits):
                part.unlink()
                raise Failed(f"what arrived has not the checksum {digits}")
            os.replace(part, target)  # while no other download may go on with it


def _receive(url: str, file: BinaryIO, *, timeout: float, report: Callable) -> None:
    done = os.fstat(file.fileno()).st_size
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        return  # all of it is there
    with answer:
        if done and answer.status != http.client.PARTIAL_CONTENT:
            file.truncate(0)
            done = 0
        total = done + int(answer.headers.get("Content-Length") or 0)
        end = time.monotonic() + LIMIT
        while block := answer.read1(BLOCK):
            file.write(block)
            done += len(block)
            report(done, total)
            if time.monotonic() > end:
                raise TimeoutError(f"not complete after {LIMIT} s")
        if done < total:
            raise http.client.IncompleteRead(b"", total - done)
