"""The EfficientNets (arXiv 1905.11946) up to the last block that is asked for, frozen; BatchNorm is folded.

The Lite ones have no squeeze-and-excite, and ReLU6 where the others have SiLU. Zeros around a picture are set as
TensorFlow does it: as many as the stride needs, and an odd one below and to the right.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from mindspore import nn

from anomaly.networks import folding
from anomaly.networks.cells import Normalise, with_values
from anomaly.networks.folding import Convolution
from anomaly.networks.registry import Record

NOT_NEEDED = r"(_fc\.|_conv_head\.|_bn1\.|_blocks\.\d+\.|.*num_batches_tracked$)"  # of a file of weights
BN_EPSILON = 1e-3
STEM = 32  # channels
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
}


@dataclass(frozen=True)
class Block:
    inputs: int
    width: int  # channels inside
    outputs: int
    kernel: int
    stride: int

    @property
    def is_expanded(self) -> bool:
        return self.width != self.inputs

    @property
    def has_skip(self) -> bool:
        return self.stride == 1 and self.inputs == self.outputs


def blocks(record: Record, layers: tuple) -> list:
    """Up to the last one that is needed."""
    found, inputs = [], STEM
    for expansion, kernel, stride, outputs, repeats in STAGES[record.base]:
        for number in range(repeats):
            found.append(Block(inputs, expansion * inputs, outputs, kernel, stride if number == 0 else 1))
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


class MBConv(nn.Cell):
    def __init__(self, block: Block, size: tuple) -> None:
        super().__init__()
        width, after = block.width, halved(size, block.stride)
        self.expand = _conv(block.inputs, width, 1, size=size) if block.is_expanded else None
        self.depthwise = _conv(width, width, block.kernel, size=size, stride=block.stride, group=width)
        self.project = _conv(width, block.outputs, 1, size=after)
        self.relu6 = nn.ReLU6()
        self.has_skip = block.has_skip

    def construct(self, x):
        y = x if self.expand is None else self.relu6(self.expand(x))
        y = self.project(self.relu6(self.depthwise(y)))
        return y + x if self.has_skip else y


def halved(size: tuple, stride: int) -> tuple:
    return tuple(-(-side // stride) for side in size)


class EfficientNet(nn.Cell):
    """Photographs B H W 3 -> the outputs of the named blocks, each B C h w."""

    def __init__(self, record: Record, layers: tuple, *, size: tuple) -> None:
        super().__init__()
        self.layers = layers
        self.normalise = Normalise(record.mean)
        self.stem = _conv(3, STEM, 3, size=size, stride=2)
        self.relu6 = nn.ReLU6()
        size, made = halved(size, 2), []
        for block in blocks(record, layers):
            made.append(MBConv(block, size))
            size = halved(size, block.stride)
        self.blocks = nn.CellList(made)
        self.wanted = tuple(map(index, layers))
        self.set_train(False)
        self.set_grad(False)

    def construct(self, images):
        x, features = self.relu6(self.stem(self.normalise(images))), ()
        for i in range(len(self.blocks)):
            x = self.blocks[i](x)
            if i in self.wanted:
                features += (x,)
        return features


def convolutions(record: Record) -> Iterator[tuple]:
    """Name in the network, name in a file of weights, and the convolution."""
    yield "stem", "_conv_stem", Convolution((STEM, 3, 3, 3), "_bn0")
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


def expected(record: Record) -> dict:
    return folding.expected({foreign: each for _, foreign, each in convolutions(record)})


def folded(arrays: dict, record: Record) -> dict:
    found = {}
    for own, foreign, each in convolutions(record):
        values = folding.fold(arrays, {foreign: each}, epsilon=BN_EPSILON)
        found.update({f"{own}.{key}": values[f"{foreign}.{key}"] for key in ("weight", "bias")})
    return found


def random_weights(record: Record, seed: int) -> dict:
    return folding.random_weights({own: each for own, _, each in convolutions(record)}, seed)


def build(record: Record, layers: tuple, *, folded: dict, size: tuple) -> EfficientNet:
    """The stem takes the division by the standard deviation."""
    net = EfficientNet(record, layers, size=size)
    scale = (255 * np.array(record.std, np.float32)).reshape(1, 3, 1, 1)
    return with_values(net, {**folded, "stem.weight": folded["stem.weight"] / scale})
