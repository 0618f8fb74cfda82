"""Pictures to look at: the photograph, the heat map, the heat map over the photograph, the mask."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Optional

import cv2
import numpy as np

from anomaly.data.images import encode
from anomaly.measure.calibration import Scale
from anomaly.measure.judgement import Judgement
from anomaly.run.files import writing
from anomaly.run.threads import Background

CAPTION = 24  # height of the line below a picture
RED = (220, 30, 30)
WHITE = (255, 255, 255)
LARGEST = 1024  # side of a panel; a larger one is shrunk


def file_name(photograph: Path) -> str:
    """a.png -> a.png, a.jpg -> a.jpg.png: two photographs never share a picture."""
    return photograph.name if photograph.suffix == ".png" else f"{photograph.name}.png"


def levels(values: np.ndarray, scale: Scale) -> np.ndarray:
    """0 to 1, 0.5 at the threshold; where there is none, this picture's own range."""
    if np.isnan(scale.threshold):
        low, high = float(values.min()), float(values.max())
        return (values - low) / max(high - low, 1e-12)
    return scale.normalise(values)


def heat(level: np.ndarray) -> np.ndarray:
    """H W -> H W 3: blue far below the threshold, green at it, red far above. The same in every picture."""
    colours = cv2.applyColorMap(np.clip(level * 255, 0, 255).astype(np.uint8), cv2.COLORMAP_JET)
    return cv2.cvtColor(colours, cv2.COLOR_BGR2RGB)


def overlay(image: np.ndarray, values: np.ndarray, *, scale: Scale) -> np.ndarray:
    """The heat map over the photograph where it is warm, with a red line around what is above the threshold."""
    level = levels(values, scale)
    return _overlay(image, values, scale=scale, level=level, warm=heat(level))


def _overlay(image: np.ndarray, values: np.ndarray, *, scale: Scale, level: np.ndarray, warm: np.ndarray) -> np.ndarray:
    strength = (0.6 * np.clip((level - 0.3) / 0.2, 0, 1)).astype(np.float32)[..., None]
    blended = np.rint(image + (warm.astype(np.float32) - image) * strength).astype(np.uint8)
    if not np.isnan(scale.threshold):
        above = (values > scale.threshold).astype(np.uint8)
        outlines, _ = cv2.findContours(above, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(blended, outlines, -1, RED, line_width(image))
    return blended


def side_by_side(
    image: np.ndarray, values: np.ndarray, *, mask: Optional[np.ndarray], scale: Scale, caption: str
) -> np.ndarray:
    """Picture, heat map, overlay and mask in a row, with a line of text below; no mask: a grey field."""
    shape = (*values.shape, 3)
    drawn = np.full(shape, 128, np.uint8) if mask is None else np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)
    level = levels(values, scale)
    warm = heat(level)
    row = np.hstack([image, warm, _overlay(image, values, scale=scale, level=level, warm=warm), drawn])
    line = np.full((CAPTION, row.shape[1], 3), 255, np.uint8)
    write(line, caption, place=(6, CAPTION - 8), colour=(0, 0, 0))
    return np.vstack([row, line])


def write(image: np.ndarray, text: str, *, place: tuple, colour: tuple) -> None:
    """A line of text from `place`, (x, y); what OpenCV's font lacks becomes a question mark."""
    ascii_only = text.encode("ascii", "replace").decode()
    cv2.putText(image, ascii_only, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)


def drawn(judgements: Iterable[Judgement], folder: Path, *, most: int, mark: str) -> Iterator[Judgement]:
    """Passes them on, and draws the first of them into folder/<defect>/; `mark`: what each picture has to say.

    They are drawn in threads, while the next ones are judged; the folder is not yet where people look.
    """
    with Background() as background:
        for number, each in enumerate(judgements):
            if number < most:
                background(_draw, each, folder, mark=mark)
            yield each


def _draw(judged: Judgement, folder: Path, *, mark: str) -> None:
    caption = f"{judged.sample.name}  score {judged.score:.3f}  {judged.verdict}  {mark}".rstrip()
    image, values, mask = shrunk(judged.image, judged.map, mask=judged.mask)
    picture = side_by_side(image, values, mask=mask, scale=judged.scales.pixel, caption=caption)
    path = folder / judged.sample.name
    path = path.parent / file_name(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(picture, path.suffix))


def shrunk(image: np.ndarray, values: np.ndarray, *, mask: Optional[np.ndarray]) -> tuple:
    """The same no larger than people look at; the worst place and the mask stay to be seen."""
    step = -(-max(image.shape[:2]) // LARGEST)
    if step == 1:
        return image, values, mask
    height, width = (side // step for side in image.shape[:2])
    parts = (
        array[: height * step, : width * step].reshape(height, step, width, step)
        for array in (values, mask)
        if array is not None
    )
    worst = [part.max(axis=(1, 3)) for part in parts]
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return small, worst[0], worst[1] if mask is not None else None


def on_photograph(judged: Judgement, *, mark: str = "") -> np.ndarray:
    """The photograph at its own size, with the map over the part that was looked at, and a box around each region."""
    image = judged.image if judged.photograph is None else judged.photograph
    scaled, (rows, columns) = judged.on_photograph
    picture = image.copy()
    picture[rows, columns] = overlay(np.ascontiguousarray(image[rows, columns]), scaled, scale=judged.scales.pixel)
    if scaled.shape != image.shape[:2]:  # what lies outside the crop was not judged: a white line says so
        cv2.rectangle(picture, (columns.start, rows.start), (columns.stop - 1, rows.stop - 1), WHITE, 1)
    outline_of_region(picture, judged)
    boxes(picture, judged.regions)
    if mark:
        write(picture, mark, place=(6, 18), colour=RED)
    return picture


def boxes(picture: np.ndarray, regions: tuple) -> None:
    width = line_width(picture)
    for region in regions:
        left, top, across, down = region.box
        corners = (left - 2 * width, top - 2 * width), (left + across + 2 * width, top + down + 2 * width)
        cv2.rectangle(picture, *corners, RED, width)


def outline_of_region(picture: np.ndarray, judged: Judgement) -> None:
    """A white line around where was looked, if that is not everywhere."""
    if judged.seen is None or judged.transform is None or not judged.transform.region:
        return
    _, (rows, columns) = judged.on_photograph
    seen = judged.seen_on_photograph.astype(np.uint8)
    outlines, _ = cv2.findContours(seen, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(picture[rows, columns], outlines, -1, WHITE, line_width(picture))


def line_width(picture: np.ndarray) -> int:
    return max(1, min(picture.shape[:2]) // 200)
