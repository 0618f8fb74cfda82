"""Results that are only ever added to, one line a photograph, and that survive whatever ends the program.

A line is written by one call and brought to the disk before anything else follows from it. What a kill in the middle of
a line leaves is cut off at the next start, and the photograph judged again. A name can hold anything but a slash, also
the end of a line; in the file it cannot.
"""

import csv
import fcntl
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Optional

from anomaly.run.errors import DataError, UsageError
from anomaly.run.files import require_own, writing
from anomaly.run.lock import holder
from anomaly.run.streams import shown, unshown

COLUMNS = (
    "path",
    "verdict",
    "score",
    "normalised",
    "threshold",
    "method",
    "backbone",
    "regions",
    "error",
    "time",
    "bytes",
    "modified",
    "content",
)
CSV, LINES = ".csv", (".jsonl", ".ndjson")
HEADER = ",".join(COLUMNS) + "\n"
FIRST = b'{"path": "'
NEXT = b'", "verdict": '
UNREADABLE = "UNREADABLE"  # in the place of a verdict


class Seen(NamedTuple):
    """The file that a line is about, as it was then."""

    size: int
    modified: int  # nanoseconds
    content: str = ""  # the beginning of its SHA-256; nothing where it could not be read
    verdict: str = ""

    def same(self, size: int, modified: int) -> bool:
        return (self.size, self.modified) == (size, modified)


def is_line_of_ours(line: bytes) -> bool:
    """Lines of others may begin as ours do. One that was cut off must go on as ours do as far as it goes."""
    try:
        if line.endswith(b"\n"):
            return tuple(json.loads(line)) == COLUMNS
    except (ValueError, TypeError, RecursionError):
        return False
    rest = re.sub(FIRST + rb'([^"\\]|\\.|\\$)*', b"", line, count=1)
    return rest.startswith(NEXT) or NEXT.startswith(rest)


class Journal:
    """`done`: the path of each photograph in it -> what is known of the last line about it."""

    def __init__(self, path: Path) -> None:
        self.path, self.is_csv = Path(path), path.suffix.lower() == CSV
        if not self.is_csv and path.suffix.lower() not in LINES:
            raise UsageError(f"{path}: results are a {CSV}, or lines of JSON: {', '.join(LINES)}")
        self.done: dict[str, Seen] = {}
        self.before: list[tuple] = []  # threshold and score of what was judged before, in the order of the lines
        self.damaged = 0  # lines in the middle that say nothing
        self.file = -1

    def __enter__(self) -> "Journal":
        require_own(self.path, is_own=self._is_own())
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            self._lock()
            self._mend()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: Optional[type], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        os.close(self.file)

    def _is_own(self) -> bool:
        """Whether it was begun by this program, be it that it was killed in its first line."""
        if not self.path.is_file():
            return False
        with open(self.path, "rb") as file:
            if self.is_csv:
                return HEADER.encode().startswith(file.read(len(HEADER)))
            start = file.read(len(FIRST))
            if start != FIRST:
                return FIRST.startswith(start)
            return is_line_of_ours(start + file.readline())

    def _lock(self) -> None:
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            process = f" (process {number})" if (number := holder(self.file)) else ""
            raise DataError(f"{self.path}: another watch{process} writes to it; choose another file") from None
        except OSError:  # a share without locks
            pass

    def _mend(self) -> None:
        """Reads what is there, and cuts off a line that was not written to its end."""
        end = 0
        with open(self.path, "rb") as file, writing(self.path):
            for number, line in enumerate(file):
                if line.endswith(b"\n"):
                    end += len(line)
                    self._read(line, number)
            if end < os.fstat(self.file).st_size:
                os.ftruncate(self.file, end)
            if not end and self.is_csv:
                self._write(HEADER.encode())

    def _read(self, line: bytes, number: int) -> None:
        if self.is_csv and number == 0:
            return
        try:
            row = self._parsed(line)
            self._know(row)
            if row["score"] not in (None, "") and row["threshold"] not in (None, ""):
                self.before.append((float(row["threshold"]), float(row["score"])))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error):
            self.damaged += 1

    def _parsed(self, line: bytes) -> dict:
        if not self.is_csv:
            return json.loads(line)
        row = dict(zip(COLUMNS, next(csv.reader([line.decode()]))))
        return {**row, "path": unshown(row["path"])}

    def add(self, rows: Iterable[dict]) -> None:
        """Rows with the keys of COLUMNS, all of which are on the disk afterwards, or none."""
        listed = list(rows)
        self._require_there()
        self._write(b"".join(self._line(row) for row in listed))
        for row in listed:
            self._know(row)

    def _require_there(self) -> None:
        """What is written to a file that has lost its name is lost; what is judged now is judged again by the next."""
        try:
            is_there = os.path.samestat(os.stat(self.path), os.fstat(self.file))
        except FileNotFoundError:
            is_there = False
        except OSError as error:
            raise DataError(f"{self.path}: cannot be looked at ({error.strerror})") from None
        if not is_there:
            raise DataError(f"{self.path}: was removed, renamed or replaced while it was written to; start again")

    def _know(self, row: dict) -> None:
        seen = Seen(int(row["bytes"]), int(row["modified"]), row["content"], sys.intern(row["verdict"]))
        self.done[row["path"]] = seen

    def _line(self, row: dict) -> bytes:
        if not self.is_csv:  # ASCII: what is no character stays what it is
            return json.dumps({name: row[name] for name in COLUMNS}, allow_nan=False).encode() + b"\n"
        text = io.StringIO()
        regions = json.dumps(row["regions"], separators=(",", ":"))
        cells = {**row, "path": shown(row["path"]), "regions": regions, "error": shown(row["error"] or "")}
        csv.writer(text, lineterminator="\n").writerow([cells[name] for name in COLUMNS])
        return text.getvalue().encode()

    def _write(self, content: bytes) -> None:
        before = os.fstat(self.file).st_size
        try:
            with writing(self.path):
                if os.write(self.file, content) < len(content):
                    raise OSError("not all could be written")
                os.fsync(self.file)
        except BaseException:
            os.ftruncate(self.file, before)
            raise

    def scores(self, threshold: float) -> Iterator[float]:
        """Of what was judged before with this threshold, and so by the same detector, in order; once."""
        found, self.before = self.before, []
        return (score for limit, score in found if limit == threshold)
