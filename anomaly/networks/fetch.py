"""Pretrained weights from their official addresses. The file name ends in the first eight digits of its SHA-256."""

import http.client
import os
import time
import urllib.error
import urllib.request
from pathlib import Path

from anomaly.networks import registry
from anomaly.run.errors import DataError
from anomaly.run.files import HOME, replacing, sha256

PRETRAINED = HOME / "pretrained"
TIMEOUT = 20  # seconds without an answer
LIMIT = 900  # seconds for the whole file
BLOCK = 1 << 20


def checkpoint(chosen: str, name: str) -> str:
    """The file asked for; in a folder, and where nothing was asked for, the one that has the weights' own name."""
    folder = Path(chosen) if chosen else PRETRAINED
    return str(folder / f"{name}.ckpt") if folder.is_dir() or not chosen else chosen


def fetch(name: str, folder: Path = PRETRAINED, *, address: str = "", timeout: float = TIMEOUT) -> Path:
    """Downloads NAME.pth unless it is there; raises DataError in one line where that is not possible."""
    target = Path(folder) / f"{name}.pth"
    digits = name.rpartition("-")[2]
    if target.is_file() and sha256(target).startswith(digits):
        return target
    url = f"{address or os.environ.get('WEIGHTS_ADDRESS') or registry.addresses()[name]}/{name}.pth"
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer, replacing(target) as temporary:
            end = time.monotonic() + LIMIT
            with open(temporary, "wb") as file:
                while block := answer.read(BLOCK):
                    file.write(block)
                    if time.monotonic() > end:
                        raise TimeoutError(f"not complete after {LIMIT} s")
            if not sha256(temporary).startswith(digits):
                raise DataError(f"{url}: what arrived has not the checksum {digits}; try again")
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise DataError(
            f"{url}: no answer ({getattr(error, 'reason', error)}); download it elsewhere and put it into {folder}"
        ) from None
    return target
