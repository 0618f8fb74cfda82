"""What a process that was killed had begun to write. Its names hold the number of the process, so others stay."""

import hashlib
import os
import re
import shutil
import socket
from collections.abc import Iterable
from pathlib import Path

PENDING = ".saving"  # in a folder whose files are being replaced together
SAID = re.compile(r"\.([^/]+)\.\d+-[\w-]+\.tmp(?:_\w+)?(\.\w+)?")
LONGEST = 150  # bytes of a name, beside which there is room for the rest
# As `name` makes them; behind it stands what makes the name of a folder that of no other.
PATTERN = re.compile(r"\..*\.(\d+)-([\w-]+)\.tmp(\.\w+)?(_\w+)?$", re.DOTALL)


def machine() -> str:
    """Folders may be shared, and numbers of processes are not."""
    return re.sub(r"\W", "_", socket.gethostname())[:32]


def name(stem: str, suffix: str = "") -> str:
    """Of a temporary file or folder of this process; more may follow behind a _."""
    if len(os.fsencode(stem)) > LONGEST:
        stem = hashlib.sha256(os.fsencode(stem)).hexdigest()[:16]
    return f".{stem}.{os.getpid()}-{machine()}.tmp{suffix}"


def settled(text: str) -> str:
    """What is said of temporary files is said of those that they were to become."""
    return SAID.sub(r"\1\2", text).replace(f"{PENDING}/", "")


def clear(folders: Iterable[Path]) -> None:
    """Removes what dead processes of this machine have left directly in folders."""
    for folder in folders:
        if not folder.is_dir():
            continue
        for path in list(folder.iterdir()):
            found = PATTERN.match(path.name)
            if found and found[2] == machine() and not _alive(int(found[1])):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


def _alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        pass
    return True
