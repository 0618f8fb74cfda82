"""How the published data sets lie in their folders: a function for each reads one category."""

import csv
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from anomaly.data import folders
from anomaly.data.images import read_mask
from anomaly.data.pairing import MARK
from anomaly.data.samples import GOOD, Category, Sample, images_below, images_in
from anomaly.data.split import Split
from anomaly.run.errors import DataError

LOGICAL = ("logical_anomalies", "structural_anomalies")
VISA_SPLIT, VISA_COLUMNS = Path("split_csv") / "1cls.csv", {"object", "split", "label", "image", "mask"}
ANOMALY = "Anomaly"  # names folders of VisA
TRUTH = "_GT"  # ends the stem of a mask of KolektorSDD2
MASKS = ("masks", "mask", "ground_truth")  # names of a folder of masks


def masks_by_name(folder: Path) -> dict:
    """Stem of an image -> its mask. 000_mask.png goes before 000.png."""
    found = images_in(folder)
    masks = {path.stem: path for path in found}
    masks.update({path.stem[: -len(MARK)]: path for path in found if path.stem.lower().endswith(MARK)})
    return masks


def masks_in_parts(folder: Path) -> dict:
    """Stem of an image -> its masks, which lie in a folder of that name."""
    return {part.name: tuple(images_in(part)) for part in _folders(folder)}


def _folders(folder: Path) -> list:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _good(folder: Path) -> tuple:
    train = tuple(Sample(path) for path in images_in(folder))
    if not train:
        raise DataError(f"{folder}: holds no image; put photographs of good parts there")
    return train


def _read(root: Path, *, train: Path, tests: Iterable, masks_of: Callable = masks_by_name) -> Category:
    """`tests`: a folder of photographs, the name of the defect, and the folder of its masks, for each."""
    test: list[Sample] = []
    unused: list[Path] = []
    for folder, defect, ground_truth in tests:
        masks = {} if defect == GOOD else masks_of(ground_truth)
        images = images_in(folder)
        test += [Sample(path, defect, masks.get(path.stem) or None) for path in images]
        if masks:
            stems = {path.stem for path in images}
            unused += [mask for mask in images_below(ground_truth) if _owner(mask, ground_truth) not in stems]
    return Category(root.name, _good(train), tuple(test), unused=tuple(unused))


def _owner(mask: Path, folder: Path) -> str:
    """The stem of the photograph that a mask in a folder of masks is for."""
    inner = mask.relative_to(folder).parts
    stem = inner[0] if len(inner) > 1 else mask.stem
    return stem[: -len(MARK)] if stem.lower().endswith(MARK) else stem


def mvtec(root: Path, split: Split) -> Category:
    tests = [(folder, folder.name, root / "ground_truth" / folder.name) for folder in _folders(root / "test")]
    return _read(root, train=root / "train" / GOOD, tests=tests)


def loco(root: Path, split: Split) -> Category:
    tests = [(folder, folder.name, root / "ground_truth" / folder.name) for folder in _folders(root / "test")]
    return _read(root, train=root / "train" / GOOD, tests=tests, masks_of=masks_in_parts)


def mvtec_ad_2(root: Path, split: Split) -> Category:
    public = root / "test_public"
    tests = [(public / kind, kind, public / "ground_truth" / kind) for kind in ("bad", GOOD)]
    return _read(root, train=root / "train" / GOOD, tests=tests)


def btad(root: Path, split: Split) -> Category:
    tests = [(root / "test" / "ok", GOOD, root), (root / "test" / "ko", "ko", root / "ground_truth" / "ko")]
    return _read(root, train=root / "train" / "ok", tests=tests)


def visa(root: Path, split: Split) -> Category:
    """The table of the release says which photographs are for what; without it the seed does."""
    table, images = root.parent / VISA_SPLIT, root / "Data" / "Images"
    listed = rows_of(table) if table.is_file() else []
    if listed and not set(listed[0]) >= VISA_COLUMNS:
        raise DataError(f"{table}: needs the columns {', '.join(sorted(VISA_COLUMNS))}")
    rows = [row for row in listed if row["object"] == root.name]
    if not rows:
        masks = root / "Data" / "Masks" / ANOMALY
        bad = (str(images / ANOMALY),) if images_in(images / ANOMALY) else ()
        marks = (str(masks),) if bad and images_in(masks) else ()
        return folders.read(root.name, (str(images / "Normal"),), bad=bad, masks=marks, split=split)
    parts: dict[str, list] = {"train": [], "test": []}
    for row in rows:
        path, mask = root.parent / row["image"], root.parent / row["mask"] if row["mask"] else None
        if not path.is_file():
            raise DataError(f"{path}: is named by {table} and is not there")
        good = row["label"] == "normal"
        parts["train" if row["split"] == "train" else "test"].append(
            Sample(path) if good else Sample(path, ANOMALY, mask)
        )
    train = tuple(sample for sample in parts["train"] if not sample.anomalous)
    return Category(root.name, train, tuple(parts["test"]))


def ksdd2(root: Path, split: Split) -> Category:
    """Good and defective ones lie together: a mask that is all black tells which is which."""
    train, test = _told_by_masks(root / "train"), _told_by_masks(root / "test")
    good = tuple(sample for sample in train if not sample.anomalous)
    if not good:
        raise DataError(f"{root / 'train'}: holds no image whose mask is all black")
    return Category(root.name, good, test)


def _told_by_masks(folder: Path) -> tuple:
    found = images_in(folder)
    masks = {path.stem[: -len(TRUTH)]: path for path in found if path.stem.endswith(TRUTH)}
    images = [path for path in found if not path.stem.endswith(TRUTH)]
    for path in images:
        if path.stem not in masks:
            raise DataError(f"{path}: has no mask {path.stem}{TRUTH}.png beside it")

    def sample(path: Path) -> Sample:
        mask = masks[path.stem]
        return Sample(path, "defect", mask) if read_mask(mask).any() else Sample(path)

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return tuple(pool.map(sample, images))


def in_folders(root: Path, split: Split) -> Category:
    """A folder of good parts; beside it others, each a kind of defect, and one of masks."""
    inside = [path for path in _folders(root) if not path.name.startswith(".")]
    good = tuple(str(path) for path in inside if folders.is_good(path.name))
    masks = tuple(str(path) for path in inside if path.name.lower() in MASKS and images_below(path))
    rest = [path for path in inside if str(path) not in (*good, *masks) and path.name.lower() not in MASKS]
    bad = tuple(str(path) for path in rest if images_below(path))
    return folders.read(root.name, good, bad=bad, masks=masks if bad else (), split=split)


def rows_of(table: Path) -> list:
    """The rows of a CSV file by the names in its first line, in small letters; `line` says where each ends."""
    try:
        with open(table, newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=";" if ";" in head and "," not in head else ",")
            names = [name.strip().lower() for name in next(reader, [])]
            return [_row(names, values, reader.line_num) for values in reader if any(values)]
    except OSError as error:
        raise DataError(f"{table}: cannot be read ({error.strerror})") from None
    except (csv.Error, UnicodeDecodeError):
        raise DataError(f"{table}: not a table in CSV (UTF-8)") from None


def _row(names: list, values: list, line: int) -> dict:
    row: dict[str, Any] = dict.fromkeys(names, "")
    row.update({name: value.strip() for name, value in zip(names, values)})
    return {**row, "line": line}
