"""What was evaluated is what runs elsewhere: state, MINDIR and ONNX give the same maps, scores and figures."""

import importlib
import json
import shutil

import numpy as np
import pytest
from commands import CPU, RANDOM, run

from anomaly import engines
from anomaly.dataset import load_category
from anomaly.errors import DataError
from anomaly.loader import batches

SIZE = ("--resize", "64", "--crop", "48 64")
OPTIONS = {
    "patchcore": ("--coreset_ratio", "0.2"),
    "padim": ("--embedding_dim", "20"),
    "fastflow": ("--flow_step", "2", "--num_epochs", "2", "--train_batch_size", "4", "--hidden_ratio", "0.25"),
}
CASES = [(method, "resnet18") for method in OPTIONS] + [("patchcore", "wide_resnet50"), ("padim", "wide_resnet50")]


def command(method, name, *arguments):
    return run(importlib.import_module(f"{method}.{name}").main, *CPU, *arguments)


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def exported(request, toy, tmp_path_factory):
    """A method trained and exported in both formats: its name and its output folder."""
    method, backbone = request.param
    output = tmp_path_factory.mktemp(f"{method}_{backbone}")
    base = ("--category", "gear", "--output_dir", output)
    options = ("--backbone", backbone, *SIZE, *OPTIONS[method], *RANDOM)
    trained = command(method, "train", "--dataset_path", toy, *base, *options)
    assert trained.code == 0, trained.err
    for file_format in ("MINDIR", "ONNX"):
        result = command(method, "export", *base, "--file_format", file_format, "--batch_size", "2")
        assert result.code == 0, result.err
    return method, output


def models(exported) -> dict:
    method, output = exported
    return {suffix: output / "gear" / f"{method}_gear.{suffix}" for suffix in ("mindir", "onnx")}


def test_maps_and_scores_are_those_of_the_state(exported, toy):
    output = exported[1]
    known = json.loads((output / "gear" / "results.json").read_text())["images"]
    expected = np.array([image["score"] for image in known])
    maps = {}
    for suffix, path in models(exported).items():
        model, parts = engines.load(path), []
        for batch in batches(load_category(toy, "gear").test, model.transform, 5, 2):
            parts.append([values[: batch.size] for values in model.score(batch.images)])
        maps[suffix], scores = (np.concatenate(values) for values in zip(*parts))
        np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-6)
    assert maps["onnx"].shape == (len(expected), 48, 64)
    np.testing.assert_allclose(maps["onnx"], maps["mindir"], rtol=1e-3, atol=1e-5 * np.abs(maps["mindir"]).max())


@pytest.mark.parametrize("suffix", ["mindir", "onnx"])
def test_evaluation_of_a_model_gives_the_figures_of_training(exported, suffix, toy, tmp_path):
    method, output = exported
    path = models(exported)[suffix]
    result = command(
        method, "eval", "--dataset_path", toy, "--category", "gear", "--output_dir", tmp_path, "--model_path", path
    )
    assert result.code == 0, result.err
    assert "RANDOM BACKBONE" in result.out
    before, after = (json.loads((folder / "gear" / "results.json").read_text()) for folder in (output, tmp_path))
    for key in ("img_auc", "pixel_auc", "aupro"):
        assert after[key] == pytest.approx(before[key], abs=5e-5), key
    assert after["threshold"] == pytest.approx(before["threshold"])


def test_prediction_with_a_model_needs_no_state(exported, toy, tmp_path):
    method, _ = exported
    folder = toy / "gear" / "test" / "rust"
    for path in models(exported).values():
        arguments = ("--category", "gear", "--output_dir", tmp_path, "--image_path", folder, "--model_path", path)
        result = command(method, "predict", *arguments)
        assert result.code == 0, result.err
        assert result.out.count("rust") >= 3


def test_a_model_goes_with_its_description(exported, tmp_path):
    path = models(exported)["onnx"]
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    with pytest.raises(DataError, match="side by side"):
        engines.load(copy)
    shutil.copy(path.with_suffix(".json"), tmp_path)
    assert engines.load(copy).batch == 2
    copy.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="is not the model"):
        engines.load(copy)


def test_a_model_of_another_method_is_refused(exported, toy, tmp_path):
    method, _ = exported
    other = next(name for name in OPTIONS if name != method)
    path = models(exported)["onnx"]
    arguments = ("--dataset_path", toy, "--category", "gear", "--output_dir", tmp_path, "--model_path", path)
    result = command(other, "eval", *arguments)
    assert result.code == 1 and method in result.err and len(result.errors) == 1


@pytest.mark.parametrize("file_format", ["MINDIR", "ONNX"])
def test_the_backbone_alone_gives_its_features(file_format, tmp_path, resnet18_ckpt, torch_resnet18):
    import onnxruntime
    from torch_resnet import features

    target = tmp_path / f"backbone.{file_format.lower()}"
    options = ("--backbone", "resnet18", *SIZE, "--part", "backbone", "--ckpt_file", resnet18_ckpt)
    result = command("patchcore", "export", *options, "--file_format", file_format, "--file_name", target)
    assert result.code == 0, result.err
    images = np.random.default_rng(0).integers(0, 256, (1, 48, 64, 3), dtype=np.uint8)
    if file_format == "ONNX":
        found = onnxruntime.InferenceSession(str(target)).run(["layer2", "layer3"], {"image": images})
    else:
        import mindspore

        net = mindspore.nn.GraphCell(mindspore.load(str(target)))
        found = [output.asnumpy() for output in net(mindspore.Tensor(images))]
    for mine, other in zip(found, features(torch_resnet18, images)[1:]):
        np.testing.assert_allclose(mine, other.numpy(), rtol=1e-3, atol=1e-4 * float(other.abs().max()))


def test_air_is_for_ascend_hosts(exported):
    method, output = exported
    result = command(method, "export", "--category", "gear", "--output_dir", output, "--file_format", "AIR")
    assert result.code == 2 and "Ascend" in result.err
