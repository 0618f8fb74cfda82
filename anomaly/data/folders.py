"""A category made of folders of one's own, wherever they lie: good parts, defective ones, masks."""

import errno
import glob
import os
import re
from collections import Counter
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from anomaly.data.images import SUFFIXES, is_image
from anomaly.data.pairing import Found, paired
from anomaly.data.samples import GOOD, Category, Sample, distinct, images_below
from anomaly.data.split import Split
from anomaly.run.errors import DataError
from anomaly.run.files import SOURCE

GOOD_NAMES = ("good", "ok", "normal")  # of a folder, in either case of letters
MOST_NAMED = 5  # folders
# Names of folders that say nothing of the part.
GENERIC = (
    *GOOD_NAMES,
    *("train", "training", "test", "testing", "val", "validation", "images", "image", "imgs", "img", "data", "dataset"),
    *("photos", "photo", "photographs", "pictures", "samples"),
)


def is_good(name: str) -> bool:
    return name.lower() in GOOD_NAMES


def expanded(words: Iterable, option: str) -> list:
    """Files and folders; a pattern that is no path itself stands for what it matches."""
    found: list[Path] = []
    for word in words:
        try:
            os.stat(word)
        except OSError as error:
            found += _matches(word, option, error)
        else:
            found.append(Path(word))
    return found


def _matches(word: str, option: str, error: OSError) -> list:
    if error.errno not in (errno.ENOENT, errno.ENAMETOOLONG):
        raise DataError(f"--{option} {word}: cannot be read ({error.strerror})")
    if os.path.islink(word):
        raise DataError(f"--{option} {word}: is a link that leads nowhere")
    if not glob.has_magic(word):
        raise DataError(f"--{option} {word}: no such file or folder")
    matches = [Path(path) for path in sorted(glob.glob(word, recursive=True))]
    matches = [path for path in matches if path.is_dir() or is_image(path)]
    if not matches:
        raise DataError(f"--{option} {word}: matches no folder and no image")
    return matches


def gather(words: Iterable, option: str, *, leave: Iterable = ()) -> list:
    """Every image of what was given, each once, as Found; but those whose real paths are in `leave`."""
    seen, found = set(leave), []
    for root in expanded(words, option):
        if root.is_dir():
            images = [Found(path, root) for path in images_below(root)]
        elif is_image(root):
            images = [Found(root, root.parent)]
        else:
            raise DataError(f"--{option} {root}: is neither a folder nor an image")
        if not images:
            raise DataError(f"--{option} {root}: holds no image ({', '.join(SUFFIXES)})")
        for image in images:
            real = os.path.realpath(image.path)
            if real not in seen:
                seen.add(real)
                found.append(image)
    return found


def name_of(words: Iterable, option: str = GOOD) -> str:
    """What to call a category: the folder that all lie in, or the first above it whose name says something.

    Neither the project's own folder nor one above it says anything of the part.
    """
    roots = []
    for word in words:
        found = expanded([word], option)
        at = found[0] if os.path.lexists(word) else _fixed(Path(word))  # so a further match changes no name
        roots.append(at if at.is_dir() else at.parent)
    folder = Path(os.path.realpath(os.path.commonpath(roots)))
    parts = takewhile(lambda part: part != SOURCE, (folder, *folder.parents))
    names = [part.name for part in parts if part.name and part.name.lower() not in GENERIC]
    return _nameable(names[0] if names else "") or "part"


def _fixed(pattern: Path) -> Path:
    """The folders of a pattern before the first that is one."""
    return next(path for path in pattern.parents if not glob.has_magic(str(path)) or path.exists())


def _nameable(name: str) -> str:
    """As --category can be given it: without commas, line breaks and the like, and no dash at the start."""
    return re.sub(r"[^\w .()+-]", "_", name).strip(" -.")


def read(
    name: str, good: tuple, *, bad: tuple = (), masks: tuple = (), test_good: tuple = (), split: Split
) -> Category:
    """What the folders hold, as a category of this name."""
    given = {GOOD: good, "bad": bad, "test_good": test_good}
    _require_apart({option: [root for root in expanded(given[option], option) if root.is_dir()] for option in given})
    marks = gather(masks, "masks")
    leave = {os.path.realpath(mask.path) for mask in marks}  # a folder of masks may lie below that of photographs
    goods, bads, tests = (gather(words, option, leave=leave) for option, words in given.items())
    _require_apart({option: [each.path for each in found] for option, found in zip(given, (goods, bads, tests))})
    pairs, unused = paired(bads, marks)
    kept = set() if tests else split.kept_out({each.path: each.name for each in goods})
    held = [Sample(each.path) for each in goods if each.path in kept]
    held += [Sample(each.path) for each in tests]
    found = sorted((Sample(each.path, _defect(each), pairs.get(each.path)) for each in bads), key=lambda s: s.defect)
    train = tuple(Sample(each.path) for each in goods if each.path not in kept)
    notes = filter(None, (_spread(goods), split.note(len(kept), len(goods))))
    return Category(name, train, distinct([*held, *found]), "; ".join(notes), unused)


def _spread(goods: list) -> str:
    """Where good photographs lie in several folders below one that was given: some might be of defects."""
    places = Counter(each.inner.split("/")[0] for each in goods)
    if len(places) < 2 or len({each.root for each in goods}) > 1:
        return ""
    named = [f"{place} ({number})" for place, number in sorted(places.items())]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    return f"all are taken as good, in {len(named)} folders: {', '.join(named[:MOST_NAMED])}{more}"


def _defect(bad: Found) -> str:
    """The folder directly below the one that was given; of an image that lies in that one, its own."""
    inner = bad.path.relative_to(bad.root).parts
    name = inner[0] if len(inner) > 1 else Path(os.path.realpath(bad.root)).name or "bad"
    if is_good(name):
        raise DataError(
            f"{bad.path}: is below --bad, in a folder called {name}; give the folders of defects to --bad, and good "
            "photographs to --good or --test_good"
        )
    return name


def _require_apart(parts: dict) -> None:
    """No folder and no photograph is two things at once. `parts`: option -> paths."""
    whose: dict[str, tuple] = {}
    for option, paths in parts.items():
        for path in paths:
            other, first = whose.setdefault(os.path.realpath(path), (option, path))
            if other != option:
                also = f" (as {first})" if first != path else ""
                raise DataError(f"{path}: is in both --{other}{also} and --{option}")
