"""Where to look in a photograph: a region of interest, as one line of text.

    rle:HEIGHTxWIDTH:a,b,c,...    a mask: a pixels outside, b inside, c outside, ..., row after row
    folder:/path                  a folder with a mask for each photograph, of the photograph's name

The first is what an option, a state and an exported model carry, so that no file has to lie beside them.
"""

import functools
from pathlib import Path

import cv2
import numpy as np
import yaml

from anomaly.data.images import SUFFIXES, read_mask
from anomaly.run.errors import DataError, UsageError

MASK, FOLDER = "rle:", "folder:"
MOST = 1 << 28  # pixels of a mask; of a larger photograph it can be a smaller one of its proportions
FARTHEST = 1 << 20  # from the corner of a photograph, of a point of a polygon
YAML = (".yaml", ".yml")
PROPORTION = 0.02  # by which the sides of a mask and a photograph may differ in their proportion


def parse(text: str) -> str:
    """A mask's file, a YAML file with polygons, a folder of masks, or the text itself -> the text."""
    if not text or text.lower() == "none":
        return ""
    if text.startswith(MASK):
        if not decoded(text).any():
            raise UsageError(f"roi: {text[:40]!r} is empty; there would be nothing to look at")
        return text
    if text.startswith(FOLDER):
        return text
    path = Path(text)
    if path.is_dir():
        return f"{FOLDER}{path.resolve()}"
    if not path.is_file():
        raise UsageError(f"roi: {text}: no such file or folder")
    mask = polygons(path) if path.suffix.lower() in YAML else read_mask(path)
    if mask.size > MOST:
        raise DataError(f"{path}: has more than {MOST} pixels; a smaller mask of the same proportions will do")
    if not mask.any():
        raise DataError(f"{path}: the region is empty; what is to be looked at is white in a mask")
    return encoded(mask)


def encoded(mask: np.ndarray) -> str:
    flat = np.r_[False, mask.ravel(), not mask.ravel()[-1]]
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(np.r_[0, ends])
    return f"{MASK}{mask.shape[0]}x{mask.shape[1]}:{','.join(map(str, runs))}"


@functools.lru_cache(maxsize=4)
def decoded(text: str) -> np.ndarray:
    """H W bool, not to be written to."""
    try:
        size, numbers = text.removeprefix(MASK).split(":")
        height, width = map(int, size.split("x"))
        if min(height, width) < 1 or height * width > MOST:
            raise ValueError("no size of a photograph")
        runs = np.array([int(number) for number in numbers.split(",")], np.int64)
        if (runs < 0).any() or (runs > height * width).any() or runs.sum() != height * width:
            raise ValueError("does not fill the mask")
        mask = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    except (ValueError, OverflowError):
        raise UsageError(f"roi: {text[:40]!r} is not a region") from None
    mask.flags.writeable = False
    return mask


def polygons(path: Path) -> np.ndarray:
    """`size: [height, width]` of a photograph, and `polygons:`, a list of lists of [x, y] in its pixels."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        height, width = (int(side) for side in found["size"])
        shapes = [np.array(shape, float).reshape(-1, 2) for shape in found["polygons"]]
        if min(height, width) < 1 or height * width > MOST or not shapes or min(len(shape) for shape in shapes) < 3:
            raise ValueError("no polygon")
        if not all((np.abs(shape) <= FARTHEST).all() for shape in shapes):  # NaN is not either
            raise ValueError("no place near a photograph")
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        raise DataError(f"{path}: not polygons (size: [height, width], polygons: [[[x, y], ...], ...])") from None
    mask = np.zeros((height, width), np.uint8)
    for shape in shapes:  # one by one: where two overlap, both are meant
        cv2.fillPoly(mask, [np.rint(shape).astype(np.int32)], 1)
    return mask > 0


def mask(text: str, photograph: tuple, *, path: Path) -> np.ndarray:
    """The region of a photograph of (height, width), H W bool."""
    found = of_photograph(text, path) if text.startswith(FOLDER) else decoded(text)
    if found.shape == photograph:
        return found
    (height, width), (rows, columns) = photograph, found.shape
    if abs(height * columns / (width * rows) - 1) > PROPORTION:
        raise DataError(
            f"{path}: is {width} x {height}, and its region {columns} x {rows}: other proportions (width x height)"
        )
    return cv2.resize(found.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT) > 0


def of_photograph(text: str, path: Path) -> np.ndarray:
    folder = Path(text.removeprefix(FOLDER))
    places = [folder / f"{path.stem}{end}{suffix}" for suffix in SUFFIXES for end in ("", "_mask")]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise DataError(f"{path}: has no region in {folder} (looked for {path.stem}.png and other endings)")
    return read_mask(found)
