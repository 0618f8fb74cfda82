"""One process at a time writes into a folder of results. The lock ends with its process, however that ends."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from anomaly.run import leftovers
from anomaly.run.errors import DataError

FILE = ".lock"
NOT_HERE = (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL)  # of a file system that knows no locks


class Busy(DataError):
    """Another process holds the lock."""


@contextmanager
def locked(folder: Path, name: str = FILE) -> Iterator[None]:
    """Refuses, naming the process, where another one holds the folder. `name`: of the file, one for each purpose.

    What killed processes have left in the folder goes.
    """
    path = folder / name
    file = _held(path)
    try:
        with suppress(OSError):  # on a full disk it is held all the same
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
        leftovers.clear((folder,))
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(file)


def holder(file: int) -> str:
    """The number of the process that has locked a file that is open here; nothing where the system does not tell."""
    here = os.fstat(file)
    mark = f"{os.major(here.st_dev):02x}:{os.minor(here.st_dev):02x}:{here.st_ino}"
    with suppress(OSError), open("/proc/locks") as locks:
        for _, *words in map(str.split, locks):
            if words[:1] == ["FLOCK"] and words[4] == mark and words[3].isdigit():
                return words[3]
    return ""


def _held(path: Path) -> int:
    """The file, open and locked; the one that lies there, and not one that was removed in between."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in NOT_HERE:
                return file
            number = os.pread(file, 20, 0).decode("ascii", "replace") or "another"
            os.close(file)
            raise Busy(
                f"{path.parent}: process {number} is at work there; wait for it, or choose another --output_dir"
            ) from None
        if path.exists() and os.path.samestat(os.fstat(file), os.stat(path)):
            return file
        os.close(file)
