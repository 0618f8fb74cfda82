"""The photographs as FastFlow trains on them: the frozen backbone's features of all of them, computed once.

Without augmentation they never change, so from the second epoch on training costs the flow alone. They are kept in
memory, or in a file that is mapped into it when they are large; `off` keeps the decoded images and computes the
features anew each time. What `take` gives is mutable: of a plain tuple the compiler would take the values for constants
and compile anew at every step.
"""

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
from mindspore import Tensor, mutable

from anomaly.data.loader import batches
from anomaly.engines.frozen import Frozen
from anomaly.run import memory
from anomaly.run.errors import UsageError
from anomaly.run.job import Job
from anomaly.run.progress import log
from fastflow.src.config import Config

MEMORY_SHARE = 0.5  # of what is free, for `auto`


def chunks(index: np.ndarray, size: int) -> Iterator[tuple]:
    """Indices in parts of one shape, for which everything is compiled once, and how many of each count."""
    for start in range(0, len(index), size):
        part = index[start : start + size]
        yield np.r_[part, np.repeat(part[:1], size - len(part))], len(part)


class Cached:
    """Arrays N C H W, one a scale."""

    def __init__(self, arrays: list, folder: Optional[tempfile.TemporaryDirectory] = None) -> None:
        self.layers = arrays
        self.folder = folder  # of the mapped files; they go with this object

    def arrays(self, index: np.ndarray) -> list:
        return [np.ascontiguousarray(array[index]) for array in self.layers]

    def take(self, index: np.ndarray) -> tuple:
        return mutable(tuple(Tensor(array) for array in self.arrays(index)))


class Uncached:
    """Decoded images N H W 3; the backbone runs whenever features are asked for."""

    def __init__(self, images: np.ndarray, backbone: Frozen) -> None:
        self.images = images
        self.backbone = backbone

    def arrays(self, index: np.ndarray) -> list:
        return self.backbone(self.images[index])

    def take(self, index: np.ndarray) -> tuple:
        return mutable(tuple(Tensor(array) for array in self.arrays(index)))


Features = Union[Cached, Uncached]


def place(config: Config, needed: int, *, scratch: Optional[Path]) -> str:
    """Where the cache goes, for this many bytes; without a folder for it not into a file."""
    if config.feature_cache == "file" and scratch is None:
        raise UsageError("feature_cache: file needs a folder to keep it in")
    if config.feature_cache != "auto":
        return config.feature_cache
    if needed < MEMORY_SHARE * memory.available():
        return "memory"
    return "file" if scratch else "off"


def collect(config: Config, samples: tuple, *, backbone: Frozen, shapes: tuple, job: Job) -> Features:
    """Runs decoding and the backbone over all samples."""
    height, width = config.transform.size
    needed = 4 * len(samples) * sum(int(np.prod(shape)) for shape in shapes)
    where, folder = place(config, needed, scratch=job.folder), None
    arrays: list[Any]
    if where == "off":
        arrays = [np.empty((len(samples), height, width, 3), np.uint8)]
    elif where == "memory":
        arrays = [np.empty((len(samples), *shape), np.float32) for shape in shapes]
    else:
        folder = tempfile.TemporaryDirectory(prefix=".features.", dir=job.folder)
        arrays = [
            np.lib.format.open_memmap(Path(folder.name) / f"{i}.npy", "w+", np.float32, (len(samples), *shape))
            for i, shape in enumerate(shapes)
        ]
        log.info("features: %.1f GB in a file below %s", needed / 1e9, job.folder)
    done = 0
    with job.phase("features", len(samples)) as count:
        for batch in batches(samples, config.transform, batch_size=config.batch_size, workers=config.workers):
            parts = [batch.images] if where == "off" else backbone(batch.images)
            for array, part in zip(arrays, parts):
                array[done : done + batch.size] = part[: batch.size]
            done += batch.size
            count(batch.size)
    return Uncached(arrays[0], backbone) if where == "off" else Cached(arrays, folder)


def digest(samples: tuple) -> str:
    """Of the content of all images, in order: whether --resume goes on with the same ones."""
    return hashlib.sha256("".join(sample.digest() for sample in samples).encode()).hexdigest()
