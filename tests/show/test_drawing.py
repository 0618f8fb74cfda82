"""Pictures of results."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import picture

from anomaly.data.images import write_image
from anomaly.measure.calibration import Scale
from anomaly.show import pictures as drawing

SCALE = Scale(10.0, 2.0)
NOTHING = Scale(float("nan"), 1.0)


@pytest.mark.parametrize("name", ["a.png", "b.bmp"])
def test_a_saved_picture_comes_back_with_its_colours(tmp_path, name):
    image = picture(20, 30)
    write_image(tmp_path / "new" / name, image)
    assert np.array_equal(cv2.imread(str(tmp_path / "new" / name))[..., ::-1], image)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [name]


def test_two_photographs_never_share_a_picture():
    names = ["a.png", "a.jpg", "a.jpg.png", "a.png.png", "a.jpg.png.png", "a.PNG", "a.b.png"]
    pictures = [drawing.file_name(Path(name)) for name in names]
    assert len(set(pictures)) == len(names) and all(each.endswith(".png") for each in pictures)
    assert pictures[0] == "a.png" and pictures[-1] == "a.b.png"


def test_colours_go_from_blue_over_green_to_red():
    low, middle, high = drawing.heat(np.array([[0.0, 0.5, 1.0]]))[0].astype(int)
    assert low.argmax() == 2
    assert middle.argmax() == 1
    assert high.argmax() == 0


def test_the_same_value_has_the_same_colour_in_every_picture():
    one, other = np.array([[8.0, 9.0, 30.0]]), np.array([[9.0, 9.5, 10.0]])
    first, second = (drawing.heat(drawing.levels(values, SCALE)) for values in (one, other))
    assert np.array_equal(first[0, 1], second[0, 0])


def test_without_a_threshold_the_range_of_the_picture_is_used():
    found = drawing.levels(np.array([[3.0, 4.0, 5.0]]), NOTHING)
    assert found.tolist() == [[0, 0.5, 1]]
    assert drawing.levels(np.full((2, 2), 3.0), NOTHING).tolist() == [[0, 0], [0, 0]]


def test_an_overlay_leaves_what_is_far_below_the_threshold_alone():
    image, values = picture(40, 40), np.full((40, 40), -100.0)
    assert np.array_equal(drawing.overlay(image, values, scale=SCALE), image)
    values[10:20, 10:20] = 50
    found = drawing.overlay(image, values, scale=SCALE)
    changed = (found != image).any(axis=2)
    assert changed[10:20, 10:20].mean() > 0.9
    changed[10:20, 10:20] = False
    assert not changed.any()
    assert (found == drawing.RED).all(axis=2).sum() >= 36
