"""A judged photograph: the one value that evaluation, prediction, pictures and results are made of."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Optional

import numpy as np

from anomaly.data.samples import Sample
from anomaly.data.transform import Frame, Transform
from anomaly.measure import regions
from anomaly.measure.calibration import ANOMALOUS, UNKNOWN, Scales
from anomaly.run.errors import DataError


@dataclass(frozen=True, eq=False)
class Judgement:
    score: float
    map: np.ndarray  # H W, of the size of `image`
    scales: Scales  # the thresholds, and what lies between them and the good photographs
    sample: Sample
    image: np.ndarray  # H W 3 uint8, what the network looked at
    mask: Optional[np.ndarray] = None  # H W bool, where it is known
    photograph: Optional[np.ndarray] = None  # as it was before it was resized, if that was asked for
    transform: Optional[Transform] = None  # between the photograph and `image`
    shape: Optional[tuple] = None  # height and width of the photograph

    @property
    def frame(self) -> Frame:
        """What part of the photograph `image` shows."""
        if self.transform is None or self.shape is None:
            return Frame(0, 0, *self.map.shape)
        return self.transform.frame(self.shape)

    @property
    def on_photograph(self) -> tuple:
        """The map at the photograph's scale, and slices that say where in the photograph it lies."""
        shape = self.shape or self.map.shape
        if self.transform is None:
            return self.map, tuple(slice(0, side) for side in shape)
        return self.transform.back(self.map, shape)

    @cached_property
    def seen(self) -> Optional[np.ndarray]:
        """H W bool: where it was looked at; None: everywhere."""
        return self.transform.seen(self.shape, self.sample.path) if self.transform and self.shape else None

    @property
    def seen_on_photograph(self) -> np.ndarray:
        """The same at the photograph's scale, for the part of it that the map shows."""
        scaled, _ = replace(self, map=np.ones_like(self.map) if self.seen is None else self.seen * 1.0).on_photograph
        return scaled > 0.5

    @cached_property
    def regions(self) -> tuple:
        """Where an anomalous photograph is anomalous, the worst place first, in the photograph's pixels."""
        if self.verdict != ANOMALOUS:
            return ()
        return regions.find(self.map, self.scales.pixel, frame=self.frame, photograph=self.shape or self.map.shape)

    @property
    def verdict(self) -> str:
        return self.scales.image.verdict(self.score)

    @property
    def wrong(self) -> bool:
        """Whether it is called what it is not."""
        return self.verdict != UNKNOWN and (self.verdict == ANOMALOUS) != self.sample.anomalous

    @property
    def normalised(self) -> Optional[float]:
        """Between 0 and 1, 0.5 at the threshold; None where there is no threshold."""
        return float(self.scales.image.normalise(self.score)) if self.scales.known else None

    @property
    def threshold(self) -> Optional[float]:
        return self.scales.image.threshold if self.scales.known else None

    def __repr__(self) -> str:
        return f"Judgement({self.verdict}, score {self.score:.4f}, {self.sample.path})"


def judgement(
    score: float, values: np.ndarray, *, scales: Scales, sample: Sample, image: np.ndarray, **more: Any
) -> Judgement:
    """What is not finite is an error and never a verdict."""
    if not np.isfinite(score) or not np.isfinite(values).all():
        raise DataError(f"{sample.path}: the detector gives no finite score; its state or the network is damaged")
    made = Judgement(float(score), values, scales, sample, image, **more)
    return made if made.seen is None else replace(made, map=regions.floored(values, made.seen, scale=scales.pixel))
