"""Changed copies of photographs: which, in what order, and what each looks like."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import picture, write

from anomaly.data import augment
from anomaly.data.augment import Change
from anomaly.data.loader import batches, read_sample
from anomaly.data.samples import Sample, grouped
from anomaly.data.tiles import Tiles
from anomaly.data.transform import Transform
from anomaly.run.errors import UsageError
from patchcore.src.config import Config

ALL = "horizontal,vertical,rotation,light"


def expanded(samples, kinds=ALL, copies=1, seed=1):
    return augment.expanded(samples, kinds, copies=copies, seed=seed)


@pytest.fixture
def samples(tmp_path):
    return tuple(Sample(write(tmp_path / f"{n}.png", picture(60, 90, seed=n))) for n in range(4))


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("", ""),
        ("none", ""),
        ("light, horizontal", "horizontal,light"),
        ("flips", "horizontal,vertical"),
        ("Rotation,flips,vertical", "horizontal,vertical,rotation"),
    ],
)
def test_kinds_are_written_in_one_way(text, kinds):
    assert Config(augment=text).augment == kinds
    assert augment.parse(kinds) == kinds


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"augment": "sideways"}, "horizontal, vertical, rotation, light"),
        ({"augment_copies": 2}, "--augment_copies needs --augment"),
        ({"augment": "vertical", "augment_copies": 2}, "vertical makes 1 that differ"),
        ({"augment": "flips", "augment_copies": 4}, "makes 3 that differ"),
        ({"augment": "light", "augment_copies": 0}, "augment_copies: '0'"),
    ],
)
def test_what_makes_no_sense_is_refused(options, words):
    with pytest.raises(UsageError, match=words):
        Config(**options)


def test_regions_of_their_own_do_not_move_with_a_photograph(tmp_path):
    assert Config(augment="light", roi=str(tmp_path))
    with pytest.raises(UsageError, match="would not move with it"):
        Config(augment="light,rotation", roi=str(tmp_path))


def test_off_changes_nothing(samples):
    assert expanded(samples, "") is samples
    assert samples[0].digest() == Sample(samples[0].path).digest()


def test_copies_come_directly_after_their_original_and_belong_to_it(samples):
    found = expanded(samples, copies=2)
    assert [sample.path for sample in found] == [sample.path for sample in samples for _ in range(3)]
    assert augment.unchanged(found).tolist() == [True, False, False] * 4
    called, number = grouped(found)
    assert called == ("0.png", "1.png", "2.png", "3.png") and number.tolist() == [n for n in range(4) for _ in range(3)]
    assert expanded(found, copies=2) is found
    assert len({sample.digest() for sample in found}) == 12


def test_each_copy_has_the_same_windows(samples):
    found = Tiles((40, 40)).pieces(expanded(samples[:2]))
    windows = [sample.window for sample in found]
    quarter = len(windows) // 4
    assert windows[:quarter] == windows[quarter : 2 * quarter] and quarter == windows[0].count
    called, number = grouped(found)
    assert len(called) == 2 and number.tolist() == [0] * 2 * quarter + [1] * 2 * quarter


def test_the_seed_decides(samples):
    first, same, other = (expanded(samples, copies=3, seed=seed) for seed in (1, 1, 2))
    assert first == same and first != other
    assert augment.expanded(samples[2:], ALL, copies=3, seed=1, first=2) == first[8:]
    for one, two in zip(*(batches(each, Transform((64, 64))) for each in (first, same))):
        np.testing.assert_array_equal(one.images, two.images)


def test_changes_stay_within_their_bounds_and_are_of_the_kinds_asked_for():
    found = augment.drawn(ALL, 500, seed=1, number=0)
    angles, gains = (np.array([getattr(each, name) for each in found]) for name in ("angle", "gain"))
    assert 4.8 < np.abs(angles).max() <= 5 and 0.9 <= gains.min() < 0.91 and 1.09 < gains.max() <= 1.1
    assert {(each.horizontal, each.vertical) for each in found} == {(h, v) for h in (0, 1) for v in (0, 1)}
    assert {replace(each, angle=0.0) for each in augment.drawn("rotation", 9, seed=1, number=0)} == {Change()}
    assert {replace(each, gain=1.0) for each in augment.drawn("light", 9, seed=1, number=0)} == {Change()}
    mirrored = augment.drawn("horizontal,vertical", 3, seed=1, number=0)
    assert len(set(mirrored)) == 3 and Change() not in mirrored


def test_a_photograph_is_mirrored_and_lit_exactly():
    image = picture(5, 7)
    np.testing.assert_array_equal(Change(horizontal=True)(image), np.flip(image, 1))
    np.testing.assert_array_equal(Change(vertical=True)(image), np.flip(image, 0))
    expected = np.array(
        [[[min(255, round(value * 1.1)) for value in place] for place in row] for row in image.tolist()]
    )
    np.testing.assert_array_equal(Change(gain=1.1)(image), expected)


@pytest.mark.parametrize("size", [(60, 91), (33, 20)])
def test_a_turned_photograph_keeps_its_size_and_has_no_empty_corner(size):
    image = np.full((*size, 3), 200, np.uint8)
    turned = Change(angle=5.0)(image)
    assert turned.shape == image.shape and (turned == 200).all()


def test_a_photograph_is_turned_around_its_middle():
    image = np.full((41, 41, 3), 200, np.uint8)
    image[20, 30] = 0
    found = np.argwhere(Change(angle=90.0)(image)[..., 0] < 100)
    assert found.tolist() == [[10, 20]]  # against the clock: from the right to the top


def test_a_region_lies_on_the_changed_photograph(samples, tmp_path):
    mask = np.zeros((60, 90), np.uint8)
    mask[:, :30] = 255
    region = Config(roi=str(write(tmp_path / "roi.png", mask))).roi
    sample = replace(samples[0], change=Change(horizontal=True))
    view = Transform((60, 90), region=region)
    image, _, photograph = read_sample(sample, view, with_mask=False)
    expected = cv2.flip(cv2.imread(str(sample.path))[..., ::-1], 1)
    np.testing.assert_array_equal(photograph, expected)
    np.testing.assert_array_equal(image[:, :30], expected[:, :30])
    assert (image[:, 31:] == image[0, 60]).all()


def test_pieces_of_arrays_and_of_files_are_those_of_the_changed_photograph(samples):
    view = Tiles((40, 40))
    pixels = cv2.imread(str(samples[0].path))[..., ::-1].copy()
    of_file = view.pieces(expanded(samples[:1]))
    of_array = view.pieces(expanded((Sample(Path("a"), pixels=pixels), Sample(Path("a"), pixels=255 - pixels))))
    first, second = ([b.images[: b.size] for b in batches(each, view)] for each in (of_file, of_array))
    first, second = np.concatenate(first), np.concatenate(second)
    np.testing.assert_array_equal(first, second[: len(first)])
    assert (second[len(first) :][: len(first) // 2] == 255 - first[: len(first) // 2]).all()
    changed = of_file[-1].change(pixels)
    window = of_file[-1].window
    np.testing.assert_array_equal(first[-1], changed[window.top : window.top + 40, window.left : window.left + 40])
