"""What is known of a pretrained network without loading it."""

import importlib
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True)
class ByHand:
    """The place of a file whose makers name no checksum: what arrives cannot be checked, so nothing fetches it."""

    address: str  # without the name of the file


@dataclass(frozen=True)
class Record:
    name: str
    depths: tuple  # blocks in each layer, where the family does not know
    channels: tuple  # of each layer's output
    # name of a file, which ends in digits of its SHA-256 -> addresses, a package, or ByHand; the default first
    weights: dict
    bottleneck: int = 0  # channels that a block's 3x3 convolution has in layer 1; 0: blocks of two 3x3 convolutions
    groups: int = 1  # of channels that this convolution keeps apart
    family: str = "resnet"
    layers: tuple = ("layer1", "layer2", "layer3")  # whose outputs can be had, from fine to coarse
    strides: tuple = (4, 8, 16)  # pixels between two positions of each layer
    mean: tuple = (0.485, 0.456, 0.406)  # of the pixels of ImageNet, 0 to 1, RGB
    std: tuple = (0.229, 0.224, 0.225)
    multiple: int = 1  # of which the sides of a picture have to be
    side: int = 0  # the shorter one of the pictures that the network sees; 0: they come as they are

    @property
    def base(self) -> str:
        return self.name.partition("@")[0]

    @property
    def module(self) -> ModuleType:
        return importlib.import_module(f"anomaly.networks.{self.family}")

    def channels_of(self, layer: str) -> int:
        return self.channels[self.layers.index(layer)]

    def grid(self, layer: str, size: tuple) -> tuple:
        """Rows and columns of a layer's output for a picture of (height, width)."""
        stride = self.strides[self.layers.index(layer)]
        return tuple(-(-side // stride) for side in self.seen(size))

    def seen(self, size: tuple) -> tuple:
        """Height and width of what the network sees of a picture of (height, width)."""
        m = self.multiple
        return tuple(max(1, round(self.side * each / min(size) / m)) * m for each in size) if self.side else size


class DenseRecord(Record):
    """A DenseNet: what halves the picture between its blocks leaves out an odd last row or column."""

    def grid(self, layer: str, size: tuple) -> tuple:
        stride = self.strides[self.layers.index(layer)]
        return tuple(-(-side // 4) // (stride // 4) for side in self.seen(size))


@dataclass(frozen=True, kw_only=True)
class TransformerRecord(Record):
    """A vision transformer; its strides are the sides of its patches."""

    heads: int
    native: int  # side of the pictures that its positions are for
    tokens: tuple = ()  # names of what comes before the tokens of the patches
    placed: bool = True  # these have positions too
    scaled: bool = True  # what a block adds is multiplied by numbers of its own (LayerScale)
