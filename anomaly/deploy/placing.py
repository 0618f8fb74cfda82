"""An exported model takes the place of nothing that this program did not make; one at a time goes into a folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anomaly.deploy import lite
from anomaly.deploy.description import FORMER, beside
from anomaly.run.errors import DataError
from anomaly.run.files import begins, read_json, require_own, sha256, writing
from anomaly.run.lock import locked

LOCK = ".export.lock"  # not that of a training, which may go on


@contextmanager
def held(model: Path) -> Iterator[None]:
    """The place of a model, and of what is written beside it."""
    require_place(model)
    with writing(model):
        model.parent.mkdir(parents=True, exist_ok=True)
    with locked(model.parent, LOCK):
        yield


def require_place(model: Path) -> None:
    """Neither another program's model nor another .json is replaced."""
    path = beside(model)
    if path.name in ("state.json", "results.json"):
        raise DataError(f"{model}: its description would replace {path.name}; choose another name")
    known = read_json(path) if path.is_file() else None
    ours = isinstance(known, dict) and {"format_version", "input", "sha256"} <= known.keys()
    require_own(path, is_own=ours)
    settings = lite.beside(model)
    if model.suffix == ".onnx":
        require_own(settings, is_own=begins(settings, (lite.HEAD,)))
    require_own(model, is_own=ours and model.is_file() and _is_of(known, model))


def _is_of(known: Any, model: Path) -> bool:
    """Whether a description knows this file: as it is, or as what was to be replaced when an export was cut off."""
    kind = model.suffix[1:]
    sums = [each.get(kind) for each in (known["sha256"], known.get(FORMER)) if isinstance(each, dict)]
    return sums[:1] == [None] or sha256(model) in sums
