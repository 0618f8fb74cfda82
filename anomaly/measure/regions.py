"""Where a photograph is anomalous: connected places of its map above the threshold, in the photograph's pixels."""

import math
from dataclasses import dataclass
from typing import Optional

import cv2
import numpy as np

from anomaly.data.transform import Frame
from anomaly.measure.calibration import Scale

MOST = 100  # regions; a map of nothing but noise could have thousands
NEAR = 0.1  # of the scale's unit below the peak, where nothing is above the threshold


@dataclass(frozen=True)
class Region:
    """Of a photograph, in its pixels; (0, 0) is the corner above on the left."""

    box: tuple  # left, top, width, height
    area: int
    peak: float  # the largest value of the map
    normalised: float  # the same on the scale on which the threshold is 0.5
    at: tuple  # x, y of the peak
    contour: tuple  # of (x, y)

    def as_dict(self, contour: bool = False) -> dict:
        found = {"box": list(self.box), "area": self.area, "peak": self.peak, "normalised": self.normalised}
        found["at"] = list(self.at)
        return {**found, "contour": [list(point) for point in self.contour]} if contour else found


def limit(values: np.ndarray, scale: Scale) -> float:
    """Above which a place is marked: the threshold. Where nothing is above it, a little below the warmest place: of a
    photograph that is anomalous something has to be shown."""
    peak = float(values.max())
    return scale.threshold if peak > scale.threshold else peak - NEAR * scale.unit


def above(values: np.ndarray, scale: Scale) -> np.ndarray:
    """H W bool: what is marked."""
    return values > limit(values, scale)


def floored(values: np.ndarray, seen: Optional[np.ndarray], *, scale: Scale) -> np.ndarray:
    """A map that is nowhere warmer outside of what is seen than in the coldest place inside, and marked nowhere."""
    if seen is None or seen.all():
        return values
    inside = values[seen] if seen.any() else values
    coldest = min(float(inside.min()), limit(inside, scale))
    return np.where(seen, values, values.dtype.type(coldest))


def find(values: np.ndarray, scale: Scale, *, frame: Frame, photograph: tuple) -> tuple:
    """H W -> Regions, the one with the largest value first. `photograph`: its height and width."""
    marked = above(values, scale).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(marked, connectivity=8)
    to = Grid(frame, values.shape, photograph)
    found = []
    for number, (left, top, width, height, area) in enumerate(stats[1:count].tolist(), 1):
        inside = labels[top : top + height, left : left + width] == number
        found.append(_region(values, inside, corner=(left, top), area=area, scale=scale, to=to))
    return tuple(sorted(found, key=lambda region: (-region.peak, region.box))[:MOST])


@dataclass(frozen=True)
class Grid:
    """The pixels of a map as places in a photograph."""

    frame: Frame
    map: tuple  # height and width
    photograph: tuple

    @property
    def steps(self) -> tuple:
        """Pixels of the photograph to one of the map, across and down."""
        return self.frame.width / self.map[1], self.frame.height / self.map[0]

    def point(self, x: float, y: float) -> tuple:
        """The pixel of the photograph in which a point of the map lies."""
        across, down = self.steps
        found = math.floor(self.frame.left + x * across), math.floor(self.frame.top + y * down)
        return tuple(min(max(value, 0), side - 1) for value, side in zip(found, self.photograph[::-1]))

    def end(self, x: float, y: float) -> tuple:
        """The corner of the photograph's pixels that reaches this point."""
        across, down = self.steps
        found = math.ceil(self.frame.left + x * across), math.ceil(self.frame.top + y * down)
        return tuple(min(value, side) for value, side in zip(found, self.photograph[::-1]))


def _region(values: np.ndarray, inside: np.ndarray, *, corner: tuple, area: int, scale: Scale, to: Grid) -> Region:
    """`inside`: what belongs to it, of the smallest box around it, whose `corner` is (left, top)."""
    (left, top), (height, width) = corner, inside.shape
    warm = np.where(inside, values[top : top + height, left : left + width], -np.inf)
    row, column = divmod(int(warm.argmax()), width)
    peak = float(warm[row, column])
    (x0, y0), (x1, y1) = to.point(left, top), to.end(left + width, top + height)
    outlines, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    across, down = to.steps
    return Region(
        (x0, y0, max(1, x1 - x0), max(1, y1 - y0)),
        max(1, round(area * across * down)),
        peak,
        float(scale.normalise(peak)),
        to.point(left + column + 0.5, top + row + 0.5),
        tuple(to.point(left + x + 0.5, top + y + 0.5) for x, y in outlines[0].reshape(-1, 2).tolist()),
    )
