"""Several networks as one detector, and a network that sees the photographs smaller."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch_resnet
import yaml
from commands import CPU, picture, run
from mindspore import Tensor

import anomaly
from anomaly import methods
from anomaly.commands import command
from anomaly.deploy import export
from anomaly.engines import frozen
from anomaly.engines.choice import FLOAT32, ONNX_RUNTIME, Runtime
from anomaly.networks import registry, weights
from anomaly.networks.resample import area
from anomaly.run.errors import DataError, UsageError

pytestmark = pytest.mark.usefixtures("one_scale")

TWO = "efficientnet_lite0,resnet18@48"
OPTIONS = {"resize": 64, "crop": None, "device_target": "CPU"}
OF_METHOD = {
    "patchcore": {"coreset_ratio": 0.3},
    "padim": {"embedding_dim": 20},
    "fastflow": {"flow_step": 1, "num_epochs": 1, "hidden_ratio": 0.25},
}

PAPER = Path(__file__).resolve().parents[2] / "patchcore" / "config" / "ensemble.yaml"
SHALLOW = {  # blocks, and the channels that they lead to
    "wide_resnet101": ((1, 1, 1), (256, 512, 1024)),
    "resnext101_32x8d": ((1, 1, 1), (256, 512, 1024)),
    "densenet201": ((2, 2, 2), (128, 128, 128)),
}


@pytest.fixture(scope="module")
def files(resnet18_ckpt) -> str:
    return f",{resnet18_ckpt}"  # nothing for the first: its weights are installed


@pytest.fixture(scope="module", params=OF_METHOD)
def fitted(request, toy, files):
    chosen = OPTIONS | OF_METHOD[request.param] | {"backbone": TWO, "pre_ckpt_path": files}
    return request.param, importlib.import_module(request.param).fit(toy / "gear" / "train" / "good", **chosen)


def test_its_score_is_the_mean_of_what_the_members_say_on_their_own_scales(fitted):
    _, detector = fitted
    assert [member.backbone.name for member in detector.members] == TWO.split(",")
    images = np.stack([picture(64, 64, seed=i) for i in range(3)])
    maps, scores = detector.score(images)
    wanted_maps, wanted_scores = 0, 0
    for member in detector.members:
        own_maps, own_scores = member.score(images)
        good, peaks = member.calibration.scores, member.calibration.peaks
        assert len(good) > 1 and good.std() > 0
        wanted_scores = wanted_scores + (own_scores - good.mean()) / good.std() / 2
        wanted_maps = wanted_maps + (own_maps - peaks.mean()) / peaks.std() / 2
    np.testing.assert_allclose(scores, wanted_scores, rtol=1e-5)
    np.testing.assert_allclose(maps, wanted_maps, rtol=1e-4, atol=1e-4)


def test_good_photographs_are_about_zero_and_the_threshold_is_above_them(fitted):
    _, detector = fitted
    assert abs(detector.calibration.scores.mean()) < 1e-9
    assert detector.scales.image.threshold >= detector.calibration.scores.max()


def test_state_and_model_judge_as_the_fitted_one(fitted, toy, tmp_path):
    name, detector = fitted
    pictures = toy / "gear" / "test" / "rust"
    wanted = [judgement.score for judgement in detector.judge(pictures)]
    assert len(set(wanted)) == 3
    detector.save(tmp_path / "gear")
    loaded = anomaly.load(tmp_path / "gear")
    np.testing.assert_allclose([judgement.score for judgement in loaded.judge(pictures)], wanted, rtol=1e-6)
    assert loaded.scales == detector.scales
    target = tmp_path / "model" / "gear.onnx"
    export.export(detector, methods.get(name).model, target=target, file_format="ONNX", category="gear", batch=None)
    exported = anomaly.load(target)
    assert exported.backbone.name == TWO
    found = [judgement.score for judgement in exported.judge(pictures)]
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)


def left_out(member, images: np.ndarray) -> dict:
    """Number of a photograph -> its largest distance to the rows of the others; nothing where there are none."""
    found, bank = {}, member.bank
    for number, patches in enumerate(member.embedding(images)):
        others = bank.vectors[bank.image_of_row != number]
        if len(others):
            found[number] = np.linalg.norm(patches[:, None] - others, axis=2).min(axis=1).max()
    return found


@pytest.mark.parametrize(("category", "number", "known"), [("gear", 3, True), ("fabric", 2, False)])
def test_a_photograph_that_one_member_cannot_leave_out_does_not_count(toy, tmp_path, category, number, known):
    """With two rows a bank; of one member both come from the same photograph, of the other they do not."""
    paths = sorted((toy / category / "train" / "good").iterdir())[:number]
    images = np.stack([cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths])
    chosen = OPTIONS | {"backbone": "resnet18,efficientnet_lite0", "coreset_ratio": 2.5 / (number * 64)}
    detector = importlib.import_module("patchcore").fit(images, pre_ckpt_path="random", score="max", **chosen)
    found = [left_out(member, images) for member in detector.members]
    assert sorted(map(len, found)) == [number - 1, number]
    shared = sorted(set(found[0]) & set(found[1]))
    own = [np.array([each[i] for i in shared]) for each in found]
    scaled = [(values - values.mean()) / (values.std() if known else values.mean()) for values in own]
    np.testing.assert_allclose(detector.calibration.scores, np.mean(scaled, axis=0), rtol=1e-3, atol=1e-4)
    assert len(detector.calibration.scores) == number - 1 and detector.scales.known is known
    detector.save(tmp_path / category)
    loaded = anomaly.load(tmp_path / category)
    np.testing.assert_allclose(loaded.calibration.scores, detector.calibration.scores, rtol=1e-9)
    defects = [(each.verdict, each.score) for each in loaded.judge(toy / category / "test")]
    assert defects and np.isfinite([score for _, score in defects]).all()
    assert all((verdict == "UNKNOWN") is not known for verdict, _ in defects)


def test_a_member_that_is_changed_or_missing_is_found_out(fitted, tmp_path):
    _, detector = fitted
    detector.save(tmp_path / "gear")
    record = tmp_path / "gear" / "member1" / "state.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps({**content, "runs_on": "elsewhere"}))
    with pytest.raises(DataError, match="member1"):
        anomaly.load(tmp_path / "gear")
    record.unlink()
    with pytest.raises(DataError, match="member1"):
        anomaly.load(tmp_path / "gear")


def test_a_detector_that_was_exported_can_still_be_saved(toy, tmp_path):
    good = toy / "gear" / "train" / "good"
    chosen = OPTIONS | OF_METHOD["fastflow"] | {"backbone": "efficientnet_lite0"}
    detector = importlib.import_module("fastflow").fit(good, **chosen)
    target = tmp_path / "model" / "gear.onnx"
    export.export(detector, methods.get("fastflow").model, target=target, file_format="ONNX", category="", batch=None)
    detector.save(tmp_path / "gear")
    image = picture(64, 64)
    assert anomaly.load(tmp_path / "gear").judge(image).score == pytest.approx(detector.judge(image).score, rel=1e-6)


def test_from_the_command_line(toy, files, tmp_path):
    base = ("--dataset_path", toy, "--category", "gear", "--output_dir", tmp_path, *CPU)
    size = ("--resize", "64", "--crop", "none", "--coreset_ratio", "0.3")
    trained = run(command("train", "patchcore"), *base, *size, "--backbone", TWO, "--pre_ckpt_path", files)
    assert trained.code == 0, trained.err
    assert TWO in trained.out
    evaluated = run(command("eval", "patchcore"), *base)
    assert evaluated.code == 0, evaluated.err
    line = next(line for line in trained.out.splitlines() if line.startswith("img_auc"))
    assert line in evaluated.out
    assert (tmp_path / "gear" / "member1" / "state.json").is_file()


@pytest.fixture
def shallow(monkeypatch):
    """The networks of the paper's ensemble with most of their blocks left out."""
    made = []
    for record in registry.RECORDS:
        depths, channels = SHALLOW.get(record.name, (record.depths, record.channels))
        made.append(replace(record, depths=depths, channels=channels))
    monkeypatch.setattr(registry, "RECORDS", tuple(made))
    yield
    methods._loaded.cache_clear()  # it goes by names


def test_the_ensemble_of_the_paper_is_one_option_from_training_to_an_exported_model(toy, tmp_path, shallow):
    chosen = yaml.safe_load(PAPER.read_text(encoding="utf-8"))
    known = methods.get("patchcore").options(**chosen)
    assert known.transform.size == (320, 320)
    assert [each.backbone for each in known.members] == chosen["backbone"].split(",") == list(SHALLOW)
    base = ("--category", "gear", "--output_dir", tmp_path, *CPU)
    size = ("--resize", "64", "--crop", "none", "--coreset_ratio", "0.3", "--pre_ckpt_path", "random")
    trained = run(command("train", "patchcore"), *base, "--dataset_path", toy, "--config", PAPER, *size)
    assert trained.code == 0, trained.err
    assert all((tmp_path / "gear" / f"member{i}" / "state.json").is_file() for i in range(3))
    line = next(line for line in trained.out.splitlines() if line.startswith("img_auc"))
    exported = run(command("export", "patchcore"), *base, "--file_format", "ONNX")
    assert exported.code == 0, exported.err
    scores = []
    for more in ((), ("--model_path", tmp_path / "gear" / "patchcore_gear.onnx")):
        evaluated = run(command("eval", "patchcore"), *base, "--dataset_path", toy, *more)
        assert evaluated.code == 0 and line in evaluated.out, evaluated.err
        words = ("--image_path", toy / "gear" / "test" / "rust", "--save_json", tmp_path / "found.json", *more)
        predicted = run(command("predict", "patchcore"), *base, *words)
        assert predicted.code == 0, predicted.err
        found = json.loads((tmp_path / "found.json").read_text())
        assert all(each["backbone"].startswith(chosen["backbone"]) for each in found)
        scores.append([each["score"] for each in found])
    assert len(scores[0]) == 3
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-3, atol=1e-3)


def test_what_cannot_be_is_refused(toy):
    good = toy / "gear" / "train" / "good"
    patchcore = importlib.import_module("patchcore")
    for name in ("resnet18,", "resnet18,vgg", "resnet18@", "resnet18@9", "resnet18@-64", "resnet18@64@64", "@64"):
        with pytest.raises(UsageError, match="is not one of"):
            patchcore.fit(good, backbone=name, pre_ckpt_path="random", **OPTIONS)
    with pytest.raises(UsageError, match="2 files for 3 networks"):
        patchcore.fit(good, backbone="resnet18,resnet34,resnet50", pre_ckpt_path="a,b", **OPTIONS)
    padim = importlib.import_module("padim")
    two = padim.fit(good, backbone="resnet18@32,resnet18", pre_ckpt_path="random", **OPTIONS)
    with pytest.raises(UsageError, match="ensemble"):
        padim.fit(good, start=two)


@pytest.mark.parametrize(("outputs", "inputs"), [(32, 64), (48, 64), (64, 64), (96, 64), (5, 7)])
def test_a_smaller_picture_is_the_mean_of_what_it_covers(outputs, inputs):
    rows = torch.rand(1, 1, inputs, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    if outputs >= inputs:
        wanted = torch.nn.functional.interpolate(rows, outputs, mode="linear", align_corners=False)
    elif inputs % outputs == 0:
        wanted = torch.nn.functional.interpolate(rows, outputs, mode="area")
    else:  # pieces so small that both sizes are made of whole ones
        fine = rows.repeat_interleave(outputs, dim=2)
        wanted = fine.reshape(1, 1, outputs, inputs).mean(dim=3)
    np.testing.assert_allclose(area(outputs, inputs) @ rows[0, 0].numpy(), wanted[0, 0].numpy(), atol=1e-12)


@pytest.mark.parametrize(("size", "side", "seen"), [((64, 128), 32, (32, 64)), ((64, 64), 96, (96, 96))])
def test_a_network_sees_the_photographs_in_its_own_size(size, side, seen, resnet18_ckpt, torch_resnet18):
    name = f"resnet18@{side}"
    record = registry.get(name)
    loaded = weights.load_backbone(name, record.layers, source=str(resnet18_ckpt), seed=0)
    images = np.stack([picture(*size, seed=i) for i in range(2)])
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    way = {"mode": "area"} if side < min(size) else {"mode": "bilinear", "align_corners": False}
    small = torch.nn.functional.interpolate(pixels, seen, **way).add(0.5).floor().permute(0, 2, 3, 1).byte()
    wanted = torch_resnet.features(torch_resnet18, small.numpy())
    runtime = Runtime(ONNX_RUNTIME, FLOAT32, "CPU")
    in_mindspore = [layer.asnumpy() for layer in loaded.net(size)(Tensor(images))]
    for found in (in_mindspore, frozen.layers(loaded, size, runtime=runtime)(images)):
        assert len(found) == 3
        for layer, mine, other in zip(record.layers, found, wanted):
            assert mine.shape[2:] == record.grid(layer, size) == tuple(other.shape[2:])
            # a pixel may be rounded the other way, so nearly all and not all are the same
            far = np.abs(mine - other.numpy()) > 1e-3 * np.abs(other.numpy()).max()
            assert far.mean() < 0.05


def test_one_network_cannot_stand_for_several(toy, tmp_path):
    patchcore = importlib.import_module("patchcore")
    good = toy / "gear" / "train" / "good"
    one = patchcore.fit(good, backbone="resnet18", pre_ckpt_path="random", coreset_ratio=0.3, **OPTIONS)
    with pytest.raises(UsageError, match="network: is resnet18, not resnet18,resnet18@32"):
        patchcore.fit(good, backbone="resnet18,resnet18@32", pre_ckpt_path="random", network=one.backbone, **OPTIONS)
    words = ("--part", "backbone", "--backbone", "resnet18,resnet34", "--pre_ckpt_path", "random")
    done = run(command("export", "patchcore"), *words, "--output_dir", tmp_path, "--file_format", "ONNX", *CPU)
    assert done.code == 2 and "exports one network" in done.err
