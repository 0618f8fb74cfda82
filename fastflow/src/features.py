"""The frozen backbone's features of all training images, computed once.

Without augmentation they never change, so from the second epoch on training costs the flow alone. They are kept in
memory, or in a file that is mapped into it when they are large; `off` keeps the decoded images and computes the
features anew each time. What `take` gives is mutable: of a plain tuple the compiler would take the values for constants
and compile anew at every step.
"""

import tempfile
from pathlib import Path

import numpy as np
from mindspore import Tensor, mutable

from anomaly.networks.resnet import ResNet
from anomaly.run.device import available_memory
from anomaly.run.progress import bar, log
from fastflow.src import dataset
from fastflow.src.config import Config

MEMORY_SHARE = 0.5  # of what is free, for `auto`


class Cached:
    """Arrays N C H W, one a scale."""

    def __init__(self, arrays: list, folder=None):
        self.arrays = arrays
        self.folder = folder  # of the mapped files; they go with this object

    def take(self, index: np.ndarray) -> tuple:
        return mutable(tuple(Tensor(np.ascontiguousarray(array[index])) for array in self.arrays))


class Uncached:
    """Decoded images N H W 3; the backbone runs whenever features are asked for."""

    def __init__(self, images: np.ndarray, backbone: ResNet):
        self.images = images
        self.backbone = backbone

    def take(self, index: np.ndarray) -> tuple:
        return mutable(self.backbone(Tensor(self.images[index])))


def place(config: Config, needed: int) -> str:
    """Where the cache goes, for this many bytes."""
    if config.feature_cache != "auto":
        return config.feature_cache
    return "memory" if needed < MEMORY_SHARE * available_memory() else "file"


def collect(config: Config, samples: list, backbone: ResNet, shapes: tuple, scratch: Path):
    """Runs decoding and the backbone over all samples; `scratch` is where a file may go."""
    height, width = config.transform.size
    needed = 4 * len(samples) * sum(int(np.prod(shape)) for shape in shapes)
    where, folder = place(config, needed), None
    if where == "off":
        arrays = [np.empty((len(samples), height, width, 3), np.uint8)]
    elif where == "memory":
        arrays = [np.empty((len(samples), *shape), np.float32) for shape in shapes]
    else:
        folder = tempfile.TemporaryDirectory(prefix=".features.", dir=scratch)
        arrays = [
            np.lib.format.open_memmap(Path(folder.name) / f"{i}.npy", "w+", np.float32, (len(samples), *shape))
            for i, shape in enumerate(shapes)
        ]
        log.info("features: %.1f GB in a file below %s", needed / 1e9, scratch)
    done = 0
    with bar(len(samples), "features", "image") as progress:
        for batch in dataset.batches(config, samples):
            parts = [batch.images] if where == "off" else [x.asnumpy() for x in backbone(Tensor(batch.images))]
            for array, part in zip(arrays, parts):
                array[done : done + batch.size] = part[: batch.size]
            done += batch.size
            progress.update(batch.size)
    return Uncached(arrays[0], backbone) if where == "off" else Cached(arrays, folder)
