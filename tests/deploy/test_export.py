"""What was evaluated is what runs elsewhere: state, MINDIR and ONNX give the same maps, scores and figures."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shell
from commands import CPU, RANDOM, run, unsealed
from cpp import building, infer, table
from reports import data_in
from sklearn.metrics import roc_auc_score

import anomaly
from anomaly.data.layouts import load_category
from anomaly.data.loader import batches, read_sample
from anomaly.deploy import description, seal
from anomaly.deploy import exported as engine
from anomaly.run.errors import DataError
from anomaly.run.files import sha256

SIZE = ("--resize", "64", "--crop", "48 64")
OPTIONS = {
    "patchcore": ("--coreset_ratio", "0.2"),
    "padim": ("--embedding_dim", "20"),
    "fastflow": ("--flow_step", "2", "--num_epochs", "1", "--train_batch_size", "4", "--hidden_ratio", "0.25"),
}
one = pytest.mark.parametrize("exported", ["padim"], indirect=True)  # where the method makes no difference
pytestmark = pytest.mark.usefixtures("one_scale")


def command(method, name, *arguments):
    device = () if name in ("preprocess", "postprocess") else CPU  # which know of none
    return run(importlib.import_module(f"{method}.{name}").main, *device, *arguments)


@pytest.fixture(scope="module", params=OPTIONS)
def exported(request, toy, tmp_path_factory):
    """A method trained and exported in both formats: its name and its output folder."""
    method = request.param
    output = tmp_path_factory.mktemp(method)
    base = ("--category", "gear", "--output_dir", output)
    options = ("--backbone", "resnet18", *SIZE, *OPTIONS[method], *RANDOM)
    trained = command(method, "train", "--dataset_path", toy, *base, *options)
    assert trained.code == 0, trained.err
    for file_format in ("MINDIR", "ONNX"):
        result = command(method, "export", *base, "--file_format", file_format, "--batch_size", "dynamic")
        assert result.code == 0, result.err
    return method, output


@pytest.fixture(scope="module")
def state_maps(exported, toy):
    """What the trained state itself makes of the test images: transform, maps, scores."""
    method, output = exported
    detector = anomaly.load(output / "gear")
    assert detector.method == method
    return detector.transform, *judged(detector, detector.transform, toy)


def judged(detector, transform, toy) -> tuple:
    parts = []
    for batch in batches(load_category(toy, "gear").test, transform, batch_size=5, workers=2):
        parts.append([values[: batch.size] for values in detector.score(batch.images)])
    return tuple(np.concatenate(values) for values in zip(*parts))


def models(exported) -> dict:
    method, output = exported
    return {suffix: output / "gear" / f"{method}_gear.{suffix}" for suffix in ("mindir", "onnx")}


def same(found, expected):
    """Within 1e-3 of each other."""
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def figures(folder: Path) -> tuple:
    results = json.loads((folder / "results.json").read_text())
    return results["img_auc"], results["pixel_auc"]


def test_maps_and_scores_are_those_of_the_state(exported, state_maps, toy):
    transform, maps, scores = state_maps
    assert maps.shape == (len(scores), 48, 64)
    for path in models(exported).values():
        model = engine.load(path)
        assert model.transform == transform
        found_maps, found_scores = judged(model, transform, toy)
        same(found_maps, maps)
        same(found_scores, scores)
        assert aurocs(found_maps, found_scores, transform, toy) == pytest.approx(
            figures(exported[1] / "gear"), abs=5e-5
        )


def aurocs(maps, scores, transform, toy) -> tuple:
    """scikit-learn's, of images and of pixels."""
    samples = load_category(toy, "gear").test
    masks = np.stack([read_sample(sample, transform, with_mask=True)[1] for sample in samples])
    return roc_auc_score([sample.anomalous for sample in samples], scores), roc_auc_score(masks.ravel(), maps.ravel())


def by_the_program(method, model, device, *, toy, program, folder) -> tuple:
    """Maps, scores and figures of the test images, which are sent to the C++ program and come back."""
    sent, back, category = folder / "sent", folder / "back", ("--category", "gear")
    about = (*category, "--output_dir", sent, "--model_path", model)
    result = command(method, "preprocess", "--dataset_path", toy, *about)
    assert result.code == 0, result.err
    arguments = ("--model", model, "--device", device, "--input", sent / "img", "--output", back, "--preprocess", "n")
    done = subprocess.run([program, *map(str, arguments), "--warmup", "0"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = command(method, "postprocess", "--result_dir", back, "--label_dir", sent / "label", *category)
    assert result.code == 0, result.err
    return *results_in(back, toy), figures(back)


def results_in(back: Path, toy: Path) -> tuple:
    """The maps and the scores of the test images, which postprocess.py has gone through."""
    maps = [np.fromfile(file, np.float32).reshape(48, 64) for file in sorted(back.glob("*.bin"))]
    found = {image["name"]: image["score"] for image in json.loads((back / "results.json").read_text())["images"]}
    return np.stack(maps), [found[sample.name] for sample in load_category(toy, "gear").test]


def test_onnx_runtime_gives_the_same_in_cpp_as_in_python(exported, toy, program, tmp_path):
    """The photographs are as large as the model takes them, so that nothing is resized."""
    model = engine.load(models(exported)["onnx"])
    maps, scores = judged(model, model.transform, toy)
    asked = ("--engine", "onnxruntime", "--self_check", "y", "--warmup", "0")
    done = infer(program, "--model", model.path, "--input", toy / "gear" / "test", "--output", tmp_path, *asked)
    assert (done.returncode, done.stderr) == (0, "")
    rows = {row["name"]: row for row in table(tmp_path)}
    for sample, image, score in zip(load_category(toy, "gear").test, maps, scores):
        name = str(sample.path.relative_to(toy / "gear" / "test"))
        found = np.fromfile(tmp_path / f"{name}.bin", np.float32).reshape(image.shape)
        np.testing.assert_allclose(found, image, rtol=1e-6, atol=1e-6)
        assert float(rows[name]["score"]) == pytest.approx(score, rel=1e-6)


def test_the_cpp_program_gives_the_maps_and_figures_of_the_state(exported, state_maps, toy, program, tmp_path):
    method, output = exported
    _, maps, scores = state_maps
    found = by_the_program(method, models(exported)["onnx"], "cpu", toy=toy, program=program, folder=tmp_path)
    same(found[0], maps)
    same(found[1], scores)
    assert found[2] == pytest.approx(figures(output / "gear"), abs=5e-5)


def test_mindspore_lite_gives_the_maps_and_figures_of_onnx_runtime(exported, toy, program, lite, tmp_path):
    """By the scripts as a user types them: convert_lite.sh, then run_infer_cpp.sh from photographs to figures."""
    method, output = exported
    path, target = models(exported)["onnx"], tmp_path / "converted.mindir"
    variables = {"PYTHON": sys.executable, "BUILD_DIR": program.parent, **lite}
    words = (method, target, toy, "y", "gear", "CPU", "--output_dir", tmp_path / "chain")
    with building(program.parent):
        for script, *arguments in (("convert_lite.sh", path, target), ("run_infer_cpp.sh", *words)):
            done = shell.run(script, *arguments, timeout=600, **variables)
            assert done.returncode == 0, done.stdout + done.stderr
    assert "MindSpore Lite, cpu" in done.stdout and "img_auc: " in done.stdout
    model = engine.load(path)
    assert "ONNX Runtime" in model.runs_on
    maps, scores = judged(model, model.transform, toy)
    found_maps, found_scores = results_in(tmp_path / "chain" / "gear" / "result", toy)
    np.testing.assert_allclose(found_maps, maps, atol=1e-3)
    np.testing.assert_allclose(found_scores, scores, atol=1e-3)
    assert figures(tmp_path / "chain" / "gear" / "result") == pytest.approx(figures(output / "gear"), abs=5e-5)
    if method == "fastflow":
        refused_where_wrong(path, program, toy, tmp_path)


def refused_where_wrong(model, program, toy, folder):
    """A conversion that changes what is found: the model's proof tells it before anything is judged."""
    import onnx
    from onnx import numpy_helper

    made, path = onnx.load(model), folder / "gear.onnx"
    largest = max(made.graph.initializer, key=lambda each: numpy_helper.to_array(each).size)
    largest.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(largest) * np.float32(0.8), largest.name))
    onnx.save(made, path)
    about = json.loads(model.with_suffix(".json").read_text())
    seal.write(path.with_suffix(".json"), {**about, "sha256": {"onnx": sha256(path)}})
    shutil.copy(model.with_suffix(".lite.cfg"), path.with_suffix(".lite.cfg"))
    assert subprocess.run([program.parent / "anomaly_convert", "--model", path], capture_output=True).returncode == 0
    judging = [program, "--model", folder / "gear_lite.mindir", "--device", "cpu", "--input", toy / "gear" / "test"]
    checks = {check: folder / f"check {check}" for check in ("y", "n")}
    for check, out in checks.items():
        done = subprocess.run([*judging, "--output", out, "--self_check", check], capture_output=True, text=True)
        assert (done.returncode == 1) is (check == "y"), done.stderr
    by_itself = subprocess.run([*judging, "--output", folder / "x"], capture_output=True, text=True).stderr
    assert "gives other numbers here than the detector that it was exported from" in by_itself
    assert not (checks["y"] / "results.csv").exists() and (checks["n"] / "results.csv").is_file()


def test_the_normalised_score_is_in_the_model(exported, state_maps, toy):
    import onnxruntime

    transform, _, scores = state_maps
    path = models(exported)["onnx"]
    scale = description.read(path).scales.image
    images = next(batches(load_category(toy, "gear").test, transform, batch_size=7, workers=2)).images
    session = onnxruntime.InferenceSession(str(path))
    assert [output.shape[0] for output in session.get_outputs()] == ["batch"] * 3
    for count in (7, 1):
        [normalised] = session.run(["normalised"], {"image": images[:count]})
        np.testing.assert_allclose(normalised, scale.normalise(scores[:count]), atol=1e-3)


@pytest.mark.parametrize("suffix", ["mindir", "onnx"])
def test_evaluation_of_a_model_gives_the_figures_of_training(exported, suffix, toy, tmp_path):
    method, output = exported
    path = models(exported)[suffix]
    result = command(
        method, "eval", "--dataset_path", toy, "--category", "gear", "--output_dir", tmp_path, "--model_path", path
    )
    assert result.code == 0, result.err
    assert "RANDOM BACKBONE" in result.out
    assert figures(tmp_path / "gear") == pytest.approx(figures(output / "gear"), abs=5e-5)
    before, after = (json.loads((folder / "gear" / "results.json").read_text()) for folder in (output, tmp_path))
    assert after["threshold"] == pytest.approx(before["threshold"])
    assert data_in(tmp_path / "gear" / "report.html")["threshold"] == after["threshold"]


def test_prediction_with_a_model_needs_no_state(exported, toy, tmp_path):
    method, _ = exported
    folder = toy / "gear" / "test" / "rust"
    for path in models(exported).values():
        arguments = ("--category", "gear", "--output_dir", tmp_path, "--image_path", folder, "--model_path", path)
        result = command(method, "predict", *arguments)
        assert result.code == 0, result.err
        assert result.out.count("rust") >= 3


@one
def test_a_model_goes_with_its_description(exported, tmp_path):
    path = models(exported)["onnx"]
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    with pytest.raises(DataError, match="side by side"):
        engine.load(copy)
    with pytest.raises(DataError, match=r"is a folder; .* --ckpt_path"):
        description.read(tmp_path)
    shutil.copy(path.with_suffix(".json"), tmp_path)
    assert engine.load(copy).about.batch is None
    copy.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="is not the model"):
        engine.load(copy)


def test_any_name_of_a_category_and_a_folder_will_do(toy, tmp_path):
    data, output = tmp_path / "my data", tmp_path / "größe 2"
    shutil.copytree(toy / "gear", data / "my 齿轮")
    base = ("--category", "my 齿轮", "--output_dir", output)
    options = ("--backbone", "resnet18", *SIZE, *OPTIONS["patchcore"], *RANDOM)
    assert command("patchcore", "train", "--dataset_path", data, *base, *options).code == 0
    folder = output / "my 齿轮"
    for file_format in ("ONNX", "MINDIR"):
        result = command("patchcore", "export", *base, "--file_format", file_format)
        path = folder / f"patchcore_my 齿轮.{file_format.lower()}"
        assert result.code == 0 and path.is_file(), result.err
        result = command("patchcore", "eval", "--dataset_path", data, *base, "--model_path", path)
        assert result.code == 0, result.err
    assert not list(folder.glob(".*"))


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
    about = json.loads(target.with_suffix(".json").read_text())
    assert about["part"] == "backbone" and list(about["outputs"]) == ["layer2", "layer3"]
    assert about["input"]["size"] == [48, 64] and about["sha256"] == {file_format.lower(): sha256(target)}
    images = np.random.default_rng(0).integers(0, 256, (1, 48, 64, 3), dtype=np.uint8)
    if file_format == "ONNX":
        found = onnxruntime.InferenceSession(str(target)).run(["layer2", "layer3"], {"image": images})
    else:
        import mindspore

        net = mindspore.nn.GraphCell(mindspore.load(str(target)))
        found = [output.asnumpy() for output in net(mindspore.Tensor(images))]
    for mine, other in zip(found, features(torch_resnet18, images)[1:]):
        np.testing.assert_allclose(mine, other.numpy(), rtol=1e-3, atol=1e-4 * float(other.abs().max()))


@one
def test_air_is_for_ascend_hosts(exported):
    method, output = exported
    result = command(method, "export", "--category", "gear", "--output_dir", output, "--file_format", "AIR")
    assert result.code == 2 and "Ascend" in result.err


@one
def test_settings_for_lite_that_somebody_wrote_are_left_alone(exported, tmp_path):
    method, output = exported
    (tmp_path / "m.lite.cfg").write_text("mine\n")
    flags = ("--category", "gear", "--output_dir", output, "--file_format", "ONNX", "--file_name", tmp_path / "m.onnx")
    result = command(method, "export", *flags)
    assert result.code == 1 and "m.lite.cfg: is there already and was not written by this program" in result.err
    assert (tmp_path / "m.lite.cfg").read_text() == "mine\n" and not (tmp_path / "m.onnx").exists()


@one
@pytest.mark.parametrize("batch", ["0", "-1", "many"])
def test_a_batch_size_is_a_number_or_dynamic(exported, batch):
    method, output = exported
    result = command(method, "export", "--category", "gear", "--output_dir", output, "--batch_size", batch)
    assert result.code == 2 and "--batch_size" in result.err and len(result.errors) == 1


@one
@pytest.mark.parametrize("file_format", ["MINDIR", "ONNX"])
def test_a_fixed_batch_is_filled_up(exported, state_maps, toy, file_format, tmp_path):
    method, output = exported
    path = tmp_path / f"two.{file_format.lower()}"
    base = ("--category", "gear", "--output_dir", output, "--file_name", path)
    result = command(method, "export", *base, "--file_format", file_format, "--batch_size", "2")
    assert result.code == 0, result.err
    model = engine.load(path)
    assert model.about.batch == 2
    for found, expected in zip(judged(model, state_maps[0], toy), state_maps[1:]):
        same(found, expected)


@one
@pytest.mark.parametrize("name", ["model", "model.mindir", "model.json"])
def test_the_name_of_a_file_tells_its_format(exported, name, tmp_path):
    method, output = exported
    base = ("--category", "gear", "--output_dir", output, "--file_format", "ONNX")
    result = command(method, "export", *base, "--file_name", tmp_path / name)
    assert result.code == 2 and ".onnx" in result.err and len(result.errors) == 1
    assert list(tmp_path.iterdir()) == []


@one
def test_a_model_that_is_no_longer_described_is_named(exported, tmp_path):
    method, output = exported
    base = ("--category", "gear", "--output_dir", output)
    first = command(method, "export", *base, "--file_format", "MINDIR", "--file_name", tmp_path / "a.mindir")
    more = ("--file_name", tmp_path / "a.onnx", "--batch_size", "2")
    second = command(method, "export", *base, "--file_format", "ONNX", *more)
    assert first.code == second.code == 0
    assert "note" not in first.out and "note: a.mindir was exported otherwise" in second.out


def test_a_model_decides_the_size_and_tells_its_category(exported, toy, tmp_path):
    method, output = exported
    model = output / "gear" / f"{method}_gear.onnx"
    base = ("--output_dir", tmp_path, "--model_path", model)
    options = ("--dataset_path", toy, "--category", "gear", *base)
    result = command(method, "eval", *options, "--resize", "96")
    assert result.code == 1 and "leave --resize out" in result.err and len(result.errors) == 1
    assert command(method, "eval", *options, *SIZE).code == 0
    other = command(method, "eval", "--dataset_path", toy, "--category", "fabric", *base)
    assert other.code == 0 and f"note: {model} is of category gear" in other.err


def test_a_model_that_does_not_fit_its_description_is_one_line(exported, toy, tmp_path):
    method, output = exported
    model = tmp_path / "a.onnx"
    shutil.copy(output / "gear" / f"{method}_gear.onnx", model)
    about = unsealed(output / "gear" / f"{method}_gear.json")
    about["input"].update(resize=[64, 64], crop=None, size=[64, 64])
    model.with_suffix(".json").write_text(json.dumps(about))
    options = ("--dataset_path", toy, "--category", "gear", "--output_dir", tmp_path, "--model_path", model)
    result = command(method, "eval", *options)
    assert result.code == 1 and "does not fit its .json" in result.err and len(result.errors) == 1


@one
def test_a_model_decides_its_precision_too(exported, toy, tmp_path):
    method, output = exported
    model = output / "gear" / f"{method}_gear.onnx"
    arguments = ("--image_path", toy / "gear" / "test" / "rust", "--output_dir", tmp_path, "--model_path", model)
    result = command(method, "predict", "--category", "gear", *arguments, "--precision", "bfloat16")
    assert result.code == 1 and "has precision float32, not bfloat16; leave --precision out" in result.err
    assert command(method, "predict", "--category", "gear", *arguments, "--precision", "float32").code == 0
