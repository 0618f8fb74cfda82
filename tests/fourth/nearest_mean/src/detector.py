"""Nearest mean as a whole: photographs in, anomaly maps and image scores out."""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from anomaly.deploy.saving import saving
from anomaly.deploy.state import State
from anomaly.detector import Fitted, common, computed
from anomaly.engines.frozen import Frozen, layers
from anomaly.measure.calibration import Calibration
from anomaly.networks.registry import Backbone
from anomaly.networks.resample import Enlarge
from anomaly.run.job import Job
from nearest_mean.src.config import Config

FILE = "mean.npy"


@dataclass(frozen=True, kw_only=True, eq=False)
class NearestMean(Fitted):
    method: str = "nearest_mean"
    network: Frozen
    mean: np.ndarray  # C h w
    enlarge: Enlarge

    def score(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        [features] = self.network(images)
        return self.judged(features - self.mean)

    def judged(self, difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """B C h w -> maps and scores."""
        maps = self.enlarge(np.sqrt((difference**2).sum(axis=1)))
        return maps, maps.max(axis=(1, 2))

    def save(self, folder: Path) -> None:
        with saving(folder, self) as place:
            np.save(place / FILE, self.mean)


def assemble(config: Config, backbone: Backbone, mean: np.ndarray, calibration: Calibration) -> NearestMean:
    enlarge = Enlarge(mean.shape[1:], config.transform.size, sigma=config.sigma)
    network = layers(backbone, config.transform.size, runtime=config.runtime)
    known = common(config, backbone, calibration=calibration)
    return NearestMean(**known, network=network, mean=mean, enlarge=enlarge)


def fit(config: Config, samples: tuple, *, backbone: Backbone, job: Job, start: Optional[Fitted] = None) -> NearestMean:
    network = layers(backbone, config.transform.size, runtime=config.runtime)
    with job.phase("features", len(samples)) as count:
        features = np.concatenate([part for [part] in computed(config, samples, network=network, count=count)])
    mean, n = features.mean(axis=0), len(samples)
    detector = assemble(config, backbone, mean, Calibration(np.zeros(0), np.zeros(0)))
    # Left out, a photograph is n / (n - 1) times as far from the mean of the others.
    _, good = detector.judged((features - mean) * (n / max(n - 1, 1)))
    return assemble(config, backbone, mean, Calibration(good, good))


def load(found: State, config: Config, *, backbone: Backbone) -> NearestMean:
    return assemble(config, backbone, found.array(FILE), found.calibration)
