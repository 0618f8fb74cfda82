"""Every network of the registry computes what PyTorch computes, is told from the others, and serves all methods."""

import numpy as np
import pytest
import torch
import torch_resnet
from commands import CPU, RANDOM, picture, run
from mindspore import Tensor

from anomaly import methods
from anomaly.commands import command
from anomaly.networks import registry, weights
from anomaly.run.errors import DataError, UsageError

NAMES = registry.names()


@pytest.fixture(scope="module", params=NAMES)
def saved(request, tmp_path_factory):
    """The network in PyTorch with seeded weights, and the file of them."""
    net = torch_resnet.seeded(request.param, 3)
    path = tmp_path_factory.mktemp("registry") / f"{request.param}.pth"
    torch.save(net.state_dict(), path)
    return request.param, net, path


def test_its_layers_are_those_of_pytorch(saved):
    name, net, path = saved
    record, images = registry.get(name), picture(64, 80)[None]
    found = weights.load_backbone(name, record.layers, source=str(path), seed=0).net((64, 80))(Tensor(images))
    for layer, mine, other in zip(record.layers, found, torch_resnet.features(net, images)):
        mine, other = mine.asnumpy(), other.numpy()
        assert mine.shape == other.shape == (1, record.channels_of(layer), *record.grid(layer, (64, 80)))
        assert np.abs(mine - other).max() <= 1e-4 * np.abs(other).max()


def test_its_weights_are_told_from_all_others(saved):
    name, _, path = saved
    assert weights.identify(weights.read(path), path).name == name
    other = next(each for each in NAMES if each != name)
    with pytest.raises(DataError, match=f"holds the weights of {name}; this is --backbone {other}"):
        weights.load_backbone(other, ("layer2",), source=str(path), seed=0)


def test_an_unknown_network_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match=f"'vgg' is not one of {', '.join(NAMES)}"):
        registry.get("vgg")


def test_names_of_weights_are_unique_and_end_in_a_checksum():
    files = [name for record in registry.RECORDS for name in record.weights]
    assert len(files) == len(set(files)) == len(registry.addresses())
    assert all(len(name.rpartition("-")[2]) == 8 for name in files)
    assert all(int(name.rpartition("-")[2], 16) >= 0 for name in files)


@pytest.mark.parametrize("method", methods.names())
def test_a_network_without_a_preset_takes_the_defaults_of_the_method(method, toy, tmp_path):
    assert not (methods.get(method).presets / "resnet34.yaml").exists()
    short = {"fastflow": ("--flow_step", "1", "--num_epochs", "1", "--hidden_ratio", "0.1")}
    base = ("--dataset_path", toy, "--category", "gear", "--output_dir", tmp_path, "--backbone", "resnet34")
    size = ("--resize", "64", "--crop", "none")
    result = run(command("train", method), *base, *size, *short.get(method, ()), *RANDOM, *CPU)
    assert result.code == 0, result.err
    assert "resnet34" in result.out
