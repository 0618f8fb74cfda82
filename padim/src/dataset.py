"""The photographs as PaDiM trains on them: each once, a batch at a time, and known by its content to go on later."""

from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import numpy as np

from anomaly.data.loader import batches
from anomaly.data.samples import Sample
from anomaly.measure.calibration import Calibration
from anomaly.run.files import sha256
from anomaly.run.memory import Scratch
from anomaly.run.progress import Counter
from padim.src.backbone import Embedding
from padim.src.config import Config

MEMORY_SHARE = 0.25  # of what is free, for embeddings that are kept in memory


def embed(config: Config, samples: list, *, embedding: Embedding, count: Counter) -> Iterator[np.ndarray]:
    """The embeddings of all samples, B P D at a time."""
    for batch in batches(samples, config.transform, batch_size=config.batch_size, workers=config.workers):
        yield embedding(batch.images)[: batch.size]
        count(batch.size)


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


def describe(samples: list) -> list:
    """Where each image lies and what is in it."""
    return [
        {"path": str(sample.path.resolve()) if sample.pixels is None else "", "sha256": sample.digest()}
        for sample in samples
    ]


def unseen(samples: tuple, images: list) -> list:
    """The samples whose content is not among the images of a state."""
    known = {image["sha256"] for image in images}
    return [sample for sample in samples if sample.digest() not in known]


def still_there(images: list, samples: tuple) -> list:
    """For each image of a state a sample, one of these or from its file; None where it is gone or has changed."""
    at_hand = {sample.digest(): sample for sample in samples}
    found = []
    for image in images:
        path, sample = Path(image["path"]), at_hand.get(image["sha256"])
        if sample is None and path.is_file() and sha256(path) == image["sha256"]:
            sample = Sample(path)
        found.append(sample)
    return found


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
