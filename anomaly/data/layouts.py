"""Finds photographs and masks in the MVTec AD layout. Nothing is ever written there.

<dataset>/<category>/train/good/*.png         all that training looks at
<dataset>/<category>/test/good/*.png          optional, as is everything below
<dataset>/<category>/test/<defect>/000.png
<dataset>/<category>/ground_truth/<defect>/000_mask.png
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from anomaly.run.errors import DataError, UsageError
from anomaly.data.images import is_image

GOOD = "good"


@dataclass(frozen=True)
class Sample:
    path: Path
    defect: str = GOOD  # the name of its folder
    mask: Optional[Path] = None

    @property
    def anomalous(self) -> bool:
        return self.defect != GOOD

    @property
    def name(self) -> str:
        return f"{self.defect}/{self.path.name}"


@dataclass(frozen=True)
class Category:
    name: str
    train: tuple  # of Sample
    test: tuple

    @property
    def has_masks(self) -> bool:
        return any(sample.mask for sample in self.test)


def images_in(folder: Path) -> list:
    return sorted(path for path in folder.iterdir() if is_image(path) and path.is_file()) if folder.is_dir() else []


def categories(dataset: Path) -> list:
    """The names of all categories, in alphabetical order."""
    dataset = Path(dataset)
    if not dataset.is_dir():
        raise DataError(f"{dataset}: no such folder; --dataset_path is the folder that holds the categories")
    if (dataset / "train" / GOOD).is_dir():
        raise DataError(
            f"{dataset}: is itself a category; use --dataset_path {dataset.parent} --category {dataset.name}"
        )
    found = sorted(path.name for path in dataset.iterdir() if (path / "train" / GOOD).is_dir())
    if not found:
        raise DataError(f"{dataset}: holds no category (a folder with train/{GOOD} in it)")
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


def _masks(folder: Path) -> dict:
    """Stem of an image -> its mask. 000_mask.png goes before 000.png."""
    found = images_in(folder)
    masks = {path.stem: path for path in found}
    masks.update({path.stem[: -len("_mask")]: path for path in found if path.stem.lower().endswith("_mask")})
    return masks


def load_category(dataset: Path, name: str) -> Category:
    root = Path(dataset) / name
    train = tuple(Sample(path) for path in images_in(root / "train" / GOOD))
    if not train:
        raise DataError(f"{root / 'train' / GOOD}: holds no image; put photographs of good parts there")
    test = []
    folders = sorted(path for path in (root / "test").iterdir() if path.is_dir()) if (root / "test").is_dir() else []
    for folder in folders:
        masks = {} if folder.name == GOOD else _masks(root / "ground_truth" / folder.name)
        test += [Sample(path, folder.name, masks.get(path.stem)) for path in images_in(folder)]
    return Category(name, train, tuple(test))
