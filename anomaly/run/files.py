"""Files appear under their final name only when they are complete."""

import csv
import errno
import hashlib
import io
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Optional

from anomaly.run import leftovers
from anomaly.run.errors import DataError, first_line
from anomaly.run.leftovers import PENDING
from anomaly.run.lock import Busy, locked

SOURCE = Path(__file__).resolve().parents[2]
# Where output/ and pretrained/ are: in the project, or, of an installed package, in the working folder.
HOME = SOURCE if (SOURCE / "scripts" / "lib.sh").is_file() else Path.cwd()


def method_names(folder: Path = SOURCE) -> tuple:
    """Those whose folders are there; this order puts FastFlow, whose training takes the longest, last."""
    found = {path.parents[1].name for path in folder.glob("*/src/detector.py")}
    return tuple(sorted((name for name in found if (folder / name / "__init__.py").is_file()), reverse=True))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system refuses names `path`, and no temporary file beside it."""
    try:
        yield
    except (ConnectionError, TimeoutError):  # of a network or a pipe, not of the disk
        raise
    except OSError as error:
        reason = error.strerror or f"{first_line(error)}; the disk may be full"  # numpy gives no reason
        raise DataError(f"{path}: cannot be written: {reason}") from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`, with its suffix, and moves it there if the block succeeds."""
    path = Path(path)
    temporary = path.with_name(leftovers.name(path.stem, path.suffix))
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """The same for a whole folder: what was there before goes when the new one is complete.

    It is moved away first: of a folder that is removed in its place a kill would leave a part that nobody knows.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f"{leftovers.name(path.name)}_", dir=path.parent))
        former = temporary.with_name(f"{temporary.name}_former")
        try:
            yield temporary
            temporary.chmod(0o755)
            if os.path.lexists(path):
                os.replace(path, former)
            os.replace(temporary, path)
        finally:
            for left in (temporary, former):
                left.unlink() if left.is_symlink() else shutil.rmtree(left, ignore_errors=True)


PENDING_LOCK = f"{PENDING}.lock"
PATIENCE = 10.0  # seconds, for a process that is moving files
READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def _nothing(place: Path) -> None:
    pass


@contextmanager
def replacing_together(folder: Path, *, last: str, first: Callable[[Path], None] = _nothing) -> Iterator[Path]:
    """Yields a folder for new files, which then replace those of the same names in `folder` as if in one step.

    `last`: the file that says what the others are, without which nothing is replaced. A crash before it is written
    leaves what was there; one after it is mended by `finish`. `first`: is called with that folder before its files
    are moved, and after a crash once more.
    """
    folder = Path(folder)
    place = folder / PENDING
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, PENDING_LOCK):
            _move(place, last=last, first=first)
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            try:
                yield place
            except BaseException:
                shutil.rmtree(place, ignore_errors=True)
                raise
            _move(place, last=last, first=first)
            shutil.rmtree(place, ignore_errors=True)


def finish(folder: Path, *, last: str, first: Callable[[Path], None] = _nothing) -> Optional[Path]:
    """Does what a crash has kept `replacing_together` from; while a process is at that, it is waited for.

    Where nothing can be moved, as on a disk that is only read: the folder of what would go before that in `folder`.
    """
    start = time.monotonic()
    while (folder / PENDING / last).is_file():
        try:
            with locked(folder, PENDING_LOCK):
                _move(folder / PENDING, last=last, first=first)
        except Busy:
            if time.monotonic() - start > PATIENCE:
                raise
            time.sleep(0.02)
        except OSError as error:
            if error.errno in READ_ONLY:
                return folder / PENDING
            raise DataError(f"{folder}: cannot be written: {error.strerror}") from None
    return None


def _move(place: Path, *, last: str, first: Callable[[Path], None]) -> None:
    """Files to where they belong, once all of them are there."""
    folder = place.parent
    if (place / last).is_file():
        first(place)
        for path in sorted(path for path in place.rglob("*") if path.is_file() and path != place / last):
            final = folder / path.relative_to(place)
            final.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, final)
        os.replace(place / last, folder / last)
        shutil.rmtree(place, ignore_errors=True)


def is_name(text: str) -> bool:
    """Whether it can be the name of a file or folder: nothing that leads elsewhere, as what comes from a file may."""
    return text not in ("", ".", "..") and not any(sign in text for sign in "/\\\0")


def begins(path: Path, texts: tuple) -> bool:
    """Whether a file begins as those do that this program writes, as far as it goes: an empty one loses nothing."""
    try:
        with open(path, "rb") as file:
            start = file.read(200)
    except OSError:
        return False
    return any(start.startswith(text) or text.startswith(start) for text in map(str.encode, texts))


def require_own(path: Path, *, is_own: bool) -> None:
    """What lies at a path that is to be written must be of this program, or nothing."""
    if os.path.lexists(path) and not is_own:
        raise DataError(f"{path}: is there already and was not written by this program; choose another place")


MARKER = ".made_by_anomaly"  # tells a folder of files that may be replaced from one of the user's


def require_own_folder(folder: Path) -> None:
    """For a folder that is to be replaced as a whole; an empty one holds nothing to lose."""
    empty = folder.is_dir() and not any(folder.iterdir())
    require_own(folder, is_own=empty or (folder / MARKER).is_file())


def claim(folder: Path, names: Iterable[Path]) -> None:
    """For files that are to be written into a folder: what lies there under their names must be of this program."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        for name in names:
            require_own(folder / name, is_own=False)
        return  # it stays the user's
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARKER).touch()


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")  # as names of files may have it


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    try:
        text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON ({first_line(error)})") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def csv_text(columns: Sequence, rows: Iterable) -> str:
    """A table of dictionaries: a line for each, whatever their texts hold."""
    lines = []
    for row in (dict(zip(columns, columns)), *rows):
        text = io.StringIO()
        csv.writer(text).writerow([row.get(name, "") for name in columns])  # with other ends of lines \r stays bare
        lines.append(text.getvalue().removesuffix("\r\n"))
    return "\n".join(lines) + "\n"


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def require_writable(folder: Path) -> None:
    """Fails now, and not after an hour of training, where results could not be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(1 << 16))  # a disk may have room for a name only
    except OSError as error:
        raise DataError(f"{folder}: cannot be written to ({error.strerror}); choose another --output_dir") from None
