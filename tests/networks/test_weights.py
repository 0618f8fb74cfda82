"""Weights from PyTorch's files to a backbone, against PyTorch itself."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch_resnet
from commands import picture
from mindspore import Tensor
from safetensors.torch import save_file

from anomaly.networks import registry, resnet, weights
from anomaly.run.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("layer1", "layer2", "layer3")


def close(found, wanted, relative: float = 1e-4) -> bool:
    found, wanted = found.asnumpy(), wanted.numpy()
    return found.shape == wanted.shape and np.abs(found - wanted).max() <= relative * np.abs(wanted).max()


def saved(path: Path, state: dict) -> Path:
    torch.save(state, path)
    return path


@pytest.fixture
def state(torch_resnet18) -> dict:
    return dict(torch_resnet18.state_dict())


@pytest.mark.parametrize("size", [(64, 64), (65, 97)])
def test_resnet18_computes_what_pytorch_computes(resnet18_ckpt, torch_resnet18, size):
    images = np.stack([picture(*size, seed=i) for i in range(2)])
    loaded = weights.load_backbone("resnet18", LAYERS, source=str(resnet18_ckpt), seed=0)
    found, wanted = loaded.net(images.shape[1:3])(Tensor(images)), torch_resnet.features(torch_resnet18, images)
    assert len(found) == 3
    assert all(close(a, b) for a, b in zip(found, wanted))
    assert not loaded.is_random


def test_only_the_layers_asked_for_come_out(resnet18_ckpt, torch_resnet18):
    images = picture(64, 64)[None]
    _, layer2, layer3 = torch_resnet.features(torch_resnet18, images)
    found = weights.load_backbone("resnet18", ("layer2", "layer3"), source=str(resnet18_ckpt), seed=0).net((64, 64))(
        Tensor(images)
    )
    assert len(found) == 2
    assert close(found[0], layer2)
    assert close(found[1], layer3)


def test_a_pth_and_its_checkpoint_give_the_same_backbone(resnet18_pth, resnet18_ckpt):
    loaded = [
        weights.load_backbone("resnet18", LAYERS, source=str(path), seed=0) for path in (resnet18_pth, resnet18_ckpt)
    ]
    assert loaded[0].fingerprint == loaded[1].fingerprint


@pytest.mark.parametrize("suffix", [".pth", ".old.pth", ".safetensors"])
def test_weights_are_converted_without_torch(tmp_path, resnet18_ckpt, state, suffix):
    source, target = tmp_path / f"a{suffix}", tmp_path / "a.ckpt"
    if suffix == ".safetensors":
        save_file(state, source)
    else:
        torch.save(state, source, _use_new_zipfile_serialization=suffix == ".pth")
    program = (
        "import sys\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name.split('.')[0] == 'torch':\n"
        "            raise ImportError('there is no torch')\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        "from pretrained import pthtockpt\n"
        "pthtockpt.main(sys.argv[1:])\n"
        "assert 'torch' not in sys.modules\n"
    )
    command = [sys.executable, "-c", program, "--pth_path", str(source), "--ckpt_path", str(target)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "resnet18" in done.stdout
    converted, wanted = weights.read(target), weights.read(resnet18_ckpt)
    assert converted.keys() == wanted.keys()
    assert all(np.array_equal(converted[key], wanted[key]) for key in wanted)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("layer1.0.conv1.weight", float("nan"), "values that are no numbers in layer1.0.conv1.weight"),
        ("bn1.bias", float("inf"), "values that are no numbers in bn1.bias"),
        ("layer3.0.bn2.running_var", -1.0, "a negative variance in layer3.0.bn2.running_var"),
    ],
)
def test_numbers_that_cannot_be_weights_are_refused_by_name(tmp_path, state, name, value, words):
    state[name] = state[name].clone()
    state[name].view(-1)[3] = value
    path = saved(tmp_path / "a.pth", state)
    with pytest.raises(DataError, match=words):
        weights.load_backbone("resnet18", LAYERS, source=str(path), seed=0)


@pytest.mark.parametrize("wrap", [lambda s: {"state_dict": s}, lambda s: {"model": s, "epoch": 3}, lambda s: s])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrapped_and_prefixed_state_dicts_are_understood(tmp_path, resnet18_ckpt, state, wrap, prefix):
    named = {prefix + key: value for key, value in state.items()}
    path = saved(tmp_path / "a.pth", wrap(named))
    wanted = weights.load_backbone("resnet18", LAYERS, source=str(resnet18_ckpt), seed=0)
    assert weights.load_backbone("resnet18", LAYERS, source=str(path), seed=0).fingerprint == wanted.fingerprint


def test_the_classifier_layer4_and_counters_are_not_needed_and_do_not_disturb(tmp_path, resnet18_ckpt, state):
    wanted = weights.load_backbone("resnet18", LAYERS, source=str(resnet18_ckpt), seed=0).fingerprint
    assert any(key.endswith("num_batches_tracked") for key in state)
    without = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    extra = {"fc.weight": torch.ones(10, 512), "fc.bias": torch.ones(10), "layer4.0.conv1.weight": torch.ones(2, 2)}
    for number, content in enumerate((without, {**state, **extra})):
        path = saved(tmp_path / f"{number}.pth", content)
        assert weights.load_backbone("resnet18", LAYERS, source=str(path), seed=0).fingerprint == wanted
        target = tmp_path / f"{number}.ckpt"
        weights.convert(path, target)
        assert weights.load_backbone("resnet18", LAYERS, source=str(target), seed=0).fingerprint == wanted


def test_a_checkpoint_holds_what_is_needed_and_no_more(resnet18_ckpt):
    assert weights.read(resnet18_ckpt).keys() == resnet.expected(registry.get("resnet18")).keys()


def test_missing_unexpected_and_misshaped_tensors_are_named(tmp_path, state):
    del state["layer2.0.bn1.running_var"]
    state["layer9.weight"] = torch.ones(1)
    state["layer1.0.conv2.weight"] = torch.ones(64, 64, 1, 1)
    path = saved(tmp_path / "odd.pth", state)
    for attempt in (
        lambda: weights.convert(path, tmp_path / "odd.ckpt"),
        lambda: weights.load_backbone("resnet18", LAYERS, source=str(path), seed=0),
    ):
        with pytest.raises(DataError) as caught:
            attempt()
        text = str(caught.value)
        assert "odd.pth" in text
        assert "missing: layer2.0.bn1.running_var" in text
        assert "unexpected: layer9.weight" in text
        assert "layer1.0.conv2.weight (64, 64, 1, 1), not (64, 64, 3, 3)" in text
    assert not (tmp_path / "odd.ckpt").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors", ".ckpt"])
@pytest.mark.parametrize("content", [b"", b"these are words", b"\x80\x04\x95" + bytes(100)])
def test_a_file_that_holds_no_weights_is_refused_by_name(tmp_path, suffix, content):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match="bad") as caught:
        weights.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".pth", ".ckpt", ".safetensors"])
def test_a_truncated_file_is_refused_by_name(tmp_path, resnet18_pth, resnet18_ckpt, state, suffix):
    whole = {".pth": resnet18_pth, ".ckpt": resnet18_ckpt}.get(suffix, tmp_path / "whole.safetensors")
    if suffix == ".safetensors":
        save_file(state, whole)
    data = whole.read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="cut"):
        weights.load_backbone("resnet18", LAYERS, source=str(path), seed=0)


class Code:
    def __init__(self, target: str):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (self.target,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("write", [saved, lambda path, content: path.write_bytes(pickle.dumps(content))])
def test_code_in_a_pickle_is_not_executed(tmp_path, write):
    write(tmp_path / "evil.pth", {"layer1.0.conv1.weight": Code(str(tmp_path / "was here"))})
    with pytest.raises(DataError, match=r"evil\.pth"):
        weights.read(tmp_path / "evil.pth")
    assert not (tmp_path / "was here").exists()


def test_a_pth_that_is_no_state_dict_is_refused(tmp_path):
    with pytest.raises(DataError, match="state dict"):
        weights.read(saved(tmp_path / "a.pth", [torch.ones(3)]))


def test_weights_of_another_network_are_refused(tmp_path):
    with pytest.raises(DataError, match="not the weights of"):
        weights.convert(saved(tmp_path / "a.pth", {"features.0.weight": torch.ones(3)}), tmp_path / "a.ckpt")


def test_weights_of_the_other_backbone_are_refused(resnet18_ckpt):
    with pytest.raises(DataError, match=r"resnet18\.ckpt: holds the weights of resnet18.*wide_resnet50"):
        weights.load_backbone("wide_resnet50", LAYERS, source=str(resnet18_ckpt), seed=0)


def test_other_suffixes_and_missing_files_are_refused(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"x")
    with pytest.raises(DataError, match=r"a\.onnx"):
        weights.read(tmp_path / "a.onnx")
    with pytest.raises(DataError, match=r"gone\.ckpt.*--pre_ckpt_path"):
        weights.read(tmp_path / "gone.ckpt")


def test_random_weights_follow_from_the_seed():
    def backbone(seed: int):
        return weights.load_backbone("resnet18", ("layer3",), source="random", seed=seed)

    first, again, other = backbone(1), backbone(1), backbone(2)
    assert first.is_random
    assert "random" in first.label
    assert first.fingerprint == again.fingerprint != other.fingerprint
    image = Tensor(picture(64, 64)[None])
    assert np.array_equal(first.net((64, 64))(image)[0].asnumpy(), again.net((64, 64))(image)[0].asnumpy())
    assert not np.allclose(first.net((64, 64))(image)[0].asnumpy(), other.net((64, 64))(image)[0].asnumpy())


def test_random_features_tell_images_apart():
    net = weights.load_backbone("resnet18", LAYERS, source="random", seed=1).net((64, 64))
    for layer in net(Tensor(np.stack([picture(64, 64, seed=i) for i in range(2)]))):
        values = layer.asnumpy()
        assert np.isfinite(values).all()
        assert 1e-3 < values.std() < 1e3
        assert np.abs(values[0] - values[1]).mean() > 1e-3


def test_the_fingerprint_follows_the_weights_and_not_the_name(tmp_path, resnet18_ckpt, state):
    copy = tmp_path / "another name.ckpt"
    copy.write_bytes(resnet18_ckpt.read_bytes())
    state["bn1.bias"] = state["bn1.bias"] + 1e-3
    prints = [
        weights.load_backbone("resnet18", LAYERS, source=str(path), seed=0).fingerprint
        for path in (resnet18_ckpt, copy, saved(tmp_path / "changed.pth", state))
    ]
    assert prints[0] == prints[1] != prints[2]
