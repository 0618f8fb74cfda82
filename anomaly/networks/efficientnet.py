"""The EfficientNets (arXiv 1905.11946) up to the last block that is asked for, frozen; BatchNorm is folded.

The Lite ones have no squeeze-and-excite, and ReLU6 where the others have SiLU. Arrays go by the names of
efficientnet_pytorch; timm's are turned into these.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from anomaly.networks import folding
from anomaly.networks.folding import Convolution
from anomaly.networks.registry import Record

NOT_NEEDED = r"(_fc\.|_conv_head\.|_bn1\.|_blocks\.\d+\.|.*num_batches_tracked$)"  # of a file of weights
BN_EPSILON = 1e-3
STEM = {"efficientnet_lite0": 32, "efficientnet_b5": 48}  # channels
SQUEEZED = {"efficientnet_b5"}  # networks with squeeze-and-excite, and SiLU
SQUEEZE = 4  # times fewer channels than go into a block
# expansion, side of the kernel, stride, channels, blocks
STAGES = {
    "efficientnet_lite0": (
        (1, 3, 1, 16, 1),
        (6, 3, 2, 24, 2),
        (6, 5, 2, 40, 2),
        (6, 3, 2, 80, 3),
        (6, 5, 1, 112, 3),
        (6, 5, 2, 192, 4),
        (6, 3, 1, 320, 1),
    ),
    "efficientnet_b5": (
        (1, 3, 1, 24, 3),
        (6, 3, 2, 40, 5),
        (6, 5, 2, 64, 5),
        (6, 3, 2, 128, 7),
        (6, 5, 1, 176, 7),
        (6, 5, 2, 304, 9),
        (6, 3, 1, 512, 3),
    ),
}
# timm's name of a part of a block: ours, where its first convolution widens and where it does not
EXPANDED = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
EXPANDED |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
UNEXPANDED = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
SQUEEZING = {"se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
AROUND = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}


@dataclass(frozen=True)
class Block:
    inputs: int
    width: int  # channels inside
    outputs: int
    kernel: int
    stride: int
    squeezed: int  # channels between squeeze and excite; 0: there is none

    @property
    def is_expanded(self) -> bool:
        return self.width != self.inputs

    @property
    def has_skip(self) -> bool:
        return self.stride == 1 and self.inputs == self.outputs


def blocks(record: Record, layers: tuple) -> list:
    """Up to the last one that is needed."""
    found, inputs = [], STEM[record.base]
    for expansion, kernel, stride, outputs, repeats in STAGES[record.base]:
        for number in range(repeats):
            squeezed = inputs // SQUEEZE if record.base in SQUEEZED else 0
            found.append(Block(inputs, expansion * inputs, outputs, kernel, stride if number == 0 else 1, squeezed))
            inputs = outputs
    return found[: 1 + max(map(index, layers))]


def index(layer: str) -> int:
    return int(layer.removeprefix("block"))


def convolutions(record: Record) -> Iterator[tuple]:
    """Name in the network, name in a file of weights, and the convolution."""
    yield "stem", "_conv_stem", Convolution((STEM[record.base], 3, 3, 3), "_bn0")
    for i, block in enumerate(blocks(record, record.layers)):
        own, foreign, width = f"blocks.{i}", f"_blocks.{i}", block.width
        # with residual branches halved, the features of random weights keep their size
        spread = 0.5 if block.has_skip else 1.0
        expand = Convolution((width, block.inputs, 1, 1), f"{foreign}._bn0")
        depthwise = Convolution((width, 1, block.kernel, block.kernel), f"{foreign}._bn1")
        if block.is_expanded:
            yield f"{own}.expand", f"{foreign}._expand_conv", expand
        yield f"{own}.depthwise", f"{foreign}._depthwise_conv", depthwise
        project = Convolution((block.outputs, width, 1, 1), f"{foreign}._bn2", spread=spread)
        yield f"{own}.project", f"{foreign}._project_conv", project


def squeezing(record: Record) -> dict:
    """Arrays without a BatchNorm: name in the network -> name in a file of weights, and shape."""
    found: dict = {}
    for i, block in enumerate(blocks(record, record.layers)):
        for name, shape in (("reduce", (block.squeezed, block.width)), ("expand", (block.width, block.squeezed))):
            if block.squeezed:
                own, foreign = f"blocks.{i}.excite.{name}", f"_blocks.{i}._se_{name}"
                found[f"{own}.weight"] = f"{foreign}.weight", (*shape, 1, 1)
                found[f"{own}.bias"] = f"{foreign}.bias", shape[:1]
    return found


def expected(record: Record) -> dict:
    shapes = folding.expected({foreign: each for _, foreign, each in convolutions(record)})
    return shapes | dict(squeezing(record).values())


def renamed(arrays: dict) -> dict:
    if "conv_stem.weight" not in arrays:
        return arrays
    places = {key: re.match(r"blocks\.(\d{1,3})\.(\d{1,3})\.(.+)$", key) for key in arrays}
    numbered = sorted({(int(place[1]), int(place[2])) for place in places.values() if place})
    found = {}
    for key, value in arrays.items():
        stem, _, last = key.rpartition(".")
        own, place = AROUND.get(stem, stem), places[key]
        if place:
            names = EXPANDED if f"blocks.{place[1]}.{place[2]}.conv_pwl.weight" in arrays else UNEXPANDED
            part = place[3].removesuffix(f".{last}")
            number = numbered.index((int(place[1]), int(place[2])))
            own = f"_blocks.{number}.{(names | SQUEEZING).get(part, part)}"
        found[f"{own}.{last}"] = value
    return found


def folded(arrays: dict, record: Record) -> dict:
    found = {}
    for own, foreign, each in convolutions(record):
        values = folding.fold(arrays, {foreign: each}, epsilon=BN_EPSILON)
        found.update({f"{own}.{key}": values[f"{foreign}.{key}"] for key in ("weight", "bias")})
    return found | {own: arrays[foreign] for own, (foreign, _) in squeezing(record).items()}


def random_weights(record: Record, seed: int) -> dict:
    found = folding.random_weights({own: each for own, _, each in convolutions(record)}, seed)
    rng = np.random.default_rng(seed)
    for own, (_, shape) in squeezing(record).items():
        std = 1 / np.sqrt(shape[1]) if len(shape) > 1 else 0
        found[own] = rng.normal(0, std, shape).astype(np.float32)
    return found


def build(record: Record, layers: tuple, *, folded: dict, size: tuple) -> Any:
    """The stem takes the division by the standard deviation."""
    from anomaly.networks.cells import with_values  # which load MindSpore
    from anomaly.networks.efficientnet_cells import EfficientNet

    scale = (255 * np.array(record.std, np.float32)).reshape(1, 3, 1, 1)
    net = EfficientNet(record, layers, size=size)
    return with_values(net, {**folded, "stem.weight": folded["stem.weight"] / scale})
