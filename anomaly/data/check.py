"""What a training and an evaluation would use of a category, and what is wrong with it, before hours are spent.

A finding is an error, where a training or the evaluation after it would stop; a warning, where figures or verdicts may
mislead; or a note.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import PurePath
from statistics import median
from typing import NamedTuple, Optional

from anomaly.data import alike
from anomaly.data.samples import Category, Sample
from anomaly.data.seen import Seen, look_at_all

ERROR, WARNING, NOTE = LEVELS = ("error", "warning", "note")
SHORT_SIDE, STEP = 256, 32  # of a picture that --resize makes, unless it is told otherwise
RATE = 0.01  # of false alarms, likewise
SHAPES = 1.02  # beyond which two photographs are not of one shape
# Photographs too, which are not read.
UNREAD = (".heic", ".heif", ".avif", ".jxl", ".jp2", ".jfif", ".gif", ".pgm", ".ppm", ".dng", ".cr2", ".nef", ".arw")


class Finding(NamedTuple):
    level: str
    kind: str
    text: str
    files: tuple = ()  # a line each


@dataclass(frozen=True)
class Report:
    """What is there, and what is wrong with it, errors first."""

    category: str
    train: int = 0
    test: dict = field(default_factory=dict)  # good, or the name of a defect -> photographs
    masks: int = 0  # photographs that have one
    sizes: tuple = ()  # ((width, height), photographs) of each size, the most frequent first
    grey: int = 0
    colour: int = 0
    note: str = ""  # which of the good photographs are kept out of training
    findings: tuple = ()

    @property
    def stops(self) -> bool:
        """Whether something would stop a training or the evaluation after it."""
        return any(finding.level == ERROR for finding in self.findings)


def check(category: Category, *, folders: Iterable = (), workers: int = 4, count: Callable = lambda: None) -> Report:
    """Looks at every photograph and mask once; `count` is told of each photograph. `folders`: where they come from."""
    unreadable: list[str] = []

    def on_error(error: Exception) -> None:
        unreadable.append(str(error))

    seen = list(look_at_all(category.train, category.test, workers=workers, on_error=on_error, count=count))
    sizes = Counter(each.size for each in seen)
    grey = sum(each.grey for each in seen)
    test = Counter(sample.defect for sample in category.test)
    found = [*_unreadable(unreadable), *_passed_over(folders), *_masks(category, seen)]
    found += [*_numbers(category), *_pictures(seen), *_alike(seen)]
    return Report(
        category.name,
        len(category.train),
        dict(sorted(test.items(), key=lambda item: (item[0] != "good", item[0]))),
        sum(bool(sample.mask) for sample in category.test),
        tuple(sizes.most_common()),
        grey,
        len(seen) - grey,
        category.note,
        tuple(sorted(found, key=lambda finding: LEVELS.index(finding.level))),
    )


def of_error(name: str, text: str) -> Report:
    """Of a category that cannot even be listed."""
    return Report(name, findings=(Finding(ERROR, "data", text),))


def things(number: int, one: str, *, many: str = "") -> str:
    """1 photograph, 2 photographs."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def _unreadable(files: list) -> Iterable[Finding]:
    if files:
        yield Finding(ERROR, "unreadable", f"{things(len(files), 'photograph')} cannot be read", tuple(files))


def _passed_over(folders: Iterable) -> Iterable[Finding]:
    below = {path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in UNREAD}
    files = tuple(str(path) for path in sorted(below) if path.is_file() and not path.name.startswith("."))
    if files:
        kinds = ", ".join(sorted({PurePath(file).suffix.lower() for file in files}))
        text = f"{things(len(files), 'file')} passed over, of a format that is not read ({kinds}); save as PNG"
        yield Finding(WARNING, "passed_over", text, files)


def _masks(category: Category, seen: list) -> Iterable[Finding]:
    for level, kind, one, many in (
        (ERROR, "mask_unreadable", "mask cannot be read", "masks cannot be read"),
        (ERROR, "mask_size", "mask is not of the size of its photograph", "masks are not of the size of theirs"),
        (WARNING, "mask_black", "mask is all black: it marks nothing", "masks are all black: they mark nothing"),
    ):
        files = tuple(line for each in seen for what, line in each.wrong if what == kind)
        if files:
            yield Finding(level, kind, things(len(files), one, many=many), files)
    bad = [sample for sample in category.test if sample.anomalous]
    bare = [str(sample.path) for sample in bad if not sample.mask]
    if bare and len(bare) < len(bad):
        text = f"{things(len(bare), 'photograph')} of defects without a mask, while others have one"
        yield Finding(WARNING, "mask_missing", f"{text}: pixel figures leave them out", tuple(bare))
    elif bare:
        yield Finding(NOTE, "no_masks", "no photograph of a defect has a mask: pixel figures will show -")
    if category.unused:
        text = f"{things(len(category.unused), 'mask')} without a photograph of a defect"
        yield Finding(WARNING, "mask_unused", text, tuple(map(str, category.unused)))


def _numbers(category: Category) -> Iterable[Finding]:
    number, needed = len(category.train), round(1 / RATE) - 1
    if number < 2:
        yield Finding(WARNING, "few", "1 photograph to train on: there will be scores, but no threshold")
    elif number < needed:
        text = (
            f"{number} photographs to train on are few: below {needed} the threshold for the default false alarm rate, "
            f"{RATE}, rests on the assumption that scores are normally distributed; take more to be surer"
        )
        yield Finding(NOTE, "few", text)
    if not any(sample.anomalous for sample in category.test):
        yield Finding(NOTE, "no_defects", "no photograph of a defect: figures that need one will show -")
    elif all(sample.anomalous for sample in category.test):
        yield Finding(NOTE, "no_good", "no good photograph to test on: figures that need one will show -")


def _pictures(seen: list) -> Iterable[Finding]:
    if not seen:
        return
    ratios = [width / height for width, height in (each.size for each in seen)]
    middle = median(ratios)
    odd = [each for each, ratio in zip(seen, ratios) if max(ratio / middle, middle / ratio) > SHAPES]
    if odd:
        files = tuple(f"{each.sample.path}: {each.size[0]} x {each.size[1]}" for each in odd)
        yield Finding(
            WARNING,
            "shapes",
            f"{things(len(odd), 'photograph')} of another shape than most",
            files,
        )
    advice = resize_for(middle)
    if advice:
        yield Finding(NOTE, "not_square", advice)
    grey = [each for each in seen if each.grey]
    few = grey if 2 * len(grey) <= len(seen) else [each for each in seen if not each.grey]
    if grey and len(grey) < len(seen):
        text = f"{things(len(few), 'photograph')} {'in grey' if few is grey else 'in colour'}, unlike the others"
        yield Finding(WARNING, "colours", text, tuple(str(each.sample.path) for each in few))


def resize_for(ratio: float) -> Optional[str]:
    """What to do about photographs whose width is that many times their height; None where they are nearly square."""
    longer = max(ratio, 1 / ratio)
    side = round(SHORT_SIDE * longer / STEP) * STEP
    if side == SHORT_SIDE:
        return None
    height, width = (SHORT_SIDE, side) if ratio > 1 else (side, SHORT_SIDE)
    return f"photographs are {shape(ratio)} (width : height); try --resize {height} {width} --crop none"


def shape(ratio: float) -> str:
    """A ratio in small whole numbers, if that comes near enough."""
    pairs = ((width, height) for height in range(1, 17) for width in range(1, 17))
    near = [pair for pair in pairs if abs(pair[0] / pair[1] / ratio - 1) < 0.005]
    return "{}:{}".format(*min(near, key=sum)) if near else f"{ratio:.2f}:1"


def _alike(seen: list) -> Iterable[Finding]:
    same = alike.same_files(seen)
    if same:
        lines = tuple(" = ".join(_called(each) for each in group) for group in same)
        yield Finding(WARNING, "same_file", f"{things(len(same), 'photograph')} there more than once", lines)
    listed = {id(each): number for number, group in enumerate(same) for each in group}
    train, test = ([each for each in seen if each.training is part] for part in (True, False))
    pairs = [
        (one, other)
        for one, other in alike.near_duplicates(train, test)
        if listed.get(id(one), -1) != listed.get(id(other), -2)
    ]
    if pairs:
        lines = tuple(f"{_called(one)} ~ {_called(other)}" for one, other in pairs)
        text = f"{things(len(pairs), 'pair')} of a photograph to train on and one to test on that are nearly the same"
        yield Finding(WARNING, "near_duplicate", text, lines)
    odd = alike.unlike_the_others(train)
    if odd:
        text = f"{things(len(odd), 'photograph')} to train on unlike the others; look whether they are good parts"
        yield Finding(WARNING, "unlike", text, tuple(str(each.sample.path) for each in odd))


def _called(seen: Seen) -> str:
    return f"{seen.sample.path} ({_part(seen.sample, seen.training)})"


def _part(sample: Sample, training: bool) -> str:
    return "train" if training else f"test, {sample.defect}"
