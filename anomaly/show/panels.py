"""What an evaluation draws of a photograph: it, its map, both together and what is true, with a line that says so."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

import cv2
import numpy as np

from anomaly.data.images import encode
from anomaly.measure.calibration import Scale
from anomaly.measure.judgement import Judgement
from anomaly.run.files import writing
from anomaly.run.threads import Background
from anomaly.show import captions, lettering, pictures
from anomaly.show.captions import GREY, RED
from anomaly.show.pictures import blended, file_name, heat, levels, ring, worst

SMALLEST, LARGEST = 256, 1024  # the longer side of a panel
PALE = (236, 236, 236)


@dataclass(frozen=True)
class Shown:
    """A judged photograph as large as it is drawn, in the photograph's proportions."""

    image: np.ndarray
    values: np.ndarray
    mask: Optional[np.ndarray]

    @property
    def sides(self) -> tuple:
        return self.values.shape


def shown(judged: Judgement, longer: int = 0) -> Shown:
    """`longer`: the longer side; 0: as suits the picture."""
    before = judged.map.shape
    sides = pictures.sides(judged, longer or min(max(*before, SMALLEST), LARGEST))
    shrinks = any(after < side for after, side in zip(sides, before))
    image = cv2.resize(judged.image, sides[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    values = judged.map.astype(np.float32)
    values = worst(values, sides) if shrinks else cv2.resize(values, sides[::-1], interpolation=cv2.INTER_LINEAR)
    mask = None if judged.mask is None else worst(judged.mask.astype(np.uint8), sides) > 0
    return Shown(image, values, mask)


def sheet(judged: Judgement, *, truth: str = "", mark: str = "") -> np.ndarray:
    """H W 3. `truth`: what is true, where that is not the name of the defect; `mark`: what else there is to say."""
    found, scale = shown(judged), judged.scales.pixel
    if truth and found.mask is None:  # of a good photograph
        found = replace(found, mask=np.zeros(found.sides, bool))
    size = lettering.scale(found.sides)
    level = levels(found.values, scale)
    warm = heat(level)
    over = blended(found.image, found.values, scale=scale, level=level, warm=warm)
    if captions.needs_ring(judged):
        ring(over, np.unravel_index(found.values.argmax(), found.sides))
    wrong = not truth and judged.wrong
    truth = truth or judged.sample.defect
    fields = [
        titled("photograph", found.image, size=size),
        titled("anomaly map", warm, size=size),
        colours(found, scale, size=size),
        titled("map over the photograph", over, size=size),
        titled(f"truth: {truth}", _truth(found, size=size), size=size),
    ]
    gap = np.full((fields[0].shape[0], round(16 * size), 3), 255, np.uint8)
    row = np.hstack([part for field in fields for part in (field, gap)][:-1])
    return np.vstack(
        [row, captions.below(judged, row.shape[1], size=size, name=judged.sample.name, wrong=wrong, mark=mark)]
    )


def titled(title: str, picture: np.ndarray, *, size: float) -> np.ndarray:
    head = np.full((lettering.height(size), picture.shape[1], 3), 255, np.uint8)
    base = round(lettering.height(size) * 0.7)
    lettering.write(head, lettering.fitting(title, size, room=picture.shape[1]), place=(0, base), size=size)
    return np.vstack([head, picture])


def colours(found: Shown, scale: Scale, *, size: float) -> np.ndarray:
    """What the colours of the map mean: a bar with the threshold, and a mark at this photograph's warmest place."""
    rows, wide, line = found.sides[0], round(24 * size), lettering.height(size)
    texts = _marks(found.values, scale)
    room = max(lettering.width(text, size) for text in texts.values())
    bar = np.full((rows, wide + round(36 * size) + room, 3), 255, np.uint8)
    bar[:, :wide] = heat(np.linspace(1, 0, rows)[:, None])
    for level, text in texts.items():
        row = round((1 - level) * (rows - 1))
        cv2.line(bar, (0, row), (wide + round(10 * size), row), lettering.BLACK, lettering.thickness(size))
        base = min(max(row + line // 4, line // 2), rows - 2)
        lettering.write(bar, text, place=(wide + round(30 * size), base), size=size)
    peak = round((1 - float(np.clip(levels(found.values, scale).max(), 0, 1))) * (rows - 1))
    across, up = wide + round(20 * size), round(10 * size)
    cv2.fillPoly(bar, [np.array([[wide, peak], [across, peak - up], [across, peak + up]], np.int32)], RED)
    return titled("", bar, size=size)


def _marks(values: np.ndarray, scale: Scale) -> dict:
    """Levels of the colours -> what stands beside them."""
    if np.isnan(scale.threshold):
        return {0.0: f"{values.min():.4g}", 1.0: f"{values.max():.4g}"}
    beyond = {0.25: -1, 0.5: 0, 0.75: 1}  # in units
    texts = {level: f"{scale.threshold + units * scale.unit:.4g}" for level, units in beyond.items()}
    return {**texts, 0.5: f"{texts[0.5]} outlined"}


def _truth(found: Shown, *, size: float) -> np.ndarray:
    if found.mask is not None:
        return np.repeat(found.mask[..., None] * np.uint8(255), 3, axis=2)
    empty = np.full((*found.sides, 3), PALE, np.uint8)
    for number, text in enumerate(("no mask: where the", "defect is, nobody says")):
        place = (round(10 * size), lettering.height(size) * (number + 1))
        lettering.write(empty, text, place=place, size=size, colour=GREY)
    return empty


def drawn(
    judgements: Iterable[Judgement], folder: Path, *, most: int, mark: str, truth: str = ""
) -> Iterator[Judgement]:
    """Passes them on, and draws the first of them into folder/<defect>/.

    They are drawn in threads, while the next ones are judged; the folder is not yet where people look.
    """
    with Background() as background:
        for number, each in enumerate(judgements):
            if number < most:
                background(_draw, each, folder, mark=mark, truth=truth)
            yield each


def _draw(judged: Judgement, folder: Path, *, mark: str, truth: str) -> None:
    path = folder / judged.sample.name
    path = path.parent / file_name(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(sheet(judged, truth=truth, mark=mark), path.suffix))
