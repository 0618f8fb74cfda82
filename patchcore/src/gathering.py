"""The memory bank of patches that several processes hold.

They are gathered in one process, which picks the coreset as if it had been alone. Where they are too many for that,
each process first picks from its own patches, more than its part; the coreset is then one of these, an approximation.
"""

from collections.abc import Callable

import numpy as np

from anomaly.run import memory
from anomaly.run.processes import Ranks
from patchcore.src import memory_bank
from patchcore.src.config import Config
from patchcore.src.memory_bank import MemoryBank

SPARE = 4  # times its part that a process picks where not all can be gathered
MEMORY_SHARE = 0.5  # of what is free, for patches from everywhere


def fit(config: Config, features: np.ndarray, *, before: int, ranks: Ranks, report: Callable) -> tuple:
    """The bank, in every process, and whether it is an approximation. `features`: n N D, of n images; `before` come in
    the processes before this one."""
    images, n, d = features.shape
    patches = features.reshape(-1, d)
    if ranks.size == 1:
        return memory_bank.fit(
            patches, n, ratio=config.coreset_ratio, k=config.k, seed=config.seed, report=report
        ), False
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
    bank = MemoryBank(ranks.broadcast(patches), ranks.broadcast(image).reshape(-1).astype(np.int32), config.k)
    return bank, approximate


def too_many(config: Config, needed: int, *, ranks: Ranks) -> bool:
    """The process that gathers decides for all."""
    limit = config.gather_limit * 1e9 or MEMORY_SHARE * memory.available()
    return bool(ranks.broadcast(np.array([needed > limit]))[0])
