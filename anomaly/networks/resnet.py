"""ResNet18 and WideResNet50-2 from the stem to layer 3 (arXiv 1512.03385, 1605.07146), frozen.

BatchNorm is folded into the convolutions when weights are loaded (weights.py), so a convolution here has a bias and
nothing follows it but the ReLU. Pixels go in as they are, 0 to 255: the ImageNet normalisation is part of the network,
and so of every file that is exported from it.
"""

import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# name: (bottleneck blocks, width of the first layer, blocks in layers 1 to 3)
ARCHITECTURES = {
    "resnet18": (False, 64, (2, 2, 2)),
    "wide_resnet50": (True, 128, (3, 4, 6)),
}
CHANNELS = {"resnet18": (64, 128, 256), "wide_resnet50": (256, 512, 1024)}
STRIDES = (4, 8, 16)  # pixels between two positions of layers 1, 2 and 3


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, pad_mode="pad", padding=kernel // 2, has_bias=True)


class Normalise(nn.Cell):
    """Pixels B H W 3 of 0..255, RGB -> B 3 H W with ImageNet's mean 0 and, but for conv1's weights, its std 1."""

    def __init__(self):
        super().__init__()
        self.mean = Tensor(255 * np.array(IMAGENET_MEAN, np.float32).reshape(3, 1, 1))

    def construct(self, pixels):
        return ops.transpose(pixels.astype(mstype.float32), (0, 3, 1, 2)) - self.mean  # B 3 H W


class ZeroPad(nn.Cell):
    """One row and column of zeros on every side, as a depthwise convolution with the identity.

    After a ReLU that equals the padding of a max pool, and every exporter knows it. On the CPU it takes 1/20 of the
    time of nn.Pad, which was a third of ResNet18's.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weight = Tensor(np.ones((channels, 1, 1, 1), np.float32))
        self.conv = ops.Conv2D(channels, (1, 1), pad_mode="pad", pad=(1, 1, 1, 1), group=channels)

    def construct(self, x):
        return self.conv(x, self.weight)


class BasicBlock(nn.Cell):
    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        self.conv1 = _conv(inputs, width, 3, stride)
        self.conv2 = _conv(width, width, 3)
        self.downsample = None
        if stride != 1 or inputs != width:
            self.downsample = nn.SequentialCell(_conv(inputs, width, 1, stride))
        self.relu = nn.ReLU()

    def construct(self, x):
        skip = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.conv1(x))
        return self.relu(self.conv2(x) + skip)


class Bottleneck(nn.Cell):
    expansion = 2  # the wide variant: 128 -> 256, not 64 -> 256

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        outputs = width * self.expansion
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


class ResNet(nn.Cell):
    """Photographs B H W 3 -> the outputs of the named layers, each B C h w."""

    def __init__(self, name: str, layers: tuple):
        super().__init__()
        bottleneck, width, depths = ARCHITECTURES[name]
        block = Bottleneck if bottleneck else BasicBlock
        self.layers = layers
        self.normalise = Normalise()
        self.conv1 = _conv(3, 64, 7, 2)
        self.relu = nn.ReLU()
        self.pad = ZeroPad(64)
        self.maxpool = nn.MaxPool2d(3, 2, pad_mode="valid")
        inputs, stages = 64, []
        for i, depth in enumerate(depths):
            stage = []
            for j in range(depth):
                stage.append(block(inputs, width << i, 2 if i and j == 0 else 1))
                inputs = (width << i) * block.expansion
            stages.append(nn.SequentialCell(stage))
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


def convolutions(name: str) -> dict:
    """Name of each convolution -> shape of its weight, as torchvision and timm have them."""
    return {
        p.name[: -len(".weight")]: p.shape
        for p in ResNet(name, ("layer3",)).get_parameters()
        if p.name.endswith(".weight")
    }


def set_weights(net: ResNet, folded: dict):
    """Puts the folded arrays of weights.py into the network; conv1 takes the division by the standard deviation."""
    scale = (255 * np.array(IMAGENET_STD, np.float32)).reshape(1, 3, 1, 1)
    for parameter in net.get_parameters():
        value = folded[parameter.name]
        if parameter.name == "conv1.weight":
            value = value / scale
        parameter.set_data(Parameter(Tensor(value.astype(np.float32)), name=parameter.name))
        parameter.requires_grad = False
