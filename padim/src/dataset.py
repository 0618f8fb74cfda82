"""The photographs as PaDiM trains on them: each once, a batch at a time, and known by its content to go on later."""

from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import numpy as np

from anomaly.data.loader import batches
from anomaly.data.samples import Sample
from anomaly.engines.frozen import Frozen
from anomaly.measure.calibration import Calibration
from anomaly.run.device import available_memory
from anomaly.run.files import sha256
from anomaly.run.progress import Counter
from padim.src.config import Config

MEMORY_SHARE = 0.25  # of what is free, for embeddings that are kept


def embed(config: Config, samples: list, *, embedding: Frozen, count: Counter) -> Iterator[np.ndarray]:
    """The embeddings of all samples, B P D at a time."""
    for batch in batches(samples, config.transform, batch_size=config.batch_size, workers=config.workers):
        yield embedding(batch.images)[0][: batch.size]
        count(batch.size)


def can_be_kept(images: int, embedding: Frozen) -> bool:
    """Whether the embeddings of so many images fit into a part of the memory that is free."""
    rows, columns = embedding.cell.grid
    needed = 4 * images * rows * columns * embedding.cell.dimensions
    return needed < MEMORY_SHARE * available_memory()


def counted(kept: list, count: Counter) -> Iterator[np.ndarray]:
    """The embeddings that were kept, B P D at a time; each is let go when it has been used."""
    while kept:
        features = kept.pop(0)
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


def merge(earlier: Optional[Calibration], present: list, *, fresh: np.ndarray) -> Calibration:
    """Fresh scores, if there are any, where an image could be read again, those of before where not; `present` says
    which it is.
    """
    scores, again = [], iter(fresh.reshape(-1).tolist())
    for number, is_present in enumerate(present):
        if is_present:
            scores += [next(again)] if fresh.size else []
        elif earlier and number < len(earlier.scores):
            scores.append(float(earlier.scores[number]))
    return Calibration(np.array(scores), np.array(scores))  # the score is the map's peak
