"""Decodes photographs in threads, ahead of the network, into batches of one fixed shape."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Optional

import numpy as np

from anomaly.data.images import Transform, read_image, read_mask
from anomaly.data.samples import Sample
from anomaly.run.errors import DataError


@dataclass(frozen=True)
class Batch:
    samples: list
    images: np.ndarray  # B H W 3, uint8; the last batch is filled up, since every new shape costs a compilation
    masks: list  # H W, bool, or None where there is no ground truth
    photographs: list  # H W 3, uint8, as they were before, or None

    @property
    def size(self) -> int:
        """How many of the images count."""
        return len(self.samples)


def read_sample(sample: Sample, transform: Transform, *, with_mask: bool) -> tuple:
    """The photograph as the network takes it, its mask likewise, and the photograph as it is."""
    photograph = read_image(sample.path) if sample.pixels is None else sample.pixels
    mask = None
    if with_mask and not sample.anomalous:
        mask = np.zeros(transform.size, bool)
    elif with_mask and (sample.mask or sample.truth is not None):
        parts = [(path, read_mask(path)) for path in sample.masks] or [(sample.path, np.asarray(sample.truth, bool))]
        for path, part in parts:
            if part.shape != photograph.shape[:2]:
                sizes = "mask {1} x {0}, image {3} x {2}".format(*part.shape, *photograph.shape)
                raise DataError(f"{path}: not of the size of its image ({sizes}, width x height)")
        mask = transform.mask(np.logical_or.reduce([part for _, part in parts]))
    return transform.image(photograph), mask, photograph


def batches(
    samples: Sequence,
    transform: Transform,
    *,
    batch_size: int = 8,
    workers: int = 4,
    with_masks: bool = False,
    with_photographs: bool = False,
    on_error: Optional[Callable] = None,
) -> Iterator[Batch]:
    """Yields every sample once, in order. Two batches are decoded ahead.

    A sample that cannot be read ends it, unless there is `on_error`, which is told of it. The last batch is filled up
    to the size of the others.
    """
    batch_size = max(1, min(batch_size, len(samples)))
    with ThreadPoolExecutor(max_workers=workers) as pool:
        queue = iter(samples)
        pending: deque = deque()

        def fill() -> None:
            while len(pending) < 3 * batch_size:
                sample = next(queue, None)
                if sample is None:
                    return
                pending.append((sample, pool.submit(read_sample, sample, transform, with_mask=with_masks)))

        try:
            fill()
            while pending:
                taken = [pending.popleft() for _ in range(min(batch_size, len(pending)))]
                decoded = []
                for sample, future in taken:
                    try:
                        image, mask, photograph = future.result()
                        decoded.append((sample, image, mask, photograph if with_photographs else None))
                    except DataError as error:
                        if on_error is None:
                            raise
                        on_error(error)
                fill()
                if decoded:
                    read, images, masks, photographs = (list(part) for part in zip(*decoded))
                    images += images[-1:] * (batch_size - len(images))
                    yield Batch(read, np.stack(images), masks, photographs)
        finally:
            for _, future in pending:
                future.cancel()
