"""What a DenseNet computes; BatchNorm is in its convolutions where one precedes it."""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from anomaly.networks.cells import Normalise
from anomaly.networks.densenet import GROWTH, STEM, WIDTH, blocks
from anomaly.networks.registry import Record
from anomaly.networks.resnet_cells import ZeroPad


class ScaleShift(nn.Cell):
    """What is left of a BatchNorm that no convolution precedes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = Parameter(Tensor(np.ones((channels, 1, 1), np.float32)))
        self.shift = Parameter(Tensor(np.zeros((channels, 1, 1), np.float32)))

    def construct(self, x):
        return x * self.scale + self.shift


class DenseLayer(nn.Cell):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm1 = ScaleShift(inputs)
        self.conv1 = nn.Conv2d(inputs, WIDTH, 1, has_bias=True)
        self.conv2 = nn.Conv2d(WIDTH, GROWTH, 3, pad_mode="pad", padding=1)
        self.relu = nn.ReLU()

    def construct(self, x):
        y = self.conv2(self.relu(self.conv1(self.relu(self.norm1(x)))))
        return ops.concat((x, y), 1)


class Transition(nn.Cell):
    """Half of the channels, and half of the rows and columns."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm = ScaleShift(inputs)
        self.conv = nn.Conv2d(inputs, inputs // 2, 1)
        self.relu = nn.ReLU()
        self.pool = nn.AvgPool2d(2, 2, pad_mode="valid")

    def construct(self, x):
        return self.pool(self.conv(self.relu(self.norm(x))))


class DenseNet(nn.Cell):
    """Photographs B H W 3 -> the outputs of the named blocks, each B C h w."""

    def __init__(self, record: Record, layers: tuple) -> None:
        super().__init__()
        self.layers = layers
        self.normalise = Normalise(record.mean)
        self.conv0 = nn.Conv2d(3, STEM, 7, 2, pad_mode="pad", padding=3, has_bias=True)
        self.relu = nn.ReLU()
        self.pad = ZeroPad(STEM)
        self.maxpool = nn.MaxPool2d(3, 2, pad_mode="valid")
        made = [nn.SequentialCell([DenseLayer(inputs) for inputs in each]) for each, _ in blocks(record)]
        self.denseblock1, self.denseblock2, self.denseblock3 = made
        self.transition1, self.transition2 = (Transition(outputs) for _, outputs in list(blocks(record))[:2])
        self.wants1, self.wants2, self.wants3 = (f"denseblock{i}" in layers for i in (1, 2, 3))
        self.set_train(False)
        self.set_grad(False)

    def construct(self, images):
        x = self.relu(self.conv0(self.normalise(images)))
        x = self.denseblock1(self.maxpool(self.pad(x)))
        features = ()
        if self.wants1:
            features += (x,)
        x = self.denseblock2(self.transition1(x))
        if self.wants2:
            features += (x,)
        if self.wants3:
            features += (self.denseblock3(self.transition2(x)),)
        return features
