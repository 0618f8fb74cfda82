"""What is looked at in each photograph before a training: it is decoded once, and little of it is kept."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import cv2
import numpy as np

from anomaly.data.images import read_image, read_mask
from anomaly.data.samples import Sample
from anomaly.run.errors import DataError

SIDE = 32  # of a thumbnail
GREY = 3  # levels between the channels of a thumbnail that is still grey


@dataclass(frozen=True)
class Seen:
    sample: Sample
    training: bool
    size: tuple  # width, height
    thumbnail: np.ndarray  # SIDE SIDE 3, float32
    wrong: tuple  # (kind, what is wrong) for each mask that is

    @property
    def grey(self) -> bool:
        return bool(np.ptp(self.thumbnail, axis=2).max() <= GREY)

    @property
    def colours(self) -> np.ndarray:
        """The mean and the spread of each channel."""
        return np.concatenate([self.thumbnail.mean((0, 1)), self.thumbnail.std((0, 1))])


def look(sample: Sample, training: bool) -> Seen:
    image = read_image(sample.path)
    size = image.shape[1], image.shape[0]
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    wrong = tuple(each for each in (_wrong(path, size) for path in sample.masks) if each)
    return Seen(sample, training, size, small, wrong)


def _wrong(path: Path, size: tuple) -> Optional[tuple]:
    """What is wrong with a mask of a photograph of this size."""
    try:
        mask = read_mask(path)
    except DataError as error:
        return "mask_unreadable", str(error)
    if (mask.shape[1], mask.shape[0]) != size:
        return "mask_size", "{}: {} x {}, photograph {} x {}".format(path, mask.shape[1], mask.shape[0], *size)
    return None if mask.any() else ("mask_black", str(path))


def look_at_all(
    train: Sequence, test: Sequence, *, workers: int, on_error: Callable, count: Callable
) -> Iterator[Seen]:
    """Each that can be read, in order; `on_error` is told of the others, `count` of each."""
    with ThreadPoolExecutor(max_workers=workers) as pool:
        samples = [*((sample, True) for sample in train), *((sample, False) for sample in test)]
        for future in [pool.submit(look, *each) for each in samples]:
            try:
                yield future.result()
            except DataError as error:
                on_error(error)
            count()
