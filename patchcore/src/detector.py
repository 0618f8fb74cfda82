"""PatchCore as a whole: photographs in, anomaly maps and image scores out."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anomaly.deploy import state
from anomaly.measure.calibration import Calibration
from anomaly.networks.weights import Backbone
from patchcore.src.anomaly_map import AnomalyMap
from patchcore.src.config import Config
from patchcore.src.memory_bank import INDEX, ROWS, MemoryBank
from patchcore.src.model import PatchEmbedding

METHOD = "patchcore"
APPROXIMATE = "the coreset is an approximation: several processes picked from their own patches first"


@dataclass(frozen=True)
class PatchCore:
    embedding: PatchEmbedding
    bank: MemoryBank
    anomaly_map: AnomalyMap
    calibration: Calibration
    weights: Backbone
    remark: str = ""
    method: str = METHOD

    def score(self, images: np.ndarray) -> tuple:
        distances, scores = self.bank.score(self.embedding.numpy(images))
        return self.anomaly_map(distances), scores

    def save(self, folder: Path, config: Config):
        state.begin(folder)
        self.bank.save(folder)
        state.save(
            folder,
            method=METHOD,
            backbone=self.weights,
            calibration=self.calibration,
            files=(INDEX, ROWS),
            config=config,
            details={"remark": self.remark},
        )

    @staticmethod
    def load(folder: Path, config: Config, weights: Backbone) -> "PatchCore":
        calibration = state.load(folder, method=METHOD, backbone=weights)
        embedding = PatchEmbedding(weights.net, config.backbone, config.transform.size)
        bank = MemoryBank.load(folder, config.k)
        anomaly_map = AnomalyMap(embedding.grid, config.transform.size)
        return PatchCore(embedding, bank, anomaly_map, calibration, weights, state.details(folder).get("remark", ""))


def calibrate(bank: MemoryBank, anomaly_map: AnomalyMap, images, first: int, report) -> np.ndarray:
    """Score and peak of each training image against the rows that came from all the others, B 2.

    `images`: N D for each, in order; `first`: the number of the first.
    """
    found = []
    for number, patches in enumerate(images, first):
        others = bank.without(number)
        if len(others.vectors):
            distances, score = others.score(patches[None])
            found.append((float(score[0]), float(anomaly_map(distances).max())))
        report(1)
    return np.array(found).reshape(-1, 2)
