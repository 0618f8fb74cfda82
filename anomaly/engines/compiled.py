"""C++ of our own, compiled once for the processor it runs on, in seconds, and kept.

Nothing needs it: without a compiler the same is computed by libraries, more slowly.
"""

import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Optional

from anomaly.engines import kept
from anomaly.run.errors import DataError
from anomaly.run.files import replacing

COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-pthread")
OTHERS_WRITE = 0o002
LONGEST = 300  # seconds that compiling may take
FAILURES = (DataError, OSError, subprocess.SubprocessError)  # of library()


def compiler() -> Optional[str]:
    return next(filter(None, map(shutil.which, (os.environ.get("CXX", ""), *COMPILERS))), None)


def library(source: Path) -> Path:
    """The compiled file, which is made if it is not there yet."""
    command = compiler()
    if command is None:
        raise DataError("there is no C++ compiler, such as g++")
    path = kept.folder() / f"{source.stem}-{_identity(source, command)}.so"
    path.parent.mkdir(parents=True, exist_ok=True)
    found = path.parent.stat()
    if found.st_uid != os.getuid() or found.st_mode & OTHERS_WRITE:  # what lies there will be run
        raise DataError(f"somebody else may write to {path.parent}")
    if not path.is_file():
        with replacing(path) as temporary:
            words = [command, *FLAGS, "-o", str(temporary), str(source)]
            done = subprocess.run(words, capture_output=True, text=True, timeout=LONGEST)
            if done.returncode:
                raise DataError(f"{command}: {(done.stderr.strip().splitlines() or ['failed'])[0]}")
    return path


def _identity(source: Path, command: str) -> str:
    """Another one for another source, compiler or processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    features = sorted({line for line in lines if line.lower().startswith(("flags", "features"))})
    known = (source.read_text(), command, os.stat(command).st_mtime_ns, FLAGS, platform.machine(), features)
    return hashlib.sha256(repr(known).encode()).hexdigest()[:32]
