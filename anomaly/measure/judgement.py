"""A judged photograph: the one value that evaluation, prediction, pictures and results are made of."""

from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from anomaly.data.samples import Sample
from anomaly.measure.calibration import Scales
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
    regions: tuple = ()

    @property
    def verdict(self) -> str:
        return self.scales.image.verdict(self.score)

    @property
    def normalised(self) -> Optional[float]:
        """Between 0 and 1, 0.5 at the threshold; None where there is no threshold."""
        return float(self.scales.image.normalise(self.score)) if self.scales.known else None

    @property
    def threshold(self) -> Optional[float]:
        return self.scales.image.threshold if self.scales.known else None

    def __repr__(self) -> str:
        return f"Judgement({self.verdict}, score {self.score:.4f}, {self.sample.name})"


def judgement(
    score: float, values: np.ndarray, *, scales: Scales, sample: Sample, image: np.ndarray, **more: Any
) -> Judgement:
    """What is not finite is an error and never a verdict."""
    if not np.isfinite(score) or not np.isfinite(values).all():
        raise DataError(f"{sample.path}: the detector gives no finite score; its state or the network is damaged")
    return Judgement(float(score), values, scales, sample, image, **more)
