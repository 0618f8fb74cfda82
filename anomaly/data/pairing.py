"""Which mask belongs to which photograph, where both lie in folders of any kind.

000.png is the mask of 000.jpg, and so is 000_mask.png. Where several photographs or masks go by one name, the folders
below those that were given have to agree, and of these the nearest belong together.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Optional

from anomaly.run.errors import DataError

MARK = "_mask"


class Found(NamedTuple):
    path: Path
    root: Path  # the folder that was given, in or below which it lies

    @property
    def name(self) -> str:
        """Its path from the root on."""
        return self.path.relative_to(self.root).as_posix()

    @property
    def inner(self) -> str:
        """The folder in which it lies, from the root on."""
        return self.path.parent.relative_to(self.root).as_posix()

    @property
    def places(self) -> set:
        """The same, without and with the name of the root."""
        return {self.inner, Path(self.root.name, self.inner).as_posix()}


def stem_of(mask: Path, stems: set) -> str:
    """The stem of the photograph that a mask is named after."""
    if mask.stem in stems or not mask.stem.lower().endswith(MARK):
        return mask.stem
    return mask.stem[: -len(MARK)]


def paired(images: Sequence, masks: Sequence) -> tuple:
    """Photographs and masks, each Found -> {path of a photograph: its mask}, and the masks that belong to none."""
    named: dict[str, list] = {}
    for image in images:
        named.setdefault(image.path.stem, []).append(image)
    marks: dict[str, list] = {}
    for mask in masks:
        marks.setdefault(stem_of(mask.path, set(named)), []).append(mask)
    claims: dict[Found, list] = {}
    unused = []
    for stem, alike in marks.items():
        candidates = named.get(stem, [])
        clear = len(candidates) == 1 and len({mask.path.parent for mask in alike}) == 1
        for mask in alike:
            image = candidates[0] if clear else _owner(mask, candidates)
            if image is None:
                unused.append(mask.path)
            else:
                claims.setdefault(image, []).append(mask)
    return {image.path: _one(image, found) for image, found in claims.items()}, tuple(unused)


def _owner(mask: Found, images: list) -> Optional[Found]:
    """The one photograph, of those with its name, that a mask belongs to; None where there is none."""
    fitting = [image for image in images if image.places & mask.places] or (images if mask.inner == "." else [])
    near = [_shared(image, mask) for image in fitting]
    nearest = [image for image, number in zip(fitting, near) if number == max(near)]
    if len(nearest) > 1:
        one, other = (image.path for image in nearest[:2])
        raise DataError(
            f"{mask.path}: may be the mask of {one} and of {other}; put masks into folders named as those of the "
            "photographs"
        )
    return nearest[0] if nearest else None


def _one(image: Found, masks: list) -> Path:
    """The nearest, and of these NAME_mask before NAME."""
    ranks = [(_shared(image, mask), mask.path.stem != image.path.stem) for mask in masks]
    best = [mask.path for mask, rank in zip(masks, ranks) if rank == max(ranks)]
    if len(best) > 1:
        raise DataError(f"{image.path}: has two masks, {best[0]} and {best[1]}; leave one")
    return best[0]


def _shared(one: Found, other: Found) -> int:
    """How many folders two paths have in common, from the top."""
    pairs = list(zip(one.path.parts, other.path.parts))
    return next((number for number, (a, b) in enumerate(pairs) if a != b), len(pairs))
