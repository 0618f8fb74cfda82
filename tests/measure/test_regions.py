"""Regions of anomalous photographs, against scipy's labelling."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from anomaly.data.samples import Sample
from anomaly.data.transform import Frame, Transform
from anomaly.measure import regions
from anomaly.measure.calibration import Calibration, Choice, Scale
from anomaly.measure.judgement import judgement

rng = np.random.default_rng(0)
SCALE = Scale(1.0, 0.5)


def smooth(shape, seed) -> np.ndarray:
    return ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2).astype(np.float32) * 8


@pytest.mark.parametrize("seed", range(5))
def test_they_are_the_connected_places_above_the_threshold(seed):
    values = smooth((40, 60), seed)
    labels, count = ndimage.label(values > SCALE.threshold, np.ones((3, 3)))
    found = regions.find(values, SCALE, frame=Frame(0, 0, 40, 60), photograph=(40, 60))
    assert len(found) == count
    wanted = set()
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        inside = labels == number
        row, column = np.unravel_index(np.where(inside, values, -np.inf).argmax(), values.shape)
        box = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        wanted.add((box, int(inside.sum()), float(values[row, column]), (column, row)))
    assert {(region.box, region.area, region.peak, region.at) for region in found} == wanted
    assert [region.peak for region in found] == sorted((region.peak for region in found), reverse=True)
    assert all(region.normalised == pytest.approx(SCALE.normalise(region.peak)) for region in found)


def test_they_are_in_the_pixels_of_the_photograph():
    values = np.zeros((10, 20), np.float32)
    values[2:4, 5:8] = 2.0
    values[3, 6] = 3.0
    [region] = regions.find(values, SCALE, frame=Frame(0, 0, 30, 100), photograph=(30, 100))
    assert region.box == (25, 6, 15, 6) and region.area == 6 * 15 and region.at == (32, 10)
    [region] = regions.find(values, SCALE, frame=Frame(4, 10, 30, 100), photograph=(50, 200))  # a part of it
    assert region.box == (35, 10, 15, 6)
    [region] = regions.find(values, SCALE, frame=Frame(-4, -30, 30, 100), photograph=(22, 40))  # larger than it
    assert region.box == (0, 2, 10, 6)


def test_something_is_always_shown_and_never_too_much():
    cold = np.full((10, 10), 0.2, np.float32)
    cold[4, 5] = 0.9
    [region] = regions.find(cold, SCALE, frame=Frame(0, 0, 10, 10), photograph=(10, 10))
    assert region.box == (5, 4, 1, 1)
    dots = np.zeros((60, 60), np.float32)
    dots[::2, ::2] = 2.0
    assert len(regions.find(dots, SCALE, frame=Frame(0, 0, 60, 60), photograph=(60, 60))) == regions.MOST


def test_only_anomalous_photographs_have_them_and_in_all_of_the_photograph():
    scales = Calibration(np.array([0.5, 0.6, 0.7]), np.array([0.5, 0.6, 0.7])).at(Choice(value=1.0))
    values = smooth((64, 64), 7)
    transform = Transform((80, 80), (64, 64))
    more = {"sample": Sample(Path("a")), "image": np.zeros((64, 64, 3), np.uint8), "transform": transform}
    normal = judgement(0.5, values, scales=scales, shape=(160, 320), **more)
    anomalous = judgement(1.5, values, scales=scales, shape=(160, 320), **more)
    assert normal.regions == () and anomalous.regions
    scaled, (rows, columns) = anomalous.on_photograph
    for region in anomalous.regions:
        left, top, width, height = region.box
        assert columns.start <= left and left + width <= columns.stop
        assert rows.start <= top and top + height <= rows.stop
        x, y = region.at
        assert left <= x < left + width and top <= y < top + height
        assert scaled[y - rows.start, x - columns.start] > 0.7
        for px, py in region.contour:
            assert left <= px <= left + width and top <= py <= top + height
