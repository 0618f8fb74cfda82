"""Reading photographs and masks, and bringing them to size."""

import io

import cv2
import numpy as np
import pytest
import torch
from commands import picture, write
from PIL import Image, ImageOps

from anomaly.data import images
from anomaly.data.images import is_image, read_image, read_mask
from anomaly.data.transform import Transform
from anomaly.run.errors import DataError, UsageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
LOSSLESS = (cv2.IMWRITE_WEBP_QUALITY, 101)
EXACT = (".png", ".bmp", ".tif", ".tiff", ".webp")


@pytest.mark.parametrize("suffix", [*EXACT, *(suffix.upper() for suffix in EXACT)])
def test_lossless_formats_give_exact_rgb(tmp_path, suffix):
    image = picture(40, 50)
    path = write(tmp_path / f"a{suffix}", image, *LOSSLESS)
    assert is_image(path)
    read = read_image(path)
    assert read.dtype == np.uint8
    assert np.array_equal(read, image[..., ::-1])


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG", ".webp"])
def test_lossy_formats_give_nearly_the_colours(tmp_path, suffix):
    image = np.zeros((48, 32, 3), np.uint8)
    image[...] = (20, 120, 220)  # blue, green, red
    read = read_image(write(tmp_path / f"a{suffix}", image))
    assert read.shape == (48, 32, 3)
    assert np.abs(read.astype(int) - (220, 120, 20)).max() <= 4


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".PNG", ".JPG"])
def test_grey_images_get_three_equal_channels(tmp_path, suffix):
    grey = np.tile(np.arange(0, 240, 5, dtype=np.uint8), (40, 1))
    read = read_image(write(tmp_path / f"a{suffix}", grey, *LOSSLESS))
    assert read.shape == (*grey.shape, 3)
    assert np.abs(read.astype(int) - grey[..., None]).max() <= (0 if suffix in EXACT else 6)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bit_images_keep_their_upper_byte(tmp_path, suffix, channels):
    shape = (20, 30) if channels == 1 else (20, 30, channels)
    image = np.random.default_rng(0).integers(0, 1 << 16, shape, dtype=np.uint16)
    if channels == 4:
        image[..., 3] = 65535
    read = read_image(write(tmp_path / f"a{suffix}", image))
    upper = (image >> 8).astype(np.uint8)
    wanted = np.repeat(upper[..., None], 3, axis=2) if channels == 1 else upper[..., 2::-1]
    assert read.dtype == np.uint8
    rounding = 0 if suffix == ".png" else 1  # libtiff scales by 255 / 65535 and rounds
    assert np.abs(read.astype(int) - wanted).max() <= rounding


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_an_alpha_channel_is_dropped(tmp_path, suffix):
    image = np.dstack([picture(20, 30), np.full((20, 30), 128, np.uint8)])
    read = read_image(write(tmp_path / f"a{suffix}", image, *LOSSLESS))
    assert np.array_equal(read, image[..., 2::-1])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_a_camera_that_was_held_otherwise_is_believed(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{kind.lower()}"
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True, "exact": True}}.get(kind, {})
    Image.fromarray(picture(20, 30)[..., ::-1].copy()).save(path, kind, exif=exif, **options)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    found = read_image(path)
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright).max() <= (2 if kind == "JPEG" else 0)
    assert images.size_of(path) == read_mask(path).shape == upright.shape[:2]


@pytest.mark.parametrize("part", [0.3, 0.9])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_truncated_image_is_refused_by_name(tmp_path, capfd, suffix, part):
    path = write(tmp_path / f"cut{suffix}", picture(80, 80))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(DataError) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    printed = capfd.readouterr()
    if suffix == ".png":
        assert printed.out + printed.err == ""


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_tiff_of_floats_is_refused(tmp_path, kind):
    path = write(tmp_path / "a.tif", picture(20, 30).astype(kind))
    with pytest.raises(DataError, match=r"a\.tif: not an image of 8 or 16 bits"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"these are words, not pixels\n" * 20])
@pytest.mark.parametrize("reader", [read_image, read_mask])
def test_files_that_are_no_image_are_refused_by_name(tmp_path, capfd, content, reader):
    path = tmp_path / "words.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"words\.png"):
        reader(path)
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


def test_a_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"gone\.png"):
        read_image(tmp_path / "gone.png")


def test_hidden_files_and_other_suffixes_are_no_images(tmp_path):
    assert not is_image(tmp_path / ".hidden.png")
    assert not is_image(tmp_path / "._a.jpg")
    assert not is_image(tmp_path / "a.txt")
    assert not is_image(tmp_path / "png")


@pytest.mark.parametrize("value,kind", [(1, np.uint8), (255, np.uint8), (1, np.uint16), (65535, np.uint16)])
def test_every_value_above_zero_of_a_png_mask_counts(tmp_path, value, kind):
    mask = np.zeros((30, 40), kind)
    mask[5:9, 7:20] = value
    read = read_mask(write(tmp_path / "m.png", mask))
    assert read.dtype == bool
    assert np.array_equal(read, mask > 0)


def test_a_jpeg_mask_is_cut_at_the_middle(tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 8:40] = 255
    assert np.array_equal(read_mask(write(tmp_path / "m.jpg", mask)), mask > 0)


def overlaps(outputs: int, inputs: int) -> np.ndarray:
    """The part of each output pixel that lies in each input pixel."""
    edges = np.arange(outputs + 1) * inputs / outputs
    low, high = edges[:-1, None], edges[1:, None]
    pixels = np.arange(inputs)
    shared = np.minimum(high, pixels + 1) - np.maximum(low, pixels)
    return np.clip(shared, 0, None) * outputs / inputs


@pytest.mark.parametrize("full", [(128, 128), (100, 150), (77, 64), (64, 64)])
def test_shrinking_takes_the_mean_of_the_area(full):
    image = picture(*full)
    out = Transform((48, 64)).image(image)
    wanted = np.einsum("hy,yxc,wx->hwc", overlaps(48, full[0]), image.astype(float), overlaps(64, full[1]))
    assert out.shape == (48, 64, 3)
    assert np.abs(out - wanted).max() <= 1.01


@pytest.mark.parametrize("full", [(40, 40), (64, 40), (40, 200)])
def test_enlarging_a_side_interpolates_linearly(full):
    image = picture(*full)
    out = Transform((64, 96)).image(image)
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    wanted = torch.nn.functional.interpolate(x, size=(64, 96), mode="bilinear", align_corners=False)
    assert np.abs(out - wanted[0].permute(1, 2, 0).numpy()).max() <= 1.01


def test_an_image_of_the_right_size_is_left_alone():
    image = picture(64, 96)
    assert np.array_equal(Transform((64, 96)).image(image), image)


@pytest.mark.parametrize("crop,rows,columns", [((40, 60), (12, 52), (18, 78)), ((33, 96), (15, 48), (0, 96))])
def test_the_crop_is_the_centre_of_the_resized_image(crop, rows, columns):
    image = picture(100, 120)
    resized = Transform((64, 96)).image(image)
    cropped = Transform((64, 96), crop).image(image)
    assert np.array_equal(cropped, resized[slice(*rows), slice(*columns)])
    assert Transform((64, 96), crop).size == crop


@pytest.mark.parametrize("full", [(64, 96), (100, 130), (200, 200), (40, 50)])
def test_masks_take_the_nearest_pixel_and_stay_binary(full):
    mask = np.random.default_rng(3).random(full) < 0.3
    out = Transform((64, 96), (48, 64)).mask(mask)
    rows = ((np.arange(64) + 0.5) * full[0] / 64).astype(int)
    columns = ((np.arange(96) + 0.5) * full[1] / 96).astype(int)
    assert out.dtype == bool
    assert np.array_equal(out, mask[np.ix_(rows, columns)][8:56, 16:80])


@pytest.mark.parametrize("full", [(300, 200), (96, 96), (50, 70), (701, 333)])
@pytest.mark.parametrize("crop", [None, (64, 80)])
def test_back_puts_a_spot_where_it_was_in_the_photograph(full, crop):
    transform = Transform((96, 96), crop)
    row, column = int(full[0] * 0.4), int(full[1] * 0.6)
    photograph = np.zeros((*full, 3), np.uint8)
    radius = max(full) // 12
    cv2.circle(photograph, (column, row), radius, (255, 255, 255), -1)
    seen = transform.image(photograph)[..., 0].astype(np.float32)
    scaled, (rows, columns) = transform.back(seen, full)
    assert scaled.shape == (rows.stop - rows.start, columns.stop - columns.start)
    placed = np.zeros(full)
    placed[rows, columns] = scaled
    y, x = np.mgrid[: full[0], : full[1]]
    found = (placed * y).sum() / placed.sum(), (placed * x).sum() / placed.sum()
    assert abs(found[0] - row) < 0.02 * full[0] + 0.5
    assert abs(found[1] - column) < 0.02 * full[1] + 0.5


def test_back_covers_the_whole_photograph_without_a_crop():
    scaled, spans = Transform((64, 64)).back(np.ones((64, 64), np.float32), (123, 77))
    assert spans == (slice(0, 123), slice(0, 77))
    assert np.allclose(scaled, 1)


@pytest.mark.parametrize("crop", [(65, 64), (64, 65), (100, 100)])
def test_a_crop_larger_than_the_resized_image_is_refused(crop):
    with pytest.raises(UsageError, match="crop"):
        Transform((64, 64), crop)


def test_a_transform_says_what_is_looked_at():
    assert str(Transform((256, 448))) == "height 256, width 448"
    assert str(Transform((256, 448), (224, 400))) == "height 224, width 400, the centre of 256 x 448"


def test_sizes_that_are_too_small_are_refused():
    with pytest.raises(UsageError, match="small"):
        Transform((31, 64))
    with pytest.raises(UsageError, match="small"):
        Transform((64, 64), (64, 16))
    assert Transform((32, 32)).size == (32, 32)


def pngs() -> dict:
    """Kind -> the content of a file, and whether it is one of those that are read fast."""
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(colour, (0, 0), 3)
    tones = Image.fromarray(colour[..., 0])

    def pillow(image, **how) -> bytes:
        file = io.BytesIO()
        image.save(file, "png", **how)
        return file.getvalue()

    def opencv(image, *how) -> bytes:
        return cv2.imencode(".png", image, how)[1].tobytes()

    strategies = {f"strategy {n}": (opencv(smooth, cv2.IMWRITE_PNG_STRATEGY, n), True) for n in range(5)}
    return {
        **strategies,
        "colour": (opencv(colour), True),
        "not packed": (opencv(colour, cv2.IMWRITE_PNG_COMPRESSION, 0), True),
        "filters": (pillow(Image.fromarray(smooth)), True),
        "gamma": (pillow(Image.fromarray(colour), gamma=0.45), True),
        "grey": (pillow(tones), True),
        "of one row": (opencv(colour[:1]), True),
        "a colour that cannot be seen": (pillow(Image.fromarray(colour), transparency=(1, 2, 3)), True),
        "a tone that cannot be seen": (pillow(tones, transparency=5), True),
        "alpha": (opencv(np.dstack([colour, colour[..., :1]])), False),
        "16 bits": (opencv(colour.astype(np.uint16) * 257), False),
        "palette": (pillow(Image.fromarray(colour).quantize(64)), False),
        "black and white": (pillow(tones.convert("1")), False),
    }


@pytest.mark.parametrize("kind", pngs())
def test_the_fast_reader_gives_the_same_pixels(tmp_path, kind, monkeypatch):
    content, fast = pngs()[kind]
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert (images._decode_png(content) is not None) == fast
    found, mask = images.read_image(path), images.read_mask(path)
    monkeypatch.setattr(images, "_has_fast_png", lambda: False)
    np.testing.assert_array_equal(found, images.read_image(path))
    np.testing.assert_array_equal(mask, images.read_mask(path))
    assert found.shape[2] == 3 and found.dtype == np.uint8


def test_what_the_fast_reader_takes_of_damaged_files_are_the_right_pixels():
    """Every byte of a small file changed: it refuses, or gives what was meant."""
    content = cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8))[1].tobytes()
    wanted, taken = images._decode_png(content), 0
    for place in range(len(content)):
        for change in (1, 128):
            damaged = bytearray(content)
            damaged[place] ^= change
            found = images._decode_png(bytes(damaged))
            taken += found is not None
            assert found is None or np.array_equal(found, wanted), place
    assert taken < 8  # of the head of what is packed, which says nothing about pixels


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("kept", [0, 20, 400, -20, -3])
def test_a_png_that_was_cut_off_is_refused_by_both_readers(tmp_path, kept, fast, monkeypatch):
    monkeypatch.setattr(images, "_has_fast_png", lambda: fast)
    path = tmp_path / "a.png"
    path.write_bytes(pngs()["colour"][0][:kept])
    with pytest.raises(DataError, match=r"a\.png"):
        images.read_image(path)
