"""How long training will take, told from its first parts of batches."""

import time

from anomaly.run.progress import log

PARTS = 3  # that are timed; what comes before them compiles


class Pace:
    """`images` an epoch, `epochs` at most."""

    def __init__(self, images: int, epochs: int) -> None:
        self.images, self.epochs = images, epochs
        self.parts = self.seen = 0
        self.start = 0.0

    def part(self, images: int) -> None:
        """Call it before each part of a batch."""
        self.parts += 1
        if self.parts == 2:
            self.start = time.perf_counter()
        elif self.parts == 2 + PARTS:
            epoch = (time.perf_counter() - self.start) * self.images / self.seen
            total = duration(epoch * self.epochs)
            log.info("an epoch takes about %s; at most %d of them, about %s", duration(epoch), self.epochs, total)
        if self.parts >= 2:
            self.seen += images


def duration(seconds: float) -> str:
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
