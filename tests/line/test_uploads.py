"""What is sent: every kind of file is the same photograph as on a disk, and nothing large is decoded."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_model import photograph as drawn

from anomaly.data.images import read_image
from anomaly.line import uploads
from anomaly.line.uploads import Limits, Refused, called, photograph
from anomaly.run.errors import DataError

RGB = Image.fromarray(drawn(0, defect=True, side=80))
TURNED = Image.Exif()
TURNED[0x0112] = 6


def content(image: Image.Image, kind: str, **more) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


SIXTEEN = Image.fromarray(np.asarray(RGB.convert("L")).astype(np.uint16) * 257)
KINDS = {
    "png": content(RGB, "PNG"),
    "grey 16 bits": content(SIXTEEN, "PNG"),
    "palette": content(RGB.convert("P"), "PNG"),
    "alpha": content(RGB.convert("RGBA"), "PNG"),
    "animated png": content(RGB, "PNG", save_all=True, append_images=[RGB.rotate(90)]),
    "turned png": content(RGB.resize((40, 80)), "PNG", exif=TURNED),
    "jpg": content(RGB, "JPEG"),
    "progressive": content(RGB, "JPEG", progressive=True),
    "cmyk": content(RGB.convert("CMYK"), "JPEG"),
    "turned": content(RGB.resize((40, 80)), "JPEG", exif=TURNED),
    "bmp": content(RGB, "BMP"),
    "tiff": content(RGB, "TIFF", compression="tiff_lzw"),
    "webp": content(RGB, "WEBP"),
}
ANIMATED = content(RGB, "WEBP", save_all=True, append_images=[RGB.rotate(90)])  # which the C++ program cannot read


def test_an_animation_is_refused_as_on_a_disk(tmp_path):
    (tmp_path / "a.webp").write_bytes(ANIMATED)
    with pytest.raises(Refused):
        photograph(ANIMATED, Path("x"), limits=Limits())
    with pytest.raises(DataError):
        read_image(tmp_path / "a.webp")


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_photograph_that_lies_on_a_disk(kind, tmp_path):
    suffix = "png" if "png" in kind or kind in ("grey 16 bits", "palette", "alpha") else "bin"
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(KINDS[kind])
    found = photograph(KINDS[kind], Path("x"), limits=Limits())
    np.testing.assert_array_equal(found, read_image(path))
    assert found.shape == ((40, 80, 3) if "turned" in kind else (80, 80, 3))


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


REFUSED = {
    "nothing": (b"", 415),
    "words": (b"these are words", 415),
    "gif": (content(RGB, "GIF"), 415),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
    "floats": (content(Image.fromarray(np.ones((40, 40), np.float32)), "TIFF"), 422),
    "a part of a jpg": (KINDS["jpg"][:-100], 422),
    "a jpg without its end": (KINDS["jpg"][:-2], 422),
    "half a png": (KINDS["png"][: len(KINDS["png"]) // 2], 422),
    "a bomb": (png(60000, 60000, bytes(1000)), 413),
    "a long one": (png(1, 60_000_000, bytes(1000)), 413),
    "text that unpacks to much": (
        KINDS["png"][:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000))) + KINDS["png"][33:],
        415,
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_photograph_is_refused_with_a_reason(kind, capfd):
    data, status = REFUSED[kind]
    with pytest.raises(Refused) as refused:
        photograph(data, Path("x"), limits=Limits())
    assert refused.value.status == status and refused.value.reason and "\n" not in refused.value.reason


def test_pixels_are_counted_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(uploads, "decoded", None)
    with pytest.raises(Refused, match="80 x 80 pixels") as refused:
        photograph(KINDS["png"], Path("x"), limits=Limits(megapixels=0.006))
    assert refused.value.status == 413


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("a.png", "a.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\b.png", "b.png"),
        ("..", "photograph"),
        ("", "photograph"),
        ("a/", "photograph"),
        ("a\0.png", "photograph"),
        ("a\nb.png", "photograph"),
        ("汉.png", "汉.png"),
    ],
)
def test_a_name_leads_nowhere(name, wanted):
    assert called(name) == Path(wanted)
