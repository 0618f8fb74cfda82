"""Reads and writes photographs and masks."""

import contextlib
import functools
import importlib.util
import io
import warnings
from pathlib import Path
from typing import Any, Optional, Union

import cv2
import numpy as np

from anomaly.data import jpeg
from anomaly.run.errors import DataError, first_line
from anomaly.run.files import replacing

warnings.filterwarnings("ignore", module=r"PIL\.")  # of what it reads all the same
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
LOSSY = (".jpg", ".jpeg", ".webp")
ORIENTATION, SIDEWAYS = 0x0112, 5  # in a photograph's EXIF; from this value on it lies on its side
PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
PNG_CHUNKS, FRAME = 8, 12  # where they begin, and the bytes of each around its own
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"  # of a whole file
PNG_KINDS = {b"\x08\2\0\0\0": "rgb", b"\x08\0\0\0\0": "mono"}  # of 8 bits, row after row
PNG_LARGEST = 1 << 27  # pixels that are believed in before they are seen
WEBP, MOVES, HAS_EXIF = b"WEBPVP8X", 0x02, 0x08  # in the head of a WebP; its bits of several pictures, and of EXIF
TURNED = b"eXIf"  # what the fast reader of PNG does not look at, and so may leave lying on its side


def is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _holds_floats(data: np.ndarray) -> bool:
    """OpenCV would turn them into an image that is all white. Of the formats that are read only TIFF can hold them."""
    if data[:2].tobytes() not in (b"II", b"MM"):
        return False
    image = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR)
    return image is not None and image.dtype not in (np.uint8, np.uint16)


def content_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _decode(content: bytes, path: Path, flags: int) -> np.ndarray:
    data = np.frombuffer(content, np.uint8)
    bits = content[20] if content[8:16] == WEBP and content[20:21] else 0
    if bits & MOVES:
        raise DataError(f"{path}: is an animation; save the picture that is meant")
    if bits & HAS_EXIF:  # which some versions of OpenCV obey and others do not
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
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
    return _turned(image, content) if bits & HAS_EXIF else image


def _turned(image: np.ndarray, webp: bytes) -> np.ndarray:
    """The image as the EXIF of its file says that it is looked at."""
    from PIL import Image  # here, since --help need not wait for it

    try:
        with Image.open(io.BytesIO(webp)) as head:
            orientation = head.getexif().get(ORIENTATION, 1)
    except Exception:  # whose EXIF cannot be read is not turned
        return image
    if orientation in (5, 6, 7, 8):
        image = cv2.transpose(image)
    ways = {2: 1, 6: 1, 3: -1, 7: -1, 4: 0, 8: 0}
    return cv2.flip(image, ways[orientation]) if orientation in ways else image


def read_image(path: Union[str, Path]) -> np.ndarray:
    """Any image as 8-bit RGB, H W 3: 16 bits become 8, an alpha channel is dropped."""
    path = Path(path)
    return decoded(content_of(path), path)


def decoded(content: bytes, path: Path) -> np.ndarray:
    """The same from what stands in a file. `path`: what an error calls it."""
    image = jpeg.decode(content, path) if content.startswith(jpeg.START) else _decode_png(content)
    if image is None:
        return cv2.cvtColor(_decode(content, path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if image.ndim == 2 else image


def from_pillow(picture: Any) -> np.ndarray:
    """A picture of Pillow's, H W 3, as its file would be read."""
    if picture.mode in ("F", "I") or not min(picture.size):  # as with files
        raise DataError(f"a picture of Pillow's ({picture.mode}): not an image of 8 or 16 bits, or empty")
    try:
        return _of_pillow(picture)
    except Exception as error:  # its file is broken, or was closed before it was read
        reason = first_line(error) or type(error).__name__
        raise DataError(f"a picture of Pillow's: cannot be read ({reason})") from None


def _of_pillow(picture: Any) -> np.ndarray:
    from PIL import ImageOps  # here, since --help need not wait for it

    picture.load()
    with contextlib.suppress(Exception):  # where its EXIF cannot be read it is taken as it lies, as from a file
        picture = ImageOps.exif_transpose(picture)
    if picture.mode == "RGB":
        return np.asarray(picture)
    file = io.BytesIO()
    if picture.mode in ("1", "L", "LA", "P", "RGBA", "I;16", "I;16B", "I;16L", "I;16N"):  # what a PNG can hold
        picture.save(file, "PNG")
        return decoded(file.getvalue(), Path("a picture of Pillow's"))
    return np.asarray(picture.convert("RGB"))


@functools.lru_cache
def _has_fast_png() -> bool:
    return importlib.util.find_spec("kornia_rs") is not None


def _decode_png(content: bytes) -> Optional[np.ndarray]:
    """The same in half the time, H W 3 or of greys H W, of what most photographs and masks are; None of others."""
    width, height = (int.from_bytes(content[i : i + 4], "big") for i in (16, 20))
    kind = PNG_KINDS.get(content[24:29])
    usual = content.startswith(PNG_START) and content.endswith(PNG_END)
    if not (kind and usual and 0 < width * height <= PNG_LARGEST and _has_fast_png()) or _says_turned(content):
        return None
    fast: Any = importlib.import_module("kornia_rs.io")
    try:
        image: np.ndarray = fast.decode_image_png_u8(content, (height, width), kind)
    except Exception:  # the other reader says what is wrong
        return None
    return image if kind == "rgb" else image.reshape(height, width)


def _says_turned(png: bytes) -> bool:
    """Whether one of its chunks may say that it is turned. Searching all bytes would take longer."""
    place = PNG_CHUNKS
    while place < len(png):
        if png[place + 4 : place + 8] == TURNED:
            return True
        place += FRAME + int.from_bytes(png[place : place + 4], "big")
    return False


def size_of(path: Path) -> tuple:
    """Height and width, as read_image gives them, by the head of the file alone where that is possible."""
    from PIL import Image  # here, since --help need not wait for it

    try:
        with Image.open(path) as image:
            width, height = image.size
            orientation = image.getexif().get(ORIENTATION, 1)
            if orientation != 1 and image.format != "JPEG":  # which readers treat differently
                return read_image(path).shape[:2]
            turned = orientation >= SIDEWAYS
        return (width, height) if turned else (height, width)
    except Exception:  # the reader of the whole says what is wrong
        return read_image(path).shape[:2]


def read_mask(path: Path) -> np.ndarray:
    """A mask as bool, H W: what is not black. In a lossy format, where black is not kept exactly, the upper half."""
    content = content_of(path)
    if content.startswith(jpeg.START):
        jpeg.decode(content, path)  # whether it is whole
    fast = _decode_png(content)
    values = _decode(content, path, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH) if fast is None else fast
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
