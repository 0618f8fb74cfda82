"""The C++ program and Python agree on tiles, kept proportions, regions of interest and on where photographs are bad."""

import importlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from commands import CPU, RANDOM, picture, run, unsealed, write
from cpp import export, judge, one_error, pixels, table

from anomaly.data import roi
from anomaly.data.images import read_image
from anomaly.data.samples import samples
from anomaly.data.tiles import Tiles
from anomaly.data.transform import PAINT, Transform, painted
from anomaly.deploy import description, exported
from anomaly.detector import Judging
from anomaly.measure.calibration import ANOMALOUS, NORMAL
from anomaly.networks.registry import Backbone
from anomaly.run.errors import DataError
from anomaly.show import pictures as drawing

TILES = Tiles((48, 64), overlap=0.25)
SIZES = {"large": (150, 110), "wide": (50, 200), "one": (48, 64), "small": (40, 37), "low": (30, 150)}


def drawn(height: int, width: int, seed: int = 0, middle: float = 128) -> np.ndarray:
    """Soft spots, of which the brightest and darkest reach 100 grey levels from the middle."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 4)
    return np.clip(middle + soft / np.abs(soft).max() * 100, 0, 255).astype(np.uint8)


def coarse(height: int, width: int, times: int, seed: int = 0) -> np.ndarray:
    """A picture that has the same pixels in every version of OpenCV when it shrinks by a whole number."""
    return drawn(height, width, seed).repeat(times, axis=0).repeat(times, axis=1)


def disc(height: int, width: int) -> np.ndarray:
    rows, columns = np.ogrid[:height, :width]
    return ((rows / height - 0.45) ** 2 + (columns / width - 0.55) ** 2) < 0.14


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> Path:
    """Of sizes that windows do not divide, some of them too bright. Read only."""
    folder = tmp_path_factory.mktemp("photographs")
    for number, (name, size) in enumerate(SIZES.items()):
        write(folder / f"{name}.png", drawn(*size, number, middle=135 if number % 2 else 127))
        write(folder / "dark" / f"{name}.png", drawn(*size, number, middle=90))
    return folder


def in_python(model: Path, folder: Path) -> dict:
    """Judgements by the names that the table of the C++ program has."""
    return {str(each.sample.path.relative_to(folder)): each for each in Judging(exported.load(model), samples(folder))}


def agree(program: Path, model: Path, folder: Path, output: Path, *more, rtol=1e-6) -> dict:
    """Judges with both; returns Python's judgements."""
    done = judge(program, model, folder, output, *more)
    assert done.returncode == 0, done.stderr
    expected, rows = in_python(model, folder), table(output)
    assert [row["name"] for row in rows] == list(expected)
    for row in rows:
        judged = expected[row["name"]]
        values = np.fromfile(output / f"{row['name']}.bin", np.float32).reshape(judged.map.shape)
        np.testing.assert_allclose(values, judged.map, rtol=rtol, err_msg=row["name"])
        assert float(row["score"]) == pytest.approx(judged.score, rel=max(rtol, 1e-5))
        assert row["verdict"] == judged.verdict
        found, regions = json.loads(row["regions"]), [region.as_dict() for region in judged.regions]
        assert [list(region) for region in found] == [list(region) for region in regions]
        for mine, other in zip(found, regions):
            assert (mine["box"], mine["at"], mine["area"]) == (other["box"], other["at"], other["area"])
            assert mine["peak"] == pytest.approx(other["peak"], rel=max(rtol, 1e-8))
            assert mine["normalised"] == pytest.approx(other["normalised"], rel=max(rtol, 1e-6))
    return expected


def all_verdicts(judgements: dict, *, mixed: bool = True) -> bool:
    """Whether the comparison was of more than empty lists, and, if it is to be mixed, of both verdicts."""
    bad = [each for each in judgements.values() if each.verdict == ANOMALOUS]
    return (not mixed or len(bad) < len(judgements)) and any(len(each.regions) > 1 for each in bad)


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("overlap", [0, 0.25, 0.7])
def test_tiles(program, photographs, tmp_path, batch, overlap):
    """The known model computes exactly, so that nothing but the tiles can differ."""
    model = export(tmp_path / "m.onnx", replace(TILES, overlap=overlap), batch=batch)
    found = agree(program, model, photographs, tmp_path / "out")
    assert all_verdicts(found)
    for name, judged in found.items():
        assert judged.map.shape == read_image(photographs / name).shape[:2]
    assert read_image(tmp_path / "out" / "large.png.heat.png").shape[0] == 150 + 18  # with the words below it


def test_tiles_with_a_region(program, tmp_path):
    """One mask for photographs of several sizes, and for one that is smaller than a window."""
    region = roi.encoded(disc(150, 110))
    for number, size in enumerate([(150, 110), (75, 55), (45, 33), (302, 220)]):
        write(tmp_path / "in" / f"{number}.png", drawn(*size, number, middle=128 + number))
    model = export(tmp_path / "m.onnx", replace(TILES, region=region), threshold=120.0)
    found = agree(program, model, tmp_path / "in", tmp_path / "out")
    assert any(len(each.regions) > 1 for each in found.values())
    for judged in found.values():
        assert judged.map[~judged.seen].max() == judged.map[judged.seen].min()


PLACES = [  # what of a photograph is looked at, and times how much a picture is smaller
    (Transform((64, 96), None), (64, 96), 2),
    (Transform((64, 96), (48, 64)), (64, 96), 3),
    (Transform((64, 97), (48, 64)), (64, 97), 1),  # an odd rest
    (Transform((64, 96), None, keep_aspect=True), (64, 50), 3),
    (Transform((64, 96), None, keep_aspect=True), (41, 96), 2),
    (Transform((64, 96), None, keep_aspect=True), (64, 96), 2),
]


@pytest.mark.parametrize("with_region", [False, True])
@pytest.mark.parametrize(("transform", "shape", "times"), PLACES)
def test_regions_are_in_the_pixels_of_the_photograph(program, tmp_path, transform, shape, times, with_region):
    if with_region:
        transform = replace(transform, region=roi.encoded(disc(shape[0] * times, shape[1] * times)))
    for number in range(3):
        write(tmp_path / "in" / f"{number}.png", coarse(*shape, times, number))
    model = export(tmp_path / "m.onnx", transform, batch=2, threshold=100.0)
    found = agree(program, model, tmp_path / "in", tmp_path / "out")
    assert all(each.regions for each in found.values()) and all_verdicts(found, mixed=False)


@pytest.mark.parametrize("pixel_threshold", [1e9, 250.0 * 65536])
def test_the_warmest_place_alone_where_no_other_is_above_the_threshold(program, tmp_path, pixel_threshold):
    write(tmp_path / "in" / "a.png", drawn(60, 80))
    model = export(tmp_path / "m.onnx", TILES, threshold=100.0, pixel_threshold=pixel_threshold)
    [judged] = agree(program, model, tmp_path / "in", tmp_path / "out").values()
    assert judged.regions and judged.map.max() < pixel_threshold


def test_no_more_than_a_hundred_regions(program, tmp_path):
    write(tmp_path / "in" / "a.png", picture(150, 200))
    model = export(tmp_path / "m.onnx", TILES, threshold=100.0, pixel_threshold=240.0 * 65536)
    [judged] = agree(program, model, tmp_path / "in", tmp_path / "out").values()
    assert len(judged.regions) == 100


def test_without_a_threshold_there_are_no_regions(program, tmp_path):
    write(tmp_path / "in" / "a.png", drawn(60, 80))
    model = export(tmp_path / "m.onnx", TILES, threshold=None, pixel_threshold=None)
    agree(program, model, tmp_path / "in", tmp_path / "out")
    assert [row["regions"] for row in table(tmp_path / "out")] == ["[]"]


@pytest.mark.parametrize("shape", [(300, 500), (517, 301), (40, 37), (50, 400), (3, 900)], ids=str)
@pytest.mark.parametrize("region", [False, True])
def test_proportions_are_kept_as_in_python(program, tmp_path, shape, region):
    """Within one grey level, as without them; what is painted is painted in both."""
    text = roi.encoded(disc(*shape)) if region else ""
    transform = Transform((48, 64), None, keep_aspect=True, region=text)
    path = write(tmp_path / "in" / "a.png", drawn(*shape))
    done = judge(program, export(tmp_path / "m.onnx", transform, threshold=None), path, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    expected, seen = transform.image(read_image(path)), transform.seen(shape)
    values = np.fromfile(tmp_path / "out" / "a.png.bin", np.float32).reshape(transform.size)
    assert np.all(values[~seen] == values[seen].min())  # what lay there was the paint
    found = painted(pixels(tmp_path / "out" / "a.png.bin", transform), seen).astype(int)
    assert np.array_equal(expected[~seen], np.broadcast_to(PAINT, expected[~seen].shape))
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 0.05


@pytest.fixture
def own_masks(tmp_path, photographs) -> Path:
    """A mask for each photograph: white, of 16 bits, in colours and in a lossy format."""
    folder = tmp_path / "masks"
    for name, size in SIZES.items():
        mask = disc(*size).astype(np.uint8)
        write(folder / f"{name}.png", mask * 255)
    write(folder / "large.png", disc(*SIZES["large"]).astype(np.uint16) * 300)
    (folder / "wide.png").unlink()
    write(folder / "wide_mask.bmp", cv2.merge([mask := disc(*SIZES["wide"]).astype(np.uint8), mask * 0, mask * 0]))
    (folder / "small.png").unlink()
    write(folder / "small.jpg", disc(*SIZES["small"]).astype(np.uint8) * 255)
    return folder


@pytest.mark.parametrize("transform", [TILES, Transform((48, 64), None, keep_aspect=True)], ids=str)
def test_a_region_for_each_photograph(program, photographs, own_masks, tmp_path, transform):
    """The folder that the model remembers, and the same elsewhere."""
    lossless = tmp_path / "in"  # the others differ between libraries
    for name in ("large", "one", "low") if transform is TILES else ("one",):
        write(lossless / f"{name}.png", cv2.imread(str(photographs / f"{name}.png")))
    text = f"{roi.FOLDER}{own_masks}"
    model = export(tmp_path / "m.onnx", replace(transform, region=text), threshold=120.0)
    expected = agree(program, model, lossless, tmp_path / "out")
    assert any(each.regions for each in expected.values())
    elsewhere = own_masks.rename(tmp_path / "moved")
    done = judge(program, model, lossless, tmp_path / "again")
    one_error(done, model, own_masks, "--roi")
    assert not (tmp_path / "again").exists()
    assert judge(program, model, lossless, tmp_path / "again", "--roi", elsewhere).returncode == 0
    assert table(tmp_path / "again") == table(tmp_path / "out")


def test_masks_of_all_kinds(program, photographs, own_masks, tmp_path):
    model = export(tmp_path / "m.onnx", replace(TILES, region=f"{roi.FOLDER}{own_masks}"))
    agree(program, model, photographs, tmp_path / "out")
    (own_masks / "one.png").unlink()
    write(own_masks / "low.png", np.full((60, 150), 255, np.uint8))
    (own_masks / "large.png").write_bytes(b"nothing")
    done = judge(program, model, photographs, tmp_path / "out")
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 6 and len(table(tmp_path / "out")) == 4
    assert any("one.png: has no region in" in line and "one.png and other endings" in line for line in lines)
    assert any("low.png: is 150 x 30, and its region 150 x 60: other proportions" in line for line in lines)
    assert any(f"{own_masks / 'large.png'}: not an image" in line for line in lines)


def test_a_region_of_other_proportions_stops_one_photograph(program, tmp_path):
    write(tmp_path / "in" / "fine.png", drawn(60, 80))
    bad = write(tmp_path / "in" / "square.png", drawn(80, 80))
    write(tmp_path / "in" / "nearly.png", drawn(60, 81))
    model = export(tmp_path / "m.onnx", replace(TILES, region=roi.encoded(disc(30, 40))))
    one_error(judge(program, model, tmp_path / "in", tmp_path / "out"), bad, "80 x 80", "40 x 30")
    assert [row["name"] for row in table(tmp_path / "out")] == ["fine.png", "nearly.png"]


BAD_VIEWS = {
    "a region that is too short": ({"roi": "rle:4x5:10,9"}, "does not fill"),
    "a region that is too long": ({"roi": "rle:4x5:10,11"}, "more pixels"),
    "a region without numbers": ({"roi": "rle:4x5:"}, "does not fill"),
    "a region with a word": ({"roi": "rle:4x5:ten,10"}, "HEIGHTxWIDTH"),
    "a region with an end": ({"roi": "rle:4x5:10,10,"}, "HEIGHTxWIDTH"),
    "a region with a negative number": ({"roi": "rle:4x5:-10,30"}, "HEIGHTxWIDTH"),
    "a region without a width": ({"roi": "rle:4:4"}, "HEIGHTxWIDTH"),
    "a region of no height": ({"roi": "rle:0x5:0"}, "size"),
    "a huge region": ({"roi": f"rle:{10**9}x{10**9}:{10**18}"}, "size"),
    "a number beyond all": ({"roi": f"rle:4x5:{10**30}"}, "HEIGHTxWIDTH"),
    "a region of another kind": ({"roi": "polygon:1,2"}, "no known kind"),
    "a region that is no text": ({"roi": 7}, "string"),
    "tiles without an overlap": ({"tile": {}}, "overlap"),
    "an overlap of all": ({"tile": {"overlap": 1}}, "overlap"),
    "an overlap below nothing": ({"tile": {"overlap": -0.1}}, "overlap"),
    "proportions with a crop": ({"keep_aspect": True, "resize": [64, 64]}, "crop"),
}
STRICTER = {  # what no exporter writes, and Python reads as it can
    "tiles with proportions": ({"tile": {"overlap": 0.1}, "keep_aspect": True}, "keep_aspect"),
    "tiles with a crop": ({"tile": {"overlap": 0.1}, "resize": [64, 64]}, "crop"),
    "proportions that are a word": ({"keep_aspect": "yes"}, "boolean"),
    "a folder without a name": ({"roi": "folder:"}, "no known kind"),
}


@pytest.mark.parametrize(("change", "reason"), [*BAD_VIEWS.values(), *STRICTER.values()], ids=[*BAD_VIEWS, *STRICTER])
def test_a_description_that_is_damaged_is_one_line(program, photographs, tmp_path, change, reason):
    model = export(tmp_path / "m.onnx", Transform((48, 64), None))
    path = model.with_suffix(".json")
    about = json.loads(path.read_text())
    if "resize" in change:
        about["input"]["crop"] = [48, 64]
    about["input"].update(change)
    path.write_text(json.dumps({**about, "format_version": 2}))
    one_error(judge(program, model, photographs, tmp_path / "out"), path, reason)
    assert not (tmp_path / "out").exists()
    if (change, reason) not in STRICTER.values():
        with pytest.raises(DataError, match=str(path)):
            exported.load(model)


@pytest.mark.parametrize("version", [0, 3, "2", None])
def test_another_format_is_refused(program, photographs, tmp_path, version):
    model = export(tmp_path / "m.onnx", TILES, format_version=version)
    one_error(judge(program, model, photographs, tmp_path / "out"), model.with_suffix(".json"), "format_version")


def test_options_that_the_model_has_no_use_for(program, photographs, own_masks, tmp_path):
    def refused(transform, *options):
        model = export(tmp_path / "m.onnx", transform)
        return judge(program, model, photographs, tmp_path / "out", *options)

    bare = Transform((48, 64), None)
    one_error(refused(bare, "--roi", own_masks), tmp_path / "m.onnx", "leave --roi out")
    one_error(refused(replace(bare, region=roi.encoded(disc(9, 9))), "--roi", own_masks), "leave --roi out")
    in_folder = replace(bare, region=f"{roi.FOLDER}{tmp_path / 'nowhere'}")
    one_error(refused(in_folder, "--roi", tmp_path / "none"), tmp_path / "none", "no such folder")
    one_error(refused(in_folder, "--roi", own_masks, "--preprocess", "n"), "--roi", "painted already")
    one_error(refused(TILES, "--preprocess", "n"), tmp_path / "m.onnx", "--preprocess y")
    assert not (tmp_path / "out").exists()


def test_the_boxes_are_drawn_as_in_python(program, tmp_path):
    """In the middle, and at an edge as far as there is room; of photographs in pieces the pictures are the same."""
    image = drawn(60, 100, middle=60)
    image[20:30, 40:60] = image[:5, :5] = 250
    for name, times in (("small", 1), ("large", 10)):  # with lines of 1 and 3 pixels
        write(tmp_path / "in" / f"{name}.png", image.repeat(times, axis=0).repeat(times, axis=1))
    model = export(tmp_path / "m.onnx", TILES, threshold=50.0, pixel_threshold=200.0 * 65536)
    for name, judged in agree(program, model, tmp_path / "in", tmp_path / "out").items():
        assert len(judged.regions) == 2
        photograph = read_image(tmp_path / "in" / name)
        expected = drawing.on_photograph(replace(judged, photograph=photograph)).astype(int)
        found = read_image(tmp_path / "out" / f"{name}.heat.png")[: expected.shape[0], : expected.shape[1]]
        assert np.abs(found - expected).max() <= 3
        assert np.array_equal(np.all(found == drawing.RED, axis=2), np.all(expected == drawing.RED, axis=2))


def patchcore(name: str, *arguments, device=CPU):
    result = run(importlib.import_module(f"patchcore.{name}").main, "--category", "gear", *device, *arguments)
    assert result.code == 0, result.err


@pytest.fixture(scope="module")
def tiled(toy, tmp_path_factory) -> Path:
    """A PatchCore of tiles, exported to take three of them at once. Read only."""
    output = tmp_path_factory.mktemp("tiled")
    options = ("--backbone", "resnet18", "--tile", "64", "--coreset_ratio", "0.2", *RANDOM)
    patchcore("train", "--dataset_path", toy, "--output_dir", output, *options)
    patchcore("export", "--output_dir", output, "--file_format", "ONNX", "--batch_size", "3")
    return output / "gear" / "patchcore_gear.onnx"


@pytest.fixture(scope="module")
def gears(toy, tmp_path_factory) -> Path:
    """What it knows, as parts of photographs of all sizes. Read only."""
    folder, gear = tmp_path_factory.mktemp("gears"), toy / "gear" / "test"
    good, bad = (cv2.imread(str(path)) for path in (gear / "good" / "000.png", gear / "rust" / "000.png"))
    write(folder / "good.png", good)
    write(folder / "bad.png", bad)
    write(folder / "many.png", np.hstack([np.vstack([good, bad, good])] * 2)[:150, :110])
    write(folder / "many good.png", np.hstack([np.vstack([good, good])] * 3)[3:113, 5:])
    write(folder / "small.png", bad[9:59, 4:54])
    return folder


def between(values: np.ndarray, low: float, high: float) -> float:
    """A threshold that none of the values is near, between these parts of them."""
    found = np.sort(np.ravel(values).astype(float))
    found = found[int(low * (len(found) - 1)) : int(high * (len(found) - 1)) + 1]
    widest = np.diff(found).argmax()
    return (found[widest] + found[widest + 1]) / 2


def with_view(model: Path, folder: Path, view: Transform) -> Path:
    """A copy that is described as looking at photographs in another way."""
    copy = folder / "model.onnx"
    shutil.copy(model, copy)
    about = unsealed(model.with_suffix(".json"))
    about.update(description.common(Backbone("resnet18", "", True), view, batch=3))
    copy.with_suffix(".json").write_text(json.dumps(about))
    return copy


VIEWS = {
    "tiles": Tiles((64, 64), overlap=0.25),
    "tiles in a region": Tiles((64, 64), overlap=0.4, region=f"{roi.FOLDER}masks"),
    "proportions": Transform((64, 64), None, keep_aspect=True),
    "proportions in a region": Transform((64, 64), None, keep_aspect=True, region=f"{roi.FOLDER}masks"),
    "a region": Transform((64, 64), None, region=f"{roi.FOLDER}masks"),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_patchcore(program, tiled, gears, tmp_path, view):
    for path in gears.iterdir():
        write(tmp_path / "masks" / path.name, disc(*read_image(path).shape[:2]).astype(np.uint8))
    view = replace(view, region=view.region and f"{roi.FOLDER}{tmp_path / 'masks'}")
    model = with_view(tiled, tmp_path, view)
    found = in_python(model, gears).values()
    limits = {
        "threshold": between(np.array([each.score for each in found]), 0.2, 0.8),
        "pixel_threshold": between(np.concatenate([each.map.ravel() for each in found]), 0.9, 0.99),
    }
    about = {**unsealed(model.with_suffix(".json")), "good_scores": [], "good_peaks": [], "good_names": []}
    model.with_suffix(".json").write_text(json.dumps({**about, **limits}))
    found = agree(program, model, gears, tmp_path / "out", rtol=1e-3).values()
    assert {each.verdict: bool(each.regions) for each in found} == {NORMAL: False, ANOMALOUS: True}


def figures(folder: Path) -> dict:
    found = json.loads((folder / "results.json").read_text())
    return {name: found[name] for name in ("img_auc", "pixel_auc", "aupro", "pixel_f1")}


@pytest.mark.parametrize("name", ["proportions", "proportions in a region", "a region"])
def test_prepared_pictures_give_the_figures_of_evaluation(program, tiled, toy, tmp_path, name):
    """What is outside of a region, and the paint beside a photograph, count neither here nor there."""
    for path in (toy / "gear").rglob("*.png"):
        half = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[:, 6:46]
        write(tmp_path / "data" / "gear" / path.relative_to(toy / "gear"), half)
    region = roi.encoded(disc(64, 40)) if VIEWS[name].region else ""
    model = with_view(tiled, tmp_path, replace(VIEWS[name], region=region))
    data, sent, back = ("--dataset_path", tmp_path / "data"), tmp_path / "sent", tmp_path / "back"
    patchcore("preprocess", *data, "--output_dir", sent, "--model_path", model, device=())
    done = judge(program, model, sent / "img", back, "--preprocess", "n")
    assert done.returncode == 0, done.stderr
    patchcore("postprocess", "--result_dir", back, "--label_dir", sent / "label", device=())
    patchcore("eval", *data, "--output_dir", tmp_path / "eval", "--model_path", model)
    assert figures(back) == pytest.approx(figures(tmp_path / "eval" / "gear"), abs=5e-5)
