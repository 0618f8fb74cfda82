"""Real photographs with ImageNet weights, where they are present."""

import json

import commands
import pytest

from pretrained import pthtockpt


@pytest.fixture(scope="module")
def hazelnuts(real, tmp_path_factory):
    """The results of PatchCore, and the output folder."""
    folder = tmp_path_factory.mktemp("real")
    weights = next((real / "weights").glob("resnet18*.pth"))
    checkpoint = folder / "resnet18.ckpt"
    done = commands.run(pthtockpt.main, "--pth_path", weights, "--ckpt_path", checkpoint)
    assert done.code == 0, done.err
    options = ("--backbone", "resnet18", "--crop", "none", "--coreset_ratio", "0.1", *commands.CPU)
    more = ("--category", "hazelnut_toy", "--pre_ckpt_path", checkpoint)
    done = commands.train(real / "realdata", folder / "out", *more, options=options)
    assert done.code == 0, done.err
    return json.loads((folder / "out/hazelnut_toy/results.json").read_text()), folder / "out"


def test_defects_of_hazelnuts_are_found_and_located(hazelnuts):
    results, _ = hazelnuts
    assert (results["train_images"], results["test_images"]) == (28, 23)
    assert results["img_auc"] >= 0.99
    assert results["pixel_auc"] >= 0.98
    assert not results["random_backbone"]


def test_a_damaged_hazelnut_gets_a_larger_score_than_a_good_one(real, hazelnuts, tmp_path):
    data, (_, output) = real / "realdata/hazelnut_toy", hazelnuts
    scores = {}
    for name in ("good/04.jpg", "colour/00.jpg"):
        arguments = ("--category", "hazelnut_toy", "--image_path", data / "test" / name, "--no_pictures")
        done = commands.predict(output, *arguments, "--save_json", tmp_path / "a.json")
        assert done.code == 0, done.err
        [row] = json.loads((tmp_path / "a.json").read_text())
        scores[name] = row["normalised"]
    assert scores["colour/00.jpg"] > scores["good/04.jpg"]
