"""From what somebody sends, or puts into a folder, to a photograph: nothing is decoded before its kind and its size are
known."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from anomaly.data.images import decoded
from anomaly.run.errors import DataError
from anomaly.run.files import is_name

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")  # those that files may have
PLAIN = "photograph"  # a name for what has none
LONGEST_NAME = 200


@dataclass(frozen=True)
class Limits:
    """What one request may cost."""

    megabytes: float = 32  # of a file
    megapixels: float = 50
    seconds: float = 30  # from its first byte to its answer
    waiting: int = 64  # requests at once

    @property
    def bytes(self) -> int:
        return int(self.megabytes * 1e6)


class Refused(Exception):
    """What a client is told: a status of HTTP, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def photograph(content: bytes, name: Path, *, limits: Limits) -> np.ndarray:
    """H W 3, as read_image gives it."""
    width, height = size(content)
    if width * height > limits.megapixels * 1e6:
        raise Refused(413, f"{width} x {height} pixels; up to {limits.megapixels:g} million are taken")
    try:
        return decoded(content, name)
    except DataError:
        raise Refused(422, "not a whole image of 8 or 16 bits; it may have been cut off") from None


def size(content: bytes) -> tuple:
    """Width and height, by the head of the file alone."""
    Image.MAX_IMAGE_PIXELS = None  # the limit here is another one, and nothing is decoded
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return image.size
    except Exception:  # PIL has many ways of saying no
        if not content:
            raise Refused(415, "the file is empty") from None
        raise Refused(415, f"not a photograph, or cut off near its beginning; {', '.join(FORMATS)} are taken") from None


def called(name: str) -> Path:
    """The name of an upload, without anything that leads elsewhere."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1][:LONGEST_NAME]
    return Path(last if is_name(last) and last.isprintable() else PLAIN)
