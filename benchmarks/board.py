"""Shows how far each category is: on a terminal a block of lines that is redrawn, elsewhere a line for each change."""

import os
import sys
import time
import unicodedata

from anomaly.show.tables import number
from benchmarks.jobs import BEFORE, DONE, FAILED, RUNNING, WAITING, Job
from benchmarks.processes import tail


def duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def fitted(line: str, width: int) -> str:
    """At most so many columns; some characters take two."""
    kept = ""
    for character in line:
        width -= 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if width < 0:
            break
        kept += character
    return kept


def describe(job: Job, now: float, live: bool = False) -> str:
    """`live`: with the last line of its log."""
    if job.status == WAITING:
        text = WAITING + (": was done before its options or photographs changed" if job.again else "")
    elif job.status == RUNNING and live:
        last = (tail(job.log) or [""])[-1]
        text = f"running on device {job.device} for {duration(now - job.started)}  {last}"
    elif job.status == RUNNING:
        text = f"running on device {job.device}" + (
            ", again: its options or photographs have changed" if job.again else ""
        )
        text += f", going on after {duration(job.earlier)}" if job.earlier else ""
    elif job.status == FAILED:
        text = f"failed after {duration(job.seconds)}: {job.reason}"
    else:
        image, pixel = (number(job.figures.get(key)) for key in ("img_auc", "pixel_auc"))
        text = f"{job.status}, image AUROC {image}, pixel AUROC {pixel}, {duration(job.seconds)}"
    return f"{job.method} {job.category}: {text}"


def left(jobs: list, workers: int, now: float):
    """Seconds, judged by what was done in this run, of the same method where it is known; None without any."""
    done = [job for job in jobs if job.status == DONE]
    if not done:
        return None
    total = 0.0
    for job in jobs:
        if job.status in (WAITING, RUNNING):
            like = [other.seconds for other in done if other.method == job.method] or [other.seconds for other in done]
            spent = now - job.started if job.status == RUNNING else 0.0
            total += max(0.0, sum(like) / len(like) - spent)
    return total / workers


def summary(jobs: list, workers: int, now: float) -> str:
    count = {status: sum(job.status == status for job in jobs) for status in (DONE, BEFORE, FAILED)}
    text = f"{count[DONE] + count[BEFORE]} of {len(jobs)} done"
    text += f", {count[FAILED]} failed" if count[FAILED] else ""
    seconds = left(jobs, workers, now)
    return text if seconds is None or sum(count.values()) == len(jobs) else f"{text}, about {duration(seconds)} left"


class Board:
    """`changed` after each start and end, `refresh` as often as one likes."""

    def __init__(self, jobs: list, workers: int, stream=None):
        self.jobs, self.workers, self.stream = jobs, workers, stream or sys.stdout
        self.drawn, self.last = 0, 0.0
        for job in jobs:
            if (job.status == BEFORE or job.again) and not self._fits():
                print(describe(job, time.monotonic()), file=self.stream, flush=True)

    def _size(self):
        try:
            return os.get_terminal_size(self.stream.fileno())
        except (OSError, ValueError):  # no terminal, or no file at all
            return None

    def _fits(self) -> bool:
        size = self._size() if self.stream.isatty() else None
        return size is not None and size.lines > len(self.jobs) + 1

    def changed(self, job: Job):
        if self._fits():
            self._draw()
            return
        self.drawn, now = 0, time.monotonic()
        more = "" if job.status == RUNNING else f"   ({summary(self.jobs, self.workers, now)})"
        print(f"{describe(job, now)}{more}", file=self.stream, flush=True)

    def refresh(self):
        if self._fits() and time.monotonic() - self.last >= 1:
            self._draw()

    def _draw(self):
        now, width = time.monotonic(), self._size().columns - 1
        lines = [describe(job, now, live=True) for job in self.jobs] + [summary(self.jobs, self.workers, now)]
        up = f"\x1b[{self.drawn}F" if self.drawn else ""
        self.stream.write(up + "".join(f"{fitted(line, width)}\x1b[K\n" for line in lines))
        self.stream.flush()
        self.drawn, self.last = len(lines), time.monotonic()
