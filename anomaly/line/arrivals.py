"""Which photographs in a folder are new, and whether they have been written to their end.

It looks at the folder now and then, which works on every file system, network shares included. A photograph is taken
once two looks have found the same size and time of change, and then has to be decoded whole. One that cannot be is
looked at again until PATIENCE has passed since it last changed: whoever writes it may only be slow.
"""

import heapq
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Optional

from anomaly.data.images import SUFFIXES
from anomaly.line.journal import Seen
from anomaly.run.streams import shown

PATIENCE = 30.0  # seconds


class Found(NamedTuple):
    """A file as a look at the folder shows it."""

    name: str  # its path
    size: int
    modified: int  # nanoseconds

    @property
    def path(self) -> Path:
        return Path(self.name)

    def age(self) -> float:
        """Seconds since it was changed, by the clock of whoever did."""
        return max(0.0, time.time() - self.modified / 1e9)

    def same(self, other: "Found") -> bool:
        return (self.size, self.modified) == (other.size, other.modified)


@dataclass
class Waiting:
    """A file that has not been judged yet."""

    found: Found
    first: float  # when it was first seen, and when it was last seen to have changed
    changed: float
    ready: bool = False  # two looks have found it alike
    again: float = 0.0  # not to be tried before


def is_asked_for(entry: os.DirEntry) -> bool:
    """A photograph by its name, or a folder; a link may lead to either."""
    if entry.name.startswith("."):
        return False
    try:
        return entry.name.lower().endswith(SUFFIXES) or entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def identity_of(folder: Path) -> set:
    try:
        about = folder.stat()
    except OSError:  # it is told when it is read
        return set()
    return {(about.st_dev, about.st_ino)}


@dataclass
class Arrivals:
    folder: Path
    done: dict[str, Seen]  # by path
    tell: Callable[[str], None]  # is told what a person has to know
    apart: tuple = ()  # folders below it that are not looked into
    patience: float = PATIENCE
    waiting: dict[str, Waiting] = field(default_factory=dict)
    silent: set = field(default_factory=set)  # folders that could not be read, of which that has been said

    def look(self, now: Optional[float] = None) -> None:
        """Once through the folder."""
        now = time.monotonic() if now is None else now
        there = set()
        for found in self._files(self.folder, identity_of(self.folder)):
            name = found.name
            there.add(name)
            seen, known = self.done.get(name), self.waiting.get(name)
            if seen is not None and seen.same(found.size, found.modified):
                self.waiting.pop(name, None)
            elif known is None:
                self.waiting[name] = Waiting(found, now, now - found.age())
            elif known.found.same(found):
                known.ready = True
            else:
                self.waiting[name] = Waiting(found, known.first, now)
        if not self.silent:
            self.waiting = {name: each for name, each in self.waiting.items() if name in there}

    def take(self, most: int, now: Optional[float] = None) -> list:
        """Of those that are complete so many that have waited longest; they go on waiting until they are `done`."""
        now = time.monotonic() if now is None else now
        ready = (each for each in self.waiting.values() if each.ready and each.again <= now)
        return heapq.nsmallest(most, ready, key=lambda each: (each.found.modified, each.found.name))

    def later(self, each: Waiting, now: float) -> bool:
        """Of one that could not be read: whether it is to be tried again. Pauses grow."""
        each.again = now + min(5.0, (now - each.changed) / 2)
        return now - each.changed < self.patience

    def holds(self, path: Path) -> bool:
        return path.is_relative_to(self.folder) and not self._is_apart(path)

    def _is_apart(self, path: Path) -> bool:
        """Lies in a folder that is left out, be it by way of a link. The watched folder may lie in such a one."""
        real, root = path.resolve(), self.folder.resolve()
        return any(
            real.is_relative_to(each) and not (root.is_relative_to(each) and real.is_relative_to(root))
            for each in self.apart
        )

    def forget(self, each: Waiting) -> None:
        self.waiting.pop(each.found.name, None)

    def backlog(self, now: float) -> tuple:
        """How many are complete and wait, and how long the first of them has."""
        ready = [each for each in self.waiting.values() if each.ready and not each.again]
        return len(ready), max((now - each.first for each in ready), default=0.0)

    def _files(self, folder: Path, above: set) -> Iterator[Found]:
        try:
            with os.scandir(folder) as entries:
                listed = [entry for entry in entries if is_asked_for(entry)]
            self.silent.discard(folder)
        except OSError as error:
            if folder not in self.silent and (folder == self.folder or not isinstance(error, FileNotFoundError)):
                self.silent.add(folder)
                self.tell(f"{shown(folder)}: cannot be read now ({error.strerror}); trying again")
            return
        for entry in listed:
            try:
                about = entry.stat()
            except OSError:  # gone, or a link that leads nowhere
                continue
            if stat.S_ISREG(about.st_mode):
                yield Found(entry.path, about.st_size, about.st_mtime_ns)
            elif stat.S_ISDIR(about.st_mode):
                identity, path = (about.st_dev, about.st_ino), Path(entry.path)
                if identity not in above and not self._is_apart(path):  # a link may lead back to where it lies
                    yield from self._files(path, above | {identity})
