"""Graphs that were compiled once are kept for the next start, in the user's folder for such things.

The name of a file says of what it is and what is in it, so that a damaged one is not taken. Where nothing can be
written, nothing is kept.
"""

import functools
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Optional

from anomaly.networks import registry
from anomaly.run.errors import DataError
from anomaly.run.files import replacing

MOST = 2 << 30  # bytes of all together; the one that was not used for the longest time goes first
SUFFIX = ".onnx"
NAME = re.compile(r"\w+-[0-9a-f]{16}\.onnx")


def key(examples: dict, outputs: tuple, *, make: Callable, numbers: tuple) -> str:
    """Differs where the graphs differ: by versions, sources, inputs, outputs, or the numbers in them."""
    shapes = {name: (array.shape[1:], str(array.dtype)) for name, array in examples.items()}
    from importlib import metadata  # here, since --help need not wait for it

    version = metadata.version("mindspore")
    digest = hashlib.sha256(repr((version, shapes, outputs, numbers)).encode())
    for source in sources(make):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


def sources(make: Callable) -> list:
    """All that could change what is made: the networks, how they are written down, and the method's own files."""
    while isinstance(make, functools.partial):
        make = make.func
    own = Path(str(sys.modules[make.__module__].__file__)).parent
    folders = {Path(registry.__file__).parent, Path(__file__).parent, own}
    return sorted(path for each in folders for path in each.glob("*.py"))


def folder() -> Path:
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "anomaly"
    except RuntimeError:  # a user without a home
        return Path(tempfile.gettempdir()) / f"anomaly-{os.getuid()}"


def read(key: str) -> Optional[bytes]:
    for path in folder().glob(f"{key}-*{SUFFIX}"):
        try:
            content = path.read_bytes()
            if path.stem == _name(key, content):
                with suppress(OSError):  # where nothing can be written, it can be read all the same
                    os.utime(path)
                return content
        except OSError:
            continue
    return None


def write(key: str, content: bytes) -> None:
    try:
        with replacing(folder() / f"{_name(key, content)}{SUFFIX}") as temporary:
            temporary.write_bytes(content)
        _make_room()
    except (DataError, OSError):
        pass


def _name(key: str, content: bytes) -> str:
    return f"{key}-{hashlib.sha256(content).hexdigest()[:16]}"


def _make_room() -> None:
    own = [path for path in folder().glob(f"*{SUFFIX}") if NAME.fullmatch(path.name)]
    files = sorted(own, key=lambda path: path.stat().st_mtime, reverse=True)
    total = 0
    for path in files:
        total += path.stat().st_size
        if total > MOST:
            path.unlink(missing_ok=True)
