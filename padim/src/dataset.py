"""The photographs as PaDiM trains on them: each once, a batch at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import numpy as np

from anomaly.data import augment
from anomaly.data.loader import read_sample
from anomaly.data.samples import Sample
from anomaly.detector import computed
from anomaly.measure.calibration import Calibration
from anomaly.run.memory import Scratch
from anomaly.run.progress import Counter
from padim.src.backbone import Embedding
from padim.src.config import Config

MEMORY_SHARE = 0.25  # of what is free, for embeddings that are kept in memory


def embed(config: Config, samples: list, *, embedding: Embedding, count: Counter) -> Iterator[np.ndarray]:
    """The embeddings of all samples, B P D at a time."""
    return (found for [found] in computed(config, samples, network=embedding.network, count=count))


def copies(config: Any, images: list, *, number: int) -> Optional[np.ndarray]:
    """The changed copies that were made of photograph `number` of training, B H W 3, as the network takes them.

    None where there are none, or its file is gone or has changed. `images`: as trained_on.describe has them.
    """
    step = 1 + config.augment_copies
    if not config.augment or config.tile or (number + 1) * step > len(images):
        return None
    original = Sample(Path(images[number * step]["path"]))
    if not original.path.is_file() or original.digest() != images[number * step]["sha256"]:
        return None
    made = augment.expanded((original,), config.augment, copies=config.augment_copies, seed=config.seed, first=number)
    return np.stack([read_sample(each, config.transform, with_mask=False)[0] for each in made[1:]])


class Kept:
    """The embeddings of so many images, taken in once and given back once, B P D at a time."""

    def __init__(self, images: int, embedding: Embedding, *, folder: Optional[Path]) -> None:
        rows, columns = embedding.grid
        shape = (images, rows * columns, embedding.dimensions)
        self.scratch = Scratch(4 * int(np.prod(shape)), folder, share=MEMORY_SHARE)
        self.array = None if self.scratch.kind == "none" else self.scratch.empty(shape)
        self.count = 0

    def add(self, features: np.ndarray) -> None:
        if self.array is not None:
            self.array[self.count : self.count + len(features)] = features
            self.count += len(features)

    def give(self, count: Counter, *, size: int) -> Iterator[np.ndarray]:
        assert self.array is not None
        for start in range(0, self.count, size):
            features = np.asarray(self.array[start : start + size])
            yield features
            count(len(features))


def merge(
    earlier: Optional[Calibration], present: list, *, fresh: np.ndarray, called: Optional[tuple] = None
) -> Calibration:
    """Fresh scores, if there are any, where an image could be read again, those of before where not; `present` says
    which it is. `called`: the names of all images.
    """
    again = iter(fresh.reshape(-1).tolist())
    scores: list[float] = []
    kept: list[int] = []
    for number, is_present in enumerate(present):
        if is_present and fresh.size:
            scores.append(next(again))
        elif not is_present and earlier and number < len(earlier.scores):
            scores.append(float(earlier.scores[number]))
        kept += [number] * (len(scores) - len(kept))
    found = tuple(called[number] for number in kept) if called else ()
    return Calibration(np.array(scores), np.array(scores), found)  # the score is the map's peak
