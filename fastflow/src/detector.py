"""FastFlow as a whole: photographs in, anomaly maps and image scores out."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np

from anomaly.data import augment, trained_on
from anomaly.data.samples import grouped
from anomaly.deploy import state
from anomaly.deploy.saving import saving
from anomaly.deploy.state import State
from anomaly.detector import Fitted, common
from anomaly.engines.choice import MINDSPORE
from anomaly.engines.frozen import Frozen, layers
from anomaly.measure.calibration import NONE, Calibration
from anomaly.networks import checkpoint_file
from anomaly.networks.registry import Backbone
from anomaly.networks.weights import save_checkpoint
from anomaly.run.errors import DataError
from anomaly.run.job import Job
from anomaly.run.progress import log
from fastflow.src.anomaly_map import AnomalyMap, image_scores
from fastflow.src.backbone import grids, shapes
from fastflow.src.config import LAST, TEST_PIXEL_AUC, Config

ON_TEST_DATA = "the epoch was chosen on the TEST images (--select test_pixel_auc, the zoo's way): this flatters"


def checkpoint(category: str) -> str:
    return f"fastflow_{category}.ckpt"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FastFlow(Fitted):
    method: str = "fastflow"
    network: Frozen
    squares: Frozen
    anomaly_map: AnomalyMap

    def score(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.score_features(self.network(images))

    def score_features(self, features: Sequence) -> tuple[np.ndarray, np.ndarray]:
        maps = self.anomaly_map(self.squares(*features))
        return maps, image_scores(maps)

    def save(self, folder: Path) -> None:
        # By their places: a parameter's own name has changed where the flow became a part of a model for export.
        values = [{"name": key, "data": value} for key, value in self.squares.cell.flows.parameters_and_names()]
        with saving(folder, self, details={"images": self.images}) as place:
            save_checkpoint(values, place / checkpoint(Path(folder).resolve().name))


def fit(config: Config, samples: tuple, *, backbone: Backbone, job: Job, start: Optional[Fitted] = None) -> FastFlow:
    """With `start` its flow is trained on, with the photographs that it has not seen, and those of before."""
    from fastflow.src import dataset, judging, snapshot, squares, training  # which load MindSpore
    from fastflow.src.calibration import calibrate

    flows, known = squares.flows_of(config), []
    if isinstance(start, FastFlow):
        snapshot.restore(flows, squares.numbers(start.squares.cell.flows))
        samples, known = together(samples, start.images)
    called, photograph = grouped(samples)
    parts = chosen(config, len(called), known=known)
    itself = augment.unchanged(samples)
    index, kept_out = (np.flatnonzero(np.isin(photograph, part)) for part in parts)
    kept_out = kept_out[itself[kept_out]]  # neither trained on nor judged by: copies of what is held out
    network = layers(backbone, config.transform.size, runtime=config.runtime)
    cache = dataset.collect(config, samples, backbone=network, shapes=shapes(config), job=job)
    make = functools.partial(squares.Squares, flows)
    learning = assemble(config, backbone, make=make, engine=MINDSPORE)  # while its numbers change it is not frozen
    score = learning.score_features
    computing = training.arithmetic(config, flows)
    likelihood = computing.likelihood
    judge = judging.by(config, likelihood, score=score, backbone=network, cache=cache, kept_out=kept_out, job=job)
    origin = {"weights": backbone.fingerprint, "images": dataset.digest(samples)}
    course = training.Training(
        config, flows, computing=computing, features=cache, index=index, job=job, origin=origin, judge=judge
    )
    progress = course.run()
    log.info("kept: epoch %d, chosen by %s", progress.kept_epoch, config.select if progress.best else LAST)
    detector = assemble(config, backbone, make=make, identity=identity_of(config, squares.numbers(flows)))
    if not job.ranks.writes:
        return detector
    with job.phase("calibration"):
        calibration = calibrate(
            detector.score_features,
            cache,
            index=index[itself[index]],
            kept_out=kept_out,
            batch=config.batch_size,
            photographs=(called, photograph),
        )
    images = [{**image, "held_out": i in kept_out} for i, image in enumerate(trained_on.describe(samples))]
    return replace(detector, images=images, **common(config, backbone, calibration=calibration))


def together(samples: tuple, images: list) -> tuple:
    """The photographs of before that are still there, and the new ones; of the former, whether they were held out."""
    if not images:
        raise DataError("was trained by an earlier version, which did not note its photographs; train it again")
    new = trained_on.unseen(samples, images)
    there = [(sample, image) for sample, image in zip(trained_on.still_there(images, samples), images) if sample]
    log.info(
        "%d new photographs beside %d of before, of which %d are gone", len(new), len(images), len(images) - len(there)
    )
    return (*(sample for sample, _ in there), *new), [image["held_out"] for _, image in there]


def chosen(config: Config, count: int, *, known: list) -> tuple:
    """Numbers to train on and numbers held out; what was trained on before cannot be held out any more."""
    share = 0.0 if config.select == TEST_PIXEL_AUC else config.held_out  # the zoo trains on all of them
    index, kept_out = (len(known) + part for part in split(count - len(known), share, seed=config.seed))
    held_out = np.array(known, bool)
    return np.r_[np.flatnonzero(~held_out), index], np.r_[np.flatnonzero(held_out), kept_out]


def split(count: int, share: float, *, seed: int) -> tuple:
    """Indices to train on and indices held out; fewer than three images are all trained on."""
    order = np.random.default_rng(seed).permutation(count)
    kept_out = max(1, round(count * share)) if share > 0 and count >= 3 else 0
    return np.sort(order[kept_out:]), np.sort(order[:kept_out])


def assemble(
    config: Config,
    backbone: Backbone,
    *,
    make: Callable,
    calibration: Calibration = NONE,
    engine: str = "",
    identity: tuple = (),
) -> FastFlow:
    """`make` and `identity`: of the flow, as Frozen has them; `engine`: where it is not to be that of the network."""
    runtime = config.runtime
    examples = {layer: np.zeros((1, *shape), np.float32) for layer, shape in zip(backbone.layers, shapes(config))}
    squares = tuple(f"squares_of_{layer}" for layer in examples)
    own = replace(runtime, engine=engine) if engine else runtime
    return FastFlow(
        **common(config, backbone, calibration=calibration),
        remark=ON_TEST_DATA if config.select == TEST_PIXEL_AUC else "",
        network=layers(backbone, config.transform.size, runtime=runtime),
        squares=Frozen(make, examples, outputs=squares, runtime=own, identity=identity),
        anomaly_map=AnomalyMap(grids(config), config.transform.size),
        images=[],
    )


def identity_of(config: Config, numbers: dict) -> tuple:
    """What the flow with these numbers, name -> array, differs by from any other."""
    digest = hashlib.sha256()
    for name in sorted(numbers):
        digest.update(name.encode() + numbers[name].tobytes())
    return config.flow_step, config.hidden_ratio, config.conv3x3_only, config.seed, digest.hexdigest()


def load(found: State, config: Config, *, backbone: Backbone) -> FastFlow:
    names = [name for name in found.record["files"] if name.endswith(".ckpt")]
    path = found.place(names[0] if names else checkpoint(found.folder.name))
    with found.file(path.name):  # checked while it is read
        try:
            numbers = checkpoint_file.read(path)
        except DataError:
            raise DataError(f"{path}: missing or damaged; train again") from None
    otherwise = f"{path}: is not the flow that {found.folder / state.CONFIG} describes; train again"
    make = functools.partial(restored, config, numbers, otherwise=otherwise)
    identity = identity_of(config, numbers)
    made = assemble(config, backbone, make=make, calibration=found.calibration, identity=identity)
    return replace(made, category=found.folder.name, images=found.images)


def restored(config: Config, numbers: dict, *, otherwise: str) -> Any:
    from fastflow.src import squares  # which loads MindSpore

    return squares.restored(config, numbers, otherwise=otherwise)
