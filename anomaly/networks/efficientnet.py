"""The EfficientNets (arXiv 1905.11946) up to the last block that is asked for, frozen; BatchNorm is folded.

The Lite ones have no squeeze-and-excite, and ReLU6 where the others have SiLU. Zeros around a picture are set as
TensorFlow does it: as many as the stride needs, and an odd one below and to the right. Arrays go by the names of
efficientnet_pytorch; timm's are turned into these.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from mindspore import nn, ops

from anomaly.networks import folding
from anomaly.networks.cells import Normalise, with_values
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


def padding(size: tuple, kernel: int, *, stride: int) -> tuple:
    """Above, below, left, right."""
    sides: tuple = ()
    for side in size:
        needed = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        sides += (needed // 2, needed - needed // 2)
    return sides


def _conv(inputs: int, outputs: int, kernel: int, *, size: tuple, stride: int = 1, group: int = 1) -> nn.Conv2d:
    around = padding(size, kernel, stride=stride)
    return nn.Conv2d(inputs, outputs, kernel, stride, "pad", around, group=group, has_bias=True)


class SiLU(nn.Cell):
    def construct(self, x):
        return x * ops.sigmoid(x)


class SqueezeExcite(nn.Cell):
    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(width, squeezed, 1, has_bias=True)
        self.expand = nn.Conv2d(squeezed, width, 1, has_bias=True)
        self.act = SiLU()

    def construct(self, x):
        return x * ops.sigmoid(self.expand(self.act(self.reduce(x.mean((2, 3), keep_dims=True)))))


class MBConv(nn.Cell):
    def __init__(self, block: Block, size: tuple) -> None:
        super().__init__()
        width, after = block.width, halved(size, block.stride)
        self.expand = _conv(block.inputs, width, 1, size=size) if block.is_expanded else None
        self.depthwise = _conv(width, width, block.kernel, size=size, stride=block.stride, group=width)
        self.excite = SqueezeExcite(width, block.squeezed) if block.squeezed else None
        self.project = _conv(width, block.outputs, 1, size=after)
        self.act = SiLU() if block.squeezed else nn.ReLU6()
        self.has_skip = block.has_skip

    def construct(self, x):
        y = x if self.expand is None else self.act(self.expand(x))
        y = self.act(self.depthwise(y))
        y = self.project(y if self.excite is None else self.excite(y))
        return y + x if self.has_skip else y


def halved(size: tuple, stride: int) -> tuple:
    return tuple(-(-side // stride) for side in size)


class EfficientNet(nn.Cell):
    """Photographs B H W 3 -> the outputs of the named blocks, each B C h w."""

    def __init__(self, record: Record, layers: tuple, *, size: tuple) -> None:
        super().__init__()
        self.layers = layers
        self.normalise = Normalise(record.mean)
        self.stem = _conv(3, STEM[record.base], 3, size=size, stride=2)
        self.act = SiLU() if record.base in SQUEEZED else nn.ReLU6()
        size, made = halved(size, 2), []
        for block in blocks(record, layers):
            made.append(MBConv(block, size))
            size = halved(size, block.stride)
        self.blocks = nn.CellList(made)
        self.wanted = tuple(map(index, layers))
        self.set_train(False)
        self.set_grad(False)

    def construct(self, images):
        x, features = self.act(self.stem(self.normalise(images))), ()
        for i in range(len(self.blocks)):
            x = self.blocks[i](x)
            if i in self.wanted:
                features += (x,)
        return features


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
    places = [re.match(r"blocks\.(\d+)\.(\d+)\.", key) for key in arrays]
    numbers = {place: i for i, place in enumerate(sorted({(int(p[1]), int(p[2])) for p in places if p}))}
    found = {}
    for key, value in arrays.items():
        stem, _, last = key.rpartition(".")
        if stem.startswith("blocks."):
            _, stage, number, part = stem.split(".", 3)
            names = EXPANDED if f"blocks.{stage}.{number}.conv_pwl.weight" in arrays else UNEXPANDED
            part = (names | SQUEEZING).get(part, part)
            found[f"_blocks.{numbers[int(stage), int(number)]}.{part}.{last}"] = value
        else:
            found[f"{AROUND.get(stem, stem)}.{last}"] = value
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


def build(record: Record, layers: tuple, *, folded: dict, size: tuple) -> EfficientNet:
    """The stem takes the division by the standard deviation."""
    net = EfficientNet(record, layers, size=size)
    scale = (255 * np.array(record.std, np.float32)).reshape(1, 3, 1, 1)
    return with_values(net, {**folded, "stem.weight": folded["stem.weight"] / scale})
