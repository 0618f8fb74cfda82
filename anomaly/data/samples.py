"""A photograph with what is known of it, and the photographs of one category."""

import functools
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from anomaly.data.images import from_pillow, is_image
from anomaly.run.errors import DataError
from anomaly.run.files import sha256

GOOD = "good"


@dataclass(frozen=True)
class Sample:
    path: Path  # of an array: a name that it is called by
    defect: str = GOOD  # the name of its folder
    mask: Union[Path, tuple, None] = None  # several files are one mask, joined
    pixels: Optional[np.ndarray] = field(default=None, compare=False, repr=False)  # H W 3 uint8, if it is in no file
    truth: Optional[np.ndarray] = field(default=None, compare=False, repr=False)  # H W bool, if no file holds the mask
    called: str = ""  # where others of its defect have the name of its file: a path that tells it from them
    window: Any = None  # the piece of it that is meant, a tiles.Window
    change: Any = None  # what makes a changed copy of it, an augment.Change

    @property
    def anomalous(self) -> bool:
        return self.defect != GOOD

    @property
    def name(self) -> str:
        return f"{self.defect}/{self.called or self.path.name}"

    @property
    def masks(self) -> tuple:
        """The files of its mask."""
        return self.mask if isinstance(self.mask, tuple) else (self.mask,) if self.mask else ()

    def digest(self) -> str:
        """SHA-256 of its content, and of what changes it."""
        if self.pixels is None:
            found = _digest(self.path, self.path.stat().st_mtime_ns)
        else:
            found = hashlib.sha256(repr(self.pixels.shape).encode() + self.pixels.tobytes()).hexdigest()
        return hashlib.sha256(f"{found} {self.change}".encode()).hexdigest() if self.change else found


@dataclass(frozen=True)
class Category:
    name: str
    train: tuple  # of Sample
    test: tuple
    note: str = ""  # what a reader of the log has to know
    unused: tuple = ()  # masks that belong to no photograph


def names(paths: Iterable) -> tuple:
    """What photographs are called by: their file names, with the folders that tell them apart, if there are several."""
    listed = [Path(path) for path in paths]
    if len({path.parent for path in listed}) < 2:
        return tuple(path.name for path in listed)
    try:
        common = os.path.commonpath(listed)
    except ValueError:  # some absolute, some not
        return tuple(path.as_posix() for path in listed)
    return tuple(path.relative_to(common).as_posix() for path in listed)


def grouped(samples: Sequence) -> tuple:
    """The names of the photographs that samples are of, or are pieces or changed copies of, and for each sample the
    number of its own.
    """
    firsts = [s.change is None and (s.window is None or s.window.number == 0) for s in samples]
    called = names(sample.path for sample, first in zip(samples, firsts) if first)
    return called, np.cumsum(firsts) - 1


@functools.lru_cache(maxsize=1 << 14)
def _digest(path: Path, changed: int) -> str:
    return sha256(path)


def images_in(folder: Path) -> list:
    return sorted(path for path in folder.iterdir() if is_image(path) and path.is_file()) if folder.is_dir() else []


def images_below(folder: Path) -> list:
    """Every image in a folder and those below it, links followed, hidden ones left out; in the order of their names."""
    found: list[Path] = []
    seen = set()  # a link may lead back to where it lies

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})")

    for place, below, files in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(place)
        below[:] = [] if real in seen else sorted(name for name in below if not name.startswith("."))
        found += [Path(place, name) for name in sorted(files) if is_image(Path(name))] if real not in seen else []
        seen.add(real)
    return found


def distinct(found: Sequence) -> tuple:
    """The samples, with those of one defect and one file name called by the path that tells them apart."""
    alike: dict[str, list] = {}
    for sample in found:
        alike.setdefault(sample.name, []).append(sample.path.parent)
    above = {name: os.path.commonpath(folders) for name, folders in alike.items() if len(folders) > 1}
    return tuple(
        replace(each, called=each.path.relative_to(above[each.name]).as_posix()) if each.name in above else each
        for each in found
    )


def find_images(path: Path) -> list:
    """The file itself, or every image in the folder and those below it."""
    path = Path(path)
    if path.is_dir():
        folders = sorted([path, *(p for p in path.rglob("*") if p.is_dir())])
        found = [image for folder in folders for image in images_in(folder)]
        if not found:
            raise DataError(f"{path}: holds no image")
        return found
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder")
    return [path]


def is_one(photographs: Any) -> bool:
    """Whether `samples` gives one of it, in every case: a file, or one picture."""
    if isinstance(photographs, (str, Path)):
        return not Path(photographs).is_dir()
    return _is_pillow(photographs) or (isinstance(photographs, np.ndarray) and photographs.ndim in (2, 3))


def _is_pillow(photograph: Any) -> bool:
    return any(kind.__module__ == "PIL.Image" for kind in type(photograph).__mro__)


def samples(photographs: Any) -> tuple:
    """A path, an array H W 3 or B H W 3, a picture of Pillow's, or several of these -> Samples. A folder stands for
    all images below it.
    """
    found = enumerate(_samples(photographs))
    return tuple(replace(each, path=Path(f"photograph {n}")) if each.path == Path() else each for n, each in found)


def _samples(photographs: Any) -> list:
    if isinstance(photographs, Sample):
        return [photographs]
    if isinstance(photographs, str) and not photographs:
        raise DataError("photographs: an empty path")
    if isinstance(photographs, (str, Path)):
        return [Sample(path) for path in find_images(Path(photographs))]
    if isinstance(photographs, np.ndarray):
        return _arrays(photographs)
    if _is_pillow(photographs):
        return [Sample(Path(), pixels=from_pillow(photographs))]
    if isinstance(photographs, (Category, bytes)) or not isinstance(photographs, Iterable):
        raise DataError(f"photographs are paths, arrays (H W 3, uint8) or Pillow's, not {type(photographs).__name__}")
    return [sample for each in photographs for sample in _samples(each)]


def _arrays(pixels: np.ndarray) -> list:
    if pixels.ndim == 2:  # in grey, as files may be
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or pixels.shape[-1] != 3 or not pixels.size:
        shape = " x ".join(map(str, pixels.shape))
        raise DataError(
            f"an array of photographs is H W, H W 3 or B H W 3 of uint8, RGB; not {shape} of {pixels.dtype}"
        )
    return [Sample(Path(), pixels=image) for image in (pixels if pixels.ndim == 4 else pixels[None])]
