"""Detectors that look at tiles, in a region, or with kept proportions; and what they say of a photograph."""

import importlib
from dataclasses import replace

import cv2
import numpy as np
import pytest

import anomaly
from anomaly.data import roi
from anomaly.data.samples import Sample
from anomaly.data.tiles import Tiles

pytestmark = pytest.mark.usefixtures("one_scale")

NETWORK = {"backbone": "efficientnet_lite0", "crop": None, "device_target": "CPU"}
SMALL = {
    "patchcore": {"coreset_ratio": 0.1},
    "padim": {"embedding_dim": 20},
    "fastflow": {"flow_step": 1, "num_epochs": 1, "hidden_ratio": 0.1},
}


def plate(seed: int, *, scratch: bool = False, shape: tuple = (768, 1152)) -> np.ndarray:
    """Brushed metal, with a scratch of 12 pixels if asked for; where that is follows from the seed."""
    rng = np.random.default_rng(seed)
    rows = 150 + 8 * np.sin(np.arange(shape[0]) / 30 + rng.uniform(0, 6)) + rng.normal(0, 6, shape[0])
    image = rows[:, None, None] + rng.normal(0, 4, (*shape, 1)) + np.zeros(3)
    if scratch:
        x, y = (int(rng.integers(30, side - 30)) for side in shape[::-1])
        cv2.line(image, (x, y), (x + 10, y + 7), (235, 235, 235), 2)
    return np.clip(image, 0, 255).astype(np.uint8)


GOOD = [plate(seed) for seed in range(3)]


@pytest.mark.parametrize("method", SMALL)
def test_a_photograph_that_fits_one_tile_is_judged_as_without_tiles(method):
    fit, options = importlib.import_module(method).fit, NETWORK | SMALL[method]
    photographs = [image[:64, :96] for image in GOOD] + [image[100:164, 100:196] for image in GOOD]
    plain, tiled = (fit(photographs, **options, **size) for size in ({"resize": (64, 96)}, {"tile": (64, 96)}))
    assert isinstance(tiled.transform, Tiles)
    np.testing.assert_array_equal(plain.calibration.scores, tiled.calibration.scores)
    for photograph in (photographs[0], plate(9, scratch=True)[:64, :96]):
        one, other = plain.judge(photograph), tiled.judge(photograph)
        assert one.score == other.score and one.regions == other.regions
        np.testing.assert_array_equal(one.map, other.map)


def test_a_scratch_is_found_in_tiles_and_missed_without(tmp_path):
    patchcore = importlib.import_module("patchcore")
    tests = [Sample(tmp_path / f"{i}", pixels=plate(100 + i)) for i in range(2)]
    defects = [plate(200 + i, scratch=True) for i in range(2)]
    masks = [(defect > plate(200 + i)).any(axis=2) for i, defect in enumerate(defects)]
    tests += [
        Sample(tmp_path / f"s{i}", "scratch", pixels=pixels, truth=mask)
        for i, (pixels, mask) in enumerate(zip(defects, masks))
    ]
    options = NETWORK | {"coreset_ratio": 0.02}
    tiled = patchcore.fit(GOOD, tile=128, **options)
    plain = patchcore.fit(GOOD, resize=(96, 144), **options)
    found, missed = (anomaly.evaluate(detector, tests) for detector in (tiled, plain))
    assert found.img_auc == 1.0 and found.verdicts.missed == 0
    assert missed.verdicts.missed == 2
    assert len(tiled.calibration.scores) == len(GOOD)  # one for a photograph, however many tiles it has
    for pixels, mask in zip(defects, masks):
        judgement = tiled.judge(pixels)
        assert judgement.map.shape == pixels.shape[:2]
        left, top, width, height = judgement.regions[0].box
        assert mask[top : top + height, left : left + width].sum() > 0.9 * mask.sum()
    tiled.save(tmp_path / "plate")
    again = anomaly.load(tmp_path / "plate", device_target="CPU")
    assert again.judge(defects[0]).score == tiled.judge(defects[0]).score


def test_left_out_all_tiles_of_a_photograph_are():
    """A photograph unlike the others scores high although its own tiles were trained on."""
    odd = np.ascontiguousarray(GOOD[0].transpose(1, 0, 2)[:256, :256])
    images = [image[:256, :256] for image in GOOD] * 2 + [odd]
    detector = importlib.import_module("patchcore").fit(images, tile=128, **NETWORK, **SMALL["patchcore"])
    assert detector.calibration.scores.argmax() == len(images) - 1
    assert detector.bank.image_of_row.max() == len(images) - 1
    assert len(detector.calibration.scores) == len(set(detector.calibration.names)) == len(images)


def test_padim_leaves_out_whole_photographs():
    images = [image[:64, :200] for image in GOOD]
    options: dict = {"tile": 64, **NETWORK, **SMALL["padim"]}
    padim = importlib.import_module("padim")
    detector = padim.fit(images, **options)
    for number, image in enumerate(images):
        without = padim.fit(images[:number] + images[number + 1 :], **options)
        assert detector.calibration.scores[number] == pytest.approx(without.judge(image).score, rel=1e-4)


def test_a_flow_holds_out_whole_photographs():
    images = [image[:64, :200] for image in GOOD] * 2
    detector = importlib.import_module("fastflow").fit(images, tile=64, held_out=0.5, **NETWORK, **SMALL["fastflow"])
    held_out = np.array([image["held_out"] for image in detector.images]).reshape(len(images), -1)
    assert (held_out.all(axis=1) | ~held_out.any(axis=1)).all()
    assert held_out.all(axis=1).sum() == 3 and len(detector.calibration.scores) == len(images)


@pytest.mark.parametrize("method", SMALL)
def test_what_happens_outside_of_a_region_changes_nothing(method):
    mask = np.zeros((128, 192), bool)
    mask[32:96, 40:150] = True
    options = NETWORK | SMALL[method] | {"resize": (64, 96), "roi": roi.encoded(mask)}
    photographs = [image[:128, :192] for image in GOOD] + [image[200:328, 200:392] for image in GOOD]
    detector = importlib.import_module(method).fit(photographs, **options)
    outside, inside = photographs[0].copy(), photographs[0].copy()
    outside[2:12, 2:80] = 255
    inside[60:68, 80:100] = 255
    before, same, other = (detector.judge(image) for image in (photographs[0], outside, inside))
    assert before.score == same.score
    np.testing.assert_array_equal(before.map, same.map)
    assert other.score > before.score
    assert (before.map[~before.seen] <= before.map[before.seen].min()).all()
    judged = replace(other, scales=detector.with_threshold((before.score + other.score) / 2).scales)
    assert judged.verdict == "ANOMALOUS"
    [region, *_] = judged.regions
    assert 40 <= region.at[0] < 150 and 32 <= region.at[1] < 96


def test_pixels_outside_of_a_region_do_not_count_in_figures(tmp_path):
    mask = np.zeros((64, 64), bool)
    mask[16:48, 16:48] = True
    patchcore = importlib.import_module("patchcore")
    photographs = [image[:64, :64] for image in GOOD]
    detector = patchcore.fit(photographs, resize=64, roi=roi.encoded(mask), **NETWORK, **SMALL["patchcore"])
    truth = np.zeros((64, 64), bool)
    truth[20:30, 20:30] = truth[0:4, 0:60] = True  # the second part lies outside
    defect = photographs[1].copy()
    defect[20:30, 20:30] = 250
    found = anomaly.evaluate(detector, [Sample(tmp_path / "a", "defect", pixels=defect, truth=truth)])
    alone = anomaly.evaluate(detector, [Sample(tmp_path / "a", "defect", pixels=defect, truth=truth & mask)])
    assert found.pixel_auc == alone.pixel_auc
    assert found.pixel_auc > 0.9


@pytest.mark.parametrize("method", SMALL)
def test_with_kept_proportions_the_padding_is_never_anomalous(method):
    options = NETWORK | SMALL[method] | {"resize": 96, "keep_aspect": True}
    photographs = [image[:128, :384] for image in GOOD] + [image[200:328, 200:584] for image in GOOD]
    detector = importlib.import_module(method).fit(photographs, **options)
    defect = photographs[0].copy()
    defect[50:70, 100:140] = 255
    judgement = detector.with_threshold(detector.judge(defect).score * 0.99 - 1e-3).judge(defect)
    assert judgement.map.shape == (96, 96) and judgement.seen.sum() == 32 * 96
    values, (rows, columns) = judgement.on_photograph
    assert values.shape == (128, 384) and (rows, columns) == (slice(0, 128), slice(0, 384))
    for region in judgement.regions:
        left, top, width, height = region.box
        assert left + width <= 384 and top + height <= 128
