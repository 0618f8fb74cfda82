"""Training, evaluation and prediction from end to end, on drawn photographs."""

import csv
import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from commands import CPU, RANDOM, SMALL, evaluate, listing, predict, run, train
from reports import data_in

from anomaly.show import captions, lettering, panels
from anomaly.show.tables import RANDOM_MARK

ROOT = Path(__file__).resolve().parents[2]
FIGURES = ("img_auc", "pixel_auc", "aupro", "img_f1", "pixel_f1", "img_ap", "pixel_ap")


def results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def figures(folder: Path) -> dict:
    return {key: results(folder)[key] for key in FIGURES}


def scores(folder: Path) -> np.ndarray:
    return np.array([image["score"] for image in results(folder)["images"]])


def pictures(folder: Path) -> list:
    """Of test photographs; those of training that decide the threshold are drawn too."""
    return sorted(path for path in folder.rglob("*.png") if path.parent.name != "train")


def picture(folder: Path, stem: str) -> np.ndarray:
    """The one picture in a folder that was drawn of the photograph with this name."""
    [path] = [path for path in pictures(folder) if path.name.startswith(stem)]
    return cv2.imread(str(path))


@pytest.fixture
def output(tmp_path, trained) -> Path:
    """A trained state, to change."""
    shutil.copytree(trained[0], tmp_path / "output")
    return tmp_path / "output"


def test_training_writes_everything(toy, trained):
    output, _ = trained
    for category in ("fabric", "gear"):
        folder = output / category
        for name in ("state.json", "config.yaml", "results.json", "report.html", "train.log", "embeddings/index.faiss"):
            assert (folder / name).stat().st_size > 0, name
        tests = sorted(path.relative_to(toy / category / "test") for path in (toy / category / "test").rglob("*.png"))
        drawn = sorted(path.relative_to(folder / "sample") for path in pictures(folder / "sample"))
        assert [path.parent for path in drawn] == [path.parent for path in tests]
        assert all(picture.name.startswith(test.stem) for picture, test in zip(drawn, tests))
        assert len(drawn) == 12
        left = [path.name for path in folder.rglob("*") if "tmp" in path.name]
        assert left == []


def test_the_pictures_show_photograph_heat_map_overlay_and_mask(toy, trained):
    drawn = picture(trained[0] / "fabric/sample/hole", "000")
    side = panels.SMALLEST
    head = lettering.height(lettering.scale((side, side)))
    photograph = cv2.imread(str(toy / "fabric/test/hole/000.png"))
    mask = cv2.imread(str(toy / "fabric/ground_truth/hole/000_mask.png"))
    assert np.array_equal(drawn[head : head + side, :side], cv2.resize(photograph, (side, side)))
    assert np.array_equal(drawn[head : head + side, -side:], np.kron(mask, np.ones((4, 4, 1), np.uint8)))


def test_results_hold_figures_between_0_and_1_and_every_image(toy, trained):
    found = results(trained[0] / "gear")
    assert all(0 <= found[key] <= 1 for key in FIGURES)
    assert (found["method"], found["category"]) == ("patchcore", "gear")
    assert (found["train_images"], found["test_images"]) == (6, 12)
    assert found["verdicts"]["good"] == 3
    assert found["verdicts"]["anomalous"] == 9
    names = {str(path.relative_to(toy / "gear/test")) for path in (toy / "gear/test").rglob("*.png")}
    assert {image["name"] for image in found["images"]} == names


def test_the_report_is_of_this_evaluation_and_one_page_links_those_of_all_categories(trained):
    output, _ = trained
    for category in ("fabric", "gear"):
        found, data = results(output / category), data_in(output / category / "report.html")
        assert {image["name"]: image["score"] for image in data["images"]} == {
            image["name"]: image["score"] for image in found["images"]
        }
        assert all("photo" in image for image in data["images"]) and data["threshold"] == found["threshold"]
        assert RANDOM_MARK in (output / category / "report.html").read_text()
    text = (output / "report.html").read_text()
    assert all(f'href="{category}/report.html"' in text for category in ("fabric", "gear"))
    assert RANDOM_MARK in text and "<bdi>mean</bdi>" in text


def test_the_report_needs_no_pictures_and_a_page_of_the_user_stays(toy, output):
    (output / "gear/report.html").unlink()
    assert evaluate(toy, output, "--category", "gear", "--pictures", "0").code == 0
    assert len(data_in(output / "gear/report.html")["images"]) == 12
    (output / "report.html").write_text("mine")
    done = evaluate(toy, output, "--category", "all")
    assert done.code == 1 and "report.html: is there already" in done.err and "== " not in done.out
    assert (output / "report.html").read_text() == "mine"


def test_a_category_that_fails_is_named_on_the_page(toy, output):
    (output / "fabric/state.json").unlink()
    done = evaluate(toy, output, "--category", "gear", "fabric")
    assert done.code == 1
    text = (output / "report.html").read_text()
    assert 'href="gear/report.html"' in text and "failed: " in text


def test_verdicts_are_counted_as_they_are_listed(trained):
    found = results(trained[0] / "fabric")
    called = [(image["anomalous"], image["verdict"] == "ANOMALOUS") for image in found["images"]]
    assert found["verdicts"]["false_alarms"] == called.count((False, True))
    assert found["verdicts"]["missed"] == called.count((True, False))
    for image in found["images"]:
        assert (image["verdict"] == "ANOMALOUS") == (image["score"] > found["threshold"])


def test_image_figures_follow_from_the_scores_listed(trained):
    from sklearn.metrics import roc_auc_score

    found = results(trained[0] / "fabric")
    labels = [image["anomalous"] for image in found["images"]]
    assert found["img_auc"] == pytest.approx(roc_auc_score(labels, scores(trained[0] / "fabric")))


def test_several_categories_end_in_a_table_with_their_mean(trained):
    output, printed = trained
    rows = [line.strip("| ").split(" | ") for line in printed.out.splitlines() if line.startswith("| ")]
    table = {name: values for name, *values in rows}
    assert list(table) == ["category", "fabric", "gear", "mean"]
    for name in ("fabric", "gear"):
        assert table[name] == [f"{value:.4f}" for value in figures(output / name).values()]
    for column, key in enumerate(FIGURES):
        mean = np.mean([figures(output / name)[key] for name in ("fabric", "gear")])
        assert float(table["mean"][column]) == pytest.approx(mean, abs=1e-4)


def test_the_line_of_figures_is_printed_and_logged(trained):
    output, printed = trained
    for category in ("fabric", "gear"):
        found = figures(output / category)
        line = f"img_auc: {found['img_auc']:.6f}, pixel_auc: {found['pixel_auc']:.6f}"
        assert line in printed.out.splitlines()
        assert line in (output / category / "train.log").read_text()


def test_a_random_backbone_is_marked_everywhere(toy, trained, tmp_path):
    output, printed = trained
    assert printed.out.rstrip().endswith(RANDOM_MARK)
    assert "random" in results(output / "gear")["backbone"]
    assert results(output / "gear")["random_backbone"] is True
    assert json.loads((output / "gear/state.json").read_text())["random_backbone"] is True
    assert RANDOM_MARK in (output / "gear/train.log").read_text()
    files = ("--save_csv", tmp_path / "a.csv", "--save_json", tmp_path / "a.json", "--no_pictures")
    judged = predict(output, "--category", "gear", "--image_path", toy / "gear/test/good", *files)
    assert RANDOM_MARK in judged.out
    assert all("random" in row["backbone"] for row in csv.DictReader((tmp_path / "a.csv").open()))
    assert all("random" in row["backbone"] for row in json.loads((tmp_path / "a.json").read_text()))


def test_a_backbone_with_weights_is_marked_nowhere(toy, tmp_path, resnet18_ckpt):
    done = train(toy, tmp_path, "--category", "gear", options=(*SMALL, *CPU, "--pre_ckpt_path", resnet18_ckpt))
    assert done.code == 0
    assert "random" not in done.out.lower()
    assert str(resnet18_ckpt) in done.out
    assert results(tmp_path / "gear")["backbone"] == "resnet18"
    assert results(tmp_path / "gear")["random_backbone"] is False
    again = evaluate(toy, tmp_path, "--category", "gear")
    assert again.code == 0
    assert "random" not in again.out.lower()


def test_the_options_of_training_are_kept(trained):
    kept = yaml.safe_load((trained[0] / "gear/config.yaml").read_text())
    assert kept["backbone"] == "resnet18"
    assert kept["resize"] == [64, 64]
    assert kept["crop"] is None
    assert kept["coreset_ratio"] == 0.2
    assert kept["pre_ckpt_path"] == "random"


def test_evaluation_gives_the_figures_of_training(toy, output):
    before = {name: results(output / name) for name in ("fabric", "gear")}
    for name in before:
        (output / name / "results.json").unlink()
    done = evaluate(toy, output, "--category", "all")
    assert done.code == 0, done.err
    assert re.search(r"^img_auc: \d\.\d{6}, pixel_auc: \d\.\d{6}$", done.out, re.MULTILINE)
    for name, wanted in before.items():
        found = results(output / name)
        assert {key: found[key] for key in FIGURES} == pytest.approx({key: wanted[key] for key in FIGURES}, abs=1e-6)
        assert found["threshold"] == wanted["threshold"]
        assert [image["verdict"] for image in found["images"]] == [image["verdict"] for image in wanted["images"]]
        assert (output / name / "eval.log").is_file()


def test_the_rate_of_false_alarms_can_be_chosen_after_training(toy, output):
    thresholds = []
    for rate in ("0.01", "0.2", "0.5"):
        assert evaluate(toy, output, "--category", "gear", "--false_alarm_rate", rate).code == 0
        thresholds.append(results(output / "gear")["threshold"])
    assert thresholds == sorted(thresholds, reverse=True)
    assert len(set(thresholds)) == 3


def test_no_more_pictures_are_drawn_than_asked_for(toy, output):
    assert evaluate(toy, output, "--category", "gear", "--pictures", "2").code == 0
    assert len(pictures(output / "gear/sample")) == 2
    assert len(scores(output / "gear")) == 12


def test_results_do_not_depend_on_the_batch_size(toy, tmp_path, trained):
    for size in (1, 4):
        done = train(toy, tmp_path / str(size), "--category", "gear", "--batch_size", size)
        assert done.code == 0, done.err
    one, four, eight = (scores(folder / "gear") for folder in (tmp_path / "1", tmp_path / "4", trained[0]))
    assert np.allclose(one, four, rtol=1e-4)
    assert np.allclose(one, eight, rtol=1e-4)


def test_results_do_not_depend_on_the_number_of_threads(toy, output, trained):
    assert evaluate(toy, output, "--category", "gear", "--workers", "1").code == 0
    assert np.allclose(scores(output / "gear"), scores(trained[0] / "gear"), rtol=1e-6)


def test_the_same_seed_gives_the_same_index_to_the_byte(toy, tmp_path, trained):
    assert train(toy, tmp_path / "again", "--category", "gear").code == 0
    index = "gear/embeddings/index.faiss"
    assert (tmp_path / "again" / index).read_bytes() == (trained[0] / index).read_bytes()
    assert train(toy, tmp_path / "other", "--category", "gear", "--seed", "2").code == 0
    assert (tmp_path / "other" / index).read_bytes() != (trained[0] / index).read_bytes()


def test_one_category_after_another_is_as_one_alone(toy, tmp_path, trained):
    assert train(toy, tmp_path, "--category", "gear").code == 0
    assert np.allclose(scores(tmp_path / "gear"), scores(trained[0] / "gear"), rtol=1e-6)


def test_nothing_is_written_to_the_data_set(data, tmp_path):
    before = listing(data)
    assert train(data, tmp_path / "out", "--category", "gear").code == 0
    assert evaluate(data, tmp_path / "out", "--category", "gear").code == 0
    judged = predict(tmp_path / "out", "--category", "gear", "--image_path", data / "gear/test")
    assert judged.code == 0
    assert listing(data) == before


def test_a_category_with_a_blank_in_its_name(data, tmp_path):
    (data / "gear").rename(data / "metal gear")
    assert train(data, tmp_path / "out", "--category", "metal gear").code == 0
    assert results(tmp_path / "out" / "metal gear")["category"] == "metal gear"
    assert evaluate(data, tmp_path / "out", "--category", "metal gear").code == 0


def test_without_test_images_there_is_a_state_and_no_figures(data, tmp_path):
    shutil.rmtree(data / "gear/test")
    shutil.rmtree(data / "gear/ground_truth")
    done = train(data, tmp_path / "out", "--category", "gear")
    assert done.code == 0, done.err
    assert "no test images" in done.out
    assert (tmp_path / "out/gear/state.json").is_file()
    assert all(value is None for value in figures(tmp_path / "out/gear").values())


def test_without_masks_the_figures_of_pixels_are_dashes(data, tmp_path):
    shutil.rmtree(data / "gear/ground_truth")
    done = train(data, tmp_path / "out", "--category", "gear")
    assert done.code == 0, done.err
    assert re.search(r"^img_auc: \d\.\d{6}, pixel_auc: -$", done.out, re.MULTILINE)
    found = figures(tmp_path / "out/gear")
    assert {key for key, value in found.items() if value is None} == {"pixel_auc", "aupro", "pixel_f1", "pixel_ap"}
    assert len(pictures(tmp_path / "out/gear/sample")) == 12


def test_an_image_without_a_mask_counts_for_images_and_not_for_pixels(data, tmp_path):
    (data / "gear/ground_truth/rust/001_mask.png").unlink()
    assert train(data, tmp_path / "out", "--category", "gear").code == 0
    found = results(tmp_path / "out/gear")
    assert found["test_images"] == 12
    assert all(found[key] is not None for key in FIGURES)


def test_good_test_images_alone_give_a_count_of_false_alarms(data, tmp_path):
    for folder in (data / "gear/test").iterdir():
        if folder.name != "good":
            shutil.rmtree(folder)
    done = train(data, tmp_path / "out", "--category", "gear")
    assert done.code == 0, done.err
    assert "img_auc: -, pixel_auc: -" in done.out
    assert results(tmp_path / "out/gear")["verdicts"]["good"] == 3


@pytest.mark.parametrize("count", [1, 2])
def test_few_photographs_are_enough_to_train(data, tmp_path, count):
    for path in sorted((data / "gear/train/good").iterdir())[count:]:
        path.unlink()
    done = train(data, tmp_path / "out", "--category", "gear")
    assert done.code == 0, done.err
    found = results(tmp_path / "out/gear")
    verdicts = {image["verdict"] for image in found["images"]}
    judged = predict(tmp_path / "out", "--category", "gear", "--image_path", data / "gear/test/good/000.png")
    assert judged.code == 0, judged.err
    if count == 1:
        assert found["threshold"] is None
        assert verdicts == {"UNKNOWN"}
        assert judged.out.startswith("UNKNOWN")
        assert "no threshold, so verdicts are UNKNOWN: two good photographs to train on are needed" in done.out
    else:
        assert found["threshold"] > 0
        assert verdicts <= {"NORMAL", "ANOMALOUS"}


def test_photographs_of_different_sizes_train_together(data, tmp_path):
    for number, path in enumerate(sorted((data / "gear/train/good").iterdir())):
        image = cv2.imread(str(path))
        cv2.imwrite(str(path), cv2.resize(image, (64 + 8 * number, 80)))
    assert train(data, tmp_path / "out", "--category", "gear").code == 0


def size_above_the_caption(drawn: np.ndarray) -> tuple:
    """Of the photograph in a picture of predict.py: what is white at its right and below it is none of it."""
    inner = (drawn < 250).any(axis=2)
    width = int(np.flatnonzero(inner[:40].any(axis=0)).max()) + 1
    height = int(np.argmin(inner[:, width - 1]))
    assert drawn.shape[0] > height + 40 and inner[height:].any() and drawn.shape[1] == captions.NARROWEST
    return height, width


def test_oblong_sizes_and_a_crop(toy, tmp_path):
    options = ("--backbone", "resnet18", "--resize", "64", "96", "--crop", "48", "80", *RANDOM, *CPU)
    assert train(toy, tmp_path, "--category", "gear", options=options).code == 0
    drawn = picture(tmp_path / "gear/sample/good", "000")
    gap = (drawn[30:200] == 255).all(axis=(0, 2))
    assert gap.argmax() == panels.SMALLEST  # the photograph ends there: 54 x 48 of its 64 x 64 pixels
    assert drawn.shape[0] == pytest.approx(256 * 48 / 54 + 3 * lettering.height(lettering.SMALLEST), abs=8)
    judged = predict(tmp_path, "--category", "gear", "--image_path", toy / "gear/test/good/000.png")
    assert judged.code == 0
    assert size_above_the_caption(picture(tmp_path / "gear/predict", "000")) == (64, 64)


def test_predict_prints_one_line_for_each_image_in_order(toy, trained, tmp_path):
    folder = toy / "gear/test"
    files = ("--save_csv", tmp_path / "a.csv", "--save_json", tmp_path / "a.json", "--no_pictures")
    done = predict(trained[0], "--category", "gear", "--image_path", folder, *files)
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines() if line.startswith(("NORMAL", "ANOMALOUS"))]
    names = [str(path) for path in sorted(folder.rglob("*.png"))]
    assert [path for _, _, path in lines] == names
    rows, listed = list(csv.DictReader((tmp_path / "a.csv").open())), json.loads((tmp_path / "a.json").read_text())
    assert [row["path"] for row in rows] == [row["path"] for row in listed] == names
    assert [row["verdict"] for row in rows] == [row["verdict"] for row in listed] == [line[0] for line in lines]
    for row, entry, (verdict, normalised, _) in zip(rows, listed, lines):
        assert float(row["score"]) == pytest.approx(entry["score"])
        assert float(normalised) == pytest.approx(entry["normalised"], abs=1e-4)
        assert (entry["score"] > entry["threshold"]) == (verdict == "ANOMALOUS") == (entry["normalised"] > 0.5)
        assert entry["method"] == "patchcore"


def test_predict_scores_as_evaluation_does(toy, trained, tmp_path):
    files = ("--save_json", tmp_path / "a.json", "--no_pictures", "--batch_size", "5")
    assert predict(trained[0], "--category", "gear", "--image_path", toy / "gear/test", *files).code == 0
    judged = {"/".join(Path(row["path"]).parts[-2:]): row for row in json.loads((tmp_path / "a.json").read_text())}
    for image in results(trained[0] / "gear")["images"]:
        assert judged[image["name"]]["score"] == pytest.approx(image["score"], rel=1e-4)
        assert judged[image["name"]]["verdict"] == image["verdict"]


def test_predict_draws_pictures_at_the_size_of_the_photographs(toy, output, tmp_path):
    photographs = tmp_path / "photographs"
    for name, size in (("a.png", (50, 90)), ("below/b.jpg", (120, 70))):
        (photographs / name).parent.mkdir(parents=True, exist_ok=True)
        image = cv2.imread(str(toy / "gear/test/good/000.png"))
        cv2.imwrite(str(photographs / name), cv2.resize(image, size[::-1]))
    done = predict(output, "--category", "gear", "--image_path", photographs)
    assert done.code == 0, done.err
    assert size_above_the_caption(picture(output / "gear/predict", "a")) == (50, 90)
    assert size_above_the_caption(picture(output / "gear/predict/below", "b")) == (120, 70)


def test_images_of_one_name_and_different_types_get_a_picture_each(toy, output, tmp_path):
    image = cv2.imread(str(toy / "gear/test/good/000.png"))
    (tmp_path / "photographs").mkdir()
    for name in ("a.png", "a.jpg", "a.bmp"):
        cv2.imwrite(str(tmp_path / "photographs" / name), image)
    assert predict(output, "--category", "gear", "--image_path", tmp_path / "photographs").code == 0
    assert len(pictures(output / "gear/predict")) == 3


def test_no_pictures_draws_none(toy, output):
    arguments = ("--category", "gear", "--image_path", toy / "gear/test/good")
    assert predict(output, *arguments, "--no_pictures").code == 0
    assert not (output / "gear/predict").exists()
    assert predict(output, *arguments).code == 0
    assert len(pictures(output / "gear/predict")) == 3


@pytest.mark.parametrize("flags,rate,code", [([], "0.99", 0), (["--fail_on_anomaly"], "0.99", 3)])
def test_an_anomaly_is_an_exit_code_of_its_own_if_asked_for(toy, output, flags, rate, code):
    arguments = ("--category", "fabric", "--image_path", toy / "fabric/test", "--no_pictures")
    done = predict(output, *arguments, "--false_alarm_rate", rate, *flags)
    assert "ANOMALOUS" in done.out
    assert done.code == code


def test_no_anomaly_is_success(toy, output):
    arguments = ("--category", "gear", "--image_path", toy / "gear/train/good", "--no_pictures", "--fail_on_anomaly")
    done = predict(output, *arguments, "--false_alarm_rate", "0.001")
    assert "ANOMALOUS" not in done.out
    assert done.code == 0


def test_training_again_replaces_everything(data, output):
    (output / "gear/sample/of an earlier run.png").write_bytes(b"x")
    assert train(data, output, "--category", "gear", "--seed", "5").code == 0
    assert not (output / "gear/sample/of an earlier run.png").exists()
    assert yaml.safe_load((output / "gear/config.yaml").read_text())["seed"] == 5
    assert evaluate(data, output, "--category", "gear").code == 0


def test_commands_start_inside_their_folder_too():
    command = [sys.executable, "train.py", "--help"]
    done = subprocess.run(command, cwd=ROOT / "patchcore", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--category" in done.stdout
    assert "--coreset_ratio" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("module", ["train", "eval", "predict"])
def test_help_shows_the_options(module):
    found = run(importlib.import_module(f"patchcore.{module}").main, "--help")
    assert found.code == 0
    assert "--category" in found.out
    assert found.err == ""


def test_a_command_runs_from_anywhere_with_relative_paths(toy, tmp_path):
    command = [sys.executable, str(ROOT / "patchcore/train.py"), "--dataset_path", "toy", "--category", "gear"]
    (tmp_path / "toy").symlink_to(toy)
    done = subprocess.run(
        [*command, "--output_dir", "out", *SMALL, *RANDOM, *CPU], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/gear/state.json").is_file()
    assert "Traceback" not in done.stderr
    assert "WARNING" not in done.stdout + done.stderr
