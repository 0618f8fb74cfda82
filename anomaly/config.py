"""The options that every method has; a method adds its own (<method>/src/config.py)."""

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Optional, TypeVar

from anomaly.data import augment, roi
from anomaly.data.sources import Source
from anomaly.data.tiles import Tiles
from anomaly.data.transform import SMALLEST_SIDE, Transform
from anomaly.engines import choice
from anomaly.engines.choice import AUTO, ENGINES, FLOAT32, PRECISIONS, Runtime
from anomaly.networks import registry
from anomaly.networks.registry import Record
from anomaly.run import device, options
from anomaly.run.device import TARGETS
from anomaly.run.errors import DataError, UsageError
from anomaly.run.options import COMMANDS, EVAL, EXPORT, POSTPROCESS, PREDICT, PREPROCESS, TRAIN, count, positive, size

# What decides the threshold. A new rate or value replaces what was kept of both.
THRESHOLD = ("false_alarm_rate", "threshold", "robust_threshold", "threshold_source")
KEPT = ("pre_ckpt_path", "batch_size", *THRESHOLD)  # read back from training, but open to another choice
# The groups of --help, in their order.
GROUPS = {
    "data": "photographs and results",
    "network": "network and size",
    "method": "method",
    "run": "how it runs",
}
COMPUTES = (TRAIN, EVAL, PREDICT, EXPORT)
_data = partial(options.option, group="data", commands=COMMANDS)
_network = partial(options.option, group="network")
_run = partial(options.option, group="run", commands=COMPUTES)
# FastFlow has another default.
crop_option = partial(
    _network,
    parse=options.size_or_none,
    text="keep only the centre, of this side, or height and width; none: keep all",
    commands=(TRAIN, PREPROCESS),
    trained=True,
    many=True,
)


@dataclass(frozen=True)
class Config(Source):
    """What every method knows."""

    output_dir: str = _data("", str, "where results go; left out: output/<method>", aliases=("save_path",))
    pre_ckpt_path: str = _network(
        "",
        str,
        "weights of the network, or a folder of them; left out: those in pretrained/; random: an untrained network",
        commands=COMPUTES,
    )
    backbone: str = _network(
        "wide_resnet50",
        registry.several,
        f"the pretrained network: {', '.join(registry.names())}; NAME@SIDE: it sees the photographs resized to this "
        "side; several with commas between judge together, as an ensemble",
        trained=True,
    )
    resize: tuple = _network(
        (256, 256),
        size,
        "side, or height and width, to resize to",
        commands=(TRAIN, PREPROCESS),
        aliases=("im_resize",),
        trained=True,
        many=True,
    )
    crop: Optional[tuple] = crop_option((224, 224))
    keep_aspect: bool = _network(
        False,
        options.boolean,
        "keep the proportions of photographs when fitting them into --resize; the rest of the picture is left out",
        commands=(TRAIN, PREPROCESS),
        trained=True,
    )
    tile: Optional[tuple] = _network(
        None,
        options.size_or_none,
        "look at pieces of this side, or height and width, in full resolution, instead of --resize and --crop",
        commands=(TRAIN, PREPROCESS),
        trained=True,
        many=True,
    )
    overlap: float = _network(
        0.25,
        options.share,
        "how much neighbouring tiles overlap, as part of their side",
        commands=(TRAIN, PREPROCESS),
        trained=True,
    )
    roi: str = _network(
        "",
        roi.parse,
        "where to look: an image that is white there, a YAML file with polygons, or a folder with an image for each "
        "photograph",
        commands=(TRAIN, PREPROCESS),
        trained=True,
    )
    augment: str = _network(
        "",
        augment.parse,
        "train on changed copies of the photographs too: horizontal, vertical (mirrored; flips: both), rotation (up to "
        "5 degrees), light (up to 10 % lighter or darker), several with commas between",
        commands=(TRAIN,),
        trained=True,
        many=True,
    )
    augment_copies: int = _network(
        1, positive, "changed copies of each photograph, with --augment", commands=(TRAIN,), trained=True
    )
    false_alarm_rate: float = _data(
        0.01,
        options.rate,
        "share of the good parts that may be called anomalous",
        commands=(*COMPUTES, POSTPROCESS),
    )
    threshold: Optional[float] = _data(
        None,
        options.number_or_none,
        "score above which a photograph is anomalous; none: chosen by --false_alarm_rate",
        commands=(*COMPUTES, POSTPROCESS),
    )
    robust_threshold: bool = _data(
        False,
        options.boolean,
        "choose the threshold without good photographs that are unlike all others and would decide it alone",
        commands=(*COMPUTES, POSTPROCESS),
    )
    threshold_source: str = _data("", str, "where the threshold comes from, if that is to be told", commands=())
    pictures: int = _data(1000, count, "how many result pictures to draw at most", commands=(TRAIN, EVAL, POSTPROCESS))
    save_gif: bool = _data(
        False,
        options.boolean,
        "an animation of the category too, <category>.gif: photograph, map, truth",
        commands=(TRAIN, EVAL),
    )
    batch_size: int = _run(
        8, positive, "images that go through the network at once; changes no result", commands=(TRAIN, EVAL, PREDICT)
    )
    workers: int = _run(4, positive, "threads that decode images", commands=(TRAIN, EVAL, PREDICT, PREPROCESS))
    device_target: str = _run("", str, "the device; left out: the best present", choices=("", *TARGETS))
    device_id: int = _run(0, count, "which of several devices")
    memory_limit: float = _run(
        0.0, options.zero_or_more, "GB of memory that the process may use; 0: all that is free", commands=(TRAIN,)
    )
    engine: str = _run(
        AUTO,
        str,
        "what runs the network on a CPU, or an exported .onnx; auto: the fastest one installed; tensorrt: on a GPU",
        choices=ENGINES,
    )
    precision: str = _run(
        FLOAT32,
        str,
        "the number format in which the network computes on a CPU; bfloat16 needs a processor that has it, and "
        "openvino; int8 needs openvino, and nncf to train",
        choices=PRECISIONS,
        commands=(TRAIN,),
        trained=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        size = self.transform.size  # which is refused where it cannot be
        augment.require(self.augment, self.augment_copies, region=self.roi, per_photograph=roi.FOLDER)
        if not self.members:
            require_whole_patches(registry.get(self.backbone), size)

    @property
    def members(self) -> tuple:
        """The options of each member of an ensemble."""
        names, sources = self.backbone.split(","), self.pre_ckpt_path.split(",")
        if len(names) < 2:
            return ()
        if len(sources) not in (1, len(names)):
            raise UsageError(f"pre_ckpt_path: {len(sources)} files for {len(names)} networks")
        sources = sources * len(names) if len(sources) == 1 else sources
        return tuple(dataclasses.replace(self, backbone=name, pre_ckpt_path=s) for name, s in zip(names, sources))

    @property
    def runtime(self) -> Runtime:
        """What the network runs on; the device has been chosen before."""
        return choice.choose(self.engine, self.precision, target=device.current())

    @property
    def transform(self) -> Transform:
        if self.tile:
            return Tiles(self.tile, None, self.keep_aspect, self.roi, self.overlap)
        return Transform(self.resize, None if self.keep_aspect else self.crop, self.keep_aspect, self.roi)


def require_whole_patches(record: Record, size: tuple) -> None:
    """Refuses a picture of (height, width) that the network cannot look at, with the nearest that it can."""
    m = record.multiple
    if all(side % m == 0 for side in record.seen(size)):
        return
    above = tuple(-(-side // m) * m for side in size)
    below = tuple(max(side // m, -(-SMALLEST_SIDE // m)) * m for side in size)
    near = " or ".join(f"{height} x {width}" for height, width in dict.fromkeys((below, above)))
    raise UsageError(
        f"--resize/--crop: {size[0]} x {size[1]} is not made of whole patches of {m} x {m}, as {record.name} needs; "
        f"near it are {near}"
    )


AnyConfig = TypeVar("AnyConfig", bound=Config)


def resolve(cls: type[AnyConfig], chosen: dict, *, presets: Path) -> AnyConfig:
    """For training: defaults, then the network's preset where there is one, then what was chosen."""
    path = presets / f"{chosen.get('backbone', cls.backbone)}.yaml"
    preset = options.from_yaml(cls, path) if path.is_file() else {}
    values = {**preset, **chosen}
    if "resize" in chosen and "crop" not in chosen:  # the same part of the photograph is kept
        before = cls(**{**values, "resize": preset.get("resize", cls.resize)})
        values["crop"] = _grown(before.crop, before.resize, cls(**{**values, "crop": None}).resize)
    return cls(**values)


def _grown(crop: Optional[tuple], before: tuple, after: tuple) -> Optional[tuple]:
    """In steps of 8 pixels, which all networks with a crop can take."""
    return crop and tuple(max(8, round(c * a / b / 8) * 8) for c, b, a in zip(crop, before, after))


def read_back(cls: type[AnyConfig], trained: dict, *, folder: Path, chosen: dict) -> AnyConfig:
    """For what comes after training: what it decided, with the options that may still be chosen."""
    kept = {
        spec.name: trained[spec.name]
        for spec in dataclasses.fields(cls)
        if spec.name in trained and (spec.metadata["trained"] or spec.name in KEPT)
    }
    if chosen.keys() & {"false_alarm_rate", "threshold"} or chosen.get("robust_threshold"):
        kept |= {"threshold": None, "threshold_source": ""}
    for spec in dataclasses.fields(cls):
        if spec.metadata["trained"] and spec.name in chosen and chosen[spec.name] != kept.get(spec.name):
            raise DataError(
                f"{folder}: was trained with {spec.name} {str(kept.get(spec.name))[:60] or 'none'}, not "
                f"{str(chosen[spec.name])[:60] or 'none'}; leave --{spec.name} out or train again"
            )
    return cls(**{**kept, **chosen})
