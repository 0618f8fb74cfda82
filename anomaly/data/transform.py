"""From a photograph to the picture that a network looks at, and back.

This is the one definition of preprocessing: every command uses it, and ascend310_infer does the same in C++. The rest
(the ImageNet normalisation) is inside the network.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np

from anomaly.data import roi
from anomaly.run.errors import UsageError

SMALLEST_SIDE = 32  # two positions of layer 3
DISTORTED = 1.2  # from this ratio of proportions on there is advice
GRID = 32  # pixels, of which all networks but a few take any multiple
PAINT = (124, 116, 104)  # where nothing is to be seen: the colour that is 0 to the network


@dataclass(frozen=True)
class Frame:
    """The part of a photograph that a picture shows, in its pixels; it may reach beyond the photograph."""

    top: float
    left: float
    height: float
    width: float


@dataclass(frozen=True)
class Transform:
    """Resize to (height, width), then keep the centre of (height, width) if a crop is asked for.

    `keep_aspect`: the photograph is made to fit into (height, width) with its proportions, and the rest is painted.
    `region`: where to look, as roi.py has it; elsewhere the picture is painted.
    """

    resize: tuple
    crop: Optional[tuple] = None
    keep_aspect: bool = False
    region: str = ""

    def __post_init__(self) -> None:
        if min(self.size) < SMALLEST_SIDE:
            raise UsageError(f"--resize/--crop: {self.size} is too small; a side needs {SMALLEST_SIDE} pixels or more")
        if self.crop and (self.crop[0] > self.resize[0] or self.crop[1] > self.resize[1]):
            raise UsageError(f"--crop {self.crop} is larger than --resize {self.resize}; --crop none keeps all")
        if self.crop and self.keep_aspect:
            raise UsageError("--keep_aspect shows all of a photograph; give --crop none with it")

    def __str__(self) -> str:
        text = "height {}, width {}".format(*self.size)
        text += "" if self.size == self.resize else ", the centre of {} x {}".format(*self.resize)
        text += ", proportions kept" if self.keep_aspect else ""
        return text + (", in a region" if self.region else "")

    @property
    def size(self) -> tuple:
        """Height and width of what comes out."""
        return tuple(self.crop or self.resize)

    @property
    def plain(self) -> bool:
        """Whether every picture shows the photograph, with no place left out."""
        return not (self.keep_aspect or self.region)

    @property
    def offset(self) -> tuple:
        """Row and column in the resized picture at which the crop begins."""
        return tuple((r - s) // 2 for r, s in zip(self.resize, self.size))

    def inner(self, photograph: tuple) -> tuple:
        """Slices of the resized picture in which a photograph of (height, width) is to be seen."""
        if not self.keep_aspect:
            return slice(0, self.resize[0]), slice(0, self.resize[1])
        factor = min(side / full for side, full in zip(self.resize, photograph))
        sides = [min(side, max(1, round(full * factor))) for side, full in zip(self.resize, photograph)]
        starts = [(side - inner) // 2 for side, inner in zip(self.resize, sides)]
        rows, columns = (slice(start, start + inner) for start, inner in zip(starts, sides))
        return rows, columns

    def _crop(self, image: np.ndarray) -> np.ndarray:
        (top, left), (height, width) = self.offset, self.size
        return image[top : top + height, left : left + width]

    def image(self, photograph: np.ndarray, path: Path = Path(), *, window: Any = None) -> np.ndarray:
        """`path`: the photograph's, where each has a region of its own; `window`: which of its pieces, if there are."""
        shape = photograph.shape[:2]
        picture = self._crop(self._placed(photograph))
        seen = self.seen(shape, path)
        return picture if seen is None else painted(picture, seen)

    def _placed(self, photograph: np.ndarray) -> np.ndarray:
        rows, columns = self.inner(photograph.shape[:2])
        height, width = rows.stop - rows.start, columns.stop - columns.start
        image = photograph
        if image.shape[:2] != (height, width):
            shrinks = height <= image.shape[0] and width <= image.shape[1]
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        if (height, width) == self.resize:
            return image
        whole = np.empty((*self.resize, 3), np.uint8)
        whole[:] = PAINT
        whole[rows, columns] = image
        return whole

    def mask(self, mask: np.ndarray) -> np.ndarray:
        rows, columns = self.inner(mask.shape)
        size = columns.stop - columns.start, rows.stop - rows.start
        whole = np.zeros(self.resize, np.uint8)
        whole[rows, columns] = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
        return self._crop(whole) > 0

    def shown(self, photograph: tuple) -> tuple:
        """Height and width of what comes out of a photograph of (height, width)."""
        return self.size

    def seen(self, photograph: tuple, path: Path = Path()) -> Optional[np.ndarray]:
        """H W: where the picture of a photograph of (height, width) counts; None: everywhere."""
        if self.plain:
            return None
        if not self.region:
            return self.mask(np.ones(photograph, bool))
        return self.mask(roi.mask(self.region, photograph, path=path))

    def frame(self, photograph: tuple) -> Frame:
        if not self.keep_aspect:
            rows, columns = self._spans(photograph)
            return Frame(rows.start, columns.start, rows.stop - rows.start, columns.stop - columns.start)
        inner = self.inner(photograph)
        per_pixel = [full / (part.stop - part.start) for full, part in zip(photograph, inner)]
        top, left = (-part.start * each for part, each in zip(inner, per_pixel))
        height, width = (side * each for side, each in zip(self.resize, per_pixel))
        return Frame(top, left, height, width)

    def _spans(self, photograph: tuple) -> tuple:
        spans = []
        for start, length, resized, full in zip(self.offset, self.size, self.resize, photograph):
            spans.append(slice(round(start * full / resized), round((start + length) * full / resized)))
        return tuple(spans)

    def back(self, values: np.ndarray, photograph: tuple) -> tuple:
        """A map -> (the map at the scale of a photograph of (height, width), slices that say where in it it lies)."""
        rows, columns = self._spans(photograph)
        if self.keep_aspect:
            values = values[self.inner(photograph)]
        scaled = cv2.resize(
            values, (columns.stop - columns.start, rows.stop - rows.start), interpolation=cv2.INTER_LINEAR
        )
        return scaled, (rows, columns)

    def undistorted(self, photograph: tuple) -> tuple:
        """The size to resize to in which a photograph keeps its proportions; nothing where it nearly does."""
        shown = self.resize[1] / self.resize[0] / (photograph[1] / photograph[0])
        if self.keep_aspect or max(shown, 1 / shown) < DISTORTED:
            return ()
        factor = min(self.resize) / min(photograph)
        return tuple(max(1, round(side * factor / GRID)) * GRID for side in photograph)

    def pieces(self, samples: tuple) -> tuple:
        """What goes through the network one by one: here the photographs themselves."""
        return samples

    def join(self, maps: list, windows: list, *, photograph: tuple) -> np.ndarray:
        """The map of a photograph from those of its pieces."""
        return maps[0]


def painted(picture: np.ndarray, seen: np.ndarray) -> np.ndarray:
    return np.where(seen[..., None], picture, np.array(PAINT, np.uint8))
