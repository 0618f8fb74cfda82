"""Options: a frozen dataclass whose fields check themselves, from a flag, a file or Python alike.

Every value goes through the parser that its option names, so `3.5` for a whole number or `maybe` for a yes or no is
refused everywhere with the same words.
"""

import dataclasses
import glob
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, TypeVar

import yaml

from anomaly.run.errors import DataError, UsageError

COMMANDS = ("train", "eval", "predict", "export", "preprocess", "postprocess")
TRAIN, EVAL, PREDICT, EXPORT, PREPROCESS, POSTPROCESS = COMMANDS
CHECK = "check"  # a command that needs no method


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


def number_or_none(text: str) -> Optional[float]:
    return None if text.lower() == "none" else finite(text)


def names(text: str) -> tuple:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def paths(words: Any) -> tuple:
    """Files, folders or patterns, made absolute; their names may hold any sign, a comma too."""
    several = words if isinstance(words, (list, tuple)) else [words] if str(words) else []
    return tuple(_absolute(str(word)) for word in several)


def _absolute(word: str) -> str:
    if not word or "\0" in word:
        raise ValueError("a path is needed")
    word = os.path.expanduser(word)
    if os.path.isabs(word):
        return word
    here = os.getcwd()
    return os.path.join(glob.escape(here) if glob.has_magic(word) and not os.path.lexists(word) else here, word)


def _number(kind: Callable, fits: Callable, words: str) -> Callable:
    """A parser of numbers of which only some are allowed; `words` say which."""

    def parser(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise ValueError(words) from None
        if not fits(value):
            raise ValueError(words)
        return value

    return parser


def whole(least: int, most: int) -> Callable:
    return _number(int, lambda value: least <= value <= most, f"{least} to {most}")


LARGEST = 2**31 - 1  # more than any number of things that a machine holds
finite = _number(float, math.isfinite, "a number, such as 43.5")
positive = whole(1, LARGEST)
seed = whole(0, 2**32 - 1)
count = whole(0, LARGEST)
above_zero = _number(float, lambda value: 0 < value < float("inf"), "above 0")
zero_or_more = _number(float, lambda value: 0 <= value < float("inf"), "0 or more")
fraction = _number(float, lambda value: 0 < value <= 1, "above 0, at most 1")
share = _number(float, lambda value: 0 <= value < 1, "0 or more, below 1")
rate = _number(float, lambda value: 0 < value < 1, "between 0 and 1, such as 0.01")


def option(
    default: Any,
    parse: Callable,
    text: str,
    *,
    group: str = "method",
    commands: tuple = (TRAIN,),
    choices: tuple = (),
    aliases: tuple = (),
    trained: bool = False,
    many: bool = False,
    whole: bool = False,
) -> Any:
    """One option. `commands`: those whose --help shows it. `many`: it takes several words. `whole`: its parser gets
    them one by one and not joined, and the flag may come several times.

    `trained`: it shapes the state, so only training can choose it; other commands take it, unseen, to be told if it
    contradicts the state.
    """
    known = {"parse": parse, "help": text, "group": group, "commands": commands, "choices": choices, "many": many}
    return field(default=default, metadata={**known, "aliases": aliases, "trained": trained, "whole": whole})


@dataclass(frozen=True)
class Options:
    def __post_init__(self) -> None:
        for spec in dataclasses.fields(self):
            object.__setattr__(self, spec.name, parse(spec, getattr(self, spec.name), where=spec.name))


MOST_BRACKETS = 1000  # of a list of options; YAML is slow where they are nested deeply

AnyOptions = TypeVar("AnyOptions", bound=Options)


def parse(spec: dataclasses.Field, value: Any, *, where: str) -> Any:
    """A value from a flag, a file or Python, checked; `where` names its source in the message."""
    text = ",".join(str(v) for v in value) if isinstance(value, (list, tuple)) else str(value)
    try:
        result = spec.metadata["parse"](value if spec.metadata["whole"] else text)
    except OSError as error:  # of a name that the system cannot even look for
        raise UsageError(f"{where}: {text[:80]!r} is not allowed ({error.strerror})") from None
    except ValueError as error:
        raise UsageError(f"{where}: {not_allowed(text, error)}") from None
    choices = spec.metadata["choices"]
    if choices and result not in choices:  # in other letters it is meant all the same
        result = next((each for each in choices if str(each).lower() == text.lower()), result)
    if choices and result not in choices:
        raise UsageError(f"{where}: {text!r} is not one of {', '.join(c for c in choices if c)}")
    return result


def not_allowed(text: str, error: ValueError) -> str:
    """Why a value is refused; what the reason names already is not named twice."""
    return str(error) if str(error).startswith(repr(text)) else f"{text!r} is not allowed ({error})"


def written(value: Any) -> str:
    """A value as one would type it."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def explained(spec: dataclasses.Field) -> str:
    """What --help and the tables of the READMEs say: what it is for, its choices and its default."""
    meta = spec.metadata
    notes = [f"one of {', '.join(c for c in meta['choices'] if c)}"] if meta["choices"] else []
    notes += [f"default: {written(spec.default)}"] if spec.default not in ("", ()) else []
    return f"{meta['help']} ({'; '.join(notes)})" if notes else meta["help"]


def from_yaml(cls: type[Options], path: Path) -> dict:
    if os.path.exists(path) and not os.path.isfile(path):
        raise DataError(f"{path}: is no file")
    try:
        return from_text(cls, Path(path).read_bytes(), path=path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def from_text(cls: type[Options], text: bytes, *, path: Path) -> dict:
    """The options in a YAML file of this content."""
    try:
        if text.count(b"[") + text.count(b"{") > MOST_BRACKETS:
            raise yaml.YAMLError
        words = text.decode("utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(words, yaml.SafeLoader)):
            raise yaml.YAMLError  # a few lines that refer to one another can mean more than a machine holds
        values = yaml.safe_load(words) or {}
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: no UTF-8, or a number of thousands of digits
        raise UsageError(f"{path}: not valid YAML") from None
    return from_values(cls, values, path=path)


def from_values(cls: type[Options], values: Any, *, path: Path) -> dict:
    """The options among plain values, as a file has them."""
    specs = {spec.name: spec for spec in dataclasses.fields(cls)}
    if not isinstance(values, dict):
        raise UsageError(f"{path}: not a list of options (name: value)")
    unknown = [str(key) for key in values if key not in specs]
    if unknown:
        raise UsageError(f"{path}: unknown option {', '.join(unknown)}")
    return {
        key: parse(specs[key], "" if value is None and not may_be_none(specs[key]) else value, where=f"{path}: {key}")
        for key, value in values.items()
    }


def may_be_none(spec: dataclasses.Field) -> bool:
    return spec.metadata["parse"] in (size_or_none, number_or_none)


def to_values(config: Options) -> dict:
    """Plain values, as YAML and JSON have them."""
    return {
        key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(config).items()
    }


def to_yaml(values: dict) -> str:
    return yaml.safe_dump(values, sort_keys=False, default_flow_style=None, allow_unicode=True)


def known(cls: type[Options], chosen: dict, *, where: str) -> dict:
    """The same, where each is an option; for what comes from Python."""
    names_ = [spec.name for spec in dataclasses.fields(cls)]
    unknown = [name for name in chosen if name not in names_]
    if unknown:
        raise UsageError(f"{where}: unknown option {', '.join(unknown)}; there are {', '.join(names_)}")
    return {
        spec.name: parse(spec, chosen[spec.name], where=spec.name)
        for spec in dataclasses.fields(cls)
        if spec.name in chosen
    }


def untrained(cls: type[AnyOptions], chosen: dict) -> AnyOptions:
    """The chosen options that training does not decide, before any state has been looked at."""
    open_to_choice = {spec.name for spec in dataclasses.fields(cls) if not spec.metadata["trained"]}
    return cls(**{name: value for name, value in chosen.items() if name in open_to_choice})
