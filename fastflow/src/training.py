"""Trains the flow on cached features: epochs, the choice of the one to keep, interruption and going on."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Optional, Union

import numpy as np
from mindspore import dtype as mstype

from anomaly.run import device, memory
from anomaly.run.errors import DataError, Terminated
from anomaly.run.job import Job
from anomaly.run.progress import log
from fastflow.src import history, native
from fastflow.src.backbone import shapes
from fastflow.src.config import LAST, LIKELIHOOD, Config
from fastflow.src.coupling import Subnet
from fastflow.src.dataset import Features, chunks
from fastflow.src.flows import Flows
from fastflow.src.graphs import Graphs, adam, set_learning_rate
from fastflow.src.pace import Pace
from fastflow.src.schedule import learning_rate
from fastflow.src.snapshot import FILE, Progress, restore, values

# Options that decide the course of training; --resume needs them unchanged.
COURSE = (
    "flow_step",
    "hidden_ratio",
    "conv3x3_only",
    "num_epochs",
    "patience",
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
    "precision",
    "amp_level",
)
LATER = {"augment": "", "augment_copies": 1}  # the same for options that came later, with what was done before

ASTRAY = "training went astray; start it anew with a smaller --lr"
MOST_AT_ONCE = 6  # images, on a CPU
Arithmetic = Union[Graphs, native.Native]


def batches(index: np.ndarray, size: int, *, seed: int, epoch: int) -> Iterator[np.ndarray]:
    """All indices in this epoch's order, `size` at a time; the last batch has what is left."""
    order = np.random.default_rng([seed, epoch]).permutation(index)
    return (order[start : start + size] for start in range(0, len(order), size))


def at_once(config: Config, share: int) -> int:
    """How many of a process's images of a batch go through the flow at once: the more, the more memory.

    On a CPU a few take as long an image as many do: of three to six, what needs the fewest images to fill a part up.
    """
    if config.micro_batch or device.current() != "CPU" or share <= MOST_AT_ONCE:
        return min(config.micro_batch or share, share)
    return min(range(MOST_AT_ONCE, 2, -1), key=lambda size: -share % size)


def arithmetic(config: Config, flows: Flows) -> Arithmetic:
    """What computes."""
    if config.amp_level == "O2":
        in_half_precision(flows)
        return Graphs(flows)
    return native.of(flows) or Graphs(flows)


def step_memory(config: Config, images: int, *, kept: float) -> int:
    """Bytes for the gradients of so many images at once; `kept`: arrays of the size of the features in each block."""
    return int(4 * kept * config.flow_step * images * sum(math.prod(shape) for shape in shapes(config)))


@contextmanager
def stop_on_signal():
    """Ctrl-C (which MindSpore turns into SIGTERM while it computes) is noted, and acted upon after the step."""
    asked = []
    if threading.current_thread() is not threading.main_thread():  # which no signal reaches
        yield asked
        return
    before = {
        number: signal.signal(number, lambda number, _: asked.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
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
        computing: Arithmetic,
        features: Features,
        index: np.ndarray,
        job: Job,
        origin: dict,
        judge: Optional[Callable],
    ) -> None:
        self.config, self.flows, self.features, self.index = config, flows, features, index
        self.job, self.ranks, self.judge = job, job.ranks, judge
        self.snapshot = job.folder / FILE if job.folder else None
        later = [name for name, before in LATER.items() if getattr(config, name) != before]
        self.key = {name: _plain(getattr(config, name)) for name in (*COURSE, *later)}
        self.key.update(origin)
        self.batch = min(config.train_batch_size, len(index))
        self.at_once = at_once(config, -(-self.batch // job.ranks.size))
        memory.require(
            step_memory(config, self.at_once, kept=computing.kept),
            "a step of training needs",
            hint="use a smaller --micro_batch, --flow_step or --resize",
        )
        self.optimizer = adam(flows, config.lr, weight_decay=config.weight_decay)
        self.step = computing.train_step(self.optimizer, job.ranks)
        self.progress = Progress()

    def run(self) -> Progress:
        self._begin()
        progress, config = self.progress, self.config
        self.pace = Pace(len(self.index) // self.ranks.size, config.num_epochs - progress.epoch)
        with stop_on_signal() as stop, self.job.phase("training", config.num_epochs) as shown:
            shown(progress.epoch)
            while not self._done():
                start, loss = time.perf_counter(), self._epoch(stop)
                self._end_epoch(loss, time.perf_counter() - start)
                shown(1, f"loss={loss:.4g}")
        if progress.best is not None:
            restore(self.flows, progress.best)
        return progress

    def _done(self) -> bool:
        """After the last epoch, or once the held-out likelihood has not become better for long enough."""
        progress, config = self.progress, self.config
        tired = config.select == LIKELIHOOD and 0 < config.patience <= progress.judged_since_best
        return tired or progress.epoch == config.num_epochs

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
        for number, index in enumerate(batches(self.index, self.batch, seed=config.seed, epoch=progress.epoch)):
            if number < progress.step:
                continue
            set_learning_rate(self.optimizer, learning_rate(config, progress.epoch + (number + 0.5) / steps))
            loss = self._step(index)
            if not np.isfinite(loss):
                raise DataError(f"the loss is {loss} in epoch {progress.epoch + 1}, step {number + 1}; {ASTRAY}")
            progress.loss += loss * len(index)
            progress.step = number + 1
            if stop:
                self._save()
                log.info("stopped in epoch %d after step %d; --resume goes on", progress.epoch + 1, progress.step)
                raise Terminated if stop[0] == signal.SIGTERM else KeyboardInterrupt
        return progress.loss / len(self.index)

    def _step(self, index: np.ndarray) -> float:
        """Every process takes its part of the batch; gradients and losses are averaged, hence the factor."""
        own = index[self.ranks.rank :: self.ranks.size]
        self.pace.batch(len(own))
        return self._mean(self.step(self._parts(own, self.ranks.size / len(index))))

    def _parts(self, index: np.ndarray, weight: float) -> Iterator[tuple]:
        for part, count in chunks(index, self.at_once):
            weights = np.where(np.arange(len(part)) < count, weight, 0)
            yield self.features.arrays(part), weights.astype(np.float32)

    def _mean(self, value: float) -> float:
        """Over the processes, which thereby all know the same."""
        return float(self.ranks.all_reduce(np.array([value], np.float32))[0]) / self.ranks.size

    def _end_epoch(self, loss: float, seconds: float) -> None:
        progress, config = self.progress, self.config
        rate = learning_rate(config, progress.epoch + 0.5)
        progress.epoch, progress.step, progress.loss = progress.epoch + 1, 0, 0.0
        row = {"epoch": progress.epoch, "loss": loss, "learning_rate": rate, "seconds": seconds}
        progress.history.append(row)
        last = progress.epoch == config.num_epochs
        if self.judge and config.select != LAST and (last or progress.epoch % config.eval_interval == 0):
            row["held_out"] = value = self._mean(self.judge())
            if config.select == LIKELIHOOD and np.isnan(value):
                raise DataError(f"what good photographs score is {value} after epoch {progress.epoch}; {ASTRAY}")
            if value < progress.best_value:
                progress.best_value, progress.best_epoch, progress.best = value, progress.epoch, values(self.flows)
        done = self._done()
        if done or progress.epoch % config.log_interval == 0:
            judged = f", judged {row['held_out']:.6g}" if "held_out" in row else ""
            log.info("epoch %d of %d: loss %.6g%s, %.2f s", progress.epoch, config.num_epochs, loss, judged, seconds)
        if done and not last:
            log.info("stopped: the held-out likelihood is best after epoch %d (--patience)", progress.best_epoch)
        if self.ranks.writes and (done or progress.epoch % config.save_interval == 0):
            self._save()


def in_half_precision(flows: Flows) -> None:
    """The subnets' convolutions, where the arithmetic is; what they feed, log|det J| among it, stays in float32."""
    for _, cell in flows.cells_and_names():
        if isinstance(cell, Subnet):
            cell.to_float(mstype.float16)


def _plain(value):
    return list(value) if isinstance(value, tuple) else value
