"""The photographs that a user asks about, and where what is made of each goes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from anomaly.data.samples import Sample, samples
from anomaly.run.errors import DataError, UsageError
from anomaly.run.files import MARKER, begins, require_own
from anomaly.show import pictures


@dataclass(frozen=True)
class Asked:
    samples: tuple
    places: dict  # path of a photograph -> the name of its picture, with the folders that it lies in

    def place(self, sample: Sample) -> Path:
        return self.places[sample.path]


def find(paths: Sequence[Path]) -> Asked:
    """Photographs, and all below folders, but for pictures of earlier results among them.

    Of several folders each keeps its name, so that theirs stay apart.
    """
    found: dict = {}  # path -> place
    for path in paths:
        root = path if path.is_dir() else path.parent
        for sample in samples(path):
            place = sample.path.relative_to(root)
            if any((root / each / MARKER).is_file() for each in list(place.parents)[:-1]):
                continue  # what this program has drawn
            if len(paths) > 1 and path.is_dir():
                place = Path(path.resolve().name) / place
            found.setdefault(sample.path, place.parent / pictures.file_name(place))
    if not found:
        raise DataError(f"{paths[0]}: holds nothing but pictures of this program; ask for one of them by its folder")
    taken: dict = {}
    for path, place in found.items():
        if place in taken:
            raise DataError(f"{path}: its picture would have the name of that of {taken[place]}; ask for one at a time")
        taken[place] = path
    return Asked(tuple(Sample(path) for path in found), found)


def require_places(asked: Asked, *, files: Iterable, folders: Iterable[Path]) -> None:
    """Nothing of the user's is written over: no photograph by its picture, no other file by the verdicts.

    `files`: (path or None, how files of this program begin) of each that is to be written.
    """
    wanted = [(path, ours) for path, ours in files if path]
    if len({path.resolve() for path, _ in wanted}) < len(wanted):
        raise UsageError(f"--save_csv and --save_json are one file, {wanted[0][0]}; choose two")
    for path, ours in wanted:
        require_own(path, is_own=begins(path, ours))
    originals = {sample.path.resolve() for sample in asked.samples}
    for folder in folders:
        for sample in asked.samples:
            if (folder / asked.place(sample)).resolve() in originals:
                raise DataError(f"{sample.path}: its picture would take its place; move it out of {folder}")
