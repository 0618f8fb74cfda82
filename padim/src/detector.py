"""PaDiM as a whole: photographs in, anomaly maps and image scores out."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from anomaly.data import augment, trained_on
from anomaly.data.samples import grouped, names
from anomaly.deploy.saving import saving
from anomaly.deploy.state import State
from anomaly.detector import Fitted, common
from anomaly.measure.calibration import Calibration, of_photographs
from anomaly.networks.registry import Backbone
from anomaly.run import memory
from anomaly.run.job import Job
from anomaly.run.progress import log
from padim.src import dataset, together
from padim.src.anomaly_map import AnomalyMap, image_scores
from padim.src.backbone import Embedding, embedding
from padim.src.config import Config
from padim.src.dataset import Kept
from padim.src.gaussian import Accumulator, Gaussians


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PaDiM(Fitted):
    method: str = "padim"
    embedding: Embedding
    gaussians: Gaussians
    anomaly_map: AnomalyMap

    def score(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        maps = self.anomaly_map(self.gaussians.distances(self.embedding(images)))
        return maps, image_scores(maps)

    def left_out(self, images: np.ndarray, number: int) -> np.ndarray:
        """With its changed copies, if there are; but where these cannot be made again (its file is gone, photographs
        in pieces) without it alone, which leaves the map too cold.
        """
        x, copies = self.embedding(images), dataset.copies(self.config, self.images, number=number)
        if copies is None:
            return self.anomaly_map(self.gaussians.left_out(x))
        group = np.concatenate([x[:1], *(self.embedding(copy[None]) for copy in copies)])
        return np.repeat(self.anomaly_map(together.left_out(self.gaussians, group)[:1]), len(images), axis=0)

    def save(self, folder: Path) -> None:
        with saving(folder, self, details={"images": self.images}) as place:
            self.gaussians.save(place)


def fit(config: Config, samples: tuple, *, backbone: Backbone, job: Job, start: Optional[PaDiM] = None) -> PaDiM:
    """With `start` the samples that it has not seen are added to it."""
    positions, known = embedding(backbone, config), start.images if start else []
    new = trained_on.unseen(samples, known) if start else list(samples)
    in_groups = len(grouped(samples)[0]) < len(samples)  # several images are of one photograph
    again = start is not None or (in_groups and job.ranks.size > 1)  # whether the network sees them twice
    kept = None if again else Kept(len(job.ranks.share(new)[0]), positions, folder=job.folder)
    earlier = start.gaussians if start else None
    gaussians = accumulate(config, new, positions=positions, start=earlier, job=job, kept=kept)
    kind = "low rank" if gaussians.low_rank else "full"
    log.info("%d images, %d positions, %d dimensions: %s", gaussians.count, *gaussians.mean.shape, kind)
    anomaly_map = AnomalyMap(positions.grid, config.transform.size)
    images = known + trained_on.describe(new)
    with_these: dict = {"positions": positions, "anomaly_map": anomaly_map, "job": job, "kept": kept}
    if in_groups:
        calibration = by_photograph(config, gaussians, samples=samples, **with_these)
    else:
        calibration = recalibrate(
            config,
            gaussians,
            present=trained_on.still_there(known, samples if known else ()) + new,
            called=names(image["path"] for image in images),
            earlier=start.calibration if start else None,
            **with_these,
        )
    return PaDiM(
        **common(config, backbone, calibration=calibration),
        embedding=positions,
        gaussians=gaussians.stored_as(config.storage),
        anomaly_map=anomaly_map,
        images=images,
    )


def accumulate(
    config: Config,
    samples: list,
    *,
    positions: Embedding,
    start: Optional[Gaussians],
    job: Job,
    kept: Optional[Kept],
) -> Gaussians:
    """The Gaussians of the samples and of what `start` has seen; `kept` takes in the embeddings, if there is one."""
    rows, columns = positions.grid
    number, d, ranks = rows * columns, config.embedding_dim, job.ranks
    known = start.count if start else 0
    total = len(samples) + known
    memory.require(
        4 * number * d * min(total, d), "the Gaussians need", hint="use a smaller --embedding_dim or --resize"
    )
    mine, before = ranks.share(samples)
    with job.phase("features", len(mine)) as count:
        sums = Accumulator(
            number,
            d,
            images=total,
            start=start if ranks.writes else None,
            before=before if ranks.writes else known + before,
        )
        for features in dataset.embed(config, mine, embedding=positions, count=count):
            sums.add(features)
            if kept is not None:
                kept.add(features)
        sums.reduce(ranks)
    with job.phase("gaussians", number // ranks.size) as count:
        return sums.gaussians(count, ranks)


def recalibrate(
    config: Config,
    gaussians: Gaussians,
    *,
    positions: Embedding,
    anomaly_map: AnomalyMap,
    present: list,
    called: tuple,
    earlier: Optional[Calibration],
    job: Job,
    kept: Optional[Kept],
) -> Calibration:
    """Leaves out each image in turn; of `present` those of an earlier run that are gone, None, keep their scores.

    Without embeddings that were `kept` the photographs go through the network a second time.
    """
    mine, _ = job.ranks.share([sample for sample in present if sample])
    with job.phase("calibration", len(mine)) as count:
        if kept is None or kept.array is None:
            features = dataset.embed(config, mine, embedding=positions, count=count)
        else:
            features = kept.give(count, size=config.batch_size)
        fresh = job.ranks.gather(calibrate(gaussians, anomaly_map, features=features))
    if None in present:
        log.info("%d images of before are gone: their scores for the threshold stay", present.count(None))
    return dataset.merge(earlier, [sample is not None for sample in present], fresh=fresh, called=called)


def by_photograph(
    config: Config,
    gaussians: Gaussians,
    *,
    samples: tuple,
    positions: Embedding,
    anomaly_map: AnomalyMap,
    job: Job,
    kept: Optional[Kept],
) -> Calibration:
    """What each photograph itself scores where it is left out with all that came from it: its changed copies, and if
    it is seen in pieces all of these (together.py says how; it is exact)."""
    called, number = grouped(samples)
    mine, _ = job.ranks.share(range(len(called)))
    at_hand = [(n, sample) for n, sample in zip(number, samples) if int(n) in mine]
    numbers = np.array([n for n, _ in at_hand], int)
    found: list = []
    with job.phase("calibration", len(at_hand)) as count:
        if kept is None or kept.array is None:
            features = dataset.embed(config, [sample for _, sample in at_hand], embedding=positions, count=count)
        else:
            features = kept.give(count, size=config.batch_size)
        itself = augment.unchanged([sample for _, sample in at_hand])
        for n, group in zip(mine, together.groups(features, numbers)):
            if len(group) < gaussians.count:
                distances = together.left_out(gaussians, group)[itself[numbers == n]]
                found += [(n, score) for score in image_scores(anomaly_map(distances))]
        which, scores = job.ranks.gather(np.array(found, float).reshape(-1, 2)).T
    return of_photographs(scores, scores, photographs=which, called=called)


def calibrate(gaussians: Gaussians, anomaly_map: AnomalyMap, *, features: Iterable) -> np.ndarray:
    """The score of each training image against the Gaussians without it. `features`: B P D, batch after batch."""
    scores: list = []
    for batch in features:
        if gaussians.count > 1:
            scores += image_scores(anomaly_map(gaussians.left_out(batch))).tolist()
    return np.array(scores).reshape(-1, 1)


def load(found: State, config: Config, *, backbone: Backbone) -> PaDiM:
    positions, images = embedding(backbone, config), found.images
    return PaDiM(
        **common(config, backbone, calibration=found.calibration),
        category=found.folder.name,
        embedding=positions,
        gaussians=Gaussians.load(found, len(images), shape=(math.prod(positions.grid), config.embedding_dim)),
        anomaly_map=AnomalyMap(positions.grid, config.transform.size),
        images=images,
    )
