"""Draws photographs as a camera of a production line gives them: one part, nearly in place, in a light that varies.

They lie in the layout of MVTec AD, with masks. A PNG of 900 x 900 has about 1 MB, as those of real cameras have, since
decoding is part of what is measured.
"""

from pathlib import Path

import cv2
import numpy as np

from anomaly.data import toydata
from anomaly.run.files import replacing_folder

CATEGORY = "plate"
SIDE = 900


def plate(rng: np.random.Generator, size: int) -> np.ndarray:
    """A brushed plate with a rim, four holes and a printed bar; a little shifted, turned and lit anew each time."""
    part = np.full((size, size, 3), (62, 66, 70), np.float32)
    grain = cv2.GaussianBlur(rng.normal(0, 30, (size, size)).astype(np.float32), (0, 0), sigmaX=size / 40, sigmaY=0.6)
    inner, outer = int(size * 0.14), int(size * 0.86)
    cv2.rectangle(part, (inner, inner), (outer, outer), (168, 170, 172), -1, cv2.LINE_AA)
    cv2.rectangle(part, (inner, inner), (outer, outer), (120, 122, 125), size // 60, cv2.LINE_AA)
    part[inner:outer, inner:outer] += 3 * grain[inner:outer, inner:outer, None]
    for x in (0.24, 0.76):
        for y in (0.24, 0.76):
            cv2.circle(part, (int(x * size), int(y * size)), size // 24, (38, 38, 42), -1, cv2.LINE_AA)
    cv2.rectangle(part, (int(size * 0.36), int(size * 0.66)), (int(size * 0.64), int(size * 0.72)), (40, 70, 130), -1)
    moved = cv2.getRotationMatrix2D((size / 2, size / 2), float(rng.normal(0, 1)), 1.0)
    moved[:, 2] += rng.normal(0, size / 150, 2)
    part = cv2.warpAffine(part, moved, (size, size), borderMode=cv2.BORDER_REPLICATE)
    slope = np.linspace(-1, 1, size)[:, None, None] * rng.normal(0, 0.03)
    return part * (rng.uniform(0.94, 1.06) + slope)


def scratch(image: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    return toydata.line(image, rng, size=size, colour=(245, 245, 245), spread=0.25)


def rust(image: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    return toydata.blob(image, rng, size=size, colour=(140, 75, 35), spread=0.28, strength=0.7)


def dent(image: np.ndarray, rng: np.random.Generator, size: int) -> np.ndarray:
    return toydata.blob(image, rng, size=size, colour=(60, 60, 62), spread=0.28, strength=0.4)


def draw(folder: Path, *, train: int, test: int) -> None:
    """The category `plate`, unless it is there; `test`: photographs of all kinds together."""
    if (folder / CATEGORY).is_dir():
        return
    toydata.CATEGORIES[CATEGORY] = plate, {"scratch": scratch, "rust": rust, "dent": dent}
    with replacing_folder(folder) as made:
        toydata.make(made, train=train, test=max(1, test // 4), size=SIDE, categories=(CATEGORY,))
        for mask in made.glob("*/ground_truth/*/*.png"):  # one channel, as MVTec AD has them
            cv2.imwrite(str(mask), cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE))
