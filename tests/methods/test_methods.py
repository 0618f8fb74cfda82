"""Every method goes through the same commands and leaves the same things behind."""

import importlib
import json
import re

import numpy as np
import pytest
from commands import CPU, METHODS, RANDOM, run

pytestmark = pytest.mark.usefixtures("one_scale")


def command(method, name, *arguments):
    return run(importlib.import_module(f"{method}.{name}").main, *CPU, *arguments)


@pytest.fixture(scope="module", params=METHODS)
def run_of(request, tmp_path_factory, toy):
    """One training of a method on both categories: its name, its output folder, what was printed."""
    method = request.param
    output = tmp_path_factory.mktemp(method)
    arguments = ("--dataset_path", toy, "--category", "all", "--output_dir", output, *METHODS[method], *RANDOM)
    result = command(method, "train", *arguments)
    assert result.code == 0, result.err
    return method, output, result


def test_training_leaves_state_options_figures_log_and_pictures(run_of):
    method, output, result = run_of
    for category in ("fabric", "gear"):
        folder = output / category
        for name in ("state.json", "config.yaml", "results.json", "train.log", "sample/good/000.png"):
            assert (folder / name).is_file(), name
        results = json.loads((folder / "results.json").read_text())
        assert results["method"] == method and results["random_backbone"] is True
        assert 0 <= results["img_auc"] <= 1 and 0 <= results["aupro"] <= 1
        assert results["threshold"] is not None
    assert "| mean |" in result.out and "RANDOM BACKBONE" in result.out


def test_evaluation_gives_the_figures_of_training(run_of, toy):
    method, output, _ = run_of
    before = json.loads((output / "gear" / "results.json").read_text())
    arguments = ("--dataset_path", toy, "--category", "gear", "--output_dir", output, "--batch_size", "3")
    result = command(method, "eval", *arguments)
    assert result.code == 0, result.err
    assert re.search(r"^img_auc: \d\.\d+, pixel_auc: \d\.\d+$", result.out, re.M)
    after = json.loads((output / "gear" / "results.json").read_text())
    for old, new in zip(before["images"], after["images"]):
        assert new["score"] == pytest.approx(old["score"], rel=1e-3, abs=1e-5)
    assert after["pixel_auc"] == pytest.approx(before["pixel_auc"], abs=1e-4)


def test_prediction_gives_the_scores_of_evaluation(run_of, toy, tmp_path):
    method, output, _ = run_of
    folder, table = toy / "gear" / "test" / "rust", tmp_path / "verdicts.json"
    result = command(
        method, "predict", "--category", "gear", "--output_dir", output, "--image_path", folder, "--save_json", table
    )
    assert result.code == 0, result.err
    known = json.loads((output / "gear" / "results.json").read_text())["images"]
    scores = {image["name"]: image["score"] for image in known}
    rows = json.loads(table.read_text())
    assert len(rows) == 3
    for row in rows:
        name = "rust/" + row["path"].rsplit("/", 1)[1]
        assert row["score"] == pytest.approx(scores[name], rel=1e-3, abs=1e-5)
        assert row["verdict"] in ("NORMAL", "ANOMALOUS")
        assert (row["normalised"] > 0.5) == (row["verdict"] == "ANOMALOUS")
        assert (output / "gear" / "predict" / name.rsplit("/", 1)[1]).is_file()


def test_a_state_of_one_method_is_refused_by_another(run_of, toy):
    method, output, _ = run_of
    other = next(name for name in METHODS if name != method)
    result = command(other, "eval", "--dataset_path", toy, "--category", "gear", "--output_dir", output)
    assert result.code == 1 and result.errors == [f"error: {output / 'gear'}: is a state of {method}, not of {other}"]


def test_a_damaged_state_is_one_line(run_of, toy, tmp_path):
    import shutil

    method, output, _ = run_of
    copy = tmp_path / "out"
    shutil.copytree(output / "gear", copy / "gear")
    names = [n for n in json.loads((copy / "gear" / "state.json").read_text())["files"] if n != "config.yaml"]
    for name in names:
        path = copy / "gear" / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        result = command(method, "eval", "--dataset_path", toy, "--category", "gear", "--output_dir", copy)
        assert result.code == 1 and len(result.errors) == 1 and name in result.err
        path.write_bytes(whole)


def test_the_same_seed_gives_the_same_state(run_of, toy, tmp_path):
    method, output, _ = run_of
    arguments = ("--dataset_path", toy, "--category", "gear", "--output_dir", tmp_path, *METHODS[method], *RANDOM)
    assert command(method, "train", *arguments).code == 0
    first, second = (json.loads((o / "gear" / "state.json").read_text()) for o in (output, tmp_path))
    assert first["good_scores"] == second["good_scores"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("images", [1, 3])
def test_few_images_are_enough_to_train(method, images, toy, tmp_path):
    data = tmp_path / "data" / "few" / "train" / "good"
    data.mkdir(parents=True)
    for path in sorted((toy / "gear" / "train" / "good").iterdir())[:images]:
        (data / path.name).write_bytes(path.read_bytes())
    arguments = ("--dataset_path", tmp_path / "data", "--category", "few", "--output_dir", tmp_path / "out")
    result = command(method, "train", *arguments, *METHODS[method], *RANDOM)
    assert result.code == 0, result.err
    assert "no test images" in result.out
    scores = json.loads((tmp_path / "out" / "few" / "state.json").read_text())["good_scores"]
    assert np.isfinite(scores).all()
