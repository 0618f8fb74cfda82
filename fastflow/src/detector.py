"""FastFlow as a whole: photographs in, anomaly maps and image scores out."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

import mindspore
import numpy as np
from mindspore import nn

from anomaly.data import augment, trained_on
from anomaly.data.samples import grouped
from anomaly.deploy import state
from anomaly.deploy.saving import saving
from anomaly.deploy.state import State
from anomaly.detector import Fitted, common
from anomaly.engines.choice import MINDSPORE
from anomaly.engines.frozen import Frozen, layers
from anomaly.measure.calibration import NONE, Calibration
from anomaly.networks.registry import Backbone
from anomaly.networks.weights import save_checkpoint
from anomaly.run import device
from anomaly.run.errors import DataError
from anomaly.run.job import Job
from anomaly.run.progress import log
from fastflow.src import dataset, judging
from fastflow.src.anomaly_map import AnomalyMap, image_scores
from fastflow.src.backbone import grids, shapes
from fastflow.src.calibration import calibrate
from fastflow.src.config import LAST, TEST_PIXEL_AUC, Config
from fastflow.src.flows import Flows
from fastflow.src.snapshot import restore, values
from fastflow.src.training import Training, split

ON_TEST_DATA = "the epoch was chosen on the TEST images (--select test_pixel_auc, the zoo's way): this flatters"


def build_flows(config: Config) -> Flows:
    device.ready()
    return Flows(
        shapes(config),
        flow_step=config.flow_step,
        hidden_ratio=config.hidden_ratio,
        conv3x3_only=config.conv3x3_only,
        seed=config.seed,
    )


def checkpoint(category: str) -> str:
    return f"fastflow_{category}.ckpt"


class Squares(nn.Cell):
    """Features, B C h w for each scale -> the mean of z^2 over the channels, B h w a scale."""

    def __init__(self, flows: Flows) -> None:
        super().__init__(auto_prefix=False)  # the parameters keep the names that they have in the checkpoint
        self.flows = flows
        self.set_train(False)

    def construct(self, *features):
        zs, _ = self.flows(features)
        squares = ()
        for z in zs:
            squares += ((z * z).mean(1),)
        return squares


@dataclass(frozen=True, kw_only=True, eq=False)
class FastFlow(Fitted):
    method: str = "fastflow"
    network: Frozen
    squares: Frozen
    anomaly_map: AnomalyMap
    images: list  # what it was trained on, as trained_on.describe has it, and which of them were held out

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
    flows, known = build_flows(config), []
    if isinstance(start, FastFlow):
        restore(flows, values(start.squares.cell.flows))
        samples, known = together(samples, start.images)
    called, photograph = grouped(samples)
    parts = chosen(config, len(called), known=known)
    itself = augment.unchanged(samples)
    index, kept_out = (np.flatnonzero(np.isin(photograph, part)) for part in parts)
    kept_out = kept_out[itself[kept_out]]  # neither trained on nor judged by: copies of what is held out
    network = layers(backbone, config.transform.size, runtime=config.runtime)
    cache = dataset.collect(config, samples, backbone=network, shapes=shapes(config), job=job)
    learning = assemble(config, backbone, flows=flows, engine=MINDSPORE)  # while its numbers change it is not frozen
    score = learning.score_features
    judge = judging.by(config, flows, score=score, backbone=network, cache=cache, kept_out=kept_out, job=job)
    origin = {"weights": backbone.fingerprint, "images": dataset.digest(samples)}
    progress = Training(config, flows, features=cache, index=index, job=job, origin=origin, judge=judge).run()
    log.info("kept: epoch %d, chosen by %s", progress.kept_epoch, config.select if progress.best else LAST)
    detector = assemble(config, backbone, flows=flows)
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


def assemble(
    config: Config, backbone: Backbone, *, flows: Flows, calibration: Calibration = NONE, engine: str = ""
) -> FastFlow:
    """`engine`: of the flow, where it is not to be that of the network."""
    runtime = config.runtime
    examples = {layer: np.zeros((1, *shape), np.float32) for layer, shape in zip(backbone.layers, shapes(config))}
    squares = tuple(f"squares_of_{layer}" for layer in examples)
    own = replace(runtime, engine=engine) if engine else runtime
    return FastFlow(
        **common(config, backbone, calibration=calibration),
        remark=ON_TEST_DATA if config.select == TEST_PIXEL_AUC else "",
        network=layers(backbone, config.transform.size, runtime=runtime),
        squares=Frozen(functools.partial(Squares, flows), examples, outputs=squares, runtime=own),
        anomaly_map=AnomalyMap(grids(config), config.transform.size),
        images=[],
    )


def load(found: State, config: Config, *, backbone: Backbone) -> FastFlow:
    flows = build_flows(config)
    names = [name for name in found.record["files"] if name.endswith(".ckpt")]
    path = found.place(names[0] if names else checkpoint(found.folder.name))
    with found.file(path.name):  # checked while it is read
        try:
            parameters = mindspore.load_checkpoint(str(path))
        except (ValueError, RuntimeError, OSError, TypeError):
            raise DataError(f"{path}: missing or damaged; train again") from None
    expected = {parameter.name: parameter.shape for parameter in flows.get_parameters()}
    if {name: value.shape for name, value in parameters.items()} != expected:
        raise DataError(f"{path}: is not the flow that {found.folder / state.CONFIG} describes; train again")
    mindspore.load_param_into_net(flows, parameters)
    made = assemble(config, backbone, flows=flows, calibration=found.calibration)
    return replace(made, category=found.folder.name, images=found.images)
