"""The row of panels that an evaluation draws, and the animation."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import picture
from PIL import Image

from anomaly.data.samples import Sample
from anomaly.data.transform import Transform
from anomaly.measure.calibration import Choice, Scale, Scales
from anomaly.measure.judgement import judgement
from anomaly.run.errors import DataError
from anomaly.run.files import require_own
from anomaly.show import animation, captions, lettering, panels, pictures

KNOWN = Scales(Scale(10.0, 2.0), Scale(8.0, 2.0), Choice())
UNKNOWN = Scales(Scale(float("nan"), 1.0), Scale(float("nan"), 1.0), Choice())


def judged(score=5.0, *, scales=KNOWN, defect="rust", shape=(64, 64), photograph=(64, 64), mask=None):
    values = np.full(shape, 5.0, np.float32)
    values[20:24, 30:34] = score
    return judgement(
        score,
        values,
        scales=scales,
        sample=Sample(Path("größe 1.png"), defect),
        image=picture(*shape),
        mask=mask,
        transform=Transform(shape),
        shape=photograph,
    )


def ink(part: np.ndarray, colour: tuple) -> int:
    """Pixels that are nearly of this colour."""
    return int((np.abs(part.astype(int) - colour).max(axis=2) < 60).sum())


@pytest.mark.parametrize(
    ("photograph", "sides"),
    [((300, 300), (256, 256)), ((100, 200), (128, 256)), ((3000, 1000), (256, 85)), ((32, 32), (256, 256))],
)
def test_panels_have_the_proportions_of_the_photograph(photograph, sides):
    found = panels.shown(judged(photograph=photograph))
    assert found.sides == found.image.shape[:2] == sides
    large = panels.shown(judged(shape=(2048, 1024), photograph=(2000, 1000)))
    assert large.sides == (1024, 512)


def test_a_single_pixel_survives_being_made_smaller():
    one, mask = judged(shape=(1500, 1500)), np.zeros((1500, 1500), bool)
    values = one.map.copy()
    values[777, 333], mask[100, 1400] = 99.0, True
    found = panels.shown(replace(one, map=values, mask=mask))
    assert found.sides == (1024, 1024)
    assert found.values.max() == 99.0 and found.mask.any()
    row, column = np.unravel_index(found.values.argmax(), found.sides)
    assert abs(row - 777 * 1024 / 1500) < 3 and abs(column - 333 * 1024 / 1500) < 3


@pytest.mark.parametrize("scales", [KNOWN, UNKNOWN])
@pytest.mark.parametrize("mask", [None, np.eye(64, dtype=bool)])
def test_photograph_map_colours_overlay_and_truth_stand_in_a_row(scales, mask):
    row = panels.sheet(judged(9.0, scales=scales, mask=mask))
    size = lettering.scale((256, 256))
    head = lettering.height(size)
    assert row.dtype == np.uint8 and (row[:head, :256] < 128).any()  # a title
    photograph = cv2.resize(picture(64, 64), (256, 256), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(row[head : head + 256, :256], photograph)
    last = row[head : head + 256, -256:]
    if mask is None:
        assert ink(last, panels.GREY) > 50 and ink(last, panels.PALE) > 50000  # words, and no field without them
    else:
        assert np.array_equal(last[..., 0] > 0, np.kron(mask, np.ones((4, 4), bool)))
    assert (row[head + 256 :] < 128).any()


def test_the_colours_are_those_of_the_map_and_the_threshold_stands_beside_its_own():
    found = panels.shown(judged(12.0))
    bar = panels.colours(found, KNOWN.pixel, size=lettering.SMALLEST)[-256:]
    wanted = pictures.heat(np.array([[252 / 255], [3 / 255]]))[:, 0].astype(int)
    assert np.abs(bar[[3, -4], 0] - wanted).max() <= 8
    assert ink(bar[120:137, 24:], lettering.BLACK) > 20  # 8, in the middle
    tips = np.flatnonzero((np.abs(bar.astype(int) - panels.RED).max(axis=2) < 30)[:, 12:].any(axis=1))
    level = KNOWN.pixel.normalise(12.0)
    assert abs(tips.mean() - (1 - level) * 255) < 3


def test_the_warmest_place_is_seen_where_nothing_is_above_the_threshold():
    cold, warm = panels.sheet(judged(6.0)), panels.sheet(judged(12.0))
    start = 256 + lettering.width("8 outlined", lettering.SMALLEST)  # right of the colours
    white = [ink(sheet[30:250, start:-300], (255, 255, 255)) for sheet in (cold, warm)]
    assert white[0] > white[1] + 50
    on = [pictures.on_photograph(judged(score)) for score in (6.0, 12.0)]
    assert ink(on[0], (255, 255, 255)) > ink(on[1], (255, 255, 255)) + 5


def test_a_place_too_small_for_its_outline_has_a_ring():
    large = judged(12.0)
    values = np.where(large.map > 8, 5.0, large.map).astype(np.float32)
    values[20, 30] = 12.0
    small = replace(large, map=values)
    assert captions.outlined(large) == "outlined: places above 8"
    assert captions.outlined(small) == "outlined in the ring: places above 8"
    assert ink(panels.sheet(small), (255, 255, 255)) != ink(panels.sheet(large), (255, 255, 255))
    on = [ink(pictures.on_photograph(each), (255, 255, 255)) for each in (small, large)]
    assert on[0] > on[1] + 5


def test_letters_that_the_font_lacks_lose_their_marks():
    assert lettering._known("Größe 2, déjà vu") == "Grosse 2, deja vu"
    assert lettering._known("\u68c0 1") == "? 1"


def test_the_line_below_says_what_is_wrong(monkeypatch):
    said = []
    monkeypatch.setattr(lettering, "write", lambda picture, text, **more: said.append(text))
    cases = {(6.0, "rust"): "MISSED", (12.0, "good"): "FALSE ALARM", (12.0, "rust"): "", (6.0, "good"): ""}
    for (score, defect), word in cases.items():
        said.clear()
        panels.sheet(judged(score, defect=defect), mark="RANDOM BACKBONE")
        [line] = [text for text in said if "score" in text]
        wrong = [each for each in ("MISSED", "FALSE ALARM") if each in line]
        assert wrong == [word] * bool(word) and f"score {score:.4g}" in line
        assert f"truth: {defect}" in said and "RANDOM BACKBONE" in said
    said.clear()
    panels.sheet(judged(6.0, defect="train"), truth="good, left out of training")
    assert "truth: good, left out of training" in said and not any("MISSED" in text for text in said)


@pytest.mark.parametrize("side", [32, 256, 1200])
def test_a_picture_gets_its_verdict_below_it(side, monkeypatch):
    said = []
    write = lettering.write
    monkeypatch.setattr(
        lettering, "write", lambda picture, text, **more: (said.append(text), write(picture, text, **more))
    )
    picture = np.full((side, side, 3), 7, np.uint8)
    made = captions.with_caption(picture, judged(12.0), name="new.png", mark="RANDOM BACKBONE")
    assert (made[:side, :side] == 7).all() and made.shape[1] == max(side, captions.NARROWEST)
    words = " ".join(said)
    assert "ANOMALOUS" in words and "score 12, threshold 10" in words and "places above 8" in words and "new" in words
    white = made[side:, -3:]
    assert (white == 255).all()  # nothing is cut at the edge


def test_long_names_are_cut_at_their_beginning():
    text = lettering.fitting("a/" * 100 + "end.png", 0.45, room=100)
    assert text.startswith("...") and text.endswith("end.png") and lettering.width(text, 0.45) <= 100


def test_an_animation_has_a_few_of_each_kind(tmp_path):
    mask = np.zeros((64, 64), bool)
    mask[20:24, 30:34] = True
    many = [judged(12.0, mask=mask)] * 6 + [judged(6.0, defect="good", mask=mask & False)] * 6
    frames = animation.Animation()
    assert list(frames.gathered(many)) == many
    frames.write(tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as found:
        assert found.n_frames == animation.EACH * 3 + animation.EACH * 2  # a good one has no truth to show
        assert found.size[0] == animation.SIDE
    require_own(tmp_path / "a.gif", is_own=animation.is_ours(tmp_path / "a.gif"))
    Image.new("RGB", (9, 9)).save(tmp_path / "b.gif")
    with pytest.raises(DataError):
        require_own(tmp_path / "b.gif", is_own=animation.is_ours(tmp_path / "b.gif"))
    animation.Animation().write(tmp_path / "none.gif")
    assert not (tmp_path / "none.gif").exists()
