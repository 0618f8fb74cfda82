"""Moves anomalous photographs to a folder of their own, or links them there. Nothing that lies there is replaced."""

import errno
import filecmp
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from anomaly.run.errors import DataError
from anomaly.run.files import writing

MOVE, LINK = "move", "link"
# From one disk to another, or where the file system has no hard links.
WITHOUT_LINKS = (errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def put(path: Path, target: Path, *, how: str) -> Path:
    """Where it is now: `target`, or, if another file has that name, the same with a number."""
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.samefile(path.parent, target.parent):  # by way of a link: unlinking it would leave none
            raise DataError(f"it lies already where it would be put, {target.parent}")
        before = _state(path)
        for place in places(target):
            if _is_there(path, place, how=how):
                break
            try:
                _link(path, place, how=how)
                break
            except FileExistsError:
                continue
        if how == MOVE:
            if _state(path) != before:
                raise DataError(f"it changed while it was moved; what it was is {place}")
            path.unlink()
        return place


def _state(path: Path) -> tuple:
    about = path.stat()
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns


def places(target: Path) -> Iterator[Path]:
    yield target
    number = 2
    while True:
        yield target.with_name(f"{target.stem}-{number}{target.suffix}")
        number += 1


def _is_there(path: Path, place: Path, *, how: str) -> bool:
    """As after a kill between the two steps. A link that leads to what is moved away would lead nowhere."""
    if how == MOVE and place.is_symlink():
        return path.is_symlink() and os.readlink(place) == str(path.resolve())
    return place.is_file() and (os.path.samefile(path, place) or filecmp.cmp(path, place, shallow=False))


def _link(path: Path, place: Path, *, how: str) -> None:
    if path.is_symlink():  # what it leads to stays where it is; a relative link would lead nowhere from elsewhere
        os.symlink(path.resolve(), place)
        return
    try:
        os.link(path, place)
    except OSError as error:
        if error.errno not in WITHOUT_LINKS:
            raise
        if how == LINK:
            os.symlink(path.resolve(), place)
        else:
            _copy(path, place)


def _copy(path: Path, place: Path) -> None:
    """Under its name only when it is whole. What a kill leaves has the name that the next try writes over."""
    temporary = place.with_name(f".{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}.tmp")
    try:
        shutil.copy2(path, temporary)
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        _name(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)


def _name(temporary: Path, place: Path) -> None:
    """A rename would replace what appears at `place` in this moment; a link does not."""
    try:
        os.link(temporary, place)
    except OSError as error:
        if error.errno not in WITHOUT_LINKS:
            raise
        if os.path.lexists(place):
            raise FileExistsError(place) from None
        os.rename(temporary, place)
