"""Fewer dimensions for the patches: their principal components, from some of the training photographs.

It is linear, so it is the last step of the embedding, and whatever comes after it is as it was.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from anomaly.deploy.state import State
from anomaly.run.errors import DataError
from anomaly.run.files import replacing
from patchcore.src.config import Config

FILE = "embeddings/components.npy"
LEAST = 1e-6  # of the largest variance: what is smaller is not brought to the spread of the others


@dataclass(frozen=True, eq=False)
class Reduction:
    matrix: np.ndarray  # D + 1, d: of a patch and a 1 behind it

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.matrix.tobytes()).hexdigest()

    @property
    def dimensions(self) -> int:
        return self.matrix.shape[1]

    def save(self, folder: Path) -> None:
        with replacing(folder / FILE) as temporary, open(temporary, "wb") as file:
            np.save(file, self.matrix)


def load(state: State, config: Config, *, width: int) -> Optional[Reduction]:
    if not config.dimensions:
        return None
    matrix = state.array(FILE)
    if matrix.shape != (width + 1, config.dimensions) or not np.isfinite(matrix).all():
        raise DataError(f"{state.folder / FILE}: does not fit its config.yaml; train again")
    return Reduction(matrix.astype(np.float32))


def of(mean: np.ndarray, covariance: np.ndarray, *, config: Config) -> Reduction:
    variances, axes = np.linalg.eigh(covariance)
    variances, axes = variances[: -config.dimensions - 1 : -1], axes[:, : -config.dimensions - 1 : -1]
    if config.whiten:
        axes = axes / np.sqrt(np.maximum(variances, LEAST * variances[0]))
    return Reduction(np.concatenate([axes, -(mean @ axes)[None]]).astype(np.float32))
