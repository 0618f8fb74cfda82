"""What a ResNet computes; BatchNorm is in its convolutions."""

from functools import partial

import numpy as np
from mindspore import Tensor, nn, ops

from anomaly.networks.cells import Normalise
from anomaly.networks.registry import Record
from anomaly.networks.resnet import blocks


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, *, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, "pad", kernel // 2, group=groups, has_bias=True)


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
    def __init__(self, inputs: int, width: int, *, outputs: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = _conv(inputs, width, 1)
        self.conv2 = _conv(width, width, 3, stride, groups=groups)
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


class ResNet(nn.Cell):
    """Photographs B H W 3 -> the outputs of the named layers, each B C h w."""

    def __init__(self, record: Record, layers: tuple) -> None:
        super().__init__()
        block = partial(Bottleneck, groups=record.groups) if record.bottleneck else BasicBlock
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
