"""Standard output and error, whatever becomes of them: closed, full, or read by nobody any more.

What a command leaves in files does not depend on who reads what it says meanwhile.
"""

import errno
import io
import json
import os
import sys
from typing import Any, Optional

NAMES = {1: "stdout", 2: "stderr"}


class Kept(io.RawIOBase):
    """Writes to a stream as long as that takes anything; what has failed once is kept, and the rest is dropped."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.failed: Optional[OSError] = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.number

    def isatty(self) -> bool:
        return os.isatty(self.number)

    def write(self, content: Any) -> int:
        if self.failed is None:
            try:
                return os.write(self.number, content)
            except OSError as error:
                self.failed = error
        return len(content)


def mend() -> None:
    """Before anything is said: no file of this program gets the number of a stream that was closed."""
    for number in (0, *NAMES):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest number that is free
    for number, name in NAMES.items():
        before = getattr(sys, name)
        if before is not getattr(sys, f"__{name}__") or isinstance(getattr(before, "raw", None), Kept):
            continue  # somebody else listens, as a test does
        setattr(sys, name, _kept(number, before))


class Text(io.TextIOWrapper):
    """`raw`: where it ends."""

    raw: Kept


def _kept(number: int, before: Any) -> Text:
    """In place of a stream of Python's, or of none. What cannot be written in the user's letters is written as \\x."""
    raw = Kept(number)
    encoding = before.encoding if before else "utf-8"
    lines = number == 2 or raw.isatty()
    made = Text(io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=lines)
    made.raw = raw
    return made


def trouble() -> str:
    """After all has been said: why not all of standard output could be written, but for a reader that has gone."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:  # a stream of somebody else
        return "" if isinstance(error, BrokenPipeError) else str(error)
    failed = getattr(getattr(sys.stdout, "raw", None), "failed", None)
    return "" if failed is None or failed.errno == errno.EPIPE else failed.strerror


def shown(name: object) -> str:
    """A path on one line: as it is, or, where it holds what cannot be printed, in quotes and with escapes."""
    text = str(name)
    return text if text.isprintable() and not text.startswith('"') else json.dumps(text)


def unshown(text: str) -> str:
    return json.loads(text) if text.startswith('"') else text


def one_line(text: str) -> str:
    """What is said of an error, in which a name may hold the end of a line."""
    return "".join(sign if sign.isprintable() else json.dumps(sign)[1:-1] for sign in text)
