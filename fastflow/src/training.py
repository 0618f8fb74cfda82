"""Trains the flow on cached features: epochs, the choice of the one to keep, interruption and going on."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Optional

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore import dtype as mstype

from anomaly.run.errors import DataError
from anomaly.run.job import Job
from anomaly.run.progress import log
from fastflow.src import history
from fastflow.src.config import LAST, Config
from fastflow.src.coupling import Subnet
from fastflow.src.dataset import Features
from fastflow.src.flows import Flows
from fastflow.src.loss import likelihood
from fastflow.src.schedule import learning_rate
from fastflow.src.snapshot import FILE, Progress, restore, values
from fastflow.src.step import TrainStep, adam, set_learning_rate

# Options that decide the course of training; --resume needs them unchanged.
COURSE = (
    "flow_step",
    "hidden_ratio",
    "conv3x3_only",
    "num_epochs",
    "lr",
    "weight_decay",
    "schedule",
    "warmup_epochs",
    "train_batch_size",
    "held_out",
    "select",
    "eval_interval",
    "seed",
    "resize",
    "crop",
    "backbone",
    "amp_level",
)


class HeldOut(nn.Cell):
    """Features -> the negative log-likelihood of each image, B."""

    def __init__(self, flows: Flows) -> None:
        super().__init__(auto_prefix=False)
        self.flows = flows

    def construct(self, features):
        zs, jacobians = self.flows(features)
        return likelihood(zs, jacobians)


def split(count: int, share: float, *, seed: int) -> tuple:
    """Indices to train on and indices held out; fewer than three images are all trained on."""
    order = np.random.default_rng(seed).permutation(count)
    kept_out = max(1, round(count * share)) if share > 0 and count >= 3 else 0
    return np.sort(order[kept_out:]), np.sort(order[:kept_out])


def batches(index: np.ndarray, size: int, *, seed: int, epoch: int) -> Iterator[tuple]:
    """All indices in this epoch's order, `size` at a time, with weights that sum to 1.

    A last batch that is too small is filled up with images of weight 0, so that every batch has one shape.
    """
    order = np.random.default_rng([seed, epoch]).permutation(index)
    for start in range(0, len(order), size):
        real = order[start : start + size]
        weights = np.zeros(size, np.float32)
        weights[: len(real)] = 1 / len(real)
        yield np.r_[real, np.repeat(real[:1], size - len(real))], weights, len(real)


@contextmanager
def stop_on_signal():
    """Ctrl-C (which MindSpore turns into SIGTERM while it computes) is noted, and acted upon after the step."""
    asked = []
    before = {
        number: signal.signal(number, lambda *_: asked.append(True)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Training:
    """One training of one category.

    `origin` tells what it was begun with, beside the options; `judge()` gives the value by which epochs are compared,
    lower is better.
    """

    def __init__(
        self,
        config: Config,
        flows: Flows,
        *,
        features: Features,
        index: np.ndarray,
        job: Job,
        origin: dict,
        judge: Optional[Callable],
    ) -> None:
        self.config, self.flows, self.features, self.index = config, flows, features, index
        self.job, self.ranks, self.judge = job, job.ranks, judge
        self.snapshot = job.folder / FILE if job.folder else None
        self.key = {name: _plain(getattr(config, name)) for name in COURSE}
        self.key.update(origin)
        size, ranks = min(config.train_batch_size, len(index)), job.ranks
        self.batch = -(-size // ranks.size) * ranks.size  # every process gets the same number
        self.optimizer = adam(flows, config.lr, weight_decay=config.weight_decay)
        reducer = nn.DistributedGradReducer(self.optimizer.parameters) if ranks.size > 1 else None
        if config.amp_level == "O2":
            in_half_precision(flows)
        self.step = TrainStep(flows, self.optimizer, reducer=reducer)
        self.progress = Progress()

    def run(self) -> Progress:
        self._begin()
        progress, config = self.progress, self.config
        with stop_on_signal() as stop, self.job.phase("training", config.num_epochs) as shown:
            shown(progress.epoch)
            while progress.epoch < config.num_epochs:
                start, loss = time.perf_counter(), self._epoch(stop)
                self._end_epoch(loss, time.perf_counter() - start)
                shown(1, f"loss={loss:.4g}")
                last = progress.epoch == config.num_epochs
                if self.ranks.writes and (last or progress.epoch % config.save_interval == 0):
                    self._save()
        if progress.best is not None:
            restore(self.flows, progress.best)
        return progress

    def _begin(self) -> None:
        """Goes on with what was interrupted, or forgets it."""
        path, config = self.snapshot, self.config
        if path is None:
            return
        if config.resume and path.is_file():
            self.progress = Progress.load(path, self.key, flows=self.flows, optimizer=self.optimizer)
            log.info("going on after epoch %d, step %d", self.progress.epoch, self.progress.step)
        elif self.ranks.writes:
            if config.resume:
                log.info("no interrupted training in %s: starting anew", path.parent)
            path.unlink(missing_ok=True)  # of an earlier training

    def _save(self) -> None:
        if self.snapshot is None:
            return
        self.progress.save(self.snapshot, self.key, flows=self.flows, optimizer=self.optimizer)
        history.write_csv(self.snapshot.with_name("loss.csv"), self.progress.history)
        history.draw(self.snapshot.with_name("loss.png"), self.progress.history)

    def _epoch(self, stop: list) -> float:
        """The rest of the current epoch; returns its mean loss."""
        progress, config = self.progress, self.config
        steps = -(-len(self.index) // self.batch)
        for number, (index, weights, count) in enumerate(
            batches(self.index, self.batch, seed=config.seed, epoch=progress.epoch)
        ):
            if number < progress.step:
                continue
            set_learning_rate(self.optimizer, learning_rate(config, progress.epoch + number / steps))
            loss = self._step(index, weights)
            if not np.isfinite(loss):
                kept = self.snapshot
                last = f"the last good state is {kept}" if kept and kept.is_file() else "no state was saved before"
                raise DataError(
                    f"the loss is {loss} in epoch {progress.epoch + 1}, step {number + 1}; {last}; try a smaller --lr"
                )
            progress.loss += loss * count
            progress.step = number + 1
            if stop:
                self._save()
                log.info("stopped in epoch %d after step %d; --resume goes on", progress.epoch + 1, progress.step)
                raise KeyboardInterrupt
        return progress.loss / len(self.index)

    def _step(self, index: np.ndarray, weights: np.ndarray) -> float:
        """Every process takes its part of the batch; gradients and losses are averaged, hence the factor."""
        part = slice(self.ranks.rank, None, self.ranks.size)
        features = self.features.take(index[part])
        loss = self.step(features, Tensor(weights[part] * self.ranks.size))
        if self.ranks.size > 1:
            loss = ops.AllReduce()(loss) / self.ranks.size
        return float(loss.asnumpy())

    def _end_epoch(self, loss: float, seconds: float) -> None:
        progress, config = self.progress, self.config
        rate = learning_rate(config, progress.epoch)
        progress.epoch, progress.step, progress.loss = progress.epoch + 1, 0, 0.0
        row = {"epoch": progress.epoch, "loss": loss, "learning_rate": rate, "seconds": seconds}
        last = progress.epoch == config.num_epochs
        if self.judge and config.select != LAST and (last or progress.epoch % config.eval_interval == 0):
            row["held_out"] = value = self.judge()
            if value < progress.best_value:
                progress.best_value, progress.best_epoch, progress.best = value, progress.epoch, values(self.flows)
        progress.history.append(row)
        if last or progress.epoch % config.log_interval == 0:
            judged = f", judged {row['held_out']:.6g}" if "held_out" in row else ""
            log.info("epoch %d of %d: loss %.6g%s, %.2f s", progress.epoch, config.num_epochs, loss, judged, seconds)


def in_half_precision(flows: Flows) -> None:
    """The subnets' convolutions, where the arithmetic is; what they feed, log|det J| among it, stays in float32."""
    for _, cell in flows.cells_and_names():
        if isinstance(cell, Subnet):
            cell.to_float(mstype.float16)


def _plain(value):
    return list(value) if isinstance(value, tuple) else value
