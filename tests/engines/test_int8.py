"""A state in int8 is quantised on its own photographs, fitted on what that gives, and exported with it."""

import csv
import importlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from shell import ROOT

import anomaly
from anomaly import methods
from anomaly.data import layouts
from anomaly.data.samples import images_in
from anomaly.deploy import description, export, state
from anomaly.engines import choice, int8
from anomaly.measure import reduced
from anomaly.networks import registry
from anomaly.run.errors import DataError, UsageError
from anomaly.run.job import Job

pytestmark = [
    pytest.mark.skipif(not choice.is_installed("nncf"), reason="the package nncf is not installed"),
    pytest.mark.usefixtures("one_scale"),
]
OPTIONS = {"backbone": "resnet18", "resize": 64, "crop": None, "device_target": "CPU"}
OF_METHOD: dict = {
    "patchcore": {},
    "padim": {"embedding_dim": 20},
    "fastflow": {"num_epochs": 1, "flow_step": 1, "hidden_ratio": 0.25},
}


def shrink(monkeypatch):
    """ResNet18 with one block a layer."""
    others = tuple(record for record in registry.RECORDS if record.name != "resnet18")
    monkeypatch.setattr(registry, "RECORDS", (replace(registry.get("resnet18"), depths=(1, 1, 1)), *others))


@pytest.fixture(scope="module", params=OF_METHOD)
def made(request, toy, small_pth, tmp_path_factory) -> tuple:
    """A detector in int8, its state and its ONNX file."""
    folder = tmp_path_factory.mktemp("int8") / "gear"
    with pytest.MonkeyPatch.context() as monkeypatch:
        shrink(monkeypatch)
        method = methods.get(request.param)
        chosen = OPTIONS | OF_METHOD[request.param] | {"pre_ckpt_path": str(small_pth), "precision": "int8"}
        detector = method.fit(toy / "gear" / "train" / "good", **chosen)
        detector.save(folder)
        target = folder / "gear.onnx"
        export.export(detector, method.model, target=target, file_format="ONNX", category="gear", batch=None)
    return detector, folder, target


@pytest.fixture
def fitted(made, monkeypatch) -> tuple:
    shrink(monkeypatch)
    return made


@pytest.fixture(scope="module")
def small_pth(tmp_path_factory, torch_resnet18):
    """The first block of each layer of the whole ResNet18."""
    state = {key: value for key, value in torch_resnet18.state_dict().items() if not re.match(r"layer\d\.1", key)}
    path = tmp_path_factory.mktemp("int8") / "small.pth"
    torch.save(state, path)
    return path


@pytest.fixture
def pictures(toy):
    return toy / "gear" / "test" / "rust"


def scores(detector, photographs) -> list:
    return [judgement.score for judgement in detector.judge(photographs)]


def test_state_and_model_judge_as_the_fitted_one(fitted, pictures, monkeypatch):
    detector, folder, target = fitted
    monkeypatch.setitem(sys.modules, "nncf", None)  # which only fitting needs
    loaded, model = anomaly.load(folder), anomaly.load(target)
    assert "int8" in detector.runs_on and "int8" in loaded.runs_on and "int8" in model.runs_on
    wanted = scores(detector, pictures)
    assert len(wanted) == 3
    np.testing.assert_allclose(scores(loaded, pictures), wanted, rtol=1e-6)
    np.testing.assert_allclose(scores(model, pictures), wanted, rtol=1e-3)


def test_onnx_runtime_judges_nearly_alike(fitted, pictures, monkeypatch):
    detector, folder, target = fitted
    wanted = scores(detector, pictures)
    other = anomaly.load(folder, engine="onnxruntime")
    assert "ONNX Runtime, int8" in other.runs_on
    np.testing.assert_allclose(scores(other, pictures), wanted, rtol=0.02)
    monkeypatch.setattr(choice, "is_installed", lambda package: package != choice.OPENVINO)
    choice.choose.cache_clear()
    model = anomaly.load(target)
    choice.choose.cache_clear()
    assert "ONNX Runtime" in model.runs_on
    np.testing.assert_allclose(scores(model, pictures), wanted, rtol=0.02)


def rounded(nodes) -> list:
    """The convolutions in int8."""
    made = {name: node for node in nodes for name in node.output}
    return [node for node in nodes if node.op_type == "Conv" and is_rounded(made, node)]


def test_the_convolutions_of_the_network_alone_are_in_int8(fitted):
    onnx = importlib.import_module("onnx")
    nodes = onnx.load(fitted[2]).graph.node
    made, in_int8 = {name: node for node in nodes for name in node.output}, rounded(nodes)
    # All of the network up to the last layer that is looked through, and no other.
    assert len(in_int8) == (6 if fitted[0].method == "fastflow" else 9)
    others = {node.op_type for node in nodes if node not in in_int8 and is_rounded(made, node)}
    assert others <= {"MaxPool"}  # which picks from what is rounded
    assert not any("boundary" in name for node in nodes for name in (*node.input, *node.output))


def is_rounded(made: dict, node) -> bool:
    """Whether what goes into it was in 8 bits, by itself or before a maximum of it."""
    above = [made[name] for name in node.input if name in made]
    above += [made[name] for each in above if each.op_type == "MaxPool" for name in each.input]
    return any(each.op_type == "DequantizeLinear" for each in above)


def test_the_cpp_program_does_the_same(fitted, pictures, program, tmp_path):
    _, _, target = fitted
    arguments = ("--model", target, "--input", pictures, "--output", tmp_path, "--warmup", "0")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0 and "int8" in done.stdout, done.stdout + done.stderr
    with open(tmp_path / "results.csv") as file:
        found = {row["name"]: float(row["score"]) for row in csv.DictReader(file)}
    wanted = dict(zip((path.name for path in images_in(pictures)), scores(anomaly.load(target), pictures)))
    assert found.keys() == wanted.keys()
    assert [found[name] for name in wanted] == pytest.approx(list(wanted.values()), rel=2e-3)


def test_the_state_holds_the_network_and_notices_a_change(fitted, tmp_path):
    _, folder, _ = fitted
    for path in folder.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(folder)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    anomaly.load(tmp_path)
    file = tmp_path / state.NETWORK
    assert file.name in json.loads((tmp_path / state.RECORD).read_text())["files"]
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(DataError, match="onnx: missing or changed since training"):
        anomaly.load(tmp_path)


def test_another_precision_is_another_training(fitted):
    with pytest.raises(DataError, match="trained with precision int8, not float32"):
        anomaly.load(fitted[1], precision="float32")


def test_a_mindir_is_refused_with_what_to_do(fitted, tmp_path):
    detector, _, _ = fitted
    with pytest.raises(UsageError, match="--file_format ONNX"):
        model = methods.get(detector.method).model
        export.export(detector, model, target=tmp_path / "a.mindir", file_format="MINDIR", category="gear", batch=1)


def test_the_description_says_it(fitted):
    assert json.loads(description.beside(fitted[2]).read_text())["precision"] == "int8"


@pytest.mark.parametrize("made", ["padim"], indirect=True)
def test_what_is_added_to_a_state_goes_through_its_network(fitted, toy):
    first = fitted[0]
    padim = importlib.import_module("padim")
    paths = images_in(toy / "gear" / "train" / "good")
    more = padim.fit(toy / "gear" / "test" / "good", start=first)
    assert more.backbone.quantised == first.backbone.quantised != b""
    chosen = OPTIONS | OF_METHOD["padim"] | {"pre_ckpt_path": first.config.pre_ckpt_path, "precision": "float32"}
    plain = padim.fit(paths, network=more.backbone, **chosen)
    assert plain.backbone.quantised == b"" and plain.backbone.fingerprint == first.backbone.fingerprint


def test_a_network_with_depthwise_convolutions_stays_near_float32(toy, caplog):
    method = methods.get("patchcore")
    config = method.options(**OPTIONS | {"backbone": "efficientnet_lite0", "precision": "int8"})
    with caplog.at_level("INFO", logger="anomaly"):
        samples = layouts.to_train_on(toy / "gear")
        backbone = reduced.prepared(method.backbone(config), config, samples=samples, job=Job())
    apart = float(re.search(r"int8: features up to ([\d.]+) % off", caplog.text)[1])
    assert 0.1 < apart < 100 * reduced.FAR
    assert len(backbone.quantised) < 0.4 * sum(value.nbytes for value in backbone.values.values())


def test_a_broken_quantisation_is_warned_of_and_a_good_one_is_not(toy, caplog, monkeypatch):
    """Steps of a tenth: most activations are cut off."""
    onnx = importlib.import_module("onnx")
    method = methods.get("patchcore")
    config = method.options(**OPTIONS, pre_ckpt_path="random", precision="int8")
    samples = layouts.to_train_on(toy / "fabric")

    def said() -> bool:
        caplog.clear()
        with caplog.at_level("INFO", logger="anomaly"):
            found.append(reduced.prepared(method.backbone(config), config, samples=samples, job=Job()).quantised)
        assert "int8: features up to" in caplog.text
        return "warning: int8 is too far from float32" in caplog.text

    def scaled(*_) -> bytes:
        model = onnx.load_from_string(found[0])
        for number in model.graph.initializer:
            if number.name.startswith("scale_") and "weight" not in number.name:
                values = np.float32(0.1) * onnx.numpy_helper.to_array(number)
                number.CopyFrom(onnx.numpy_helper.from_array(values, number.name))
        return model.SerializeToString()

    found: list = []
    assert not said()
    assert len(rounded(onnx.load_from_string(found[0]).graph.node)) == 15  # of the whole ResNet18
    monkeypatch.setattr(int8, "quantise", scaled)
    assert said() and found[0] != found[1]


def test_what_cannot_be_is_one_line(monkeypatch, toy):
    padim = importlib.import_module("padim")
    monkeypatch.setattr(choice, "is_installed", lambda package: package != "nncf")
    with pytest.raises(DataError, match=r"NNCF is not installed: pip install -r requirements-int8\.txt"):
        padim.fit(toy / "gear", **OPTIONS, pre_ckpt_path="random", precision="int8")
    with pytest.raises(UsageError, match="needs --engine openvino or onnxruntime"):
        choice.choose("mindspore", "int8", target="CPU")


def test_nothing_is_printed_and_nothing_is_told_to_anybody(tmp_path):
    """In a process of its own, since NNCF itself keeps silent under pytest."""
    program = """
import numpy as np
import anomaly
from anomaly.engines import int8
from anomaly.engines.frozen import layers
from anomaly.engines.choice import Runtime
from anomaly.networks.weights import load_backbone
backbone = load_backbone("resnet18", ("layer1",), source="random", seed=1)
net = layers(backbone, (32, 32), runtime=Runtime("openvino", "float32", "CPU"))
images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
net(images)
assert int8.quantise(net.graph(), images) == int8.quantise(net.graph(), images)
from nncf.telemetry import wrapper
assert isinstance(wrapper.telemetry, wrapper.NNCFTelemetryStub), wrapper.telemetry
"""
    environment = {**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (tmp_path / "intel").exists()  # where they keep a number for each user
