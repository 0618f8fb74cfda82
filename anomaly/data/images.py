"""Reads photographs and masks, and brings them to the size that a network takes.

This is the one definition of preprocessing: every command uses it, and ascend310_infer does the same in C++. The rest
(the ImageNet normalisation) is inside the network.
"""

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import cv2
import numpy as np

from anomaly.run.errors import DataError, UsageError
from anomaly.run.files import replacing

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
LOSSY = (".jpg", ".jpeg", ".webp")
PNG_END = b"IEND\xaeB`\x82"  # of a whole file
SMALLEST_SIDE = 32  # two positions of layer 3


def is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _holds_floats(data: np.ndarray) -> bool:
    """OpenCV would turn them into an image that is all white. Of the formats that are read only TIFF can hold them."""
    if data[:2].tobytes() not in (b"II", b"MM"):
        return False
    image = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    return image is not None and image.dtype not in (np.uint8, np.uint16)


def _decode(path: Path, flags: int) -> np.ndarray:
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if data.size == 0:
        raise DataError(f"{path}: the file is empty; replace or remove it")
    # libpng would print a line of its own about a PNG that was cut off.
    cut_off = data[:4].tobytes() == b"\x89PNG" and b"IEND" not in data[-4096:].tobytes()
    try:
        image = None if cut_off or _holds_floats(data) else cv2.imdecode(data, flags)
    except cv2.error:
        image = None
    if image is None:
        raise DataError(f"{path}: not an image of 8 or 16 bits, or truncated; replace or remove it")
    return image


def read_image(path: Union[str, Path]) -> np.ndarray:
    """Any image as 8-bit RGB, H W 3: 16 bits become 8, an alpha channel is dropped."""
    path = Path(path)
    return _read_png(path) if path.suffix.lower() == ".png" and _has_pyspng() else _read_any(path)


def _read_any(path: Path) -> np.ndarray:
    return cv2.cvtColor(_decode(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@functools.lru_cache
def _has_pyspng() -> bool:
    return importlib.util.find_spec("pyspng") is not None


def _read_png(path: Path) -> np.ndarray:
    """The same pixels in less time, for what most photographs are; everything else goes the other way."""
    pyspng: Any = importlib.import_module("pyspng")
    try:
        content = path.read_bytes()
        if not content.endswith(PNG_END):
            return _read_any(path)
        image = pyspng.load(content)
    except Exception:  # the other reader says what is wrong
        return _read_any(path)
    return image if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 else _read_any(path)


def read_mask(path: Path) -> np.ndarray:
    """A mask as bool, H W: what is not black. In a lossy format, where black is not kept exactly, the upper half."""
    values = _decode(path, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    marked = values > (127 if path.suffix.lower() in LOSSY else 0)
    return marked if marked.ndim == 2 else marked.any(axis=2)


def encode(image: np.ndarray, suffix: str) -> bytes:
    """RGB, or a mask of bool -> the content of a file with this suffix."""
    if image.dtype == bool:
        image = np.repeat(image[..., None] * np.uint8(255), 3, axis=2)
    done, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise OSError(f"{suffix}: cannot be encoded")
    return data.tobytes()


def write_image(path: Path, image: np.ndarray) -> None:
    """RGB, or a mask of bool -> a file whose type follows from its name."""
    with replacing(path) as temporary:
        temporary.write_bytes(encode(image, path.suffix))


@dataclass(frozen=True)
class Transform:
    """Resize to (height, width), then keep the centre of (height, width) if a crop is asked for."""

    resize: tuple
    crop: Optional[tuple] = None

    def __post_init__(self) -> None:
        if min(self.size) < SMALLEST_SIDE:
            raise UsageError(f"--resize/--crop: {self.size} is too small; a side needs {SMALLEST_SIDE} pixels or more")
        if self.crop and (self.crop[0] > self.resize[0] or self.crop[1] > self.resize[1]):
            raise UsageError(f"--crop {self.crop} is larger than --resize {self.resize}; --crop none keeps all")

    def __str__(self) -> str:
        text = "height {}, width {}".format(*self.size)
        return text if self.size == self.resize else text + ", the centre of {} x {}".format(*self.resize)

    @property
    def size(self) -> tuple:
        """Height and width of what comes out."""
        return tuple(self.crop or self.resize)

    @property
    def offset(self) -> tuple:
        """Row and column in the resized picture at which the crop begins."""
        return tuple((r - s) // 2 for r, s in zip(self.resize, self.size))

    def _crop(self, image: np.ndarray) -> np.ndarray:
        (top, left), (height, width) = self.offset, self.size
        return image[top : top + height, left : left + width]

    def image(self, image: np.ndarray) -> np.ndarray:
        height, width = self.resize
        if image.shape[:2] != (height, width):
            shrinks = height <= image.shape[0] and width <= image.shape[1]
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
        return self._crop(image)

    def mask(self, mask: np.ndarray) -> np.ndarray:
        height, width = self.resize
        resized = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return self._crop(resized) > 0

    def back(self, values: np.ndarray, photograph: tuple) -> tuple:
        """A map -> (the map at the scale of a photograph of (height, width), slices that say where in it it lies)."""
        spans = []
        for start, length, resized, full in zip(self.offset, self.size, self.resize, photograph):
            spans.append(slice(round(start * full / resized), round((start + length) * full / resized)))
        rows, columns = spans
        scaled = cv2.resize(
            values, (columns.stop - columns.start, rows.stop - rows.start), interpolation=cv2.INTER_LINEAR
        )
        return scaled, (rows, columns)
