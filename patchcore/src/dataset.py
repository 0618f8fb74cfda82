"""The photographs as PatchCore trains on them: all patches of all images in one array."""

import numpy as np

from anomaly.data.loader import batches
from anomaly.engines.frozen import Frozen
from anomaly.run import memory
from anomaly.run.progress import Counter
from patchcore.src.config import Config


def extract(config: Config, samples: tuple, *, embedding: Frozen, count: Counter) -> np.ndarray:
    """images x N x D."""
    rows, columns = embedding.cell.grid
    shape = (len(samples), rows * columns, embedding.cell.dimensions)
    memory.require(4 * int(np.prod(shape)), f"{shape[0]} images need", hint="use a smaller --resize or fewer images")
    features, done = np.empty(shape, np.float32), 0
    for batch in batches(samples, config.transform, batch_size=config.batch_size, workers=config.workers):
        features[done : done + batch.size] = embedding(batch.images)[0][: batch.size]
        done += batch.size
        count(batch.size)
    return features
