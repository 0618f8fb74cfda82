"""The pictures of a report: of each photograph a small JPEG, its map in 8 bits and the outline of its mask.

The page colours the map itself, with the colours of pictures.py, so that the line around what is above the threshold
moves with the threshold, and a photograph needs two pictures and not four.
"""

import base64
from collections.abc import Iterable, Iterator
from typing import Optional

import cv2
import numpy as np

from anomaly.measure.evaluation import judged
from anomaly.measure.judgement import Judgement
from anomaly.run.threads import Background
from anomaly.show import pictures

BUDGET = 20_000_000  # characters that the pictures of a page may take together
LARGEST, SMALLEST = 512, 64  # longer side of a picture, in pixels
PER_PIXEL = 0.3  # characters that a pixel of a photograph takes, roughly
MAP_PART = 0.5  # a map is smooth: half as many pixels a side tell as much
QUALITIES = (82, 65, 45, 25)  # of JPEG: what does not fit with one is tried with the next
MAP_QUALITY = 92
CORNERS = 400  # of the outline of a mask, about; it is simplified until it has no more


class Gallery:
    """Collects what the page shows of each photograph; bounded, however many there are."""

    def __init__(self, number: int) -> None:
        self.share = BUDGET // max(number, 1)  # characters for each
        self.side = int(np.clip(np.sqrt(self.share / PER_PIXEL), SMALLEST, LARGEST))
        self.records: list[dict] = []

    def collected(self, judgements: Iterable[Judgement]) -> Iterator[Judgement]:
        """Passes them on; their pictures are made in threads."""
        with Background() as background:
            for each in judgements:
                record = self._record(each)
                self.records.append(record)
                background(self._draw, each, record)
                yield each

    def _record(self, each: Judgement) -> dict:
        seen = judged(each)
        return {
            "name": seen.name,
            "defect": each.sample.defect,
            "anomalous": seen.anomalous,
            "score": seen.score,
            "path": seen.path,
        }

    def _draw(self, each: Judgement, record: dict) -> None:
        record.update(drawing(each, side=self.side, share=self.share))

    @property
    def drawn(self) -> int:
        """How many have a picture."""
        return sum("photo" in record for record in self.records)

    @property
    def largest(self) -> int:
        """The longer side of the largest picture."""
        return max((max(record["size"]) for record in self.records if "photo" in record), default=0)


def drawing(each: Judgement, *, side: int, share: int) -> dict:
    """What the page draws of a photograph, in no more than `share` characters; nothing where nothing fits."""
    while side >= SMALLEST // 2:
        height, width = pictures.sides(each, min(side, max(each.image.shape[:2])))
        small = cv2.resize(each.image, (width, height), interpolation=cv2.INTER_AREA)
        outline = outline_of(each.mask, (height, width))
        warm = text_of(map_of(each, (height, width)), quality=MAP_QUALITY)
        for quality in QUALITIES:
            photo = text_of(small, quality=quality)
            if len(photo) + len(warm) + len(outline) <= share:
                known = each.mask is not None
                found = {"photo": photo, "map": warm, "mask": outline, "masked": known}
                return {**found, "size": [width, height]}
        side //= 2
    return {}


def map_of(each: Judgement, shape: tuple) -> np.ndarray:
    """The levels of its map in 8 bits, for a picture of this shape. Made small first: the order of values is kept."""
    small = pictures.worst(np.asarray(each.map, np.float32), tuple(max(1, round(side * MAP_PART)) for side in shape))
    return np.rint(np.clip(pictures.levels(small, each.scales.pixel), 0, 1) * 255).astype(np.uint8)


def text_of(image: np.ndarray, *, quality: int) -> str:
    """RGB or grey -> a JPEG in base64."""
    bgr = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise OSError("a picture of the report cannot be encoded")
    return base64.b64encode(data.tobytes()).decode("ascii")


def outline_of(mask: Optional[np.ndarray], shape: tuple) -> str:
    """The path of SVG around what is marked, in pixels of a picture of this shape; nothing marked: no path."""
    if mask is None or not mask.any():
        return ""
    small = pictures.worst(mask.astype(np.uint8), shape)
    found, _ = cv2.findContours(small, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    lines, coarse = [line[:, 0] for line in found], 0.7
    while sum(map(len, lines)) > CORNERS and coarse < max(shape):
        lines = [cv2.approxPolyDP(line, coarse, True)[:, 0] for line in found]
        coarse *= 2
    return "".join("M" + " ".join(f"{x} {y}" for x, y in line.tolist()) + "z" for line in lines[:CORNERS])
