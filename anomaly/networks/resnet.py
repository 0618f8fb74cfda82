"""The ResNets and Wide ResNets from the stem to layer 3 (arXiv 1512.03385, 1605.07146), frozen.

BatchNorm is folded into the convolutions when weights are loaded (folding.py), so a convolution here has a bias and
nothing follows it but the ReLU. Pixels go in as they are, 0 to 255: the ImageNet normalisation is part of the network,
and so of every file that is exported from it.
"""

from collections.abc import Iterator

import numpy as np
from mindspore import Tensor, nn, ops

from anomaly.networks import folding
from anomaly.networks.cells import Normalise, with_values
from anomaly.networks.folding import Convolution
from anomaly.networks.registry import Record

NOT_NEEDED = r"(fc\.|classifier\.|layer4\.|.*num_batches_tracked$)"  # of a file of weights
BN_EPSILON = 1e-5


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, pad_mode="pad", padding=kernel // 2, has_bias=True)


class ZeroPad(nn.Cell):
    """One row and column of zeros on every side, as a depthwise convolution with the identity.

    After a ReLU that equals the padding of a max pool, and every exporter knows it. On the CPU it takes 1/20 of the
    time of nn.Pad, which was a third of ResNet18's.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = Tensor(np.ones((channels, 1, 1, 1), np.float32))
        self.conv = ops.Conv2D(channels, (1, 1), pad_mode="pad", pad=(1, 1, 1, 1), group=channels)

    def construct(self, x):
        return self.conv(x, self.weight)


class BasicBlock(nn.Cell):
    def __init__(self, inputs: int, width: int, *, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, width, 3, stride)
        self.conv2 = _conv(width, outputs, 3)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.SequentialCell(_conv(inputs, outputs, 1, stride))
        self.relu = nn.ReLU()

    def construct(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.conv1(x))
        return self.relu(self.conv2(x) + skip)


class Bottleneck(nn.Cell):
    def __init__(self, inputs: int, width: int, *, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, width, 1)
        self.conv2 = _conv(width, width, 3, stride)
        self.conv3 = _conv(width, outputs, 1)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.SequentialCell(_conv(inputs, outputs, 1, stride))
        self.relu = nn.ReLU()

    def construct(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        return self.relu(self.conv3(x) + skip)


def blocks(record: Record) -> Iterator[list]:
    """Of each layer its blocks, as (inputs, width, outputs, stride)."""
    inputs = 64
    for i, (depth, outputs) in enumerate(zip(record.depths, record.channels)):
        width = record.bottleneck << i if record.bottleneck else outputs
        yield [(inputs if j == 0 else outputs, width, outputs, 2 if i and j == 0 else 1) for j in range(depth)]
        inputs = outputs


class ResNet(nn.Cell):
    """Photographs B H W 3 -> the outputs of the named layers, each B C h w."""

    def __init__(self, record: Record, layers: tuple) -> None:
        super().__init__()
        block = Bottleneck if record.bottleneck else BasicBlock
        self.layers = layers
        self.normalise = Normalise(record.mean)
        self.conv1 = _conv(3, 64, 7, 2)
        self.relu = nn.ReLU()
        self.pad = ZeroPad(64)
        self.maxpool = nn.MaxPool2d(3, 2, pad_mode="valid")
        stages = [
            nn.SequentialCell(
                [block(inputs, width, outputs=outputs, stride=stride) for inputs, width, outputs, stride in stage]
            )
            for stage in blocks(record)
        ]
        self.layer1, self.layer2, self.layer3 = stages
        self.wants1, self.wants2, self.wants3 = (f"layer{i}" in layers for i in (1, 2, 3))
        self.set_train(False)
        self.set_grad(False)

    def construct(self, images):
        x = self.relu(self.conv1(self.normalise(images)))
        x = self.layer1(self.maxpool(self.pad(x)))
        features = ()
        if self.wants1:
            features += (x,)
        x = self.layer2(x)
        if self.wants2:
            features += (x,)
        if self.wants3:
            features += (self.layer3(x),)
        return features


def convolutions(record: Record) -> dict:
    """The convolutions by their names, as torchvision and timm have them."""
    found = {"conv1": Convolution((64, 3, 7, 7), norm="bn1")}
    kernels = (1, 3, 1) if record.bottleneck else (3, 3)
    for i, stage in enumerate(blocks(record), 1):
        for j, (inputs, width, outputs, stride) in enumerate(stage):
            channels = (inputs, *(width for _ in kernels[1:]), outputs)
            for k, kernel in enumerate(kernels, 1):
                shape = (channels[k], channels[k - 1], kernel, kernel)
                # with residual branches halved, the features of random weights keep their size
                spread = 0.5 if k == len(kernels) else 1.0
                found[f"layer{i}.{j}.conv{k}"] = Convolution(shape, f"layer{i}.{j}.bn{k}", spread=spread)
            if stride != 1 or inputs != outputs:
                name = f"layer{i}.{j}.downsample"
                found[f"{name}.0"] = Convolution((outputs, inputs, 1, 1), f"{name}.1")
    return found


def expected(record: Record) -> dict:
    return folding.expected(convolutions(record))


def folded(arrays: dict, record: Record) -> dict:
    return folding.fold(arrays, convolutions(record), epsilon=BN_EPSILON)


def random_weights(record: Record, seed: int) -> dict:
    return folding.random_weights(convolutions(record), seed)


def build(record: Record, layers: tuple, *, folded: dict, size: tuple) -> ResNet:
    """For pictures of any size; conv1 takes the division by the standard deviation."""
    scale = (255 * np.array(record.std, np.float32)).reshape(1, 3, 1, 1)
    return with_values(ResNet(record, layers), {**folded, "conv1.weight": folded["conv1.weight"] / scale})
