"""C++ of our own, compiled once for the processor it runs on, in seconds, and kept.

Nothing needs it: without a compiler the same is computed by libraries, more slowly.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from anomaly.engines import kept
from anomaly.run.errors import DataError, first_line
from anomaly.run.files import sha256
from anomaly.run.progress import log

COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-pthread")
OTHERS_WRITE = 0o002
LONGEST = 300  # seconds that compiling may take
FAILURES = (DataError, OSError, subprocess.SubprocessError, AttributeError)  # the last: it lacks what is declared
_one_at_a_time = threading.Lock()


def compiler() -> Optional[str]:
    return next(filter(None, map(shutil.which, (os.environ.get("CXX", ""), *COMPILERS))), None)


def loaded(source: Path, declared: Callable, *, check: Callable, otherwise: str) -> Optional[ctypes.CDLL]:
    """What was compiled, `declared` and found right. Where there is none, the log says why, and what is `otherwise`."""
    try:
        found = declared(ctypes.CDLL(str(library(source))))
        check(found)
        return found
    except FAILURES as error:
        log.info("%s (%s)", otherwise, first_line(error))
        return None


def library(source: Path) -> Path:
    """The compiled file, made if it is not there yet. Its name says what is in it: a damaged one is not run."""
    command = compiler()
    if command is None:
        raise DataError("there is no C++ compiler, such as g++")
    folder, name = kept.folder(), f"{source.stem}-{_identity(source, command)}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & OTHERS_WRITE:  # what lies there will be run
        raise DataError(f"somebody else may write to {folder}")
    with _one_at_a_time:
        there = (path for path in folder.glob(f"{name}-*.so") if path.is_file())
        whole = (path for path in there if path.name == _file_name(name, path))
        return next(whole, None) or _compile(source, command, name=name, folder=folder)


def _compile(source: Path, command: str, *, name: str, folder: Path) -> Path:
    with tempfile.TemporaryDirectory(prefix=".compiling-", dir=folder) as place:
        made = Path(place) / "made.so"
        words = [command, *FLAGS, "-o", str(made), str(source)]
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=LONGEST)
        if done.returncode:
            raise DataError(f"{command}: {(done.stderr.strip().splitlines() or ['failed'])[0]}")
        path = folder / _file_name(name, made)
        os.replace(made, path)
        return path


def _file_name(name: str, path: Path) -> str:
    return f"{name}-{sha256(path)[:16]}.so"


def _identity(source: Path, command: str) -> str:
    """Another one for another source, compiler or processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    features = sorted({line for line in lines if line.lower().startswith(("flags", "features"))})
    known = (source.read_bytes(), command, os.stat(command).st_mtime_ns, FLAGS, platform.machine(), features)
    return hashlib.sha256(repr(known).encode()).hexdigest()[:32]
