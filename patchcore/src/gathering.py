"""The memory bank of patches that several processes hold, or that one cannot hold all at once.

Those of several processes are gathered in one, which picks the coreset as if it had been alone. Where they are too many
for that, each process first picks from its own patches, more than its part; the coreset is then one of these, an
approximation. Alone, a process with too little memory does the same with one part of the images after the other.
"""

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from anomaly.run import memory
from anomaly.run.processes import Ranks
from patchcore.src import memory_bank
from patchcore.src.config import Config
from patchcore.src.dataset import SPARE
from patchcore.src.memory_bank import MemoryBank

MEMORY_SHARE = 0.5  # of what is free, for patches from everywhere


def fit(config: Config, features: np.ndarray, *, before: int, ranks: Ranks, report: Callable) -> tuple:
    """The bank, in every process, and whether it is an approximation. `features`: n N D, of n images; `before` come in
    the processes before this one."""
    images, n, d = features.shape
    patches = features.reshape(-1, d)
    if ranks.size == 1:
        return memory_bank.fit(patches, n, config=config, report=report), False
    total = int(ranks.all_reduce(np.array([images], np.float32))[0]) * n
    picks = max(1, int(total * config.coreset_ratio))
    approximate = too_many(config, 4 * total * d, ranks=ranks)
    rows = np.arange(len(patches))
    if approximate:
        rows = memory_bank.select(patches, -(-SPARE * picks * len(patches) // total), seed=config.seed)
        patches = patches[rows]
    image = ranks.gather((before + rows // n).astype(np.float32)[:, None])
    patches = ranks.gather(patches)
    if ranks.writes:
        rows = memory_bank.select(patches, picks, seed=config.seed, report=report)
        patches, image = patches[rows], image[rows]
    return memory_bank.made(ranks.broadcast(patches), ranks.broadcast(image).reshape(-1), config=config), approximate


def candidates(config: Config, batches: Iterable, *, size: int) -> tuple:
    """`batches`: B N D; of each part, `size` images, more than its part of the coreset: M D, and their images, M."""
    kept, image, done = [], [], 0
    for part in parts(batches, size):
        n = part.shape[1]
        patches = part.reshape(-1, part.shape[2])
        rows = memory_bank.select(patches, math.ceil(SPARE * config.coreset_ratio * len(patches)), seed=config.seed)
        kept.append(patches[rows])
        image.append(done + rows // n)
        done += len(part)
    return np.concatenate(kept), np.concatenate(image)


def choose(config: Config, patches: np.ndarray, *, image: np.ndarray, picks: int, report: Callable) -> MemoryBank:
    rows = memory_bank.select(patches, picks, seed=config.seed, report=report)
    return memory_bank.made(patches[rows], image[rows], config=config)


def parts(batches: Iterable, size: int) -> Iterator[np.ndarray]:
    """B N D after B N D -> `size` images at a time, in one array, which is filled anew each time."""
    held, filled = np.zeros((0, 0, 0), np.float32), 0
    for batch in batches:
        if not held.size:
            held = np.empty((size, *batch.shape[1:]), batch.dtype)
        while len(batch):
            some = batch[: size - filled]
            held[filled : filled + len(some)] = some
            filled, batch = filled + len(some), batch[len(some) :]
            if filled == size:
                yield held
                filled = 0
    if filled:
        yield held[:filled]


def too_many(config: Config, needed: int, *, ranks: Ranks) -> bool:
    """The process that gathers decides for all."""
    limit = config.gather_limit * 1e9 or MEMORY_SHARE * memory.available()
    return bool(ranks.broadcast(np.array([needed > limit]))[0])
