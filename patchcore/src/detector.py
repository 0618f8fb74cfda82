"""PatchCore as a whole: photographs in, anomaly maps and image scores out."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

import numpy as np

from anomaly.data import augment, trained_on
from anomaly.data.samples import grouped, names
from anomaly.deploy.saving import saving
from anomaly.deploy.state import State
from anomaly.detector import Fitted, common
from anomaly.measure.calibration import of_photographs
from anomaly.networks.registry import Backbone
from anomaly.run.errors import DataError, UsageError
from anomaly.run.job import Job
from anomaly.run.progress import log
from patchcore.src import dataset, gathering, memory_bank, reduction
from patchcore.src.anomaly_map import AnomalyMap
from patchcore.src.backbone import Embedding, embedding
from patchcore.src.config import Config
from patchcore.src.memory_bank import MemoryBank

APPROXIMATE = "the coreset is an approximation: it was picked from what had been picked in parts"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PatchCore(Fitted):
    method: str = "patchcore"
    embedding: Embedding
    bank: MemoryBank
    anomaly_map: AnomalyMap

    def score(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distances, scores = self.bank.score(self.embedding(images))
        return self.anomaly_map(distances), scores

    def left_out(self, images: np.ndarray, number: int) -> np.ndarray:
        patches = self.embedding(images)
        return self.anomaly_map(np.stack([self.bank.without(each, number) for each in patches]))

    def save(self, folder: Path) -> None:
        with saving(folder, self, details={"remark": self.remark, "images": self.images}) as place:
            self.bank.save(place)
            if self.embedding.fewer:
                self.embedding.fewer.save(place)


def fit(config: Config, samples: tuple, *, backbone: Backbone, job: Job, start: Optional[Fitted] = None) -> PatchCore:
    """With `start` the photographs that it has not seen are taken into it."""
    if isinstance(start, PatchCore):
        return update(config, samples, start=start, job=job)
    patches, ranks = embedding(backbone, config), job.ranks
    if config.dimensions:
        moments = dataset.moments(config, samples, embedding=patches, job=job)
        patches = embedding(backbone, config, fewer=reduction.of(*moments, config=config))
    mine, before = ranks.share(samples)
    size = dataset.images_at_once(config, len(mine), embedding=patches)
    in_parts = ranks.size == 1 and size < len(mine)
    picks = max(1, int(len(samples) * math.prod(patches.grid) * config.coreset_ratio))
    if in_parts:
        bank, approximate = fit_in_parts(config, mine, embedding=patches, size=size, picks=picks, job=job), True
    else:
        with job.phase("features", len(mine)) as count:
            features = dataset.extract(config, mine, embedding=patches, count=count)
        with job.phase("coreset", picks) as count:
            bank, approximate = gathering.fit(config, features, before=before, ranks=ranks, report=count)
    called, photograph = grouped(samples)
    bank = replace(bank, image_of_row=photograph[bank.image_of_row])
    log.info("memory bank: %d patches, %d dimensions", *bank.vectors.shape)
    anomaly_map = AnomalyMap(patches.grid, config.transform.size)
    itself = np.flatnonzero(augment.unchanged(mine))  # changed copies are left out with it, and not scored
    with job.phase("calibration", len(itself)) as count:
        shown = tuple(mine[i] for i in itself)
        images = one_by_one(config, shown, embedding=patches) if in_parts else (features[i] for i in itself)
        own = photograph[before + itself]
        number, *good = ranks.gather(calibrate(bank, anomaly_map, images=images, photographs=own, report=count)).T
    return PatchCore(
        **common(config, backbone, calibration=of_photographs(*good, photographs=number, called=called)),
        remark=APPROXIMATE if approximate else "",
        embedding=patches,
        bank=bank,
        anomaly_map=anomaly_map,
        images=trained_on.describe(samples) if ranks.writes else [],
    )


def fit_in_parts(
    config: Config, samples: tuple, *, embedding: Embedding, size: int, picks: int, job: Job
) -> MemoryBank:
    with job.phase("features", len(samples)) as count:
        batches = dataset.embed(config, samples, embedding=embedding, count=count)
        patches, image = gathering.candidates(config, batches, size=size)
    with job.phase("coreset", picks) as count:
        return gathering.choose(config, patches, image=image, picks=picks, report=count)


def one_by_one(config: Config, samples: tuple, *, embedding: Embedding) -> Iterator[np.ndarray]:
    """The patches of each image, N D, by the network a second time."""
    for patches in dataset.embed(config, samples, embedding=embedding, count=lambda number: None):
        yield from patches


def calibrate(
    bank: MemoryBank, anomaly_map: AnomalyMap, *, images: Iterable, photographs: np.ndarray, report: Callable
) -> np.ndarray:
    """Photograph, score and peak of each training image against the rows that came from all others, B 3.

    `images`: N D for each, in order; `photographs`: the number of the one that each is, or is a piece of.
    """
    found = []
    for number, patches in zip(photographs, images):
        own = bank.rows_of(number)
        if own.stop - own.start < len(bank.vectors):
            found.append((number, *bank.extremes(patches, anomaly_map, skip=own)))
        report(1)
    return np.array(found, float).reshape(-1, 3)


def update(config: Config, samples: tuple, *, start: PatchCore, job: Job) -> PatchCore:
    """The bank keeps its rows and picks more of the new patches, those that are farthest from all that it has."""
    if job.ranks.size > 1:
        raise UsageError("--update runs in one process")
    if not start.images:
        raise DataError("was trained by an earlier version, which did not note its photographs; train it again")
    new, patches = trained_on.unseen(samples, start.images), start.embedding
    images = start.images + trained_on.describe(new)
    with job.phase("features", len(new)) as count:
        features = dataset.extract(config, tuple(new), embedding=patches, count=count)
    picks = max(len(start.bank.vectors), int(len(images) * math.prod(patches.grid) * config.coreset_ratio))
    with job.phase("coreset", picks) as count:
        bank = memory_bank.grown(
            start.bank, features, first=len(start.images), picks=picks, config=config, report=count
        )
    log.info("memory bank: %d patches, %d of them new", len(bank.vectors), len(bank.vectors) - len(start.bank.vectors))
    present = trained_on.still_there(start.images, samples) + new
    at_hand = [(number, sample) for number, sample in enumerate(present) if sample]
    with job.phase("calibration", len(at_hand)) as count:
        again = one_by_one(config, tuple(sample for _, sample in at_hand), embedding=patches)
        numbers = np.array([number for number, _ in at_hand])
        found = calibrate(bank, start.anomaly_map, images=again, photographs=numbers, report=count)
    if len(at_hand) < len(present):
        log.info("%d images of before are gone: their scores for the threshold stay", len(present) - len(at_hand))
    earlier, gone = start.calibration, set(range(len(present))) - set(numbers.tolist())
    before = {name: row for row, name in enumerate(earlier.names)}
    places = [(n, before[name]) for n, name in enumerate(names(i["path"] for i in start.images)) if name in before]
    stay = [(n, earlier.scores[row], earlier.peaks[row]) for n, row in places if n in gone]
    number, *good = np.concatenate([np.array(stay, float).reshape(-1, 3), found]).T
    called = names(image["path"] for image in images)
    return replace(
        start,
        **common(config, start.backbone, calibration=of_photographs(*good, photographs=number, called=called)),
        bank=bank,
        images=images,
    )


def load(found: State, config: Config, *, backbone: Backbone) -> PatchCore:
    patches = embedding(backbone, config)
    fewer = reduction.load(found, config, width=patches.dimensions)
    patches = embedding(backbone, config, fewer=fewer)
    return PatchCore(
        **common(config, backbone, calibration=found.calibration),
        remark=str(found.details.get("remark", "")),
        category=found.folder.name,
        embedding=patches,
        bank=MemoryBank.load(found, config),
        anomaly_map=AnomalyMap(patches.grid, config.transform.size),
        images=found.images,
    )
