"""One file over the network: gone on with where it was cut off, locked, and in its place only with its checksum."""

import fcntl
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from anomaly.run.errors import DataError, first_line
from anomaly.run.files import sha256, writing

LIMIT = 3600  # seconds for the whole file
BLOCK = 1 << 18
NETWORK = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ValueError)


class Failed(Exception):
    """What an address did not give."""


def download(url: str, target: Path, *, digits: str, timeout: float, report: Callable) -> None:
    part = target.with_name(f"{target.name}.part")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(part) and (part.is_symlink() or not part.is_file()):
            raise DataError(f"{part}: is no file of this program; move it away")
        with open(part, "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataError(f"{part}: another download is writing it; wait for that one") from None
            try:
                _receive(url, file, timeout=timeout, report=report)
            except NETWORK as error:
                raise Failed(f"no answer ({first_line(getattr(error, 'reason', error))})") from None
            finally:
                file.flush()
                if not os.fstat(file.fileno()).st_size:
                    part.unlink(missing_ok=True)
            if not sha256(part).startswith(digits):
                part.unlink()
                raise Failed(f"what arrived has not the checksum {digits}")
            os.replace(part, target)  # while no other download may go on with it


def _receive(url: str, file: BinaryIO, *, timeout: float, report: Callable) -> None:
    done = os.fstat(file.fileno()).st_size
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        answer = urllib.request.urlopen(request, timeout=timeout)  # nosec B310
    except urllib.error.HTTPError as error:
        if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        return  # all of it is there
    with answer:
        if done and answer.status != http.client.PARTIAL_CONTENT:
            file.truncate(0)
            done = 0
        total = done + int(answer.headers.get("Content-Length") or 0)
        end = time.monotonic() + LIMIT
        while block := answer.read1(BLOCK):
            file.write(block)
            done += len(block)
            report(done, total)
            if time.monotonic() > end:
                raise TimeoutError(f"not complete after {LIMIT} s")
        if done < total:
            raise http.client.IncompleteRead(b"", total - done)
