"""What the record of a trained state has to be, whoever has written it."""

import hashlib
import json
from pathlib import Path
from typing import Any

KEYS = ("method", "backbone", "random_backbone", "fingerprint", "good_scores", "good_peaks", "files", "details")


def checksum(record: dict) -> str:
    """Of everything in a record but the checksum itself."""
    kept = {key: value for key, value in record.items() if key != "checksum"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, ensure_ascii=True, allow_nan=False).encode()).hexdigest()


def is_whole(record: Any) -> bool:
    """Whether everything is there, and of its kind."""
    if not isinstance(record, dict) or any(key not in record for key in KEYS):
        return False
    texts = (record["method"], record["backbone"], record["fingerprint"], record.get("config", ""))
    files = record["files"]
    if not all(isinstance(text, str) for text in texts) or not isinstance(record["random_backbone"], bool):
        return False
    if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
        return False
    if any(Path(name).is_absolute() or ".." in Path(name).parts for name in files):
        return False
    scores = (record["good_scores"], record["good_peaks"])
    numbers = all(isinstance(each, list) and all(type(n) in (int, float) for n in each) for each in scores)
    names = record.get("good_names", [])
    named = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return numbers and named and isinstance(record["details"], dict) and ("options" in record) == ("config" in record)
