"""Where the photographs of a command come from, as options: a data set in a known layout, or folders of one's own."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from anomaly.data import folders as own
from anomaly.data import layouts
from anomaly.data.samples import GOOD, Category
from anomaly.data.split import SEED, SHARE, Split
from anomaly.run import options
from anomaly.run.errors import DataError, UsageError
from anomaly.run.files import is_name
from anomaly.run.options import CHECK, COMMANDS, EVAL, PREPROCESS, TRAIN

OWN = (GOOD, "bad", "masks", "test_good")
_data = partial(options.option, group="data", commands=(TRAIN, EVAL, PREPROCESS, CHECK))
_paths = partial(_data, (), options.paths, many=True, whole=True)


@dataclass(frozen=True)
class Source(options.Options):
    """The options about photographs."""

    dataset_path: str = _data("", str, "folder that holds the categories, or a .csv file")
    category: tuple = _data(
        (),
        options.names,
        "one or several categories, or all",
        commands=(*COMMANDS, CHECK),
        aliases=("class_name",),
        many=True,
    )
    layout: str = _data(layouts.AUTO, str, "how the data set lies in its folders", choices=layouts.NAMES)
    good: tuple = _paths("photographs of good parts, instead of --dataset_path: folders, files, patterns in quotes")
    bad: tuple = _paths("photographs of defective parts; the folders below, or else these themselves, name the defects")
    masks: tuple = _paths("where the defects are; the mask of 000.png is 000.png or 000_mask.png")
    test_good: tuple = _paths("photographs of good parts to test on; left out: a share of --good")
    test_share: float = _data(
        SHARE,
        options.share,
        "part of the good photographs to keep out of training, to test on, where the data set has none for that",
        commands=(TRAIN, PREPROCESS, CHECK),
        trained=True,
    )
    seed: int = options.option(
        SEED,
        options.seed,
        "seed of all random choices",
        group="run",
        commands=(TRAIN, PREPROCESS, CHECK),
        trained=True,
    )


FIELDS = tuple(spec.name for spec in dataclasses.fields(Source))


def of(given: Any) -> Source:
    """Those of a larger set of options, or of a dictionary."""
    values = given if isinstance(given, dict) else vars(given)
    return Source(**{name: values[name] for name in FIELDS if name in values})


def own_folders(source: Source) -> bool:
    return any(getattr(source, name) for name in OWN)


def given(chosen: dict) -> bool:
    """Whether options say where photographs are."""
    return any(chosen.get(name) for name in ("dataset_path", *OWN))


def kept(trained: dict, chosen: dict) -> dict:
    """The options of training with those chosen now; another place drops what belongs to the one before."""
    dropped: Iterable = ()
    if chosen.get("dataset_path"):
        dropped = (*OWN, "layout")
    elif given(chosen):
        dropped = ("dataset_path", "layout", *(("masks",) if chosen.get("bad") else ()))
    return {**{name: value for name, value in trained.items() if name not in dropped}, **chosen}


def categories(source: Source) -> list:
    """The names of the categories asked for, after checking that they are there."""
    if own_folders(source):
        return [_own_name(source)]
    if not source.dataset_path:
        raise UsageError("--dataset_path is needed: the folder that holds the categories; or --good with your folders")
    dataset = Path(source.dataset_path)
    if layouts.alone(dataset, source.layout):
        found = dataset.resolve().stem if dataset.is_file() else dataset.resolve().name
        return [_one_name(source, otherwise=found)]
    return layouts.choose(dataset, source.category, layout=source.layout)


def _own_name(source: Source) -> str:
    if source.dataset_path:
        raise UsageError(
            "--dataset_path and --good (or --bad, --masks, --test_good): photographs come from one or other"
        )
    if source.layout != layouts.AUTO:
        raise UsageError(f"--layout {source.layout}: is about --dataset_path; leave it out beside --good")
    if source.masks and not source.bad:
        raise UsageError("--masks: belong to photographs of defects; give --bad too")
    first = next(name for name in (GOOD, "test_good", "bad") if getattr(source, name))
    return _one_name(source, otherwise="" if source.category else own.name_of(getattr(source, first), first))


def _one_name(source: Source, *, otherwise: str) -> str:
    """The name to save one category under."""
    names = source.category or (otherwise,)
    if len(names) > 1 or not is_name(names[0]) or source.category == ("all",):
        raise UsageError(f"--category {' '.join(names)}: one name is needed to save under, without / or comma, not all")
    return names[0]


def load(source: Source, name: str) -> Category:
    split = Split(source.test_share, source.seed)
    if own_folders(source):
        given_ = {option: getattr(source, option) for option in OWN if option != GOOD}
        return own.read(name, source.good, **given_, split=split)
    dataset = Path(source.dataset_path)
    if not dataset.exists():
        raise DataError(f"{dataset}: no such file or folder")
    if layouts.alone(dataset, source.layout):
        return replace(layouts.load_category(dataset, layout=source.layout, split=split), name=name)
    return layouts.load_category(dataset, name, layout=source.layout, split=split)


def roots(source: Source, name: str) -> list:
    """The folders that photographs come from."""
    return [path if path.is_dir() or not path.exists() else path.parent for path in places(source, name)]


def places(source: Source, name: str) -> list:
    """What photographs come from: folders, single files, or the file that names them."""
    given_ = [path for option in OWN for path in own.expanded(getattr(source, option), option)]
    if given_:
        return given_
    dataset = Path(source.dataset_path)
    return [dataset if dataset.is_file() or layouts.alone(dataset, source.layout) else dataset / name]


def folders(
    good: Any = (),
    *,
    bad: Any = (),
    masks: Any = (),
    test_good: Any = (),
    test_share: float = SHARE,
    seed: int = SEED,
    name: str = "",
) -> Category:
    """A category of your own folders, for fit and evaluate. Each is a path, a pattern, or several of them.

    Without `test_good` a share of the good photographs, chosen by the seed, is kept out of training to test on.
    """
    named = (name,) if name else ()
    source = Source("", named, good=good, bad=bad, masks=masks, test_good=test_good, test_share=test_share, seed=seed)
    if not own_folders(source):
        raise UsageError("good: is needed: folders, files or patterns")
    return load(source, categories(source)[0])
