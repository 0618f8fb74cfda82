"""The photographs of training that decide the threshold, as the detector saw them when each was left out."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
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
    place = {name: number for number, name in enumerate(names(sample.path for sample in train))}
    if not set(detector.calibration.names) <= place.keys():
        return
    for each in rates.deciding(detector.calibration, detector.scales.choice):
        number = place.get(each.name)
        if number is not None:
            sample = replace(train[number], defect=folder)
            without: Any = LeftOut(detector, number)
            [found] = Judging(without, (sample,))
            yield replace(found, score=each.score)
