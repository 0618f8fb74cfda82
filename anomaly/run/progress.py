"""What a run tells while it goes on: a log on the screen and in a file, bars, the time of each phase, peak memory."""

import logging
import resource
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from tqdm import tqdm

log = logging.getLogger("anomaly")


@contextmanager
def logging_to(path: Path, append: bool = False):
    """The screen gets each line as it is, the file gets it with the time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    screen, file = (
        logging.StreamHandler(sys.stdout),
        logging.FileHandler(path, mode="a" if append else "w", encoding="utf-8"),
    )
    file.handleError = lambda record: None  # on a full disk the run itself says so, once
    screen.setFormatter(logging.Formatter("%(message)s"))
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.setLevel(logging.INFO)
    log.propagate = False
    for handler in (screen, file):
        log.addHandler(handler)
    try:
        yield
    except Exception as error:
        file.handle(log.makeRecord("anomaly", logging.ERROR, "", 0, f"error: {error}", (), None))
        raise
    finally:
        for handler in (screen, file):
            log.removeHandler(handler)
        with suppress(OSError):
            file.close()


def bar(total: int, what: str, unit: str) -> tqdm:
    """On a terminal ten times a second, in a file of output only now and then."""
    return tqdm(
        total=total,
        desc=what,
        unit=unit,
        file=sys.stderr,
        dynamic_ncols=True,
        mininterval=0.1 if sys.stderr.isatty() else 15,
    )


class Phases:
    """Measures the parts of a run by name."""

    def __init__(self):
        self.seconds = {}

    @contextmanager
    def __call__(self, name: str):
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - start

    def report(self):
        spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items())
        log.info("time: %s; total %.1f s; peak memory %.2f GB", spent, sum(self.seconds.values()), peak_memory() / 1e9)


def peak_memory() -> int:
    """Bytes of the process at its largest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
