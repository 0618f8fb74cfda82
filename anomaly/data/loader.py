"""Decodes photographs in threads, ahead of the network, into batches of one fixed shape."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Optional

import numpy as np

from anomaly.data.images import read_image, read_mask
from anomaly.data.samples import Sample
from anomaly.data.transform import Transform
from anomaly.run.errors import DataError


@dataclass(frozen=True)
class Batch:
    samples: list
    images: np.ndarray  # B H W 3, uint8; the last batch is filled up, since every new shape costs a compilation
    masks: list  # H W, bool, or None where there is no ground truth
    photographs: list  # H W 3, uint8, as they were before, or None
    shapes: list  # of the photographs, (height, width)

    @property
    def size(self) -> int:
        """How many of the images count."""
        return len(self.samples)


class Decoded:
    """Photographs as they are; each of the last few is decoded once, however many of its pieces are asked for."""

    def __init__(self, most: int) -> None:
        self.most, self.lock = most, Lock()
        self.found: OrderedDict = OrderedDict()

    def __call__(self, sample: Sample) -> np.ndarray:
        if sample.window is None:
            return photograph_of(sample)
        key = sample.path, sample.change, id(sample.pixels)
        with self.lock:
            known = self.found.get(key)
            mine = known is None
            if known is None:
                known = self.found[key] = Future()
                while len(self.found) > self.most:
                    self.found.popitem(last=False)
        if mine:
            try:
                known.set_result(photograph_of(sample))
            except BaseException as error:
                known.set_exception(error)
        return known.result()


def photograph_of(sample: Sample) -> np.ndarray:
    """As it is, or, of a changed copy, as it has become."""
    photograph = read_image(sample.path) if sample.pixels is None else sample.pixels
    return sample.change(photograph) if sample.change else photograph


def read_sample(sample: Sample, transform: Transform, *, with_mask: bool, decoded: Optional[Decoded] = None) -> tuple:
    """The photograph as the network takes it, its mask likewise, and the photograph as it is.

    Of a photograph in pieces the mask comes whole, with the first one.
    """
    decoded = decoded or Decoded(1)
    photograph = decoded(sample)
    with_mask = with_mask and (sample.window is None or sample.window.number == 0)
    mask = None
    if with_mask and not sample.anomalous:
        mask = np.zeros(transform.shown(photograph.shape[:2]), bool)
    elif with_mask and (sample.mask or sample.truth is not None):
        parts = [(path, read_mask(path)) for path in sample.masks] or [(sample.path, np.asarray(sample.truth, bool))]
        for path, part in parts:
            if part.shape != photograph.shape[:2]:
                sizes = "mask {1} x {0}, image {3} x {2}".format(*part.shape, *photograph.shape)
                raise DataError(f"{path}: not of the size of its image ({sizes}, width x height)")
        mask = transform.mask(np.logical_or.reduce([part for _, part in parts]))
    return transform.image(photograph, sample.path, window=sample.window), mask, photograph


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
    decoded = Decoded(workers + 1)
    with ThreadPoolExecutor(max_workers=workers) as pool:
        queue = iter(samples)
        pending: deque = deque()

        def fill() -> None:
            while len(pending) < 3 * batch_size:
                sample = next(queue, None)
                if sample is None:
                    return
                pending.append(
                    (sample, pool.submit(read_sample, sample, transform, with_mask=with_masks, decoded=decoded))
                )

        try:
            fill()
            while pending:
                taken = [pending.popleft() for _ in range(min(batch_size, len(pending)))]
                ready = list(_results(taken, with_photographs=with_photographs, on_error=on_error))
                fill()
                if ready:
                    read, images, masks, photographs, shapes = (list(part) for part in zip(*ready))
                    images += images[-1:] * (batch_size - len(images))
                    yield Batch(read, np.stack(images), masks, photographs, shapes)
        finally:
            for _, future in pending:
                future.cancel()


def _results(taken: list, *, with_photographs: bool, on_error: Optional[Callable]) -> Iterator[tuple]:
    """The fields of a batch for each sample that could be read."""
    for sample, future in taken:
        try:
            image, mask, photograph = future.result()
        except DataError as error:
            if on_error is None:
                raise
            if sample.window is None or sample.window.number == 0:  # of a photograph in pieces once
                on_error(error)
            continue
        kept = photograph if with_photographs or sample.window else None
        yield sample, image, mask, kept, photograph.shape[:2]
