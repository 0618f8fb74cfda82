"""Small defects in large photographs: the network looks at pieces in full resolution, one after the other.

A photograph is covered with windows of one size that overlap. Their maps are joined with weights that fall towards the
edges of a window, so that no seam is to be seen; the score of a photograph is that of its worst window.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np

from anomaly.data import roi
from anomaly.data.images import size_of
from anomaly.data.transform import Frame, Transform, painted
from anomaly.run.errors import DataError, UsageError


@dataclass(frozen=True)
class Window:
    """A piece of a photograph: its corner, its number, and of how many."""

    top: int
    left: int
    number: int
    count: int


@dataclass(frozen=True)
class Tiles(Transform):
    """`resize`: height and width of a window. `overlap`: the part of a window that the next one shows again."""

    overlap: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop or self.keep_aspect:
            raise UsageError("--tile looks at photographs in full resolution: leave --crop and --keep_aspect out")
        if not 0 <= self.overlap < 1:
            raise UsageError(f"--overlap: {self.overlap} is not allowed (0 or more, below 1)")

    def __str__(self) -> str:
        text = "tiles of height {}, width {}, {:g} % of them shared".format(*self.size, 100 * self.overlap)
        return text + (", in a region" if self.region else "")

    def starts(self, length: int, side: int) -> list:
        """Where windows begin along one side of a photograph; they are spread evenly, and the last ends with it."""
        step = max(1, round(side * (1 - self.overlap)))
        count = max(0, math.ceil((length - side) / step)) + 1
        room = max(0, length - side)
        return [room * number // max(1, count - 1) for number in range(count)]

    def windows(self, photograph: tuple) -> list:
        rows, columns = (self.starts(length, side) for length, side in zip(photograph, self.size))
        places = [(top, left) for top in rows for left in columns]
        return [Window(top, left, number, len(places)) for number, (top, left) in enumerate(places)]

    def undistorted(self, photograph: tuple) -> tuple:
        return ()

    def pieces(self, samples: tuple) -> tuple:
        """A sample for each window; of a photograph whose size cannot be read, itself, which then says why."""
        found: list = []
        for sample in samples:
            if sample.window is not None:  # a piece already
                found.append(sample)
                continue
            try:
                shape = size_of(sample.path) if sample.pixels is None else sample.pixels.shape[:2]
            except DataError:
                found.append(sample)
                continue
            found += [replace(sample, window=window) for window in self.windows(shape)]
        return tuple(found)

    def cut(self, picture: np.ndarray, window: Window) -> np.ndarray:
        """A window of H W or H W 3; a picture that is smaller goes on as it is at its edge."""
        height, width = self.size
        part = picture[window.top : window.top + height, window.left : window.left + width]
        below, right = height - part.shape[0], width - part.shape[1]
        around = ((0, below), (0, right), (0, 0))[: part.ndim]
        return np.pad(part, around, mode="edge") if below or right else part

    def image(self, photograph: np.ndarray, path: Path = Path(), *, window: Any = None) -> np.ndarray:
        """The window of a photograph; without one, all of it, as it is shown."""
        seen = self.seen(photograph.shape[:2], path)
        if window is not None:
            photograph, seen = self.cut(photograph, window), None if seen is None else self.cut(seen, window)
        return photograph if seen is None else painted(photograph, seen)

    def mask(self, mask: np.ndarray) -> np.ndarray:
        return mask

    def shown(self, photograph: tuple) -> tuple:
        return photograph

    def seen(self, photograph: tuple, path: Path = Path()) -> Optional[np.ndarray]:
        return roi.mask(self.region, photograph, path=path) if self.region else None

    def frame(self, photograph: tuple) -> Frame:
        return Frame(0, 0, *photograph)

    def back(self, values: np.ndarray, photograph: tuple) -> tuple:
        return values, tuple(slice(0, side) for side in photograph)

    def join(self, maps: list, windows: list, *, photograph: tuple) -> np.ndarray:
        if len(maps) == 1:
            return maps[0][: photograph[0], : photograph[1]]
        total, weights = np.zeros(photograph), np.zeros(photograph)
        rows, columns = (ramp(side, self.overlap) for side in self.size)
        weight = np.outer(rows, columns)
        for values, window in zip(maps, windows):
            place = slice(window.top, window.top + self.size[0]), slice(window.left, window.left + self.size[1])
            height, width = total[place].shape
            total[place] += (values * weight)[:height, :width]
            weights[place] += weight[:height, :width]
        return (total / weights).astype(np.float32)


def ramp(side: int, overlap: float) -> np.ndarray:
    """Weights along one side of a window: they rise over the overlap, and fall again."""
    place = np.arange(side) + 0.5
    return np.minimum(1.0, np.minimum(place, side - place) / max(1.0, side * overlap))
