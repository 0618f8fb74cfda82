"""Training and evaluation on folders of one's own and on other layouts, through the commands."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import CPU, RANDOM, SMALL, listing, run

from anomaly.commands import command

SHORT = (*SMALL, *RANDOM, *CPU)


def call(name: str, *words, method: str = "patchcore"):
    return run(command(name, method), *words)


def refused(result, code: int, *words):
    assert result.code == code and len(result.errors) == 1, result.err
    assert all(str(word) in result.err for word in words), result.err


def figures(output: Path, name: str) -> dict:
    found = json.loads((output / name / "results.json").read_text())
    return {key: found[key] for key in ("img_auc", "pixel_auc", "images", "verdicts")}


@pytest.fixture
def own(tmp_path, toy) -> Path:
    """Photographs as somebody keeps them: two lots of good ones, defects by their kind, masks elsewhere."""
    folder = tmp_path / "my parts, 1"
    for lot in ("lot a", "lot b"):
        shutil.copytree(toy / "gear/train/good", folder / lot / "ok")
    shutil.copytree(toy / "gear/test/rust", folder / "nok/rust")
    shutil.copytree(toy / "gear/test/scratch", folder / "nok/scratch")
    shutil.copytree(toy / "gear/ground_truth", folder / "truth")
    return folder


def test_own_folders_are_trained_on_and_evaluation_takes_the_same_photographs(own, tmp_path, monkeypatch):
    before = listing(own)
    output, where = tmp_path / "out", ("--good", own / "lot*/ok", "--bad", own / "nok", "--masks", own / "truth")
    done = call("train", *where, "--output_dir", output, *SHORT)
    assert done.code == 0, done.err
    [state] = output.iterdir()
    assert state.name == "my parts_ 1"
    assert "10 good images to train on, 8 test images" in done.out
    assert "2 of 12 good photographs are kept out of training, to test on (--test_share 0.2)" in done.out
    first = figures(output, state.name)
    assert first["pixel_auc"] is not None and first["verdicts"]["good"] == 2
    names = [image["name"] for image in first["images"]]
    assert len(names) == len(set(names)) == 8
    drawn = [path for path in (state / "sample").rglob("*.png") if path.parent.name != "train"]
    assert len(drawn) == 8

    monkeypatch.chdir("/")
    places = [("--ckpt_path", place) for place in (state / "state.json", state)]
    for more in (("--category", state.name), *places, ("--category", "all"), where):
        (state / "results.json").unlink()
        done = call("eval", "--output_dir", output, *more, *CPU)
        assert done.code == 0, done.err
        assert figures(output, state.name) == first, more
    assert listing(own) == before


def test_evaluation_on_other_photographs_of_defects(own, tmp_path):
    output = tmp_path / "out"
    base = ("--output_dir", output, "--category", "gear")
    known = ("--bad", own / "nok/scratch", "--masks", own / "truth/scratch")
    assert call("train", "--good", own / "lot a/ok", *known, *base, *SHORT).code == 0
    assert figures(output, "gear")["pixel_auc"] is not None
    done = call("eval", *base, "--bad", own / "nok/rust", *CPU)
    assert done.code == 0, done.err
    found = figures(output, "gear")
    assert found["pixel_auc"] is None  # the masks of other photographs by these names are not taken
    assert found["img_auc"] is not None and found["verdicts"] == {**found["verdicts"], "good": 1, "anomalous": 3}


def test_evaluation_says_what_to_give_where_the_photographs_have_gone(own, tmp_path):
    output = tmp_path / "out"
    assert call("train", "--good", own / "lot a/ok", "--category", "gear", "--output_dir", output, *SHORT).code == 0
    own.rename(tmp_path / "moved")
    refused(call("eval", "--category", "gear", "--output_dir", output, *CPU), 1, own / "lot a/ok", "--good and --bad")
    moved = tmp_path / "moved/lot a/ok"
    assert call("eval", "--category", "gear", "--good", moved, "--output_dir", output, *CPU).code == 0


def test_another_share_than_that_of_training_is_refused(own, tmp_path):
    base = ("--category", "gear", "--output_dir", tmp_path / "out")
    assert call("train", "--good", own / "lot a/ok", *base, *SHORT).code == 0
    refused(call("eval", *base, "--test_share", "0.5", *CPU), 1, "test_share 0.2")


def test_evaluation_needs_to_know_what(tmp_path, trained, toy):
    refused(call("eval", "--output_dir", trained[0], *CPU), 2, "--category", "fabric, gear")
    refused(call("eval", "--output_dir", tmp_path, "--category", "x", *CPU), 1, "x")


def test_evaluation_takes_the_data_set_of_training(tmp_path, trained):
    output = tmp_path / "out"
    shutil.copytree(trained[0], output)
    before = figures(output, "gear")
    assert call("eval", "--output_dir", output, "--category", "gear", *CPU).code == 0
    assert figures(output, "gear") == before


def test_options_that_do_not_go_together(own, toy, tmp_path):
    good = ("--good", own / "lot a/ok")
    out = ("--output_dir", tmp_path / "out")
    for words, code, said in (
        ((*good, "--dataset_path", toy), 2, "one or other"),
        (("--bad", own / "nok"), 2, "--good is needed"),
        ((*good, "--masks", own / "truth"), 2, "--bad"),
        ((*good, "--test_share", "1"), 2, "test_share"),
        (("--good", own / "nothing"), 1, own / "nothing"),
    ):
        refused(call("train", *words, *out, *SHORT), code, said)
    assert not (tmp_path / "out").exists()


def test_options_in_a_file(own, tmp_path):
    config = tmp_path / "options.yaml"
    config.write_text(f"good: '{own}/lot a/ok'\nbad: ['{own}/nok/rust', '{own}/nok/scratch']\ntest_share: 0.5\n")
    done = call("train", "--config", config, "--category", "gear", "--output_dir", tmp_path / "out", *SHORT)
    assert done.code == 0, done.err
    assert "3 good images to train on, 9 test images" in done.out


def test_photographs_for_a_device(own, tmp_path):
    where = ("--good", own / "lot a/ok", "--bad", own / "nok", "--masks", own / "truth")
    done = call("preprocess", *where, "--output_dir", tmp_path / "sent", "--resize", "64", "--crop", "none")
    assert done.code == 0, done.err
    assert len(list((tmp_path / "sent/img").iterdir())) == 7 and len(list((tmp_path / "sent/label").iterdir())) == 7
    refused(call("preprocess", *where, "--output_dir", own / "nok/sent"), 1, "is among the photographs")


def test_photographs_of_one_name_keep_apart_on_the_way_to_a_device_and_back(own, tmp_path):
    sent, back = tmp_path / "sent", tmp_path / "back"
    words = ("--good", own / "lot a/ok", own / "lot b/ok", "--bad", own / "nok", "--test_share", "0.5")
    done = call("preprocess", *words, "--category", "gear", "--output_dir", sent, "--resize", "64", "--crop", "none")
    assert done.code == 0, done.err
    names = [entry["bin"] for entry in json.loads((sent / "label/index.json").read_text())["images"]]
    back.mkdir()
    for name in names:
        np.zeros((64, 64), np.float32).tofile(back / f"{name}.bin")
    (back / "results.csv").write_text("\n".join(["name,score", *(f"{name},0.5" for name in names)]))
    words = ("--result_dir", back, "--label_dir", sent / "label", "--category", "gear")
    done = call("postprocess", *words)
    assert done.code == 0, done.err
    told = [image["name"] for image in json.loads((back / "results.json").read_text())["images"]]
    assert len(set(told)) == len(names) == len(list((back / "sample").rglob("*.png")))
    assert any(name.startswith("good/lot a/") for name in told)


def test_another_layout_from_training_to_evaluation(toy, tmp_path):
    root = tmp_path / "btad" / "01"
    for there, here in (("train/good", "train/ok"), ("test/good", "test/ok"), ("test/rust", "test/ko")):
        shutil.copytree(toy / "gear" / there, root / here)
    for path in (toy / "gear/ground_truth/rust").iterdir():
        (root / "ground_truth/ko").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / "ground_truth/ko" / path.name.replace("_mask", ""))
    output = tmp_path / "out"
    base = ("--dataset_path", root.parent, "--category", "01", "--output_dir", output)
    done = call("train", *base, "--layout", "btad", *SHORT)
    assert done.code == 0, done.err
    first = figures(output, "01")
    assert first["pixel_auc"] is not None and first["verdicts"]["anomalous"] == 3
    assert call("eval", *base, *CPU).code == 0 and figures(output, "01") == first
    refused(call("train", *base, "--layout", "visa", *SHORT), 1, "--layout btad")


def test_a_table_is_trained_on_too(toy, tmp_path):
    lines = [f"{path},good" for path in sorted((toy / "gear/train/good").iterdir())]
    (tmp_path / "gears.csv").write_text("\n".join(["path,label", *lines]))
    done = call("train", "--dataset_path", tmp_path / "gears.csv", "--output_dir", tmp_path / "out", *SHORT)
    assert done.code == 0, done.err
    assert figures(tmp_path / "out", "gears")["verdicts"]["good"] == 1
    again = ("eval", "--category", "gears", "--output_dir", tmp_path / "out", *CPU)
    assert call(*again).code == 0
    (tmp_path / "gears.csv").unlink()
    refused(call(*again), 1, f"{tmp_path / 'gears.csv'}: no such file", "--dataset_path")


def test_padim_takes_in_further_folders(own, toy, tmp_path):
    options = ("--category", "gear", "--output_dir", tmp_path / "out", "--backbone", "resnet18", "--resize", "64")
    options += ("--crop", "none", "--embedding_dim", "20", *RANDOM, *CPU)
    assert call("train", "--good", own / "lot a/ok", *options, method="padim").code == 0
    done = call("train", "--good", toy / "fabric/train/good", "--update", *options, method="padim")
    assert done.code == 0, done.err
    assert "5 good images to train on, 1 test images" in done.out
