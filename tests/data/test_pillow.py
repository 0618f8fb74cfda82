"""Pictures of Pillow's are read as their files would be."""

import io

import numpy as np
import pytest
from PIL import Image

from anomaly.data import images
from anomaly.data.images import read_image
from anomaly.run.errors import DataError


def files_of_all_kinds() -> dict:
    values = np.random.default_rng(0).integers(0, 256, (9, 7, 4)).astype(np.uint8)
    colour, turned = Image.fromarray(values[..., :3]), Image.Exif()
    turned[0x0112] = 6
    pictures = {
        "colour": colour,
        "alpha": Image.fromarray(values),
        "grey": Image.fromarray(values[..., 0]),
        "grey and alpha": Image.fromarray(values[..., :2]),
        "palette": colour.quantize(5),
        "two colours": Image.fromarray(values[..., 0]).convert("1"),
        "16 bits": Image.fromarray(values[..., 0].astype(np.uint16) * 257),
    }
    files = {kind: io.BytesIO() for kind in (*pictures, "on its side")}
    for kind, each in pictures.items():
        each.save(files[kind], "PNG")
    colour.save(files["on its side"], "TIFF", exif=turned)
    return files


@pytest.mark.parametrize("kind", files_of_all_kinds())
def test_a_picture_of_pillows_is_read_as_its_file(tmp_path, kind):
    file = files_of_all_kinds()[kind]
    path = tmp_path / "file.any"
    path.write_bytes(file.getvalue())
    found = images.from_pillow(Image.open(file))
    assert found.dtype == np.uint8 and np.array_equal(found, read_image(path))
    assert found.shape == ((7, 9, 3) if kind == "on its side" else (9, 7, 3))


def test_pillows_colours_that_a_png_has_not_are_converted():
    red = Image.new("CMYK", (4, 5), (0, 255, 255, 0))
    assert np.array_equal(images.from_pillow(red), np.full((5, 4, 3), (255, 0, 0), np.uint8))


def test_a_picture_of_pillows_that_is_broken_or_closed_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    with pytest.raises(DataError, match="a picture of Pillow's: cannot be read"):
        images.from_pillow(Image.open(io.BytesIO(file.getvalue()[:900])))
    (tmp_path / "a.png").write_bytes(file.getvalue())
    with Image.open(tmp_path / "a.png") as left:
        pass
    closed = Image.open(file)
    closed.close()
    for each in (closed, left):
        with pytest.raises(DataError, match="a picture of Pillow's: cannot be read"):
            images.from_pillow(each)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pillows_floats_and_whole_numbers_are_refused_as_in_files(mode):
    with pytest.raises(DataError, match="not an image of 8 or 16 bits"):
        images.from_pillow(Image.new(mode, (5, 4)))


def test_an_empty_picture_of_pillows_is_refused():
    with pytest.raises(DataError, match="or empty"):
        images.from_pillow(Image.new("RGB", (0, 5)))


def test_a_picture_whose_exif_is_damaged_is_read_as_it_lies():
    noise, file = np.random.default_rng(0).integers(0, 256, (8, 9, 3)).astype(np.uint8), io.BytesIO()
    Image.fromarray(noise).save(file, "PNG", exif=b"Exif\0\0MM nothing of use")
    assert np.array_equal(images.from_pillow(Image.open(file)), noise)
