"""What a device gets are the photographs as they were trained on; what it gives back makes the figures."""

import csv
import importlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import Result, listing, run
from cpp import export
from reports import data_in
from sklearn.metrics import roc_auc_score

from anomaly.data.images import read_image, read_mask, write_image
from anomaly.data.layouts import load_category
from anomaly.data.roi import encoded
from anomaly.data.tiles import Tiles
from anomaly.data.transform import Transform, painted

TRANSFORM = Transform((64, 64), (48, 56))
SIZE = ("--resize", "64", "--crop", "48 56")
GEAR = ("--category", "gear")


def preprocess(data: Path, output: Path, *more, method="padim", options=(*GEAR, *SIZE)) -> Result:
    module = importlib.import_module(f"{method}.preprocess")
    return run(module.main, "--dataset_path", data, "--output_dir", output, *options, *more)


def postprocess(folder: Path, *more, method="padim", options=GEAR) -> Result:
    module = importlib.import_module(f"{method}.postprocess")
    return run(module.main, "--result_dir", folder / "back", "--label_dir", folder / "label", *options, *more)


def refused(result: Result, code: int, *words):
    assert result.code == code, result.out + result.err
    [line] = result.errors
    assert line.startswith("error: ") and "unexpected" not in line, line
    for word in words:
        assert str(word) in line, line


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, toy) -> Path:
    """What preprocess.py makes of the gears. Read only."""
    folder = tmp_path_factory.mktemp("prepared") / "sent"
    result = preprocess(toy, folder)
    assert result.code == 0, result.err
    return folder


@pytest.fixture
def sent(tmp_path, prepared) -> Path:
    """The same, with maps and scores that a device might have given, to damage."""
    folder = tmp_path / "sent"
    shutil.copytree(prepared, folder)
    (folder / "back").mkdir()
    rng = np.random.default_rng(0)
    names = [entry["bin"] for entry in index(folder)["images"]]
    with open(folder / "back" / "results.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["name", "score", "normalised", "verdict"])
        for name in names:
            table.writerow([name, rng.normal(), "", "UNKNOWN"])
            rng.normal(size=TRANSFORM.size).astype(np.float32).tofile(folder / "back" / f"{name}.bin")
    return folder


def index(folder: Path) -> dict:
    return json.loads((folder / "label" / "index.json").read_text())


def samples(toy: Path) -> tuple:
    return load_category(toy, "gear").test


def returned(folder: Path) -> tuple:
    """Maps and scores by the order of the index."""
    with open(folder / "back" / "results.csv", newline="") as file:
        scores = {row["name"]: float(row["score"]) for row in csv.DictReader(file)}
    names = [entry["bin"] for entry in index(folder)["images"]]
    maps = [np.fromfile(folder / "back" / f"{name}.bin", np.float32).reshape(TRANSFORM.size) for name in names]
    return np.stack(maps), np.array([scores[name] for name in names])


def masks(toy: Path) -> np.ndarray:
    none = np.zeros(TRANSFORM.size, bool)
    return np.stack([TRANSFORM.mask(read_mask(s.mask)) if s.mask else none for s in samples(toy)])


def test_photographs_are_sent_as_they_were_trained_on(prepared, toy):
    entries = index(prepared)["images"]
    assert len(entries) == len(samples(toy)) == 12
    assert len(list((prepared / "img").iterdir())) == 12
    for entry, sample in zip(entries, samples(toy)):
        data = np.fromfile(prepared / "img" / f"{entry['bin']}.bin", np.uint8)
        assert np.array_equal(data.reshape(48, 56, 3), TRANSFORM.image(read_image(sample.path)))


def test_the_index_keeps_the_names(prepared, toy):
    found = index(prepared)
    assert (found["method"], found["category"], found["size"], found["model"]) == ("padim", "gear", [48, 56], None)
    assert [(entry["path"], entry["defect"]) for entry in found["images"]] == [
        (str(sample.path), sample.defect) for sample in samples(toy)
    ]
    assert [entry["bin"] for entry in found["images"]] == [f"{number:03}" for number in range(12)]


def test_masks_are_changed_like_the_photographs(prepared, toy):
    for entry, sample, expected in zip(index(prepared)["images"], samples(toy), masks(toy)):
        path = prepared / "label" / f"{entry['bin']}.png"
        assert path.is_file() == sample.anomalous
        assert not sample.anomalous or np.array_equal(read_mask(path), expected)


def test_links_keep_their_own_names(toy, tmp_path):
    shutil.copytree(toy / "gear", tmp_path / "data" / "gear")
    folder = tmp_path / "data" / "gear" / "test" / "good"
    (folder / "again.png").symlink_to(folder / "000.png")
    assert preprocess(tmp_path / "data", tmp_path / "sent").code == 0
    paths = [entry["path"] for entry in index(tmp_path / "sent")["images"]]
    assert str(folder / "again.png") in paths and len(set(paths)) == len(paths) == 13


def test_what_an_earlier_run_prepared_goes(toy, tmp_path):
    for category in ("gear", "fabric"):
        assert preprocess(toy, tmp_path / "sent", options=("--category", category, *SIZE)).code == 0
        (tmp_path / "sent" / "img" / "999.bin").write_bytes(b"")
    assert preprocess(toy, tmp_path / "sent").code == 0
    assert not (tmp_path / "sent" / "img" / "999.bin").exists()
    assert index(tmp_path / "sent")["category"] == "gear"


@pytest.mark.parametrize("method", ["patchcore", "padim", "fastflow"])
def test_figures_are_those_of_scikit_learn(sent, toy, method):
    rewrite(sent, lambda index: index.update(method=method))
    result = postprocess(sent, method=method)
    assert result.code == 0, result.err
    maps, scores = returned(sent)
    img_auc = roc_auc_score([sample.anomalous for sample in samples(toy)], scores)
    pixel_auc = roc_auc_score(masks(toy).ravel(), maps.ravel())
    found = json.loads((sent / "back" / "results.json").read_text())
    assert (found["img_auc"], found["pixel_auc"]) == pytest.approx((img_auc, pixel_auc), abs=1e-6)
    assert f"img_auc: {found['img_auc']:.6f}, pixel_auc: {found['pixel_auc']:.6f}" in result.out
    assert sorted(image["name"] for image in found["images"]) == sorted(sample.name for sample in samples(toy))
    assert {image["verdict"] for image in found["images"]} == {"UNKNOWN"}  # no model, no threshold
    assert len(list((sent / "back" / "sample").rglob("*.png"))) == 12
    images = data_in(sent / "back" / "report.html")["images"]
    assert len(images) == 12 and all("photo" in image for image in images)


def test_figures_need_neither_data_nor_photographs_and_go_where_they_are_wanted(sent, tmp_path):
    shutil.rmtree(sent / "img")
    rewrite(sent, lambda index: [entry.update(path="/nowhere" + entry["path"]) for entry in index["images"]])
    before = {path.name for path in (sent / "back").iterdir()}
    assert postprocess(sent, "--output_dir", tmp_path / "figures").code == 0
    assert (tmp_path / "figures" / "results.json").is_file()
    assert {path.name for path in (sent / "back").iterdir()} == before


def rewrite(folder: Path, change):
    value = index(folder)
    change(value)
    (folder / "label" / "index.json").write_text(json.dumps(value))


BAD_INDEX = {
    "a list": lambda value: [value],
    "no method": lambda value: {key: value[key] for key in value if key != "method"},
    "no images": lambda value: {**value, "images": []},
    "images of another kind": lambda value: {**value, "images": "000"},
    "an entry that is none": lambda value: {**value, "images": ["000"]},
    "an entry without a path": lambda value: {**value, "images": [{"bin": "000", "defect": "good"}]},
    "an entry with a number": lambda value: {**value, "images": [{"bin": 0, "path": "a.png", "defect": "good"}]},
    "one side": lambda value: {**value, "size": [48]},
    "a side that is no number": lambda value: {**value, "size": ["48", 56]},
    "a model that is none": lambda value: {**value, "model": {"method": "padim"}},
    "a model that is a list": lambda value: {**value, "model": [1]},
    "a word that says where to look": lambda value: {**value, "seen": "everywhere"},
}


@pytest.mark.parametrize("change", BAD_INDEX.values(), ids=BAD_INDEX)
def test_a_damaged_index(sent, change):
    path = sent / "label" / "index.json"
    path.write_text(json.dumps(change(index(sent))))
    refused(postprocess(sent), 1, path, "damaged")


@pytest.mark.parametrize("data", [b"", b'{"size": [48', b"\xff\xfe\x00"])
def test_an_index_that_is_no_json(sent, data):
    path = sent / "label" / "index.json"
    path.write_bytes(data)
    refused(postprocess(sent), 1, path)


BAD_TABLES = {
    "empty": (b"", "has no score for 000"),
    "other columns": (b"file,value\n000,1\n", "damaged"),
    "a word": (b"name,score\n000,high\n", "damaged"),
    "a short row": (b"name,score\n000\n", "damaged"),
    "bytes": (b"name,score\n\xff\xfe,1\n", "damaged"),
    "a zero byte": (b"name,score\n0\x0000,1\n", "results.csv"),
    "not a number": (b"name,score\n000,nan\n", "the score of 000 is no number"),
    "infinity": (b"name,score\n000,inf\n", "the score of 000 is no number"),
    "other images": (b"name,score\n999,1\n", "has no score for 000"),
}


@pytest.mark.parametrize(("data", "message"), BAD_TABLES.values(), ids=BAD_TABLES)
def test_a_damaged_table(sent, data, message):
    path = sent / "back" / "results.csv"
    path.write_bytes(data)
    refused(postprocess(sent), 1, path, message)
    assert not (sent / "back" / "results.json").exists()


def not_a_number(path: Path):
    values = np.fromfile(path, np.float32)
    values[7] = np.nan
    values.tofile(path)


BAD_MAPS = {
    "missing": (Path.unlink, "no such file"),
    "empty": (lambda path: path.write_bytes(b""), "48 x 56"),
    "short": (lambda path: path.write_bytes(path.read_bytes()[:-4]), "48 x 56"),
    "a byte more": (lambda path: path.write_bytes(path.read_bytes() + b"\0"), "48 x 56"),
    "NaN": (not_a_number, "48 x 56"),
}


@pytest.mark.parametrize(("damage", "message"), BAD_MAPS.values(), ids=BAD_MAPS)
def test_a_damaged_map(sent, damage, message):
    path = sent / "back" / "005.bin"
    damage(path)
    refused(postprocess(sent), 1, path, message)
    assert not (sent / "back" / "results.json").exists()


def test_a_mask_of_another_size(sent, toy):
    path = next((sent / "label").glob("*.png"))
    shutil.copy(next((toy / "gear" / "ground_truth").rglob("*.png")), path)
    refused(postprocess(sent), 1, path, "48 x 56")


def test_a_mask_that_is_damaged(sent):
    path = next((sent / "label").glob("*.png"))
    path.write_bytes(path.read_bytes()[:50])
    refused(postprocess(sent), 1, path)


def test_folders_that_are_not_there(sent):
    shutil.move(sent / "back", sent / "away")
    refused(postprocess(sent), 1, sent / "back" / "results.csv", "--result_dir")
    shutil.move(sent / "label", sent / "label away")
    refused(postprocess(sent), 1, sent / "label" / "index.json", "--label_dir")


def test_results_of_another_category_or_method(sent):
    refused(postprocess(sent, options=("--category", "fabric")), 1, sent / "label", "gear")
    refused(postprocess(sent, method="patchcore"), 1, sent / "label", "padim")


def test_a_model_that_is_not_there(sent, toy, tmp_path):
    path = tmp_path / "none.onnx"
    refused(postprocess(sent, "--model_path", path), 1, path)
    refused(preprocess(toy, tmp_path / "other", "--model_path", path), 1, path)
    assert not (tmp_path / "other").exists()


def test_a_model_of_another_category_is_used_and_told(sent, tmp_path):
    model = export(tmp_path / "model.onnx", TRANSFORM, method="padim", category="nut")
    for path, told in ((model, True), (export(tmp_path / "b.onnx", TRANSFORM, method="padim", category="gear"), False)):
        done = postprocess(sent, "--model_path", path)
        assert done.code == 0, done.err
        assert (f"note: {path} is of category nut" in done.err) is told


def test_one_good_photograph_leaves_none_to_test_on(toy, tmp_path):
    own = ("--good", toy / "gear" / "train" / "good" / "000.png", *GEAR, "--output_dir", tmp_path / "sent", *SIZE)
    refused(run(importlib.import_module("padim.preprocess").main, *own), 1, "give --bad or --test_good")


@pytest.mark.parametrize("part", ["img", "label", "result"])
def test_photographs_that_lie_where_it_writes_are_left_alone(toy, prepared, tmp_path, part):
    folder = tmp_path / "sent"
    shutil.copytree(prepared, folder)
    shutil.copytree(toy / "gear" / "train" / "good", folder / part / "mine")
    before = listing(folder)
    own = ("--good", folder / part / "mine", "--category", "gear", "--output_dir", folder, *SIZE)
    refused(run(importlib.import_module("padim.preprocess").main, *own), 1, "lies where this is written")
    assert listing(folder) == before


def test_a_category_without_test_photographs(toy, tmp_path):
    shutil.copytree(toy / "gear" / "train", tmp_path / "data" / "gear" / "train")
    refused(preprocess(tmp_path / "data", tmp_path / "sent"), 1, tmp_path / "data" / "gear" / "test")
    assert not (tmp_path / "sent" / "img").exists()


def test_a_photograph_that_is_damaged_leaves_what_was_there(toy, tmp_path):
    shutil.copytree(toy / "gear", tmp_path / "data" / "gear")
    assert preprocess(tmp_path / "data", tmp_path / "sent").code == 0
    path = tmp_path / "data" / "gear" / "test" / "good" / "002.png"
    path.write_bytes(b"nothing")
    refused(preprocess(tmp_path / "data", tmp_path / "sent"), 1, path)
    assert len(list((tmp_path / "sent" / "img").iterdir())) == 12
    assert sorted(item.name for item in (tmp_path / "sent").iterdir()) == ["img", "label"]


def test_data_or_a_category_that_are_not_there(toy, tmp_path):
    refused(preprocess(tmp_path / "none", tmp_path / "sent"), 1, tmp_path / "none")
    refused(preprocess(toy, tmp_path / "sent", options=("--category", "nut")), 1, "nut", "fabric, gear")


@pytest.mark.parametrize("category", [("--category", "all"), ("--category", "gear", "fabric"), ()])
def test_one_category_is_needed(sent, toy, tmp_path, category):
    refused(preprocess(toy, tmp_path / "other", options=category), 2, "--category")
    refused(postprocess(sent, options=category), 2, "--category")


def test_folders_that_are_needed(toy, sent):
    before = importlib.import_module("padim.preprocess").main
    refused(run(before, "--dataset_path", toy, *GEAR), 2, "--output_dir")
    refused(run(before, "--output_dir", sent, *GEAR), 2, "--dataset_path")
    after = importlib.import_module("padim.postprocess").main
    refused(run(after, "--result_dir", sent / "back", *GEAR), 2, "--label_dir")
    refused(run(after, "--label_dir", sent / "label", *GEAR), 2, "--result_dir")


def test_a_folder_that_cannot_be_written(sent, toy, tmp_path):
    (tmp_path / "file").touch()
    refused(preprocess(toy, tmp_path / "file"), 1, tmp_path / "file")
    refused(postprocess(sent, "--output_dir", tmp_path / "file"), 1, tmp_path / "file")


@pytest.mark.parametrize("part", ["img", "label"])
def test_files_that_are_not_of_preprocess_stay(toy, tmp_path, part):
    mine = tmp_path / "out" / part / "mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    refused(preprocess(toy, tmp_path / "out"), 1, tmp_path / "out", "--output_dir")
    assert mine.read_text() == "mine"


def test_nothing_is_written_among_the_photographs(toy):
    before = listing(toy)
    for folder in (toy / "gear", toy / "gear" / "test" / "new"):
        refused(preprocess(toy, folder), 1, folder, "among the photographs")
    assert listing(toy) == before


def test_a_model_of_tiles_takes_photographs_as_they_are(toy, tmp_path):
    reason = "give them to anomaly_infer with --preprocess y"
    refused(preprocess(toy, tmp_path / "sent", "--tile", "64", options=GEAR), 2, "--tile", reason)
    model = export(tmp_path / "model.onnx", Tiles((48, 64)), method="padim", category="gear")
    refused(preprocess(toy, tmp_path / "sent", "--model_path", model), 1, model, reason)
    assert not (tmp_path / "sent").exists()


@pytest.fixture
def in_part(sent, toy, tmp_path) -> tuple:
    """The same, of which only a disc counts: the folder, and what counts as it comes from Python."""
    mask = np.hypot(*np.ogrid[-1:1:64j, -1:1:64j]) < 0.8
    path = tmp_path / "disc.png"
    write_image(path, mask)
    shutil.rmtree(sent / "img")
    assert preprocess(toy, sent, "--roi", path).code == 0
    return sent, replace(TRANSFORM, region=encoded(mask)).seen((64, 64))


def test_what_does_not_count_is_painted_and_told(in_part, toy):
    folder, seen = in_part
    assert index(folder)["seen"] is True and 0 < seen.sum() < seen.size
    for entry, sample in zip(index(folder)["images"], samples(toy)):
        assert np.array_equal(read_mask(folder / "label" / f"{entry['bin']}.seen.png"), seen)
        picture = np.fromfile(folder / "img" / f"{entry['bin']}.bin", np.uint8).reshape(48, 56, 3)
        assert np.array_equal(picture, painted(TRANSFORM.image(read_image(sample.path)), seen))


def test_figures_are_of_what_counts(in_part, toy):
    folder, seen = in_part
    result = postprocess(folder)
    assert result.code == 0, result.err
    maps, _ = returned(folder)
    found = json.loads((folder / "back" / "results.json").read_text())
    assert found["pixel_auc"] == pytest.approx(
        roc_auc_score(masks(toy)[:, seen].ravel(), maps[:, seen].ravel()), abs=1e-6
    )


def test_what_counts_is_needed(in_part):
    folder, _ = in_part
    path = folder / "label" / "003.seen.png"
    write_image(path, np.ones((48, 48), bool))
    refused(postprocess(folder), 1, path, "48 x 56")
    path.unlink()
    refused(postprocess(folder), 1, path)


def test_an_index_of_before_says_nothing_of_what_counts(sent):
    assert "seen" not in index(sent) and not list((sent / "label").glob("*.seen.png"))
