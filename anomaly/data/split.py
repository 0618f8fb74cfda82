"""Which good photographs are kept out of training, where nothing else says which ones are there to test on."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

SHARE, SEED = 0.2, 1


@dataclass(frozen=True)
class Split:
    share: float = SHARE  # of the good photographs; 0: none
    seed: int = SEED

    def number(self, total: int) -> int:
        """How many of so many: at least one is kept out, and one is left to train on."""
        return min(max(1, round(self.share * total)), total - 1) if self.share and total > 1 else 0

    def kept_out(self, names: dict) -> set:
        """Of photographs, path -> name below its folder, the paths of those to test on.

        They are those of which the seed and the name have the smallest hashes, so neither the machine nor the order in
        which folders are given matters, and further photographs change little. Equal names come in the order of their
        paths.
        """

        def rank(path: Path) -> tuple:
            text = f"{self.seed}\0{names[path]}".encode("utf-8", "surrogateescape")
            return hashlib.sha256(text).digest(), str(path)

        return set(sorted(names, key=rank)[: self.number(len(names))])

    def note(self, kept: int, total: int) -> str:
        """For the log."""
        if not kept:
            return ""
        return f"{kept} of {total} good photographs are kept out of training, to test on (--test_share {self.share:g})"
