"""Several processes on one training, started by MindSpore's msrun. One process alone is rank 0 of 1."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Ranks:
    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """One process logs, draws and saves."""
        return self.rank == 0


def launched() -> bool:
    """msrun tells its processes what they are: workers, and a scheduler, which stays in `init` until all have ended."""
    return "MS_ROLE" in os.environ


def join() -> Ranks:
    """Call it after the device is set."""
    if not launched():
        return Ranks()
    import mindspore
    from mindspore import communication

    communication.init()
    ranks = Ranks(communication.get_rank(), communication.get_group_size())
    mindspore.set_auto_parallel_context(
        parallel_mode=mindspore.ParallelMode.DATA_PARALLEL, gradients_mean=True, device_num=ranks.size
    )
    return ranks
