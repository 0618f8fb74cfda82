"""A CSV file that lists photographs: path, label and, if wanted, mask and split; relative paths begin at the file.

path,label,mask,split
lot1/000.png,good,,train
lot1/001.png,scratch,masks/001.png,test
"""

from pathlib import Path

from anomaly.data import folders
from anomaly.data.known_layouts import rows_of
from anomaly.data.samples import Category, Sample, distinct
from anomaly.data.split import Split
from anomaly.run.errors import DataError
from anomaly.run.files import is_name

TRAIN, TEST = "train", "test"


def table_in(place: Path) -> Path:
    """The file itself, or the only one in a folder."""
    if not place.is_dir():
        return place
    found = sorted(path for path in place.iterdir() if path.suffix.lower() == ".csv" and path.is_file())
    if len(found) != 1:
        there = ", ".join(path.name for path in found[:5]) or "none"
        raise DataError(f"{place}: needs one .csv file; there are: {there}")
    return found[0]


def read(place: Path, split: Split) -> Category:
    table = table_in(place)
    rows = rows_of(table)
    if not rows or not {"path", "label"} <= set(rows[0]):
        raise DataError(f"{table}: needs a first line path,label (and, if wanted, mask,split) and a line a photograph")
    parts: dict[str, list] = {TRAIN: [], TEST: []}
    lines: dict[Path, int] = {}
    for row in rows:
        sample = _sample(table, row)
        if sample.path in lines:
            raise DataError(f"{table}, line {row['line']}: {row['path']} is in line {lines[sample.path]} too")
        lines[sample.path] = row["line"]
        parts[_part(table, row, sample)].append(sample)
    if not parts[TRAIN]:
        raise DataError(f"{table}: names no good photograph to train on")
    good, kept = parts[TRAIN], set()
    if all(sample.anomalous for sample in parts[TEST]):
        kept = split.kept_out({sample.path: _name(sample.path, table.parent) for sample in good})
    train = tuple(sample for sample in good if sample.path not in kept)
    test = [*(sample for sample in good if sample.path in kept), *parts[TEST]]
    return Category(table.stem, train, distinct(test), split.note(len(kept), len(good)))


def _name(path: Path, folder: Path) -> str:
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def _sample(table: Path, row: dict) -> Sample:
    path, label = table.parent / row["path"], row["label"]
    if not row["path"] or not label:
        raise DataError(f"{table}, line {row['line']}: needs a path and a label (good, or the name of a defect)")
    if not is_name(label):
        raise DataError(f"{table}, line {row['line']}: the label {label!r} cannot be the name of a folder of results")
    mask = table.parent / row["mask"] if row.get("mask") else None
    for file in filter(None, (path, mask)):
        if not file.is_file():
            raise DataError(f"{table}, line {row['line']}: {file}: no such file")
    return Sample(path) if folders.is_good(label) else Sample(path, label, mask)


def _part(table: Path, row: dict, sample: Sample) -> str:
    """A good one without a word trains; a defective one only tests."""
    split = row.get("split", "").lower() or (TEST if sample.anomalous else TRAIN)
    if split not in (TRAIN, TEST):
        raise DataError(f"{table}, line {row['line']}: split is {TRAIN} or {TEST}, not {split!r}")
    if split == TRAIN and sample.anomalous:
        raise DataError(f"{table}, line {row['line']}: {row['path']} is {row['label']}; only good ones train")
    return split
