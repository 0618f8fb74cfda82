"""What an EfficientNet computes; BatchNorm is in its convolutions.

Zeros around a picture are set as TensorFlow does it: as many as the stride needs, an odd one below and to the right.
"""

from mindspore import nn, ops

from anomaly.networks.cells import Normalise
from anomaly.networks.efficientnet import SQUEEZED, STEM, Block, blocks, index
from anomaly.networks.registry import Record


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
