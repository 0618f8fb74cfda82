"""Changed copies of the photographs of training: mirrored, turned a little, a little lighter or darker.

A copy is a Sample of the same file with a Change, which is applied to the photograph as soon as it is read; what comes
after, the region to look at and tiles among it, sees a photograph like any other, of the same size.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import cv2
import numpy as np

from anomaly.data.samples import Sample
from anomaly.run.errors import UsageError

HORIZONTAL, VERTICAL, ROTATION, LIGHT = KINDS = ("horizontal", "vertical", "rotation", "light")
FLIPS = "flips"  # stands for the first two
ANGLE = 5.0  # degrees to either side, at most
GAIN = 0.1  # lighter or darker, at most


@dataclass(frozen=True)
class Change:
    horizontal: bool = False  # left and right change places
    vertical: bool = False
    angle: float = 0.0  # degrees against the clock, around the middle; the picture is reflected at its border
    gain: float = 1.0

    def __call__(self, photograph: np.ndarray) -> np.ndarray:
        """H W 3 uint8 -> the same."""
        height, width = photograph.shape[:2]
        if self.horizontal:
            photograph = photograph[:, ::-1]
        if self.vertical:
            photograph = photograph[::-1]
        photograph = np.ascontiguousarray(photograph)
        if self.angle:
            turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), self.angle, 1.0)
            photograph = cv2.warpAffine(
                photograph, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
            )
        if self.gain != 1:
            levels = np.clip(np.rint(np.arange(256) * self.gain), 0, 255).astype(np.uint8)
            photograph = levels[photograph]
        return photograph

    def __str__(self) -> str:
        return ",".join(map(str, astuple(self)))


def parse(text: str) -> str:
    """'flips,light' -> 'horizontal,vertical,light', in one order; '' or 'none': ''."""
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    if words in ([], ["none"]):
        return ""
    unknown = [word for word in words if word not in (*KINDS, FLIPS)]
    if unknown:
        raise ValueError(f"{', '.join(KINDS)}, several with commas between; {FLIPS}: the first two")
    asked = {kind for word in words for kind in ((HORIZONTAL, VERTICAL) if word == FLIPS else (word,))}
    return ",".join(kind for kind in KINDS if kind in asked)


def flips(kinds: Sequence) -> list:
    """The ways to mirror a photograph that differ from it and from one another."""
    ways = [(h, v) for h in (False, True) for v in (False, True)][1:]
    return [(h, v) for h, v in ways if (HORIZONTAL in kinds or not h) and (VERTICAL in kinds or not v)]


def require(augment: str, copies: int, *, region: str, per_photograph: str) -> None:
    """`region`: where to look, as roi.py has it; `per_photograph`: how one begins that differs between photographs."""
    kinds = augment.split(",") if augment else []
    if not kinds:
        if copies != 1:
            raise UsageError("--augment_copies needs --augment")
        return
    if set(kinds) <= {HORIZONTAL, VERTICAL} and copies > len(flips(kinds)):
        most = len(flips(kinds))
        raise UsageError(f"--augment_copies {copies}: {augment} makes {most} that differ; add {ROTATION} or {LIGHT}")
    if region.startswith(per_photograph) and set(kinds) != {LIGHT}:
        raise UsageError(f"--augment {augment}: each photograph has its own --roi, which would not move with it")


def drawn(augment: str, copies: int, *, seed: int, number: int) -> list:
    """The changes of so many copies of a photograph, which follow from the seed and the photograph's number."""
    kinds, generator = augment.split(","), np.random.default_rng([seed, number])
    ways = flips(kinds)
    if not {ROTATION, LIGHT} & set(kinds):  # no two alike, and none like the photograph
        return [Change(*ways[way]) for way in generator.permutation(len(ways))[:copies]]
    found = []
    for _ in range(copies):
        mirrored, angle, gain = generator.random(2) < 0.5, *generator.uniform(-1, 1, 2)
        found.append(
            Change(
                bool(mirrored[0]) and HORIZONTAL in kinds,
                bool(mirrored[1]) and VERTICAL in kinds,
                float(ANGLE * angle) if ROTATION in kinds else 0.0,
                float(1 + GAIN * gain) if LIGHT in kinds else 1.0,
            )
        )
    return found


def expanded(samples: tuple, augment: str, *, copies: int, seed: int, first: int = 0) -> tuple:
    """Each sample, and directly after it its copies; samples that hold copies already stay as they are.

    `first`: the number of the first sample among all photographs.
    """
    if not augment or not all(unchanged(samples)):
        return samples
    found: list[Sample] = []
    for number, sample in enumerate(samples, first):
        found.append(sample)
        found += [replace(sample, change=each) for each in drawn(augment, copies, seed=seed, number=number)]
    return tuple(found)


def unchanged(samples: Sequence) -> np.ndarray:
    """For each whether it is a photograph itself and no changed copy; B."""
    return np.array([sample.change is None for sample in samples], bool)
