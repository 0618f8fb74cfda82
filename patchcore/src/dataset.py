"""The photographs as PatchCore trains on them: the patches of all images at once, or as many as memory holds."""

from collections.abc import Callable, Iterator

import numpy as np

from anomaly.detector import computed
from anomaly.run import memory
from anomaly.run.errors import DataError
from anomaly.run.job import Job
from anomaly.run.progress import log
from patchcore.src.backbone import Embedding
from patchcore.src.config import Config
from patchcore.src.coreset import width

SOME = 64  # images that principal components are taken from, at most, evenly spread over all
SPARE = 4  # times its part of the coreset that is picked from a part of the patches
PART = 512  # images at most: twice as many in each part take twice as long altogether
ROW = 48  # bytes that the choice of the coreset keeps of each patch, beside its numbers


def embed(config: Config, samples: tuple, *, embedding: Embedding, count: Callable) -> Iterator[np.ndarray]:
    """The patches of all samples, B N D at a time."""
    return (found for [found] in computed(config, samples, network=embedding.network, count=count))


def extract(config: Config, samples: tuple, *, embedding: Embedding, count: Callable) -> np.ndarray:
    """images x N x D."""
    rows, columns = embedding.grid
    features, done = np.empty((len(samples), rows * columns, embedding.dimensions), np.float32), 0
    for patches in embed(config, samples, embedding=embedding, count=count):
        features[done : done + len(patches)] = patches
        done += len(patches)
    return features


def moments(config: Config, samples: tuple, *, embedding: Embedding, job: Job) -> tuple:
    """Mean and covariance of the patches of some photographs; of several processes each looks at the same ones."""
    chosen = samples[:: -(-len(samples) // SOME)]
    total, products, count = np.zeros(()), np.zeros(()), 0
    with job.phase("components", len(chosen)) as report:
        for patches in embed(config, chosen, embedding=embedding, count=report):
            rows = patches.reshape(-1, patches.shape[2]).astype(np.float64)  # small components are not lost in rounding
            total, products = total + rows.sum(axis=0), products + rows.T @ rows
            count += len(rows)
    mean = total / count
    return mean, products / count - np.outer(mean, mean)


def needed(images: int, embedding: Embedding) -> int:
    """Bytes for the patches of so many images, and the choice among them."""
    rows, columns = embedding.grid
    patches, d = images * rows * columns, embedding.dimensions
    return patches * (4 * d + 4 * width(patches, d) + ROW)


def images_at_once(config: Config, images: int, *, embedding: Embedding) -> int:
    """How many images memory holds: all, or those of a part."""
    free, whole = memory.available(), needed(images, embedding)
    if memory.enough(whole, f"the patches of {images} images need"):
        return images
    picked = min(1.0, SPARE * config.coreset_ratio) * whole  # from all parts together
    size = min(PART, images, int((free - picked) / max(1, needed(1, embedding))))
    if size < 1:
        raise DataError(
            f"{images} images need {whole / memory.GB:.1f} GB of memory, or in parts "
            f"{(picked + needed(1, embedding)) / memory.GB:.1f}, and {free / memory.GB:.1f} GB are free; use a smaller "
            "--coreset_ratio or --resize"
        )
    log.info("in parts of %d images: the network sees each image twice, and the coreset is an approximation", size)
    return size
