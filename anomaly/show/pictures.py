"""Pictures to look at: a map in colours, and over its photograph."""

from pathlib import Path

import cv2
import numpy as np

from anomaly.data.images import is_image
from anomaly.measure.calibration import Scale
from anomaly.measure.judgement import Judgement
from anomaly.show.captions import RED, needs_ring

WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def file_name(photograph: Path) -> str:
    """a.png -> a.png, a.jpg -> a.jpg.png, a.jpg.png -> a.jpg.png.png: two photographs never share a picture."""
    own = photograph.suffix == ".png" and not is_image(Path(photograph.stem))
    return photograph.name if own else f"{photograph.name}.png"


def sides(judged: Judgement, longer: int) -> tuple:
    """Height and width of a picture in the proportions of the photograph, the longer of them as asked."""
    frame = judged.frame
    part = longer / max(frame.height, frame.width)
    return tuple(max(1, round(side * part)) for side in (frame.height, frame.width))


def worst(values: np.ndarray, shape: tuple) -> np.ndarray:
    """In another size; of places that become one the largest value stays to be seen."""
    steps = [-(-before // after) for before, after in zip(values.shape, shape)]
    if max(steps) > 1:
        values = cv2.dilate(values, np.ones(steps, np.uint8), anchor=(0, 0))
    return cv2.resize(values, shape[::-1], interpolation=cv2.INTER_NEAREST)


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
    return blended(image, values, scale=scale, level=level, warm=heat(level))


def blended(image: np.ndarray, values: np.ndarray, *, scale: Scale, level: np.ndarray, warm: np.ndarray) -> np.ndarray:
    """The same, where its levels and colours are known."""
    strength = (0.6 * np.clip((level - 0.3) / 0.2, 0, 1)).astype(np.float32)[..., None]
    picture = np.rint(image + (warm.astype(np.float32) - image) * strength).astype(np.uint8)
    if not np.isnan(scale.threshold):
        above = (values > scale.threshold).astype(np.uint8)
        outlines, _ = cv2.findContours(above, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(picture, outlines, -1, RED, line_width(image))
    return picture


def ring(picture: np.ndarray, place: tuple) -> None:
    """Around a place, (row, column): the warmest one, where nothing is above the threshold."""
    radius, width = max(4, min(picture.shape[:2]) // 16), line_width(picture)
    for colour, wide in ((BLACK, 3 * width), (WHITE, width)):
        cv2.circle(picture, (int(place[1]), int(place[0])), radius, colour, wide, cv2.LINE_AA)


def on_photograph(judged: Judgement) -> np.ndarray:
    """The photograph at its own size, with the map over the part that was looked at, and a box around each region.

    Where nothing is above the threshold, or too little to be seen, a ring around the warmest place.
    """
    image = judged.image if judged.photograph is None else judged.photograph
    scaled, (rows, columns) = judged.on_photograph
    picture = image.copy()
    picture[rows, columns] = overlay(np.ascontiguousarray(image[rows, columns]), scaled, scale=judged.scales.pixel)
    if scaled.shape != image.shape[:2]:  # what lies outside the crop was not judged: a white line says so
        cv2.rectangle(picture, (columns.start, rows.start), (columns.stop - 1, rows.stop - 1), WHITE, 1)
    if needs_ring(judged):
        ring(picture[rows, columns], np.unravel_index(scaled.argmax(), scaled.shape))
    outline_of_region(picture, judged)
    boxes(picture, judged.regions)
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
