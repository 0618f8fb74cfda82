"""The photographs as FastFlow trains on them: the frozen backbone's features of all of them, computed once.

Without augmentation they never change, so from the second epoch on training costs the flow alone. They are kept in
memory, or in a file that is mapped into it when they are large; `off` keeps the decoded images and computes the
features anew each time. What `take` gives is mutable: of a plain tuple the compiler would take the values for constants
and compile anew at every step.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional, Union

import numpy as np
from mindspore import Tensor, mutable, nn

from anomaly.data.loader import batches
from anomaly.run.device import available_memory
from anomaly.run.errors import UsageError
from anomaly.run.job import Job
from anomaly.run.progress import log
from fastflow.src.config import Config

MEMORY_SHARE = 0.5  # of what is free, for `auto`
LARGEST = float(np.finfo(np.float16).max)


def chunks(index: np.ndarray, size: int) -> Iterator[tuple]:
    """Indices in parts of one shape, for which everything is compiled once, and how many of each count."""
    for start in range(0, len(index), size):
        part = index[start : start + size]
        yield np.r_[part, np.repeat(part[:1], size - len(part))], len(part)


class Cached:
    """Arrays N C H W, one a scale, in half precision where their values allow it."""

    def __init__(self, arrays: list, folder: Optional[tempfile.TemporaryDirectory] = None) -> None:
        self.arrays = arrays
        self.folder = folder  # of the mapped files; they go with this object

    def take(self, index: np.ndarray) -> tuple:
        return mutable(tuple(Tensor(array[index].astype(np.float32)) for array in self.arrays))


class Uncached:
    """Decoded images N H W 3; the backbone runs whenever features are asked for."""

    def __init__(self, images: np.ndarray, backbone: nn.Cell) -> None:
        self.images = images
        self.backbone = backbone

    def take(self, index: np.ndarray) -> tuple:
        return mutable(self.backbone(Tensor(self.images[index])))


Features = Union[Cached, Uncached]


def place(config: Config, needed: int, *, scratch: Optional[Path]) -> str:
    """Where the cache goes, for this many bytes; without a folder for it not into a file."""
    if config.feature_cache == "file" and scratch is None:
        raise UsageError("feature_cache: file needs a folder to keep it in")
    if config.feature_cache != "auto":
        return config.feature_cache
    if needed < MEMORY_SHARE * available_memory():
        return "memory"
    return "file" if scratch else "off"


def collect(config: Config, samples: tuple, *, backbone: nn.Cell, shapes: tuple, job: Job) -> Features:
    """Runs decoding and the backbone over all samples; a second time only where float16 cannot hold a value."""

    def computed(images: np.ndarray) -> list:
        return [x.asnumpy() for x in backbone(Tensor(images))]

    for kind in (np.float16, np.float32):
        needed = np.dtype(kind).itemsize * len(samples) * sum(int(np.prod(shape)) for shape in shapes)
        where = place(config, needed, scratch=job.folder)
        if where == "off":
            images = np.empty((len(samples), *config.transform.size, 3), np.uint8)
            fill([images], config, samples=samples, compute=lambda batch: [batch], job=job)
            return Uncached(images, backbone)
        folder = tempfile.TemporaryDirectory(prefix=".features.", dir=job.folder) if where == "file" else None
        if folder:
            log.info("features: %.1f GB in a file below %s", needed / 1e9, job.folder)
        paths = [Path(folder.name) / f"{i}.npy" if folder else None for i in range(len(shapes))]
        arrays = [room((len(samples), *shape), kind, path=path) for shape, path in zip(shapes, paths)]
        if fill(arrays, config, samples=samples, compute=computed, job=job):
            break
    return Cached(arrays, folder)


def room(shape: tuple, kind: type, *, path: Optional[Path]) -> np.ndarray:
    return np.lib.format.open_memmap(path, "w+", kind, shape) if path else np.empty(shape, kind)


def fill(arrays: list, config: Config, *, samples: tuple, compute: Callable, job: Job) -> bool:
    """With `compute` of each batch of images; whether all values could be held."""
    done = 0
    with job.phase("features", len(samples)) as count:
        for batch in batches(samples, config.transform, batch_size=config.batch_size, workers=config.workers):
            for array, part in zip(arrays, compute(batch.images)):
                if array.dtype == np.float16 and np.abs(part).max() > LARGEST:
                    return False
                array[done : done + batch.size] = part[: batch.size]
            done += batch.size
            count(batch.size)
    return True


def digest(samples: tuple) -> str:
    """Of the content of all images, in order: whether --resume goes on with the same ones."""
    return hashlib.sha256("".join(sample.digest() for sample in samples).encode()).hexdigest()
