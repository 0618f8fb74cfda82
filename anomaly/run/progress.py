"""What a run tells while it goes on: a log on the screen and in a file, bars, the time of each phase, peak memory."""

import logging
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomaly.run.files import require_own

log = logging.getLogger("anomaly")


class LogFile(logging.FileHandler):
    """On a full disk the run itself says so, once."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


def _is_log(path: Path) -> bool:
    """Whether it is an earlier one; one that was cut off at once is empty. What a link leads to is not looked at."""
    if path.is_symlink() or not path.is_file():
        return False
    with open(path, "rb") as file:
        start = file.read(24)
    return not start or re.match(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", start) is not None


@contextmanager
def logging_to(path: Path, append: bool = False) -> Iterator[None]:
    """The screen gets each line as it is, the file gets it with the time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    require_own(path, is_own=_is_log(path))
    screen = logging.StreamHandler(sys.stdout)
    file = LogFile(path, mode="a" if append else "w", encoding="utf-8", errors="surrogateescape")
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


@dataclass(frozen=True)
class Step:
    """What a callback is told: how far a phase of the work is."""

    phase: str
    done: int
    total: int
    note: str = ""


Callback = Callable[[Step], None]


def silent(step: Step) -> None:
    pass


class Counter:
    """Tells a callback of each piece of one phase."""

    def __init__(self, callback: Callback, phase: str, *, total: int) -> None:
        self.callback, self.phase, self.total, self.done = callback, phase, total, 0

    def __enter__(self) -> "Counter":
        self.callback(Step(self.phase, 0, self.total))
        return self

    def __exit__(self, *error: object) -> None:
        if isinstance(self.callback, Bars):
            self.callback.close()  # also where something went wrong: what is said of it wants a line of its own

    def __call__(self, number: int = 1, note: str = "") -> None:
        self.done += number
        self.callback(Step(self.phase, self.done, self.total, note))


# What phases count; others count images.
UNITS = {"coreset": "pick", "gaussians": "position", "training": "epoch", "download": "B"}


EVERY = 15.0  # seconds from one line to the next, where there is no terminal


def clock(seconds: float) -> str:
    """A length of time as 01:30, or 2:01:30."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


class Bar:
    """One phase on a terminal."""

    def __init__(self, step: Step) -> None:
        from tqdm import tqdm  # here, since --help need not wait for it

        self.bar = tqdm(
            total=step.total,
            desc=step.phase,
            unit=UNITS.get(step.phase, "image"),
            unit_scale=step.phase == "download",
            file=sys.stderr,
            dynamic_ncols=True,
            mininterval=0.1,
        )

    def show(self, step: Step) -> None:
        self.bar.update(step.done - self.bar.n)
        if step.note:
            self.bar.set_postfix_str(step.note, refresh=False)

    def close(self) -> None:
        self.bar.close()


class Lines:
    """The same in a file of output, as under nohup: now and then a line; of what is done soon, none."""

    def __init__(self, step: Step) -> None:
        self.first, self.start = step.done, time.monotonic()
        self.said = self.start

    def show(self, step: Step) -> None:
        now, done = time.monotonic(), step.done - self.first
        if now - self.said < EVERY or not done or step.done >= step.total:
            return
        self.said = now
        left = clock((now - self.start) / done * (step.total - step.done))
        unit = UNITS.get(step.phase, "image")
        note = f" ({step.note})" if step.note else ""
        print(
            f"{step.phase}: {100 * step.done // step.total} %, {step.done} of {step.total} {unit}s, "
            f"about {left} left{note}",
            file=sys.stderr,
            flush=True,
        )

    def close(self) -> None:
        pass


class TimeLeft:
    """For work of a few large pieces that each have a line of their own."""

    def __init__(self, total: int) -> None:
        self.total, self.begun, self.start = total, 0, time.monotonic()

    def next(self, unit: str) -> str:
        """Where the piece stands that begins now; how long all will take is known from the second one on."""
        done, self.begun = self.begun, self.begun + 1
        text = f"{unit} {self.begun} of {self.total}"
        if not done:
            return text
        left = (time.monotonic() - self.start) / done * (self.total - done)
        return f"{text}, about {clock(left)} left"


class Bars:
    """A callback that shows each phase with the time that is left: as a bar on a terminal, else in lines."""

    def __init__(self) -> None:
        self.phase = ""
        self.shown: Any = None

    def __call__(self, step: Step) -> None:
        if self.shown is None or step.phase != self.phase or step.done == 0:
            self.close()
            self.phase, self.shown = step.phase, (Bar if sys.stderr.isatty() else Lines)(step)
        self.shown.show(step)
        if step.done >= step.total:
            self.close()

    def close(self) -> None:
        if self.shown is not None:
            self.shown.close()
            self.shown = None


class Phases:
    """Measures the parts of a run by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0) + time.perf_counter() - start

    def report(self) -> None:
        spent = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items())
        log.info("time: %s; total %.1f s; peak memory %.2f GB", spent, sum(self.seconds.values()), peak_memory() / 1e9)


def peak_memory() -> int:
    """Bytes of the process at its largest."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
