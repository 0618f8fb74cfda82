"""Text in pictures, of a size that goes with them."""

import unicodedata

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_SIMPLEX
BLACK = (20, 20, 20)
READ_AT = 500  # pixels along a picture's longer side, at which text of the smallest size looks right
SMALLEST = 0.45  # in units of the font


def scale(sides: tuple) -> float:
    """Of text in a picture of these sides."""
    return SMALLEST * max(1.0, max(sides) / READ_AT)


def height(size: float) -> int:
    """Pixels from one line to the next."""
    return round(40 * size)


def width(text: str, size: float) -> int:
    return cv2.getTextSize(_known(text), FONT, size, thickness(size))[0][0]


def thickness(size: float) -> int:
    return max(1, round(size * 1.6))


def fitting(text: str, size: float, *, room: int) -> str:
    """The text, or as much of its end as there is room for: names differ there."""
    if width(text, size) <= room:
        return text
    while len(text) > 1 and width(f"...{text}", size) > room:
        text = text[1:]
    return f"...{text}"


def write(picture: np.ndarray, text: str, *, place: tuple, colour: tuple = BLACK, size: float = SMALLEST) -> None:
    """A line of text whose base begins at `place`, (x, y)."""
    cv2.putText(picture, _known(text), place, FONT, size, colour, thickness(size), cv2.LINE_AA)


def _known(text: str) -> str:
    """OpenCV's font has ASCII alone: letters lose their marks, and what is left of others is a question mark."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(c for c in plain if not unicodedata.combining(c)).encode("ascii", "replace").decode()
