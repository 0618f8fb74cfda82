"""Judges photographs as they appear in a folder, each once, whatever happens in between."""

import hashlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import NamedTuple, Optional

from anomaly.data.images import content_of
from anomaly.data.loader import read_sample
from anomaly.data.samples import Sample
from anomaly.detector import Detector, Judging
from anomaly.line import aside
from anomaly.line.arrivals import Arrivals, Waiting
from anomaly.line.drift import Drift
from anomaly.line.journal import UNREADABLE, Journal, Seen
from anomaly.line.uploads import Limits, Refused, photograph
from anomaly.measure.calibration import ANOMALOUS
from anomaly.measure.judgement import Judgement
from anomaly.run.errors import DataError, explain
from anomaly.run.streams import shown

BEHIND = 10.0  # seconds that a complete photograph may wait
REMIND = 60.0  # seconds between two lines that say so


class Read(NamedTuple):
    """A file that was read; `sample` is None where it is no whole photograph, or the same one as before."""

    waiting: Waiting
    content: str
    sample: Optional[Sample]
    error: str = ""


@dataclass
class Behind:
    """Notices when photographs come faster than they are judged."""

    tell: Callable[[str], None]
    since: float = 0.0  # when it was said last
    judged: int = 0  # since then

    def look(self, number: int, waited: float, *, now: float) -> None:
        if waited < BEHIND:
            if self.since:
                self.tell("caught up")
            self.since = 0.0
        elif not self.since or now - self.since >= REMIND:
            speed = f", {self.judged / (now - self.since):.1f} a second are judged" if self.since else ""
            self.tell(f"behind: {number} photographs wait, the first for {waited:.0f} s{speed}")
            self.since, self.judged = now, 0


@dataclass
class Watch:
    """`say` is told of each photograph, `tell` of what else a person has to know, `also` gets each judgement."""

    detector: Detector
    arrivals: Arrivals
    journal: Journal
    drift: Drift
    say: Callable[[str], None]
    tell: Callable[[str], None]
    batch_size: int = 8
    workers: int = 4
    limits: Limits = field(default_factory=Limits)
    aside: Optional[tuple] = None  # a folder, and move or link
    also: Optional[Callable[[Judgement], None]] = None
    stop: Event = field(default_factory=Event)
    count: int = field(default=0, init=False)

    def run(self, interval: float = 1.0, *, once: bool = False) -> None:
        """Until `stop` is set, or, `once`, until all that is there is in the results."""
        behind = Behind(self.tell)
        self._begin()
        with ThreadPoolExecutor(self.workers) as pool:
            while not self.stop.is_set():
                began = time.monotonic()
                self.arrivals.look(began)
                behind.look(*self.arrivals.backlog(began), now=began)
                if once and not self.arrivals.waiting:
                    return
                seconds = time.monotonic() - began
                behind.judged += self._until(began + max(interval, 10 * seconds), pool)

    def _until(self, end: float, pool: ThreadPoolExecutor) -> int:
        """Judges what waits until it is time for the next look; how many lines that made."""
        before = self.count
        while not self.stop.is_set() and time.monotonic() < end:
            taken = self.arrivals.take(self.batch_size)
            if not taken:
                self.stop.wait(end - time.monotonic())
                break
            self._batch(taken, pool)
        return self.count - before

    def _begin(self) -> None:
        self._look_for_drift(self.journal.scores(self.drift.limit))
        if self.journal.damaged:
            self.tell(
                f"{self.journal.path}: {self.journal.damaged} lines in it cannot be read and are left as they are"
            )
        if self.aside:  # what a kill kept from being moved
            for name, seen in self.journal.done.items():
                if seen.verdict == ANOMALOUS and self._is_as(Path(name), seen):
                    self._aside(Path(name))

    def _is_as(self, path: Path, seen: Seen) -> bool:
        try:
            about = path.stat()
        except OSError:
            return False
        return self.arrivals.holds(path) and seen.same(about.st_size, about.st_mtime_ns)

    def _batch(self, taken: list, pool: ThreadPoolExecutor) -> None:
        """Judges them and writes them down."""
        now, bad, good = time.monotonic(), [], {}
        for read in pool.map(self._read, taken):
            if read.sample is not None:
                good[read.sample.path] = read
            elif read.error and self.arrivals.later(read.waiting, now):
                continue
            elif read.error:
                bad.append(read)
            self.arrivals.forget(read.waiting)
        judgements, unfit = self._judged([read.sample for read in good.values()])
        if self.also:  # first: what is drawn twice does no harm
            list(pool.map(self.also, judgements))
        rows = [self._row(good[each.sample.path], each) for each in judgements]
        bad += [good[path]._replace(error=error) for path, error in unfit.items()]
        self._write(rows + [self._unreadable(read) for read in bad], judgements)

    def _read(self, waiting: Waiting) -> Read:
        path, (name, size, modified) = waiting.found.path, waiting.found
        if size > self.limits.bytes:  # before it is read into memory
            reason = f"{path}: {size / 1e6:.1f} MB; up to {self.limits.megabytes:g} are taken"
            return Read(waiting, "", None, reason)
        seen = self.journal.done.get(name)
        try:
            content = content_of(path)
        except DataError as error:
            return Read(waiting, "", None, str(error) if path.exists() else "")
        digest = hashlib.sha256(content).hexdigest()[:16]
        if seen is not None and seen.content == digest:  # only its time has changed
            self.journal.done[name] = seen._replace(size=size, modified=modified)
            return Read(waiting, digest, None)
        if len(content) != size:
            return Read(waiting, digest, None, f"{path}: changes while it is read")
        try:
            return Read(waiting, digest, Sample(path, pixels=photograph(content, path, limits=self.limits)))
        except Refused as refused:
            return Read(waiting, digest, None, f"{path}: {refused.reason}")
        except Exception as error:  # whatever is in it, the next one is to be judged
            return Read(waiting, digest, None, explain(error)[1])

    def _judged(self, samples: list) -> tuple:
        """The judgements, and of photographs that do not fit the detector: path -> why."""
        try:
            return self._judge(samples), {}
        except DataError:
            unfit = {sample.path: why for sample in samples if (why := self._unfit(sample))}
            if not unfit:
                raise
        return self._judge([sample for sample in samples if sample.path not in unfit]), unfit

    def _judge(self, samples: list) -> list:
        keep = self.also is not None
        sizes = self.batch_size, self.workers
        return list(Judging(self.detector, tuple(samples), *sizes, with_photographs=keep)) if samples else []

    def _unfit(self, sample: Sample) -> str:
        """As where it has other proportions than the region that is looked at."""
        try:
            for piece in self.detector.transform.pieces((sample,)):
                read_sample(piece, self.detector.transform, with_mask=False)
        except DataError as error:
            return str(error)
        return ""

    def _row(self, read: Read, judged: Judgement) -> dict:
        return self._common(read) | {
            "verdict": judged.verdict,
            "score": judged.score,
            "normalised": judged.normalised,
            "threshold": judged.threshold,
            "regions": [region.as_dict() for region in judged.regions],
        }

    def _unreadable(self, read: Read) -> dict:
        return self._common(read) | {"verdict": UNREADABLE, "error": read.error}

    def _common(self, read: Read) -> dict:
        found = read.waiting.found
        return {
            "path": found.name,
            "verdict": "",
            "score": None,
            "normalised": None,
            "threshold": None,
            "method": self.detector.method,
            "backbone": self.detector.backbone.label,
            "regions": [],
            "error": None,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "bytes": found.size,
            "modified": found.modified,
            "content": read.content,
        }

    def _write(self, rows: list, judgements: list) -> None:
        """The lines first: what follows from them can be done again, and they are not written twice."""
        if not rows:
            return
        self.journal.add(rows)
        self.count += len(rows)
        for row in rows:
            if row["verdict"] == UNREADABLE:
                self.tell(f"{UNREADABLE} {shown(row['error'])}")
            else:
                score = row["score"] if row["normalised"] is None else row["normalised"]
                self.say(f"{row['verdict']:9}  {score:.4f}  {shown(row['path'])}")
        for judged in judgements:
            path = judged.sample.path  # where another photograph may lie by now, which has not been judged
            if self.aside and judged.verdict == ANOMALOUS and self._is_as(path, self.journal.done[str(path)]):
                self._aside(path)
        self._look_for_drift(each.score for each in judgements)

    def _look_for_drift(self, scores: Iterable[float]) -> None:
        changed = self.drift.see(scores)
        if changed:
            self.tell(changed)

    def _aside(self, path: Path) -> None:
        folder, how = self.aside or (Path(), "")
        try:
            aside.put(path, folder / path.relative_to(self.arrivals.folder), how=how)
        except (DataError, OSError) as error:
            self.tell(f"{shown(path)}: stays where it is: {shown(explain(error)[1])}")
