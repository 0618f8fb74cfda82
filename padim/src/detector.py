"""PaDiM as a whole: photographs in, anomaly maps and image scores out."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from anomaly.deploy import state
from anomaly.measure.calibration import Calibration
from anomaly.networks.weights import Backbone
from padim.src.anomaly_map import AnomalyMap, image_scores
from padim.src.config import Config
from padim.src.gaussian import FILES, Gaussians
from padim.src.model import Embedding

METHOD = "padim"


@dataclass(frozen=True)
class PaDiM:
    embedding: Embedding
    gaussians: Gaussians
    anomaly_map: AnomalyMap
    calibration: Calibration
    weights: Backbone
    method: str = METHOD
    remark: str = ""

    def score(self, images: np.ndarray) -> tuple:
        maps = self.anomaly_map(self.gaussians.distances(self.embedding.numpy(images)))
        return maps, image_scores(maps)

    def save(self, folder: Path, config: Config, images: list):
        """`images`: what it was trained on, as `update.describe` gives it."""
        state.begin(folder)
        self.gaussians.save(folder)
        state.save(
            folder,
            method=METHOD,
            backbone=self.weights,
            calibration=self.calibration,
            files=FILES,
            config=config,
            details={"images": images},
        )

    def compact(self) -> "PaDiM":
        """In half the space; see padim/README.md for what that changes."""
        return replace(self, gaussians=self.gaussians.stored_as("float16"))

    @staticmethod
    def load(folder: Path, config: Config, weights: Backbone) -> "PaDiM":
        calibration = state.load(folder, method=METHOD, backbone=weights)
        embedding = Embedding(weights.net, config)
        gaussians = Gaussians.load(folder, len(state.details(folder)["images"]))
        return PaDiM(embedding, gaussians, AnomalyMap(embedding.grid, config.transform.size), calibration, weights)


def calibrate(gaussians: Gaussians, anomaly_map: AnomalyMap, features: Iterable) -> np.ndarray:
    """The score of each training image against the Gaussians without it. `features`: B P D, batch after batch."""
    scores = []
    for batch in features:
        if gaussians.count > 1:
            scores += image_scores(anomaly_map(gaussians.left_out(batch))).tolist()
    return np.array(scores).reshape(-1, 1)
