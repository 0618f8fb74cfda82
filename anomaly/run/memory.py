"""How much memory a run may take, and arrays that go into a file where it would be too much."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Optional

import numpy as np

from anomaly.run import leftovers
from anomaly.run.errors import DataError
from anomaly.run.progress import log

GB = 1e9
NOTEWORTHY = 2e8  # bytes; of less nothing is said
REST = 5e8  # what a run takes beside its large arrays: the engine, photographs that are being decoded, libraries
CGROUP = Path("/sys/fs/cgroup")  # of a container, which may have less than the machine
_limit: list = []  # bytes for this process, as --memory_limit says


def limit(gigabytes: float) -> None:
    """From now on; 0: what is free."""
    _limit[:] = [gigabytes * GB] if gigabytes else []


def available() -> int:
    """Bytes that could be taken now; a very large number where the system does not tell."""
    found = [_free_of_machine(), _free_of_container()]
    if _limit:
        found.append(_limit[0] - _resident())
    return max(0, int(min(found) - REST))


def _free_of_machine() -> float:
    try:
        with open("/proc/meminfo") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return float("inf") if _limit else 1 << 62


def _free_of_container() -> float:
    try:
        most = (CGROUP / "memory.max").read_text().strip()
        return float("inf") if most == "max" else int(most) - int((CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return float("inf")


def _resident() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def enough(needed: float, what: str) -> bool:
    """Says what is needed and what is free, before anything is taken."""
    free = available()
    if needed > free or needed >= NOTEWORTHY:
        log.info("memory: %s about %.1f GB, %.1f GB are free", what, needed / GB, free / GB)
    return needed <= free


def require(needed: float, what: str, *, hint: str) -> None:
    if not enough(needed, what):
        raise DataError(f"{what} {needed / GB:.1f} GB of memory and {available() / GB:.1f} GB are free; {hint}")


class Scratch:
    """Large arrays that live as long as this object: in memory while a part of what is free holds them, else in files
    below `folder`. `kind`: memory, file, or none where there is neither enough memory nor a folder with enough room.
    """

    def __init__(self, needed: int, folder: Optional[Path], *, share: float, kind: str = "") -> None:
        self.kind = kind or self._kind(needed, folder, share)
        self.count = 0
        self.folder: Optional[tempfile.TemporaryDirectory] = None
        if self.kind == "file":
            self.folder = tempfile.TemporaryDirectory(prefix=f"{leftovers.name('features')}_", dir=folder)
            log.info("features: %.1f GB in a file below %s", needed / GB, folder)

    @staticmethod
    def _kind(needed: int, folder: Optional[Path], share: float) -> str:
        if needed < share * available():
            return "memory"
        return "file" if folder and needed < 0.9 * shutil.disk_usage(folder).free else "none"

    def empty(self, shape: tuple, dtype: type = np.float32) -> np.ndarray:
        if self.folder is None:
            return np.empty(shape, dtype)
        self.count += 1
        path = Path(self.folder.name) / f"{self.count}.npy"
        return np.lib.format.open_memmap(path, "w+", dtype, shape)
