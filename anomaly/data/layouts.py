"""Where photographs and masks lie: a table of layouts. Nothing is ever written there.

A layout is a name, what tells that a folder is one of its categories, how a category is read, and what it looks like.
docs/data.md shows each as a tree; known_layouts.py and table_layout.py read them.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from anomaly.data import known_layouts, table_layout
from anomaly.data.folders import is_good
from anomaly.data.known_layouts import LOGICAL, TRUTH
from anomaly.data.samples import GOOD, Category, images_below, samples
from anomaly.data.split import Split
from anomaly.run.errors import DataError, UsageError

AUTO = "auto"
PARTS = ("train", "test", "val", "validation", "masks", "ground_truth")  # of a category, and never one themselves


@dataclass(frozen=True)
class Layout:
    is_category: Callable  # of a folder
    load: Callable  # a category's folder, Split -> Category
    tree: str  # what a category looks like, in a few words
    alone: bool = False  # --dataset_path may be the category itself, since there is usually only one


def _is_loco(folder: Path) -> bool:
    return (folder / "train" / GOOD).is_dir() and any((folder / "test" / kind).is_dir() for kind in LOGICAL)


def _is_mvtec_ad_2(folder: Path) -> bool:
    return all((folder / part / GOOD).is_dir() for part in ("train", "test_public"))


def _is_ksdd2(folder: Path) -> bool:
    parts = [folder / "train", folder / "test"]
    return all(part.is_dir() for part in parts) and next(parts[0].glob(f"*{TRUTH}.*"), None) is not None


def _is_in_folders(folder: Path) -> bool:
    if folder.name.lower() in PARTS or not folder.is_dir() or (folder / "train").exists():
        return False
    return any(is_good(path.name) and path.is_dir() and images_below(path) for path in folder.iterdir())


# What is more particular comes first: a category of MVTec LOCO AD could be read as one of MVTec AD.
LAYOUTS = {
    "loco": Layout(_is_loco, known_layouts.loco, "train/good, test/{good,logical_anomalies,structural_anomalies}"),
    "mvtec_ad_2": Layout(_is_mvtec_ad_2, known_layouts.mvtec_ad_2, "train/good, test_public/{good,bad}"),
    "mvtec": Layout(
        lambda folder: (folder / "train" / GOOD).is_dir(), known_layouts.mvtec, f"a folder with train/{GOOD} in it"
    ),
    "btad": Layout(lambda folder: (folder / "train" / "ok").is_dir(), known_layouts.btad, "train/ok, test/{ok,ko}"),
    "visa": Layout(
        lambda folder: (folder / "Data" / "Images" / "Normal").is_dir(),
        known_layouts.visa,
        "Data/Images/{Normal,Anomaly}, Data/Masks/Anomaly",
    ),
    "ksdd2": Layout(_is_ksdd2, known_layouts.ksdd2, f"train and test with 000.png and 000{TRUTH}.png", alone=True),
    "csv": Layout(
        lambda path: path.suffix.lower() == ".csv" and path.is_file(),
        table_layout.read,
        "a .csv file with the columns path,label[,mask,split]",
        alone=True,
    ),
    "folders": Layout(_is_in_folders, known_layouts.in_folders, "a folder good (or ok, normal), others are defects"),
}
NAMES = (AUTO, *sorted(LAYOUTS))


def recognised(folder: Path, layout: str = AUTO) -> Optional[Layout]:
    """The layout that this folder is a category of; of one layout, whether it is one of that."""
    candidates = LAYOUTS.values() if layout == AUTO else [LAYOUTS[layout]]
    try:
        return next((each for each in candidates if each.is_category(folder)), None)
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from None


def alone(dataset: Path, layout: str = AUTO) -> bool:
    """Whether a data set is one category by itself."""
    if layout != AUTO and LAYOUTS[layout].alone and (layout == "csv" or recognised(dataset, layout)):
        return dataset.exists()
    found = recognised(dataset, layout)
    return found is not None and found.alone


def _inside(dataset: Path) -> list:
    try:
        return sorted(dataset.iterdir())
    except OSError as error:
        raise DataError(f"{dataset}: cannot be read ({error.strerror})") from None


def categories(dataset: Path, layout: str = AUTO) -> list:
    """The names of all categories, in alphabetical order."""
    dataset = Path(dataset)
    if not dataset.is_dir():
        kind = "file" if dataset.suffix.lower() == ".csv" else "folder"
        raise DataError(f"{dataset}: no such {kind}; --dataset_path is the folder that holds the categories")
    if recognised(dataset, layout):
        raise DataError(
            f"{dataset}: is itself a category; use --dataset_path {dataset.parent} --category {dataset.name}"
        )
    inside = _inside(dataset)
    found = [path.name for path in inside if os.access(path, os.X_OK) and path.is_dir() and recognised(path, layout)]
    if not found:
        raise DataError(f"{dataset}: holds no category; {_expected(dataset, inside, layout)}")
    return found


def _expected(dataset: Path, inside: list, layout: str) -> str:
    """What was looked for and what is there, in one line."""
    wanted = LAYOUTS if layout == AUTO else {layout: LAYOUTS[layout]}
    trees = "; ".join(f"{name}: {each.tree}" for name, each in sorted(wanted.items()))
    there = ", ".join(path.name + "/" * path.is_dir() for path in inside[:5]) or "nothing"
    more = f" and {len(inside) - 5} more" if len(inside) > 5 else ""
    open_ = [path for path in inside[:50] if os.access(path, os.X_OK)]
    others = [name for name in LAYOUTS if layout != AUTO and any(recognised(path, name) for path in open_)]
    hint = f"; it looks like --layout {others[0]}" if others else ""
    return f"give folders of your own with --good and --bad{hint}; it has {there}{more}, and a category is {trees}"


def choose(dataset: Path, wanted: tuple, *, layout: str = AUTO) -> list:
    """The categories asked for; 'all' stands for every one there is."""
    found = categories(dataset, layout)
    if not wanted:
        raise UsageError(f"--category is needed: all, or of {', '.join(found)}")
    if "all" in wanted and "all" not in found:
        return found
    unknown = [name for name in wanted if name not in found]
    for name in unknown:
        recognised(Path(dataset) / name, layout)  # which says so where it may not be read
    if unknown:
        raise DataError(f"{dataset}: has no category {', '.join(unknown)}; there are {', '.join(found)}")
    return list(dict.fromkeys(wanted))


def load_category(dataset: Path, name: str = "", *, layout: str = AUTO, split: Split = Split()) -> Category:  # noqa: B008
    """A category of a data set, or, without a name, the folder of one."""
    folder = Path(dataset) / name
    found = LAYOUTS[layout] if layout != AUTO else recognised(folder) or LAYOUTS["mvtec"]
    return found.load(folder, split)  # which, where it is none, says what is missing


def to_train_on(photographs: Any) -> tuple:
    """Samples of whatever stands for photographs; of a category, those that are meant for training."""
    category = _category(photographs)
    return samples(photographs) if category is None else category.train


def to_test_on(photographs: Any) -> tuple:
    category = _category(photographs)
    return samples(photographs) if category is None else category.test


def _category(photographs: Any) -> Optional[Category]:
    if isinstance(photographs, (str, Path)) and recognised(Path(photographs)):
        return load_category(Path(photographs))
    if isinstance(photographs, (str, Path)) and Path(photographs).is_dir():
        inside = sorted(path.name for path in Path(photographs).iterdir() if path.is_dir() and recognised(path))
        if inside:
            raise DataError(f"{photographs}: holds categories; name one of them: {Path(photographs) / inside[0]}")
    return photographs if isinstance(photographs, Category) else None
