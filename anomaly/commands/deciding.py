"""The photographs of training that decide the threshold, as the detector saw them when each was left out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from anomaly.data.samples import Category, names
from anomaly.data.transform import Transform
from anomaly.detector import Detector, Fitted, Judging
from anomaly.measure import rates
from anomaly.measure.calibration import Scales
from anomaly.measure.judgement import Judgement

TRUTH = "good, left out of training"
FOLDER = "train"  # of their pictures, unless a kind of defect is called so


@dataclass
class LeftOut:
    """A detector as if it had not been trained on one of the photographs."""

    detector: Fitted
    number: int
    runs_beside = False

    @property
    def transform(self) -> Transform:
        return self.detector.transform

    @property
    def scales(self) -> Scales:
        return self.detector.scales

    def score(self, images: np.ndarray) -> tuple:
        return self.detector.left_out(images, self.number), np.zeros(len(images))


def judgements(detector: Detector, data: Category) -> Iterator[Judgement]:
    """Of a detector that can still leave photographs out, where they are the ones that it was trained on."""
    if not isinstance(detector, Fitted):
        return
    train, called = data.train, {sample.defect for sample in data.test}
    folder = f"{FOLDER} (good)" if FOLDER in called else FOLDER
    by_name = dict(zip(names(sample.path for sample in train), train))
    if not set(detector.calibration.names) <= by_name.keys():
        return
    known = numbers([image["path"] for image in detector.images] or [str(sample.path.resolve()) for sample in train])
    for each in rates.deciding(detector.calibration, detector.scales.choice):
        sample = by_name.get(each.name)
        number = known.get(str(sample.path.resolve())) if sample else None
        if sample and number is not None:
            without: Any = LeftOut(detector, number)
            [found] = Judging(without, (replace(sample, defect=folder),))
            yield replace(found, score=each.score)


def numbers(paths: Iterable) -> dict:
    """Where each photograph of training lies -> its number there; its pieces and changed copies stand together.

    What is there now may be in another order: further photographs have come, or others are kept for the test.
    """
    return {path: number for number, (path, _) in enumerate(groupby(paths))}
