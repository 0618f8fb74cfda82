"""Maps and masks at the size of the photograph, for other programs."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from anomaly.measure import regions
from anomaly.measure.calibration import ANOMALOUS
from anomaly.measure.judgement import Judgement
from anomaly.run.files import replacing
from anomaly.show.pictures import levels

NUMBERS, GREY = "npy", "png"
MOST = 65535  # grey levels of 16 bits
MIDDLE = 32768  # the threshold


def mask(judged: Judgement) -> np.ndarray:
    """H W bool: where an anomalous photograph is anomalous; of any other, nowhere."""
    scaled, place, whole = spread(judged)
    found = np.zeros(whole, bool)
    if judged.verdict == ANOMALOUS:
        found[place] = regions.above(scaled, judged.scales.pixel)
    return found


def file_of(path: Path, kind: Any) -> Path:
    """Where what would be a picture lies, when it is written as this kind."""
    return path.with_suffix(".npy") if kind == NUMBERS else path


def write(path: Path, judged: Judgement, *, kind: str) -> None:
    """Outside of what was looked at there is no number, or black."""
    if kind == GREY:
        with replacing(path) as temporary:
            temporary.write_bytes(grey(judged))
        return
    scaled, place, whole = spread(judged)
    values = np.full(whole, np.nan, np.float32)
    values[place] = scaled if judged.seen is None else np.where(judged.seen_on_photograph, scaled, np.nan)
    with replacing(file_of(path, kind)) as temporary, open(temporary, "wb") as file:
        np.save(file, values)


def grey(judged: Judgement) -> bytes:
    """A PNG of 16 bits, black where it was not looked at."""
    scaled, place, whole = spread(judged)
    level, picture = levels(scaled, judged.scales.pixel), np.zeros(whole, np.uint16)
    picture[place] = np.rint((level if judged.seen is None else level * judged.seen_on_photograph) * MOST)
    return cv2.imencode(".png", picture)[1].tobytes()


def spread(judged: Judgement) -> tuple:
    """The map at the photograph's scale, where in the photograph it lies, and the photograph's size."""
    return (*judged.on_photograph, judged.shape or judged.map.shape)
