"""A fourth method is a folder: put beside the others, it has all commands, the launchers and the benchmark.

tests/fourth/nearest_mean is that folder. The project is copied, and no file of it is changed.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOURTH = ROOT / "tests" / "fourth" / "nearest_mean"
SIZE = ("--backbone", "resnet18", "--resize", "64", "--crop", "none")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of the project with the folder put into it."""
    folder = tmp_path_factory.mktemp("fourth") / "project"
    for name in ("anomaly", "patchcore", "padim", "fastflow", "scripts", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(FOURTH, folder / "nearest_mean", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run(project: Path, *command) -> str:
    environment = {**os.environ, "PYTHON": sys.executable}
    environment.pop("PYTHONPATH", None)
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(project, toy) -> Path:
    """By its launcher, with an evaluation after it: the category's folder."""
    launcher = project / "scripts" / "run_standalone_train_cpu.sh"
    printed = run(project, "bash", launcher, "nearest_mean", toy, "random", "gear", "--", *SIZE, "--sigma", "2")
    folder = project / "output" / "nearest_mean" / "gear"
    assert "nearest_mean, category gear: 6 good images" in printed and (folder / "state.json").is_file()
    return folder


def python(project: Path, command: str, *arguments) -> str:
    return run(project, sys.executable, project / "nearest_mean" / f"{command}.py", "--category", "gear", *arguments)


def results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def test_it_is_trained_and_evaluated(project, trained, toy):
    before = results(trained)
    python(project, "eval", "--dataset_path", toy)
    assert results(trained)["img_auc"] == before["img_auc"] and before["method"] == "nearest_mean"


def test_its_options_are_in_the_help_and_in_the_state(project, trained):
    printed = python(project, "train", "--help")
    assert "--sigma SIGMA" in printed and "nearest mean" in printed
    assert "sigma: 2.0" in (trained / "config.yaml").read_text()


@pytest.fixture(scope="module")
def model(project, trained) -> Path:
    python(project, "export", "--file_format", "ONNX")
    return trained / "nearest_mean_gear.onnx"


def test_its_state_and_its_model_predict_alike(project, trained, model, toy, tmp_path):
    photographs, rows = toy / "gear" / "test", []
    for number, more in enumerate(((), ("--model_path", model))):
        table = tmp_path / f"{number}.json"
        python(project, "predict", "--image_path", photographs, "--save_json", table, *more)
        rows.append(json.loads(table.read_text()))
    assert len(rows[0]) == 12
    for one, other in zip(*rows):
        assert one["score"] == pytest.approx(other["score"], rel=1e-3) and one["verdict"] == other["verdict"]


def test_what_a_device_gave_back_makes_its_figures(project, trained, model, toy, tmp_path):
    import onnxruntime

    python(project, "preprocess", "--dataset_path", toy, "--output_dir", tmp_path, "--model_path", model)
    session, back = onnxruntime.InferenceSession(str(model)), tmp_path / "back"
    back.mkdir()
    with open(back / "results.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("name", "score"))
        for path in sorted((tmp_path / "img").iterdir()):
            image = np.fromfile(path, np.uint8).reshape(1, 64, 64, 3)
            maps, score, _ = session.run(["map", "score", "normalised"], {"image": image})
            maps[0].tofile(back / path.name)
            table.writerow((path.stem, float(score[0])))
    python(project, "postprocess", "--result_dir", back, "--label_dir", tmp_path / "label")
    assert results(back)["img_auc"] == pytest.approx(results(trained)["img_auc"], abs=5e-5)
    assert results(back)["pixel_auc"] == pytest.approx(results(trained)["pixel_auc"], abs=5e-5)


def test_the_benchmark_knows_it(project, toy):
    script, flags = project / "scripts" / "run_all_mvtec_cpu.sh", " ".join(SIZE)
    printed = run(project, "bash", script, "nearest_mean", toy, "random", f"--nearest_mean={flags}")
    assert "## nearest_mean" in printed and "Published: nothing of this method." in printed
    assert "| fabric |" in printed and "| gear |" in printed


def test_it_is_a_verb_too(project, toy):
    data, options = str(toy / "gear"), "backbone='resnet18', resize=64, crop=None, pre_ckpt_path='random'"
    program = f"import anomaly, nearest_mean; d = nearest_mean.fit({data!r}, {options}); "
    program += f"print(anomaly.evaluate(d, {data!r}).verdicts)"
    assert "good=3" in run(project, sys.executable, "-c", program)
