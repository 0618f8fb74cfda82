"""JPEGs that are broken inside are refused, those that are only unusual are read: in Python and in the C++ program."""

import io

import cv2
import numpy as np
import pytest
from commands import picture, write
from cpp import export, judge, pixels, table
from PIL import Image

from anomaly.data.images import read_image, read_mask
from anomaly.data.transform import Transform
from anomaly.run.errors import DataError

SIZE = (96, 128)
SMOOTH = cv2.GaussianBlur(picture(*SIZE), (0, 0), 2)
START, END = b"\xff\xd8", b"\xff\xd9"


def by_opencv(*settings) -> bytes:
    done, data = cv2.imencode(".jpg", SMOOTH, list(settings))
    assert done
    return data.tobytes()


def by_pillow(mode: str = "RGB", side: int = 1, **options) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(SMOOTH).convert(mode)
    image.resize((side * SIZE[1], side * SIZE[0])).save(file, "JPEG", **{"quality": 90, **options})
    return file.getvalue()


def exif(orientation: int, big: bool = True) -> bytes:
    order = "big" if big else "little"
    entry = [(0x0112, 2), (3, 2), (1, 4), (orientation, 2), (0, 2)]
    head = (b"MM" if big else b"II") + (42).to_bytes(2, order) + (8).to_bytes(4, order) + (1).to_bytes(2, order)
    return b"Exif\0\0" + head + b"".join(value.to_bytes(length, order) for value, length in entry) + bytes(4)


def with_segment(content: bytes, marker: int, body: bytes) -> bytes:
    return START + bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body + content[2:]


USUAL = by_opencv(cv2.IMWRITE_JPEG_QUALITY, 95)
RESTARTS = by_opencv(cv2.IMWRITE_JPEG_RST_INTERVAL, 2)
PROGRESSIVE = by_pillow(progressive=True)
FINE = {
    "usual": USUAL,
    "best quality": by_opencv(cv2.IMWRITE_JPEG_QUALITY, 100),
    "worst quality": by_opencv(cv2.IMWRITE_JPEG_QUALITY, 1),
    "progressive": PROGRESSIVE,
    "progressive by opencv": by_opencv(cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "own huffman tables": by_pillow(optimize=True),
    "restart markers": RESTARTS,
    "grey": by_pillow("L"),
    "four colours": by_pillow("CMYK"),
    "colours at full resolution": by_pillow(subsampling=0),
    "colours at half resolution": by_pillow(subsampling=1),
    "16 megapixels": by_pillow(side=36, quality=60),
    **{f"turned {number}": by_pillow(exif=exif(number)) for number in range(1, 9)},
    "turned, the other order of bytes": by_pillow(exif=exif(6, big=False)),
    "zeros behind the end": USUAL + bytes(5000),
    "words behind the end": USUAL + b"what a camera says",
    "another photograph behind the end": USUAL + PROGRESSIVE,
    "a thumbnail inside": with_segment(USUAL, 0xE2, by_pillow()[:60_000]),
    "words inside": with_segment(USUAL, 0xFE, b"by nobody"),
    "filled up before the end": USUAL[:-2] + b"\xff" * 8 + END,
    "an unknown version": USUAL.replace(b"JFIF\0\1", b"JFIF\0\7", 1),
}


def zeroed(content: bytes, part: float, length: int) -> bytes:
    place = int(part * len(content))
    return content[:place] + bytes(length) + content[place + length :]


BROKEN = {
    "half": USUAL[: len(USUAL) // 2],
    "half, and a forged end": USUAL[: len(USUAL) // 2] + END,
    "nine tenths, and a forged end": USUAL[: 9 * len(USUAL) // 10] + END,
    "zeros in the middle": zeroed(USUAL, 0.5, 300),
    "zeros near the end": zeroed(USUAL, 0.8, 500),
    "zeros between restarts": zeroed(RESTARTS, 0.5, 200),
    "a piece is missing": USUAL[: len(USUAL) // 2] + USUAL[len(USUAL) // 2 + 200 :],
    "progressive, half, and a forged end": PROGRESSIVE[: len(PROGRESSIVE) // 2] + END,
    "progressive, zeros in the middle": zeroed(PROGRESSIVE, 0.5, 300),
    "four colours, half": FINE["four colours"][: len(FINE["four colours"]) // 2] + END,
    "turned, half": FINE["turned 6"][: len(FINE["turned 6"]) // 2] + END,
    "the start alone": USUAL[:20],
    "nothing but a start": b"\xff\xd8\xff",
}


@pytest.fixture(scope="module")
def judged(program, tmp_path_factory):
    """What the C++ program says of all of them, and its output."""
    folder = tmp_path_factory.mktemp("jpegs")
    for name, content in {**FINE, **BROKEN}.items():
        (folder / "in").mkdir(exist_ok=True)
        (folder / "in" / f"{name}.jpg").write_bytes(content)
    done = judge(program, export(folder / "m.onnx", Transform(SIZE, None)), folder / "in", folder / "out")
    return folder, done


@pytest.mark.parametrize("name", FINE)
def test_what_is_only_unusual_is_read_as_opencv_reads_it(judged, name):
    folder, _ = judged
    path = folder / "in" / f"{name}.jpg"
    expected = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    found = read_image(path)
    assert np.array_equal(found, expected)
    here = pixels(folder / "out" / f"{name}.jpg.bin", Transform(SIZE, None)).astype(int)
    there = Transform(SIZE, None).image(found).astype(int)
    assert np.abs(here - there).mean() < 1.5  # decoders differ a little
    assert read_mask(path).shape == found.shape[:2]


@pytest.mark.parametrize("name", BROKEN)
def test_what_a_decoder_would_have_to_guess_is_refused(judged, name):
    folder, done = judged
    path = folder / "in" / f"{name}.jpg"
    for reader in (read_image, read_mask):
        with pytest.raises(DataError, match=r"damaged or truncated \(") as caught:
            reader(path)
        assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    [line] = [line for line in done.stderr.splitlines() if f"/{name}.jpg: " in line]
    assert line.startswith(f"error: {path}: damaged or truncated (") and line.endswith("); replace or remove it")


def test_the_cpp_program_judges_those_that_are_whole_and_no_others(judged):
    folder, done = judged
    assert done.returncode == 1 and len(done.stderr.splitlines()) == len(BROKEN)
    assert [row["name"] for row in table(folder / "out")] == sorted(f"{name}.jpg" for name in FINE)


@pytest.mark.parametrize("suffix", [".bmp", ".tif", ".webp", ".png"])
def test_what_is_shorter_than_its_header_says_is_refused(program, tmp_path, suffix):
    whole = write(tmp_path / f"whole{suffix}", SMOOTH).read_bytes()
    (tmp_path / "in").mkdir()
    cuts = (0.3, 0.6, 0.9) if suffix == ".webp" else (0.3, 0.6, 0.9, 0.99)
    for part in cuts:
        path = tmp_path / "in" / f"{part}{suffix}"
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(DataError, match=r"truncated"):
            read_image(path)
    done = judge(program, export(tmp_path / "m.onnx"), tmp_path / "in", tmp_path / "out")
    assert done.returncode == 1 and table(tmp_path / "out") == []
    assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == len(cuts)
