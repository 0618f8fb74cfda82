"""The options that every method has; a method adds its own (<method>/src/config.py)."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, TypeVar

from anomaly.data.images import Transform
from anomaly.networks import registry
from anomaly.run import options
from anomaly.run.device import TARGETS
from anomaly.run.errors import DataError
from anomaly.run.options import EVAL, EXPORT, POSTPROCESS, PREDICT, PREPROCESS, TRAIN, option

KEPT = ("pre_ckpt_path", "false_alarm_rate", "batch_size")  # read back from training, but open to another choice
# The groups of --help, in their order.
GROUPS = {
    "data": "photographs and results",
    "network": "network and size",
    "method": "method",
    "run": "how it runs",
}


@dataclass(frozen=True)
class Config(options.Options):
    """What every method knows."""

    dataset_path: str = option(
        "", str, "folder that holds the categories", group="data", commands=(TRAIN, EVAL, PREPROCESS)
    )
    category: tuple = option(
        (),
        options.names,
        "one or several categories, or all",
        group="data",
        commands=options.COMMANDS,
        aliases=("class_name",),
        many=True,
    )
    output_dir: str = option(
        "",
        str,
        "where results go; left out: output/<method> in the project",
        group="data",
        commands=options.COMMANDS,
        aliases=("save_path",),
    )
    pre_ckpt_path: str = option(
        "",
        str,
        "weights of the network, or a folder of them; random: a network that has seen nothing; left out: those in "
        "pretrained/",
        group="network",
        commands=(TRAIN, EVAL, PREDICT, EXPORT),
    )
    backbone: str = option(
        "wide_resnet50",
        str,
        "the pretrained network",
        group="network",
        commands=(TRAIN,),
        choices=registry.names(),
        trained=True,
    )
    resize: tuple = option(
        (256, 256),
        options.size,
        "side, or height and width, to resize to",
        group="network",
        commands=(TRAIN, PREPROCESS),
        aliases=("im_resize",),
        trained=True,
        many=True,
    )
    crop: Optional[tuple] = option(
        (224, 224),
        options.size_or_none,
        "side, or height and width, of the centre; none: all",
        group="network",
        commands=(TRAIN, PREPROCESS),
        trained=True,
        many=True,
    )
    false_alarm_rate: float = option(
        0.01,
        options.rate,
        "part of good images that may be called anomalous",
        group="data",
        commands=(TRAIN, EVAL, PREDICT, EXPORT, POSTPROCESS),
    )
    pictures: int = option(
        1000,
        options.count,
        "result pictures to draw at most",
        group="data",
        commands=(TRAIN, EVAL, POSTPROCESS),
    )
    seed: int = option(1, options.count, "seed of everything random", group="run", trained=True)
    batch_size: int = option(
        8,
        options.positive,
        "images that go through the network at once; changes no result",
        group="run",
        commands=(TRAIN, EVAL, PREDICT),
    )
    workers: int = option(
        4, options.positive, "threads that decode images", group="run", commands=(TRAIN, EVAL, PREDICT, PREPROCESS)
    )
    device_target: str = option(
        "",
        str,
        "the device; left out: the best present",
        group="run",
        commands=(TRAIN, EVAL, PREDICT, EXPORT),
        choices=("", *TARGETS),
    )
    device_id: int = option(
        0, options.count, "which of several devices", group="run", commands=(TRAIN, EVAL, PREDICT, EXPORT)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.transform  # refuses sizes that cannot be

    @property
    def transform(self) -> Transform:
        return Transform(self.resize, self.crop)


AnyConfig = TypeVar("AnyConfig", bound=Config)


def resolve(cls: type[AnyConfig], chosen: dict, presets: Path) -> AnyConfig:
    """For training: defaults, then the network's preset where there is one, then what was chosen."""
    path = presets / f"{chosen.get('backbone', cls.backbone)}.yaml"
    return cls(**{**(options.from_yaml(cls, path) if path.is_file() else {}), **chosen})


def read_back(cls: type[AnyConfig], trained: dict, folder: Path, chosen: dict) -> AnyConfig:
    """For what comes after training: what it decided, with the options that may still be chosen."""
    kept = {
        spec.name: trained[spec.name]
        for spec in dataclasses.fields(cls)
        if spec.name in trained and (spec.metadata["trained"] or spec.name in KEPT)
    }
    for spec in dataclasses.fields(cls):
        if spec.metadata["trained"] and spec.name in chosen and chosen[spec.name] != kept.get(spec.name):
            raise DataError(
                f"{folder}: was trained with {spec.name} {kept.get(spec.name)}, not "
                f"{chosen[spec.name]}; leave --{spec.name} out or train again"
            )
    return cls(**{**kept, **chosen})
