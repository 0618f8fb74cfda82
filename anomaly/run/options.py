"""Options: one frozen dataclass a method. Presets in YAML fill it, flags override it, anything unknown is an error.

Every value, from wherever it comes, goes through the parser that its option names, so `3.5` for a whole number or
`maybe` for a yes or no is refused in a file as on the command line.
"""

import argparse
import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import yaml

from anomaly.data.images import Transform
from anomaly.networks.resnet import ARCHITECTURES
from anomaly.run.device import TARGETS
from anomaly.run.errors import DataError, UsageError

KEPT = ("pre_ckpt_path", "false_alarm_rate", "batch_size")  # read back from training, but open to another choice


def boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "yes", "no", "on", "off", "1", "0"):
        raise ValueError("true or false")
    return text.lower() in ("true", "yes", "on", "1")


def size(text: str) -> tuple:
    """'256' or '256 384' (height width, also 256x384)."""
    sides = tuple(int(side) for side in text.lower().replace("x", " ").replace(",", " ").split())
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise ValueError("one side, or height and width")
    return sides * 2 if len(sides) == 1 else sides


def size_or_none(text: str) -> Optional[tuple]:
    return None if text.lower() == "none" else size(text)


def names(text: str) -> tuple:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError("1 or more")
    return value


def count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError("0 or more")
    return value


def above_zero(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError("above 0")
    return value


def zero_or_more(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError("0 or more")
    return value


def fraction(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise ValueError("above 0, at most 1")
    return value


def share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise ValueError("0 or more, below 1")
    return value


def rate(text: str) -> float:
    value = float(text)
    if not 0 < value < 1:
        raise ValueError("between 0 and 1")
    return value


def option(default, parse, text: str, *, choices=(), aliases=(), trained=False, many=False):
    """One option. `trained`: it shapes the state, so only training can choose it. `many`: it takes several words."""
    return field(
        default=default,
        metadata={
            "parse": parse,
            "help": text,
            "choices": choices,
            "aliases": aliases,
            "trained": trained,
            "many": many,
        },
    )


@dataclass(frozen=True)
class Config:
    """What every method knows."""

    dataset_path: str = option("", str, "folder that holds the categories")
    category: tuple = option((), names, "one or several categories, or all", aliases=("class_name",), many=True)
    pre_ckpt_path: str = option(
        "", str, "checkpoint of the backbone, or a folder of them; random: one that has seen nothing"
    )
    output_dir: str = option(
        "", str, "where results go; default: output/<method> in the project", aliases=("save_path",)
    )
    backbone: str = option("wide_resnet50", str, "the pretrained network", choices=tuple(ARCHITECTURES), trained=True)
    resize: tuple = option(
        (256, 256),
        size,
        "side, or height and width, to resize to",
        aliases=("im_resize",),
        trained=True,
        many=True,
    )
    crop: Optional[tuple] = option(
        (224, 224), size_or_none, "side, or height and width, of the centre; none: all", trained=True, many=True
    )
    seed: int = option(1, count, "seed of everything random", trained=True)
    batch_size: int = option(8, positive, "images that go through the network at once; changes no result")
    workers: int = option(4, positive, "threads that decode images")
    false_alarm_rate: float = option(0.01, rate, "part of good images that may be called anomalous")
    pictures: int = option(1000, count, "how many result pictures to draw at most")
    device_target: str = option("", str, "Ascend, GPU or CPU; default: the best present", choices=("", *TARGETS))
    device_id: int = option(0, count, "which of several devices")

    def __post_init__(self):
        _ = self.transform  # refuses sizes that cannot be

    @property
    def transform(self) -> Transform:
        return Transform(self.resize, self.crop)


def parse(spec: dataclasses.Field, value, where: str):
    """A value from a flag or a file, checked; `where` names its source in the message."""
    text = ",".join(str(v) for v in value) if isinstance(value, (list, tuple)) else str(value)
    try:
        result = spec.metadata["parse"](text)
    except ValueError as error:
        raise UsageError(f"{where}: {text!r} is not allowed ({error})") from None
    choices = spec.metadata["choices"]
    if choices and result not in choices:
        raise UsageError(f"{where}: {text!r} is not one of {', '.join(c for c in choices if c)}")
    return result


def add_flags(parser: argparse.ArgumentParser, cls, leave_out: tuple = ()):
    for spec in dataclasses.fields(cls):
        if spec.name in leave_out:
            continue
        meta = spec.metadata
        extra = {"nargs": "+"} if meta["many"] else {"nargs": "?", "const": "true"} if meta["parse"] is boolean else {}
        parser.add_argument(
            f"--{spec.name}",
            *(f"--{alias}" for alias in meta["aliases"]),
            dest=spec.name,
            default=None,
            metavar=spec.name.upper(),
            help=meta["help"],
            **extra,
        )


def from_flags(cls, args: argparse.Namespace) -> dict:
    """The options that were given on the command line, and only those."""
    given = {spec: getattr(args, spec.name, None) for spec in dataclasses.fields(cls)}
    return {spec.name: parse(spec, value, f"--{spec.name}") for spec, value in given.items() if value is not None}


def from_yaml(cls, path: Path) -> dict:
    specs = {spec.name: spec for spec in dataclasses.fields(cls)}
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise UsageError(f"{path}: not valid YAML") from None
    if not isinstance(values, dict):
        raise UsageError(f"{path}: not a list of options (name: value)")
    unknown = [str(key) for key in values if key not in specs]
    if unknown:
        raise UsageError(f"{path}: unknown option {', '.join(unknown)}")
    return {
        key: parse(specs[key], "" if value is None and key != "crop" else value, f"{path}: {key}")
        for key, value in values.items()
    }


def to_yaml(config) -> str:
    values = {
        key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(config).items()
    }
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, allow_unicode=True)


def given(cls, args: argparse.Namespace) -> dict:
    """What --config and the flags say, the flags first."""
    return {**(from_yaml(cls, args.config) if args.config else {}), **from_flags(cls, args)}


def untrained(cls, args: argparse.Namespace):
    """The chosen options that training does not decide, before any state has been looked at."""
    open_to_choice = {spec.name for spec in dataclasses.fields(cls) if not spec.metadata["trained"]}
    return cls(**{name: value for name, value in given(cls, args).items() if name in open_to_choice})


def resolve(cls, args: argparse.Namespace, presets: Path):
    """For training: defaults, then the backbone's preset, then --config, then the flags."""
    chosen = given(cls, args)
    preset = from_yaml(cls, presets / f"{chosen.get('backbone', cls.backbone)}.yaml")
    return cls(**{**preset, **chosen})


def read_back(cls, saved: Path, args: argparse.Namespace):
    """For evaluation and prediction: what training decided, with the options that may still be chosen."""
    trained, chosen = from_yaml(cls, saved), given(cls, args)
    kept = {
        spec.name: trained[spec.name]
        for spec in dataclasses.fields(cls)
        if spec.name in trained and (spec.metadata["trained"] or spec.name in KEPT)
    }
    for spec in dataclasses.fields(cls):
        if spec.metadata["trained"] and spec.name in chosen and chosen[spec.name] != kept.get(spec.name):
            raise DataError(
                f"{saved.parent}: was trained with {spec.name} {kept.get(spec.name)}, not "
                f"{chosen[spec.name]}; leave --{spec.name} out or train again"
            )
    return cls(**{**kept, **chosen})
