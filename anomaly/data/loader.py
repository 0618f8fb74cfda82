"""Decodes photographs in threads, ahead of the network, into batches of one fixed shape."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Optional

import numpy as np

from anomaly.data.layouts import Sample
from anomaly.run.errors import DataError
from anomaly.data.images import Transform, read_image, read_mask


@dataclass(frozen=True)
class Batch:
    samples: list
    images: np.ndarray  # B H W 3, uint8; the last batch is filled up, since every new shape costs a compilation
    masks: list  # H W, bool, or None where there is no ground truth

    @property
    def size(self) -> int:
        """How many of the images count."""
        return len(self.samples)


def read_sample(sample: Sample, transform: Transform, with_mask: bool) -> tuple:
    image = read_image(sample.path)
    mask = None
    if with_mask and not sample.anomalous:
        mask = np.zeros(transform.size, bool)
    elif with_mask and sample.mask:
        mask = read_mask(sample.mask)
        if mask.shape != image.shape[:2]:
            sizes = "mask {1} x {0}, image {3} x {2}".format(*mask.shape, *image.shape)
            raise DataError(f"{sample.mask}: not of the size of its image ({sizes}, width x height)")
        mask = transform.mask(mask)
    return transform.image(image), mask


def batches(
    samples,
    transform: Transform,
    batch_size: int,
    workers: int,
    with_masks: bool = False,
    on_error: Optional[Callable] = None,
):
    """Yields every sample once, in order. Two batches are decoded ahead.

    A sample that cannot be read ends it, unless there is `on_error`, which is told of it.
    """
    with ThreadPoolExecutor(max_workers=workers) as pool:
        pending, queue = deque(), iter(samples)

        def fill():
            while len(pending) < 3 * batch_size:
                sample = next(queue, None)
                if sample is None:
                    return
                pending.append((sample, pool.submit(read_sample, sample, transform, with_masks)))

        try:
            fill()
            while pending:
                taken = [pending.popleft() for _ in range(min(batch_size, len(pending)))]
                decoded = []
                for sample, future in taken:
                    try:
                        decoded.append((sample, *future.result()))
                    except DataError as error:
                        if on_error is None:
                            raise
                        on_error(error)
                fill()
                if decoded:
                    read, images, masks = (list(part) for part in zip(*decoded))
                    images += images[-1:] * (batch_size - len(images))
                    yield Batch(read, np.stack(images), masks)
        finally:
            for _, future in pending:
                future.cancel()
