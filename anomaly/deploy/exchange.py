"""Files that a device reads and writes: prepared photographs go out as .bin, maps and scores come back.

<output_dir>/img/000.bin         H W 3 uint8, RGB, resized and cropped
<output_dir>/label/000.png       its mask, if there is one
<output_dir>/label/000.seen.png  where it counts, if that is not everywhere
<output_dir>/label/index.json    which photograph 000 is
<result_dir>/000.bin             the map, H W float32
<result_dir>/results.csv         name and score of each, among other columns
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from anomaly.data.images import read_mask, write_image
from anomaly.data.loader import batches
from anomaly.data.samples import Category, Sample
from anomaly.data.transform import Transform
from anomaly.measure.calibration import Scales
from anomaly.measure.judgement import Judgement, judgement
from anomaly.run.errors import DataError
from anomaly.run.files import is_name, read_json, replacing_folder, write_json
from anomaly.run.progress import Callback, Counter

PARTS, RESULT = ("img", "label"), "result"  # folders: that are written here, and that run_infer_cpp.sh has results in
INDEX = "index.json"
TABLE = "results.csv"
SEEN = ".seen.png"


def write(
    category: Category, transform: Transform, *, folder: Path, workers: int, about: dict, callback: Callback
) -> None:
    """Prepares all test photographs; `about` is what else the index has to say."""
    if any((folder / part).exists() for part in PARTS) and not (folder / "label" / INDEX).is_file():
        raise DataError(f"{folder}: holds img or label that preprocess.py did not write; choose another --output_dir")
    digits = max(3, len(str(len(category.test))))
    with (
        replacing_folder(folder / "img") as images,
        replacing_folder(folder / "label") as labels,
        Counter(callback, "preprocessing", total=len(category.test)) as count,
    ):
        entries = []
        for number, batch in enumerate(
            batches(category.test, transform, batch_size=1, workers=workers, with_masks=True)
        ):
            name, sample, mask = f"{number:0{digits}}", batch.samples[0], batch.masks[0]
            (images / f"{name}.bin").write_bytes(batch.images[0].tobytes())
            if sample.anomalous and mask is not None:
                write_image(labels / f"{name}.png", mask)
            seen = transform.seen(batch.shapes[0], sample.path)
            if seen is not None:
                write_image(labels / f"{name}{SEEN}", seen)
            # A link keeps its own name: figures are listed by it, and two may lead to one file.
            entries.append({"bin": name, "path": str(sample.path.absolute()), "defect": sample.defect})
            entries[-1] |= {"called": sample.called} if sample.called else {}
            count()
        more = {} if transform.plain else {"seen": True}
        write_json(labels / INDEX, {**about, "size": list(transform.size), **more, "images": entries})


def read_index(label_dir: Path) -> dict:
    path = label_dir / INDEX
    if not path.is_file():
        raise DataError(f"{path}: no such file; --label_dir is the folder label/ that preprocess.py wrote")
    index = read_json(path)
    if not _is_index(index):
        raise DataError(f"{path}: damaged; run preprocess.py again")
    return index


def _is_index(index: Any) -> bool:
    if not isinstance(index, dict) or not {"size", "images", "method", "category", "model"} <= set(index):
        return False
    size, images = index["size"], index["images"]
    if not isinstance(index.get("seen", False), bool):
        return False
    if not all(isinstance(values, list) for values in (size, images)) or not images:
        return False
    sides = len(size) == 2 and all(type(side) is int and side > 0 for side in size)
    return sides and all(
        isinstance(entry, dict)
        and all(isinstance(entry.get(key), str) for key in ("bin", "path", "defect"))
        and all(is_name(entry[key]) for key in ("bin", "defect"))
        and is_name(Path(entry["path"]).name)
        and isinstance(entry.get("called", ""), str)
        and all(is_name(part) for part in entry.get("called", "x").split("/"))
        for entry in images
    )


def read_scores(result_dir: Path) -> dict:
    """The names in the device's table, without the ending of a .bin -> the scores."""
    path = result_dir / TABLE
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is no file; run anomaly_infer again")
    try:
        with open(path, newline="", encoding="utf-8") as file:
            scores = {row["name"]: float(row["score"]) for row in csv.DictReader(file)}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; --result_dir is what anomaly_infer wrote") from None
    except (KeyError, ValueError, TypeError, csv.Error):
        raise DataError(f"{path}: damaged; run anomaly_infer again") from None
    for name, score in scores.items():
        if not math.isfinite(score):
            raise DataError(f"{path}: the score of {name} is no number; run anomaly_infer again")
    return scores


def read_map(path: Path, size: tuple) -> np.ndarray:
    if path.exists() and not path.is_file():
        raise DataError(f"{path}: is no file; run anomaly_infer again")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; the device has not judged this image") from None
    values = np.frombuffer(data, np.float32) if len(data) == 4 * size[0] * size[1] else None
    if values is None or not np.isfinite(values).all():
        raise DataError(f"{path}: not a map of {size[0]} x {size[1]} numbers in float32; run anomaly_infer again")
    return values.reshape(size)


def read_label(path: Path, size: tuple) -> np.ndarray:
    mask = read_mask(path)
    if mask.shape != size:
        raise DataError(f"{path}: not a mask of {size[0]} x {size[1]}; run preprocess.py again")
    return mask


@dataclass(frozen=True)
class Sent(Transform):
    """Of a picture that is prepared already: all that is still to be known is where it counts."""

    counts: Optional[np.ndarray] = None

    def seen(self, photograph: tuple, path: Path = Path()) -> Optional[np.ndarray]:
        return self.counts


class Returned:
    """What came back from a device for what was sent to it: the judgements of the device."""

    def __init__(self, label_dir: Path, result_dir: Path, *, index: dict, scales: Scales) -> None:
        self.result_dir, self.size, self.scales = result_dir, tuple(index["size"]), scales
        self.scores = read_scores(result_dir)
        self.images, self.labels = label_dir.parent / "img", label_dir
        self.in_part = index.get("seen", False)  # whether not all of a picture counts
        self.entries = []  # (name of the .bin, Sample)
        for entry in index["images"]:
            mask = label_dir / f"{entry['bin']}.png"
            called = str(entry.get("called", ""))
            sample = Sample(Path(entry["path"]), entry["defect"], mask if mask.is_file() else None, called=called)
            self.entries.append((entry["bin"], sample))

    def __len__(self) -> int:
        return len(self.entries)

    def _sent(self, name: str) -> Optional[Sent]:
        return Sent(self.size, counts=read_label(self.labels / f"{name}{SEEN}", self.size)) if self.in_part else None

    def __iter__(self) -> Iterator[Judgement]:
        """With the photographs as they were sent, where they are still there; else black."""
        for name, sample in self.entries:
            path, image = self.images / f"{name}.bin", np.zeros((*self.size, 3), np.uint8)
            if path.is_file() and path.stat().st_size == image.size:
                image = np.fromfile(path, np.uint8).reshape(image.shape)
            mask = read_label(sample.masks[0], self.size) if sample.masks else None
            if not sample.anomalous:
                mask = np.zeros(self.size, bool)
            if name not in self.scores:
                raise DataError(f"{self.result_dir / TABLE}: has no score for {name}")
            values = read_map(self.result_dir / f"{name}.bin", self.size)
            yield judgement(
                self.scores[name],
                values,
                scales=self.scales,
                sample=sample,
                image=image,
                mask=mask,
                transform=self._sent(name),
                shape=self.size,
            )
