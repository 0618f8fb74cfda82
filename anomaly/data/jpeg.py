"""Reads JPEGs, and refuses those of which a decoder would have to guess a part.

OpenCV and Pillow fill in what is broken, and say nothing; such a picture would be called anomalous.
"""

import importlib
import io
from pathlib import Path
from typing import Any, Optional

import numpy as np

from anomaly.run.errors import DataError, first_line

START = b"\xff\xd8\xff"
EXIF, ORIENTATION = b"Exif\0\0", 0x0112
COLOURS = ("YCbCr", "RGB", "Gray")  # which all decoders turn into RGB alike
MOST = 1 << 30  # pixels, as OpenCV has it
HARMLESS = ("Unknown Adobe color transform", "Warning: unknown JFIF revision")  # which say nothing of the pixels


def decode(content: bytes, path: Path) -> Optional[np.ndarray]:
    """H W 3, RGB. None where another decoder has to turn the colours or the picture. `path`: what an error calls it."""
    simplejpeg: Any = importlib.import_module("simplejpeg")
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        if height * width > MOST:
            raise ValueError("of too many pixels")
        image = simplejpeg.decode_jpeg(content, "RGB", strict=True)
    except ValueError as error:
        if str(error).startswith(HARMLESS):
            return None
        raise DataError(f"{path}: damaged or truncated ({first_line(error)}); replace or remove it") from None
    return None if colours not in COLOURS or _is_turned(content) else image


def _is_turned(content: bytes) -> bool:
    if EXIF not in content:
        return False
    from PIL import Image  # here, since --help need not wait for it

    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.getexif().get(ORIENTATION, 1) != 1
    except Exception:  # of what is no EXIF, others think what they will
        return True
