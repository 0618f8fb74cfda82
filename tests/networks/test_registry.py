"""Every convolutional network computes what PyTorch computes, is told from the others, and serves all methods.

The others are in test_transformers.py.
"""

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
from anomaly.engines import frozen
from anomaly.engines.choice import FLOAT32, ONNX_RUNTIME, Runtime
from anomaly.networks import efficientnet, registry, weights
from anomaly.run.errors import DataError, UsageError

NAMES = registry.names()
CONVOLUTIONAL = [record.name for record in registry.RECORDS if not isinstance(record, registry.TransformerRecord)]
SIZE = (64, 80)


@pytest.fixture(scope="module", params=CONVOLUTIONAL)
def saved(request, tmp_path_factory):
    """The network in PyTorch with seeded weights, and the file of them."""
    others = {
        "efficientnet_lite0": lambda: torch_efficientnet.seeded(SIZE, 3),
        "efficientnet_b5": lambda: torch_timm.seeded_b5(3),
    }
    net = others.get(request.param, lambda: torch_resnet.seeded(request.param, 3))()
    path = tmp_path_factory.mktemp("registry") / f"{request.param}.pth"
    torch.save(net.state_dict(), path)
    return request.param, net, path


def reference(net, images) -> tuple:
    if isinstance(net, torch_timm.timm.models.EfficientNet):
        return torch_timm.features_of_b5(net, images)
    return (torch_resnet if isinstance(net, torch_resnet.ResNet) else torch_efficientnet).features(net, images)


def test_its_layers_are_those_of_pytorch(saved):
    name, net, path = saved
    record, images = registry.get(name), picture(*SIZE)[None]
    loaded = weights.load_backbone(name, record.layers, source=str(path), seed=0)
    found, wanted = loaded.net(SIZE)(Tensor(images)), reference(net, images)
    assert len(found) == len(wanted) == 3
    for layer, mine, other in zip(record.layers, found, wanted):
        mine, other = mine.asnumpy(), other.numpy()
        assert mine.shape == other.shape == (1, record.channels_of(layer), *record.grid(layer, SIZE))
        assert np.abs(mine - other).max() <= 1e-4 * np.abs(other).max()


def test_its_graph_gives_the_same(saved):
    """Written for another engine; EfficientNet has zeros on one side alone, which can come out on the wrong one."""
    name, net, path = saved
    images = picture(*SIZE)[None]
    loaded = weights.load_backbone(name, registry.get(name).layers, source=str(path), seed=0)
    found = frozen.layers(loaded, SIZE, runtime=Runtime(ONNX_RUNTIME, FLOAT32, "CPU"))(images)
    wanted = reference(net, images)
    assert len(found) == len(wanted) == 3
    for mine, other in zip(found, wanted):
        assert mine.shape == other.shape
        assert np.abs(mine - other.numpy()).max() <= 1e-4 * np.abs(other.numpy()).max()


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
def test_a_network_without_a_preset_takes_the_defaults_of_the_method(method, toy, tmp_path):
    assert not (methods.get(method).presets / "resnet34.yaml").exists()
    short = {"fastflow": ("--flow_step", "1", "--num_epochs", "1", "--hidden_ratio", "0.1")}
    base = ("--dataset_path", toy, "--category", "gear", "--output_dir", tmp_path, "--backbone", "resnet34")
    size = ("--resize", "64", "--crop", "none")
    result = run(command("train", method), *base, *size, *short.get(method, ()), *RANDOM, *CPU)
    assert result.code == 0, result.err
    assert "resnet34" in result.out
