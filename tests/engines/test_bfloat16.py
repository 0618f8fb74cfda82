"""A state in bfloat16 is fitted, judged, exported and run by the C++ program in bfloat16: all give one score."""

import csv
import importlib
import json
import subprocess

import numpy as np
import pytest
from commands import unsealed

import anomaly
from anomaly import methods
from anomaly.data.samples import images_in
from anomaly.deploy import description, export
from anomaly.engines import choice, open_vino
from anomaly.run.errors import DataError

pytestmark = [
    pytest.mark.skipif(not choice.has_bfloat16(), reason="this processor has no bfloat16"),
    pytest.mark.usefixtures("one_scale"),
]
OPTIONS = {"backbone": "resnet18", "resize": 64, "crop": None, "device_target": "CPU"}


METHODS = ("patchcore", "padim", "fastflow")


@pytest.fixture(scope="module", params=METHODS)
def fitted(request, toy, resnet18_ckpt, tmp_path_factory):
    """A detector in bfloat16, its state and its ONNX file."""
    chosen = OPTIONS | {"pre_ckpt_path": str(resnet18_ckpt), "precision": "bfloat16"}
    chosen |= {"num_epochs": 1, "flow_step": 1, "hidden_ratio": 0.25} if request.param == "fastflow" else {}
    detector = importlib.import_module(request.param).fit(toy / "gear" / "train" / "good", **chosen)
    folder = tmp_path_factory.mktemp("half") / "gear"
    detector.save(folder)
    model = methods.get(request.param).model
    target = folder / "gear.onnx"
    export.export(detector, model, target=target, file_format="ONNX", category="gear", batch=None)
    return detector, folder, target


@pytest.fixture
def pictures(toy):
    return toy / "gear" / "test" / "rust"


def scores(detector, photographs) -> list:
    return [judgement.score for judgement in detector.judge(photographs)]


def test_state_and_model_judge_as_the_fitted_one(fitted, pictures):
    detector, folder, target = fitted
    state, model = anomaly.load(folder), anomaly.load(target)
    assert "bfloat16" in detector.runs_on and "bfloat16" in state.runs_on and "bfloat16" in model.runs_on
    wanted = scores(detector, pictures)
    assert len(wanted) == 3
    np.testing.assert_allclose(scores(state, pictures), wanted, rtol=1e-6)
    np.testing.assert_allclose(scores(model, pictures), wanted, rtol=1e-3)


def test_only_what_learns_nothing_is_in_bfloat16(fitted, pictures):
    """Search and distances in float32: were the whole model in bfloat16, scores would have its eight bits."""
    _, _, target = fitted
    openvino = importlib.import_module("openvino")
    before, after = open_vino.split(openvino, open_vino._core().read_model(target))
    assert [port.any_name for port in before.inputs] == ["image"]
    assert {port.any_name for port in after.inputs} == {name for port in before.outputs for name in port.names}
    found = np.float32(scores(anomaly.load(target), pictures))
    assert (found.view(np.uint32) & 0xFFFF).any()


def test_the_cpp_program_does_the_same(fitted, pictures, program, tmp_path):
    _, _, target = fitted
    arguments = ("--model", target, "--input", pictures, "--output", tmp_path, "--warmup", "0")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0 and "bfloat16" in done.stdout, done.stdout + done.stderr
    with open(tmp_path / "results.csv") as file:
        found = {row["name"]: float(row["score"]) for row in csv.DictReader(file)}
    wanted = dict(zip((path.name for path in images_in(pictures)), scores(anomaly.load(target), pictures)))
    assert found.keys() == wanted.keys()
    assert [found[name] for name in wanted] == pytest.approx(list(wanted.values()), rel=2e-3)


def test_another_precision_is_another_training(fitted):
    _, folder, _ = fitted
    with pytest.raises(DataError, match="trained with precision bfloat16, not float32"):
        anomaly.load(folder, precision="float32")


def test_a_precision_that_is_not_known_is_refused(fitted, program, tmp_path):
    _, _, target = fitted
    about = unsealed(description.beside(target))
    copy = tmp_path / "gear.onnx"
    copy.write_bytes(target.read_bytes())
    description.beside(copy).write_text(json.dumps({**about, "precision": "float8"}))
    with pytest.raises(DataError, match="float8"):
        anomaly.load(copy)
    arguments = ("--model", copy, "--input", tmp_path, "--output", tmp_path / "out")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 1 and "float8" in done.stderr
