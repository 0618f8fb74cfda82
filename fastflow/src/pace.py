"""How long training will take, told from its first batches."""

import time

from anomaly.run.progress import log

ENOUGH = 1.0  # seconds that are timed


class Pace:
    """`images` an epoch, `epochs` at most."""

    def __init__(self, images: int, epochs: int) -> None:
        self.images, self.epochs = images, epochs
        self.batches = self.seen = 0
        self.start = 0.0
        self.told = False

    def batch(self, images: int) -> None:
        """Call it before each batch. The first one compiles, and does not count."""
        self.batches += 1
        if self.batches == 2:
            self.start = time.perf_counter()
        elif self.seen and not self.told and time.perf_counter() - self.start >= ENOUGH:
            epoch, self.told = (time.perf_counter() - self.start) * self.images / self.seen, True
            total = duration(epoch * self.epochs)
            log.info("an epoch takes about %s; at most %d of them, about %s", duration(epoch), self.epochs, total)
        if self.batches >= 2:
            self.seen += images


def duration(seconds: float) -> str:
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
