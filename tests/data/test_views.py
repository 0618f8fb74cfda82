"""Kept proportions, regions of interest and tiles: from a photograph to pictures, and back."""

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import write
from PIL import Image

from anomaly.data import loader, roi
from anomaly.data.samples import Sample
from anomaly.data.tiles import Tiles
from anomaly.data.transform import PAINT, Transform
from anomaly.measure.calibration import Scale
from anomaly.measure.regions import above, floored
from anomaly.run.errors import DataError, UsageError

SHAPES = [(64, 64), (100, 64), (64, 101), (33, 200), (300, 40), (17, 9)]
rng = np.random.default_rng(0)


def noise(shape) -> np.ndarray:
    return rng.integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_kept_proportions(shape):
    transform, photograph = Transform((64, 96), keep_aspect=True), noise(shape)
    picture, seen = transform.image(photograph), transform.seen(shape)
    assert picture.shape == (64, 96, 3) and seen.shape == (64, 96)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    height, width = len(rows), len(columns)
    assert seen.sum() == height * width  # a rectangle
    assert height == 64 or width == 96  # that touches one pair of sides
    assert abs(height / width / (shape[0] / shape[1]) - 1) < 1 / min(height, width)
    assert (picture[~seen] == PAINT).all()
    inside = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    shrinks = height <= shape[0] and width <= shape[1]
    wanted = cv2.resize(photograph, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    assert np.array_equal(inside, wanted)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_map_goes_back_to_where_it_came_from(shape):
    """The place of a bright square in the photograph, by way of the picture."""
    transform, photograph = Transform((256, 256), keep_aspect=True), np.zeros((*shape, 3), np.uint8)
    y, x = shape[0] // 3, shape[1] // 2
    photograph[y : y + max(2, shape[0] // 8), x : x + max(2, shape[1] // 8)] = 255
    back, (rows, columns) = transform.back(transform.image(photograph)[..., 0].astype(np.float32), shape)
    assert back.shape == shape and (rows, columns) == (slice(0, shape[0]), slice(0, shape[1]))
    assert np.abs(back - photograph[..., 0]).mean() < 12
    frame = transform.frame(shape)
    assert frame.height / 256 == pytest.approx(frame.width / 256, rel=0.02)  # one scale both ways


def test_a_crop_and_kept_proportions_are_not_for_one_picture():
    with pytest.raises(UsageError, match="keep_aspect"):
        Transform((64, 64), (32, 32), keep_aspect=True)


def test_a_region_survives_as_text():
    for _ in range(20):
        mask = rng.random((rng.integers(1, 40), rng.integers(1, 40))) > rng.random()
        assert np.array_equal(roi.decoded(roi.encoded(mask)), mask)


@pytest.mark.parametrize(
    "text",
    [
        "rle:2x2:5",
        "rle:2x2:0,9223372036854775807,9223372036854775807,6",
        "rle:2x2:-1,5",
        "rle:2x2:a",
        "rle:0x2:0",
        "rle:2:4",
        "rle:2x2:1,2",
        "rle:2x2:4",  # empty
        "rle:32768x32768:0,1073741824",  # a gigabyte
    ],
)
def test_a_damaged_region_is_refused(text):
    with pytest.raises(UsageError, match="roi"):
        roi.parse(text)


def test_a_region_comes_from_an_image_or_polygons(tmp_path):
    mask = np.zeros((40, 60), bool)
    mask[10:31, 20:51] = True
    file = write(tmp_path / "roi.png", mask.astype(np.uint8) * 255)
    assert np.array_equal(roi.decoded(roi.parse(str(file))), mask)
    polygons = tmp_path / "roi.yaml"
    polygons.write_text("size: [40, 60]\npolygons: [[[20, 10], [50, 10], [50, 30], [20, 30]]]")
    assert np.array_equal(roi.decoded(roi.parse(str(polygons))), mask)
    shape = "polygons: [[[0, 0], [{}, 0], [9, 9]]]"
    for wrong in (
        "size: [40, 60]",
        "polygons: 3\nsize: [4, 4]",
        "[",
        "size: [40, 60]\npolygons: [[[1, 2]]]",
        "size: [40000, 40000]\n" + shape.format(9),
        *(f"size: [40, 60]\n{shape.format(far)}" for far in (".nan", ".inf", "1e30")),
    ):
        polygons.write_text(wrong)
        with pytest.raises(DataError, match="polygons"):
            roi.parse(str(polygons))
    write(tmp_path / "black.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match="empty"):
        roi.parse(str(tmp_path / "black.png"))
    with pytest.raises(UsageError, match="no such"):
        roi.parse(str(tmp_path / "none.png"))


def test_outside_of_a_region_nothing_is_seen():
    mask = np.zeros((100, 150), bool)
    mask[20:70, 30:110] = True
    transform = Transform((64, 96), (48, 64), region=roi.encoded(mask))
    one, other = noise((200, 300)), noise((200, 300))
    whole = cv2.resize(mask.astype(np.uint8), (300, 200), interpolation=cv2.INTER_NEAREST_EXACT) > 0
    for part in (~cv2.dilate(whole.astype(np.uint8), np.ones((9, 9))).astype(bool),):
        other[~part] = one[~part]  # they differ far outside alone
    assert np.array_equal(transform.image(one), transform.image(other))
    seen = transform.seen((200, 300))
    assert np.array_equal(seen, transform.mask(whole))
    with pytest.raises(DataError, match="proportions"):
        transform.image(noise((100, 100)))


def test_each_photograph_may_have_its_own_region(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / "photos" / f"{name}.jpg", noise((64, 64)))
    left = np.zeros((64, 64), np.uint8)
    left[:, :20] = 255
    write(tmp_path / "roi" / "a.png", left)
    write(tmp_path / "roi" / "b_mask.png", left[:, ::-1].copy())
    transform = Transform((64, 64), region=roi.parse(str(tmp_path / "roi")))
    samples = [Sample(tmp_path / "photos" / f"{name}.jpg") for name in ("a", "b")]
    [batch] = loader.batches(samples, transform)
    assert (batch.images[0, :, 20:] == PAINT).all() and (batch.images[1, :, :44] == PAINT).all()
    with pytest.raises(DataError, match="no region"):
        transform.seen((64, 64), tmp_path / "photos" / "c.jpg")


@pytest.mark.parametrize("threshold", [float("nan"), -9.0, 0.0, 9.0])
def test_a_map_is_coldest_outside_and_marked_nowhere(threshold):
    values = rng.normal(size=(8, 8)).astype(np.float32)
    seen = np.zeros((8, 8), bool)
    seen[2:5, 2:5] = True
    scale = Scale(threshold, 1.0)
    found = floored(values, seen, scale=scale)
    assert np.array_equal(found[seen], values[seen]) and (found[~seen] <= values[seen].min()).all()
    assert not above(found, scale)[~seen].any() and above(found, scale)[seen].any()
    assert floored(values, None, scale=scale) is values


@pytest.mark.parametrize("shape", [(64, 64), (65, 64), (64, 200), (150, 131), (40, 30), (300, 64)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_tiles_cover_a_photograph_and_overlap_as_asked(shape, overlap):
    tiles = Tiles((64, 64), overlap=overlap)
    covered = np.zeros(shape, int)
    windows = tiles.windows(shape)
    for window in windows:
        assert 0 <= window.top <= max(0, shape[0] - 64) and 0 <= window.left <= max(0, shape[1] - 64)
        covered[window.top : window.top + 64, window.left : window.left + 64] += 1
    assert covered.min() >= 1
    assert [window.number for window in windows] == list(range(len(windows)))
    tops = sorted({window.top for window in windows})
    assert all(after - before <= round(64 * (1 - overlap)) for before, after in pairwise(tops))


@pytest.mark.parametrize("shape", [(64, 64), (150, 131), (40, 30), (64, 200)])
def test_what_is_cut_and_joined_is_the_same_again(shape):
    tiles, photograph = Tiles((64, 64)), noise(shape)
    pieces = tiles.pieces((Sample(Path("a photograph"), pixels=photograph),))
    cut = [loader.read_sample(piece, tiles, with_mask=False)[0] for piece in pieces]
    assert all(part.shape == (64, 64, 3) for part in cut)
    maps = [part[..., 0].astype(np.float32) for part in cut]
    joined = tiles.join(maps, [piece.window for piece in pieces], photograph=shape)
    np.testing.assert_allclose(joined, photograph[..., 0], atol=1e-3)
    assert joined.dtype == np.float32


def test_there_are_no_seams():
    """Windows that do not agree: between them the map changes gradually."""
    tiles = Tiles((64, 64), overlap=0.5)
    windows = tiles.windows((64, 160))
    maps = [np.full((64, 64), float(window.number), np.float32) for window in windows]
    joined = tiles.join(maps, windows, photograph=(64, 160))
    assert len(windows) > 2
    assert np.abs(np.diff(joined, axis=1)).max() < 0.08  # of a step of 1


def test_a_photograph_is_decoded_once_for_all_its_tiles(tmp_path, monkeypatch):
    paths = [write(tmp_path / f"{i}.png", noise((200, 200))) for i in range(3)]
    read, asked = loader.read_image, []
    monkeypatch.setattr(loader, "read_image", lambda path: (asked.append(path), read(path))[1])
    tiles = Tiles((64, 64))
    pieces = tiles.pieces(tuple(map(Sample, paths)))
    number = sum(batch.size for batch in loader.batches(pieces, tiles, batch_size=4, workers=4))
    assert number == len(pieces) == 3 * len(tiles.windows((200, 200)))
    assert sorted(asked) == sorted(paths)


def test_a_photograph_that_lies_on_its_side_has_tiles_as_it_is_shown(tmp_path):

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise((64, 200))).save(tmp_path / "a.jpg", exif=exif)
    tiles = Tiles((64, 64))
    pieces = tiles.pieces((Sample(tmp_path / "a.jpg"),))
    assert {piece.window.left for piece in pieces} == {0} and len(pieces) > 1
    assert sum(batch.size for batch in loader.batches(pieces, tiles)) == len(pieces)


def test_an_unreadable_photograph_is_told_once(tmp_path):
    good = write(tmp_path / "a.png", noise((100, 100)))
    broken = tmp_path / "b.png"
    broken.write_bytes(good.read_bytes()[:-3000])
    tiles, told = Tiles((64, 64)), []
    pieces = tiles.pieces((Sample(broken), Sample(good)))
    batches = list(loader.batches(pieces, tiles, on_error=told.append))
    assert len(told) == 1 and "b.png" in str(told[0])
    assert {sample.path for batch in batches for sample in batch.samples} == {good}
