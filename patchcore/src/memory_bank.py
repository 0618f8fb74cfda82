"""What PatchCore remembers of good parts, and how a new part is held against it (arXiv 2106.08265, 3.2 and 3.3)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Optional

import faiss
import numpy as np

from anomaly.deploy.state import State
from anomaly.run.errors import DataError
from anomaly.run.files import replacing
from patchcore.src import coreset
from patchcore.src.anomaly_map import AnomalyMap
from patchcore.src.config import REWEIGHTED, TOP, Config
from patchcore.src.search import Search

INDEX = "embeddings/index.faiss"
ROWS = "embeddings/rows.npy"
FLAT = b"IxF2"
HEAD = np.dtype("S4, <i4, <i8, V16, ?, <i4, <u8")  # how its file begins: kind, width, length, -, -, metric, numbers
NARROW = 64  # dimensions of shadows that upper bounds come from
EXACT = 16  # of the largest distances that are made exact at once, at least


@dataclass(frozen=True)
class MemoryBank:
    vectors: np.ndarray  # M D
    image_of_row: np.ndarray  # M, rising: which training image a row came from
    k: int
    kind: str = REWEIGHTED  # of config.SCORES

    @cached_property
    def search(self) -> Search:
        return Search(self.vectors)

    @cached_property
    def outline(self) -> Search:
        """For few points, or bounds."""
        return Search(self.vectors, NARROW)

    def rows_of(self, image: int) -> slice:
        return slice(*np.searchsorted(self.image_of_row, [image, image + 1]))

    def score(self, patches: np.ndarray) -> tuple:
        """B N D -> distance of each patch to its nearest row, B N, and the image scores, B."""
        b, n, d = patches.shape
        distances, nearest = (found.reshape(b, n) for found in self.search.nearest(patches.reshape(-1, d)))
        if self.kind != REWEIGHTED:
            return distances, largest(distances, top_of(n, self.kind))
        worst = np.arange(b), distances.argmax(axis=1)
        neighbours = self.search.nearest(self.vectors[nearest[worst]], self.k)[1]  # N_b(m*), m* among them
        return distances, self._reweighted(patches[worst], distances[worst], neighbours)

    def without(self, patches: np.ndarray, image: int) -> np.ndarray:
        """N D -> the distance of each patch to the nearest row that is not of this training image, N."""
        rows = self.rows_of(image)
        if rows.stop - rows.start == len(self.vectors):
            return self.search.nearest(patches)[0][:, 0]
        return self.outline.nearest(patches, skip=rows)[0][:, 0]

    def extremes(self, patches: np.ndarray, anomaly_map: AnomalyMap, *, skip: slice) -> tuple:
        """N D of one image -> its score and the largest value of its map, where the rows in `skip` do not count.

        All distances start as upper bounds. Those that the two maxima come from are made exact, until they stay there.
        """
        distances = self.outline.near(patches, skip=skip)
        nearest, top = np.full(len(patches), -1), top_of(len(patches), self.kind)
        while True:
            pixel = int(anomaly_map(distances[None]).argmax())
            matters = anomaly_map.below(pixel)
            matters[distances.argsort()[-max(EXACT, top) :]] = True
            inexact = np.flatnonzero(matters & (nearest < 0))
            if not inexact.size:
                break
            exact, rows = self.outline.nearest(patches[inexact], skip=skip)
            distances[inexact], nearest[inexact] = exact[:, 0], rows[:, 0]
        peak = float(anomaly_map(distances[None]).max())
        if self.kind != REWEIGHTED:
            return float(largest(distances[None], top)[0]), peak
        worst = distances.argmax(keepdims=True)
        neighbours = self.outline.nearest(self.vectors[nearest[worst]], self.k, skip=skip)[1]
        score = self._reweighted(patches[worst], distances[worst], neighbours)
        return float(score[0]), peak

    def _reweighted(self, tests: np.ndarray, star: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
        """Eq. (6) and (7): a distance counts for more where the nearest row is itself far from its neighbours."""
        if neighbours.shape[1] < 2:
            return star
        far = np.linalg.norm(tests[:, None] - self.vectors[neighbours], axis=2)  # B k
        top = np.maximum(far.max(axis=1), star)  # subtracted in numerator and denominator: exp cannot overflow
        weight = 1 - np.exp(star - top) / np.exp(far - top[:, None]).sum(axis=1)
        return weight * star

    def save(self, folder: Path) -> None:
        index = faiss.IndexFlatL2(self.vectors.shape[1])
        index.add(self.vectors)
        with replacing(folder / INDEX) as temporary:  # written here, since faiss would hide why it could not
            temporary.write_bytes(faiss.serialize_index(index).data)
        with replacing(folder / ROWS) as temporary, open(temporary, "wb") as file:
            np.save(file, self.image_of_row)

    @staticmethod
    def load(state: State, config: Config) -> "MemoryBank":
        with state.file(INDEX) as content:
            vectors = flat(content)
        if vectors is None:
            raise DataError(f"{state.folder / INDEX}: damaged or not a flat index; train again")
        rows = state.array(ROWS)
        if not vectors.size or not np.isfinite(vectors).all():
            raise state.damaged(INDEX)
        if rows.shape != vectors.shape[:1] or rows.dtype.kind != "i":
            raise state.damaged(ROWS)
        return MemoryBank(vectors, rows, config.k, config.score)


def flat(content: Any) -> Optional[np.ndarray]:
    """The vectors in the file of a flat index; None in any other. faiss would believe whatever stands there."""
    if len(content) < HEAD.itemsize:
        return None
    kind, width, length, _, _, metric, numbers = np.frombuffer(content, HEAD, 1)[0].item()
    known = kind == FLAT and metric == faiss.METRIC_L2 and width > 0 and numbers == length * width
    if not known or len(content) != HEAD.itemsize + 4 * numbers:
        return None
    return np.frombuffer(content, "<f4", numbers, HEAD.itemsize).reshape(length, width).astype(np.float32)


def top_of(patches: int, kind: str) -> int:
    """How many of the largest distances make the score."""
    return math.ceil(patches / 100) if kind == TOP else 1


def largest(distances: np.ndarray, count: int) -> np.ndarray:
    """B N -> the mean of the largest ones, B."""
    return np.partition(distances, -count, axis=1)[:, -count:].mean(axis=1)


def fit(features: np.ndarray, per_image: int, *, config: Config, report: Optional[Callable] = None) -> MemoryBank:
    """N D features of all training patches, image after image -> the bank with a coreset of them."""
    rows = select(features, max(1, int(len(features) * config.coreset_ratio)), seed=config.seed, report=report)
    return made(features[rows], rows // per_image, config=config)


def made(vectors: np.ndarray, image_of_row: np.ndarray, *, config: Config) -> MemoryBank:
    return MemoryBank(np.ascontiguousarray(vectors), image_of_row.astype(np.int32), config.k, config.score)


def grown(
    bank: MemoryBank, features: np.ndarray, *, first: int, picks: int, config: Config, report: Optional[Callable] = None
) -> MemoryBank:
    """A bank with all rows of another, and of further images so many that there are `picks` in all.

    `features`: n N D of the images `first`, `first` + 1, ...
    """
    kept, per_image = len(bank.vectors), features.shape[1]
    points = np.concatenate([bank.vectors, features.reshape(-1, features.shape[2])])
    shadows = coreset.project(points, config.seed)
    rows = np.sort(coreset.greedy(shadows, picks, first=np.arange(kept), report=report))
    image = np.concatenate([bank.image_of_row, first + np.arange(len(points) - kept) // per_image])
    return made(points[rows], image[rows], config=config)


def select(features: np.ndarray, picks: int, *, seed: int, report: Optional[Callable] = None) -> np.ndarray:
    """Which rows make the coreset, rising."""
    if picks >= len(features):
        return np.arange(len(features))
    first = int(np.random.default_rng(seed).integers(len(features)))
    return np.sort(coreset.greedy(coreset.project(features, seed), picks, first=first, report=report))
