"""The circumstances of a fit: who takes part in it, who is told how far it is, where files may go."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from anomaly.run.processes import ALONE, Ranks
from anomaly.run.progress import Callback, Counter, Phases, silent


@dataclass
class Job:
    callback: Callback = silent
    folder: Optional[Path] = None  # for snapshots and caches; without one nothing is written
    ranks: Ranks = ALONE
    test: tuple = ()  # Samples, for a choice that is made on them
    phases: Phases = field(default_factory=Phases)

    @contextmanager
    def phase(self, name: str, total: int = 0) -> Iterator[Counter]:
        """A part of the work, timed; with a total the callback is told of each piece."""
        with self.phases(name), Counter(self.callback if total else silent, name, total=total) as counter:
            yield counter
