"""The photographs as FastFlow trains on them: the frozen backbone's features of all of them, computed once.

They never change, and neither do those of changed copies (--augment), which the seed fixes once for all epochs, so
from the second epoch on training costs the flow alone. They are kept in memory, or in a file that is mapped into it
when they are large; `off` keeps the decoded images and computes the features anew each time.
"""

import hashlib
from collections.abc import Callable, Iterator
from typing import Union

import numpy as np

from anomaly.detector import computed
from anomaly.engines.frozen import Frozen
from anomaly.run.errors import UsageError
from anomaly.run.job import Job
from anomaly.run.memory import Scratch
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

    def __init__(self, layers: list, scratch: Scratch) -> None:
        self.layers = layers
        self.scratch = scratch  # of the mapped files; they go with this object

    def arrays(self, index: np.ndarray) -> list:
        return [layer[index].astype(np.float32) for layer in self.layers]


class Uncached:
    """Decoded images N H W 3; the backbone runs whenever features are asked for."""

    def __init__(self, images: np.ndarray, backbone: Frozen) -> None:
        self.images = images
        self.backbone = backbone

    def arrays(self, index: np.ndarray) -> list:
        return self.backbone(self.images[index])


Features = Union[Cached, Uncached]


def collect(config: Config, samples: tuple, *, backbone: Frozen, shapes: tuple, job: Job) -> Features:
    """Runs decoding and the backbone over all samples; a second time only where float16 cannot hold a value."""
    if config.feature_cache == "file" and job.folder is None:
        raise UsageError("feature_cache: file needs a folder to keep it in")
    wanted = {"auto": "", "off": "none"}.get(config.feature_cache, config.feature_cache)
    for kind in (np.float16, np.float32):
        needed = np.dtype(kind).itemsize * len(samples) * sum(int(np.prod(shape)) for shape in shapes)
        scratch = Scratch(needed, job.folder, share=MEMORY_SHARE, kind=wanted)
        if scratch.kind == "none":
            break
        layers = [scratch.empty((len(samples), *shape), kind) for shape in shapes]
        if fill(layers, config, samples=samples, compute=backbone, job=job):
            return Cached(layers, scratch)
    images = np.empty((len(samples), *config.transform.size, 3), np.uint8)
    fill([images], config, samples=samples, compute=lambda batch: [batch], job=job)
    return Uncached(images, backbone)


def fill(arrays: list, config: Config, *, samples: tuple, compute: Callable, job: Job) -> bool:
    """With `compute` of each batch of images; whether all values could be held."""
    done = 0
    with job.phase("features", len(samples)) as count:
        for found in computed(config, samples, network=compute, count=count):
            for array, part in zip(arrays, found):
                if array.dtype == np.float16 and np.abs(part).max() > LARGEST:
                    return False
                array[done : done + len(part)] = part
            done += len(found[0])
    return True


def digest(samples: tuple) -> str:
    """Of the content of all images, in order: whether --resume goes on with the same ones."""
    return hashlib.sha256("".join(sample.digest() for sample in samples).encode()).hexdigest()
