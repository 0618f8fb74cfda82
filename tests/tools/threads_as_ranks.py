"""Several processes on one training, played by threads of this one: no launcher, and nothing is imported again."""

import threading
from collections.abc import Callable

import numpy as np

from anomaly.run import processes
from anomaly.run.processes import Ranks


class Exchange:
    def __init__(self, size: int) -> None:
        self.size, self.given, self.lock = size, {}, threading.Barrier(size)

    def everything(self, values: np.ndarray) -> np.ndarray:
        """What each of them gives, one after the other."""
        self.given[threading.current_thread().name] = np.array(values)
        self.lock.wait()
        found = np.stack([self.given[f"rank {rank}"] for rank in range(self.size)])
        self.lock.wait()
        return found


def played(monkeypatch, size: int, work: Callable[[Ranks], object]) -> list:
    """What `work` gives in each of them."""
    exchange, results = Exchange(size), [None] * size
    monkeypatch.setattr(processes, "_reduce", lambda values: exchange.everything(values).sum(axis=0))
    monkeypatch.setattr(processes, "_gather", lambda values: np.concatenate(exchange.everything(values)))

    def run(rank: int) -> None:
        try:
            results[rank] = work(Ranks(rank, size))
        except BaseException:
            exchange.lock.abort()  # the others do not wait for it
            raise

    threads = [threading.Thread(target=run, args=(rank,), name=f"rank {rank}") for rank in range(size)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert None not in results
    return results
