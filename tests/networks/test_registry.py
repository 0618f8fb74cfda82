"""Every convolutional network computes what PyTorch computes, is told from the others, and serves all methods.

The others are in test_transformers.py.
"""

import functools
import re

import numpy as np
import pytest
import torch
import torch_efficientnet
import torch_resnet
import torch_timm
from commands import CPU, RANDOM, picture, run
from mindspore import Tensor

from anomaly import methods
from anomaly.commands import command
from anomaly.engines import frozen, open_vino
from anomaly.engines.choice import FLOAT32, ONNX_RUNTIME, Runtime
from anomaly.networks import efficientnet, registry, weights
from anomaly.run.errors import DataError, UsageError

NAMES = registry.names()
CONVOLUTIONAL = [record.name for record in registry.RECORDS if not isinstance(record, registry.TransformerRecord)]
SIZE = (64, 80)
SECOND = ("resnet34", "resnext101_32x8d")  # of a family; their graphs alone are compared
LARGE = ("wide_resnet101",)  # the same; whose graph alone takes ten seconds
ODD = (67, 101)  # DenseNet leaves out an odd last row or column, the others do not


@pytest.fixture(scope="module", params=CONVOLUTIONAL)
def saved(request, tmp_path_factory):
    """The network in PyTorch with seeded weights, and the file of them."""
    others = {
        "efficientnet_lite0": lambda: torch_efficientnet.seeded(SIZE, 3),
        "efficientnet_b5": lambda: torch_timm.seeded_b5(3),
        **{name: functools.partial(torch_timm.seeded_of_torchvision, name, 3) for name in torch_timm.TORCHVISION},
    }
    net = others.get(request.param, lambda: torch_resnet.seeded(request.param, 3))()
    path = tmp_path_factory.mktemp("registry") / f"{request.param}.pth"
    torch.save(net.state_dict(), path)
    return request.param, net, path


def alike(mine: np.ndarray, other: np.ndarray) -> bool:
    return mine.shape == other.shape and np.abs(mine - other).max() <= 1e-4 * np.abs(other).max()


def reference(net, images) -> tuple:
    if isinstance(net, torch_timm.timm.models.EfficientNet):
        return torch_timm.features_of_b5(net, images)
    if not isinstance(net, (torch_resnet.ResNet, torch_efficientnet.EfficientNet)):
        return torch_timm.features_of_torchvision(net, images)
    return (torch_resnet if isinstance(net, torch_resnet.ResNet) else torch_efficientnet).features(net, images)


@pytest.mark.parametrize("saved", [name for name in CONVOLUTIONAL if name not in SECOND], indirect=True)
def test_its_layers_are_those_of_pytorch(saved):
    name, net, path = saved
    record, images = registry.get(name), picture(*SIZE)[None]
    loaded = weights.load_backbone(name, record.layers, source=str(path), seed=0)
    found, wanted = loaded.net(SIZE)(Tensor(images)), reference(net, images)
    assert len(found) == len(wanted) == 3
    for layer, mine, other in zip(record.layers, found, wanted):
        mine, other = mine.asnumpy(), other.numpy()
        assert mine.shape == other.shape == (1, record.channels_of(layer), *record.grid(layer, SIZE))
        assert alike(mine, other)


def test_its_grid_is_that_of_pytorch_for_odd_sizes_too(saved):
    name, net, _ = saved
    record = registry.get(name)
    if name == "efficientnet_lite0":  # its makers' network is made for one size
        net = torch_efficientnet.seeded(ODD, 3)
    wanted = reference(net, picture(*ODD)[None])
    assert [record.grid(layer, ODD) for layer in record.layers] == [tuple(each.shape[2:]) for each in wanted]


@pytest.mark.parametrize("saved", [name for name in CONVOLUTIONAL if name not in LARGE], indirect=True)
def test_its_graph_gives_the_same(saved):
    """Written for another engine; EfficientNet has zeros on one side alone, which can come out on the wrong one."""
    name, net, path = saved
    images = picture(*SIZE)[None]
    loaded = weights.load_backbone(name, registry.get(name).layers, source=str(path), seed=0)
    graph = frozen.layers(loaded, SIZE, runtime=Runtime(ONNX_RUNTIME, FLOAT32, "CPU"))
    outputs, wanted = [graph(images)], reference(net, images)
    if name in ("resnext101_32x8d", "densenet201"):  # what no other network has: convolutions in groups, joined outputs
        outputs.append(open_vino.open(graph.graph(), loaded.layers, name=name, precision=FLOAT32)[0](images))
    for found in outputs:
        assert len(found) == len(wanted) == 3
        assert all(alike(mine, other.numpy()) for mine, other in zip(found, wanted))


def test_its_weights_are_told_from_all_others(saved):
    name, _, path = saved
    assert weights.identify(weights.read(path), path).name == name
    other = next(each for each in NAMES if each != name)
    with pytest.raises(DataError, match=f"holds the weights of {name}; this is --backbone {other}"):
        weights.load_backbone(other, ("layer2",), source=str(path), seed=0)


def test_efficientnets_names_are_those_of_timm_and_of_efficientnet_pytorch(tmp_path):
    theirs = efficientnet.renamed({key: value.numpy() for key, value in torch_timm.seeded_b5(1).state_dict().items()})
    record = registry.get("efficientnet_b5")
    needed = efficientnet.expected(record)
    assert {key: theirs[key].shape for key in needed} == needed and efficientnet.renamed(theirs) is theirs
    torch.save({key: torch.from_numpy(value) for key, value in theirs.items()}, tmp_path / "b5.pth")
    torch.save(torch_timm.seeded_b5(1).state_dict(), tmp_path / "timm.pth")
    found = [
        weights.load_backbone(record.name, record.layers, source=str(tmp_path / name), seed=0).fingerprint
        for name in ("b5.pth", "timm.pth")
    ]
    assert found[0] == found[1]


def test_densenets_names_are_the_old_and_the_new_of_torchvision_and_its_sides_may_be_odd(tmp_path):
    net, record = torch_timm.seeded_of_torchvision("densenet201", 1), registry.get("densenet201")
    new = net.state_dict()
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): value for key, value in new.items()}
    assert len(old) == len(new) and len(old.keys() - new.keys()) > len(new) / 2
    torch.save(new, tmp_path / "new.pth")
    torch.save(old, tmp_path / "old.pth")
    weights.convert(tmp_path / "old.pth", tmp_path / "old.ckpt")
    loaded = [
        weights.load_backbone(record.name, record.layers, source=str(tmp_path / name), seed=0)
        for name in ("new.pth", "old.pth", "old.ckpt")
    ]
    assert len({each.fingerprint for each in loaded}) == 1
    images = picture(*ODD)[None]
    found, wanted = loaded[2].net(ODD)(Tensor(images)), torch_timm.features_of_torchvision(net, images)
    assert len(found) == 3
    assert all(alike(mine.asnumpy(), other.numpy()) for mine, other in zip(found, wanted))


@pytest.mark.parametrize("name", ["wide_resnet50", "densenet201"])
def test_random_features_of_large_networks_tell_images_apart(name):
    net = weights.load_backbone(name, registry.get(name).layers, source="random", seed=1).net((64, 64))
    for layer in net(Tensor(np.stack([picture(64, 64, seed=i) for i in range(2)]))):
        values = layer.asnumpy()
        assert np.isfinite(values).all() and 1e-3 < values.std() < 1e3
        assert np.abs(values[0] - values[1]).mean() > 1e-3


def test_an_unknown_network_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match=f"'vgg' is not one of {', '.join(NAMES)}"):
        registry.get("vgg")


def test_names_of_weights_are_unique_and_end_in_a_checksum():
    files = [name for record in registry.RECORDS for name in record.weights]
    known = registry.addresses() | registry.packages() | registry.by_hand()
    assert len(files) == len(set(files)) == len(known)
    files = [name for name in files if name not in registry.by_hand()]  # of which none is known
    assert all(len(name.rpartition("-")[2]) == 8 for name in files)
    assert all(int(name.rpartition("-")[2], 16) >= 0 for name in files)


@pytest.mark.parametrize("method", methods.names())
def test_a_network_without_a_preset_takes_the_defaults_of_the_method(method):
    found = methods.get(method)
    assert not (found.presets / "resnet34.yaml").exists()
    assert found.options(backbone="resnet34") == found.config(backbone="resnet34")


def test_a_network_without_a_preset_is_trained(toy, tmp_path):
    base = ("--dataset_path", toy, "--category", "gear", "--output_dir", tmp_path, "--backbone", "resnet34")
    result = run(command("train", "padim"), *base, "--resize", "64", "--crop", "none", *RANDOM, *CPU)
    assert result.code == 0, result.err
    assert "resnet34" in result.out
