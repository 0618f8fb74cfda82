"""JSON files with a checksum of their own inside.

It is the SHA-256 of the file with zeros in the place of the checksum, so that any language can compare it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from anomaly.run.errors import DataError
from anomaly.run.files import read_json, write_text

KEY = "checksum"
BLANK = "0" * 64


def write(path: Path, value: dict) -> None:
    kept = {key: each for key, each in value.items() if key != KEY}
    text = json.dumps({KEY: BLANK, **kept}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text.replace(BLANK, _sum(text.encode(errors="surrogateescape")), 1))


def read(path: Path) -> Any:
    """What an earlier version wrote has no checksum, and is read as it is."""
    value = read_json(path)
    if isinstance(value, dict) and KEY in value:
        found = str(value[KEY]).encode(errors="surrogateescape")
        if _sum(path.read_bytes().replace(found, BLANK.encode(), 1)) != value[KEY]:
            raise DataError(f"{path}: changed since it was written (checksum differs); export the model again")
    return value


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
