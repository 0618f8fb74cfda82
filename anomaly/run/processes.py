"""Several processes on one training, started by MindSpore's msrun. One process alone is rank 0 of 1.

What they exchange is float32 and goes in pieces of one size, since each new size costs a compilation.
"""

import atexit
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

import numpy as np

from anomaly.run.alive import Watch

PIECE = 1 << 22  # numbers sent at once
LINGER = 3  # seconds; on a CPU what a process sent last is lost if it ends at once


@dataclass(frozen=True)
class Ranks:
    rank: int = 0
    size: int = 1
    watch: Optional[Watch] = field(default=None, compare=False)

    def finish(self) -> None:
        """Each process calls it when it has done its part; one that ends before that ends all."""
        if self.watch:
            self.watch.finish()

    @property
    def writes(self) -> bool:
        """One process logs, draws and saves."""
        return self.rank == 0

    def log(self, folder: Path) -> Path:
        return folder / ("train.log" if self.writes else f".train.{self.rank}.log")

    def share(self, items: Sequence) -> tuple:
        """The items of this process, which are neighbours, and how many go to those before it."""
        stops = [len(items) * rank // self.size for rank in range(self.size + 1)]
        return items[stops[self.rank] : stops[self.rank + 1]], stops[self.rank]

    def all_reduce(self, array: np.ndarray) -> np.ndarray:
        """Adds up the arrays of all processes, in place."""
        flat = array.reshape(-1)  # a view: what is summed is contiguous
        for start in range(0, flat.size if self.size > 1 else 0, PIECE):
            part = flat[start : start + PIECE]
            part[:] = _reduce(_filled(part, flat.size))[: part.size]
        return array

    def all_gather(self, array: np.ndarray) -> np.ndarray:
        """The arrays of all processes, of one shape, one after the other: size ..."""
        result = np.zeros((self.size, *array.shape), np.float32)
        result[self.rank] = array
        return self.all_reduce(result)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """The rows of all processes, one after the other, in the process that writes; the others get none."""
        if self.size == 1:
            return rows
        counts = self.all_gather(np.array([len(rows)])).astype(int).reshape(-1)
        width = int(np.prod(rows.shape[1:]))
        result = np.empty((counts.sum() if self.writes else 0, width), np.float32)
        flat, step = rows.reshape(-1, width), max(1, PIECE // width)
        stops = np.cumsum(counts)
        for start in range(0, counts.max(), step):
            sent = np.zeros((step, width), np.float32)
            part = flat[start : start + step]
            sent[: len(part)] = part
            received = _gather(sent).reshape(self.size, step, width)
            for rank in range(self.size if self.writes else 0):
                number = min(step, counts[rank] - start)
                if number > 0:
                    first = stops[rank] - counts[rank] + start
                    result[first : first + number] = received[rank, :number]
        return result.reshape(-1, *rows.shape[1:])

    def broadcast(self, array: np.ndarray) -> np.ndarray:
        """The array of the process that writes, in every process."""
        axes = np.zeros(8)
        axes[: array.ndim] = array.shape
        shape = self.all_gather(axes)[0][: array.ndim].astype(int)
        return self.all_reduce(np.ascontiguousarray(array, np.float32) if self.writes else np.zeros(shape, np.float32))


def _filled(part: np.ndarray, whole: int) -> np.ndarray:
    """Long arrays go in pieces of one size."""
    if whole <= PIECE or part.size == PIECE:
        return part
    return np.concatenate([part, np.zeros(PIECE - part.size, np.float32)])


def _reduce(values: np.ndarray) -> np.ndarray:
    from mindspore import Tensor, ops

    return ops.AllReduce()(Tensor(values)).asnumpy()


def _gather(values: np.ndarray) -> np.ndarray:
    from mindspore import Tensor, ops

    return ops.AllGather()(Tensor(values)).asnumpy()


def launched() -> bool:
    """msrun tells its processes what they are: workers, and a scheduler, which stays in `init` until all have ended."""
    return "MS_ROLE" in os.environ


def address() -> tuple:
    """Where the first process waits for the others: on the machine of the scheduler, at the port after its own."""
    return os.environ.get("MS_SCHED_HOST", "127.0.0.1"), int(os.environ["MS_SCHED_PORT"]) + 1


def join() -> Ranks:
    """Call it after the device is set."""
    if not launched():
        return Ranks()
    import mindspore
    from mindspore import communication

    communication.init()
    if communication.get_rank():
        atexit.register(time.sleep, LINGER)
    rank, size = communication.get_rank(), communication.get_group_size()
    ranks = Ranks(rank, size, Watch(rank, size, address=address()) if size > 1 else None)
    mindspore.set_auto_parallel_context(
        parallel_mode=mindspore.ParallelMode.DATA_PARALLEL, gradients_mean=True, device_num=ranks.size
    )
    return ranks


ALONE = Ranks()
