"""Where photographs and masks lie: a table of layouts. Nothing is ever written there.

A layout is a name, what tells that a folder is one of its categories, and how a category is read. The one there is
today is that of MVTec AD:

<dataset>/<category>/train/good/*.png         all that training looks at
<dataset>/<category>/test/good/*.png          optional, as is everything below
<dataset>/<category>/test/<defect>/000.png
<dataset>/<category>/ground_truth/<defect>/000_mask.png
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from anomaly.data.samples import GOOD, Category, Sample, images_in, samples
from anomaly.run.errors import DataError, UsageError


@dataclass(frozen=True)
class Layout:
    is_category: Callable  # of a folder
    load: Callable  # a category's folder -> Category
    tree: str  # what a category looks like, in a few words


def _masks(folder: Path) -> dict:
    """Stem of an image -> its mask. 000_mask.png goes before 000.png."""
    found = images_in(folder)
    masks = {path.stem: path for path in found}
    masks.update({path.stem[: -len("_mask")]: path for path in found if path.stem.lower().endswith("_mask")})
    return masks


def mvtec(root: Path) -> Category:
    train = tuple(Sample(path) for path in images_in(root / "train" / GOOD))
    if not train:
        raise DataError(f"{root / 'train' / GOOD}: holds no image; put photographs of good parts there")
    test = []
    folders = sorted(path for path in (root / "test").iterdir() if path.is_dir()) if (root / "test").is_dir() else []
    for folder in folders:
        masks = {} if folder.name == GOOD else _masks(root / "ground_truth" / folder.name)
        test += [Sample(path, folder.name, masks.get(path.stem)) for path in images_in(folder)]
    return Category(root.name, train, tuple(test))


LAYOUTS = {
    "mvtec": Layout(lambda folder: (folder / "train" / GOOD).is_dir(), mvtec, f"a folder with train/{GOOD} in it"),
}


def recognised(folder: Path) -> Optional[Layout]:
    """The layout that this folder is a category of."""
    return next((layout for layout in LAYOUTS.values() if layout.is_category(folder)), None)


def categories(dataset: Path) -> list:
    """The names of all categories, in alphabetical order."""
    dataset = Path(dataset)
    if not dataset.is_dir():
        raise DataError(f"{dataset}: no such folder; --dataset_path is the folder that holds the categories")
    if recognised(dataset):
        raise DataError(
            f"{dataset}: is itself a category; use --dataset_path {dataset.parent} --category {dataset.name}"
        )
    found = sorted(path.name for path in dataset.iterdir() if recognised(path))
    if not found:
        trees = " or ".join(layout.tree for layout in LAYOUTS.values())
        raise DataError(f"{dataset}: holds no category ({trees})")
    return found


def choose(dataset: Path, wanted: tuple) -> list:
    """The categories asked for; 'all' stands for every one there is."""
    found = categories(dataset)
    if not wanted:
        raise UsageError(f"--category is needed: all, or of {', '.join(found)}")
    if "all" in wanted and "all" not in found:
        return found
    unknown = [name for name in wanted if name not in found]
    if unknown:
        raise DataError(f"{dataset}: has no category {', '.join(unknown)}; there are {', '.join(found)}")
    return list(dict.fromkeys(wanted))


def load_category(dataset: Path, name: str = "") -> Category:
    """A category of a data set, or, without a name, the folder of one."""
    folder = Path(dataset) / name
    layout = recognised(folder) or LAYOUTS["mvtec"]  # whose message then says what is missing
    return layout.load(folder)


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
