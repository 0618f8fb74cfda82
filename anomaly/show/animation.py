"""An animation of a category: photograph, map over it, and what is true, one photograph after the other."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.measure.judgement import Judgement
from anomaly.run.files import replacing
from anomaly.show import lettering, panels
from anomaly.show.pictures import overlay

SIDE = 256  # of a frame, at most
EACH = 4  # photographs of each kind of defect, and of good ones
MILLISECONDS = 900  # a frame
COMMENT = b"made by anomaly"  # in the file, to tell it from the user's


class Animation:
    """Gathers frames from a stream of judgements."""

    def __init__(self) -> None:
        self.frames: list[Any] = []  # images of Pillow
        self.seen: Counter = Counter()

    def gathered(self, judgements: Iterable[Judgement]) -> Iterator[Judgement]:
        for each in judgements:
            self.seen[each.sample.defect] += 1
            if self.seen[each.sample.defect] <= EACH:
                self.frames += [framed(picture, title) for title, picture in scenes(each)]
            yield each

    def write(self, path: Path) -> None:
        """As a GIF that goes on for ever; of no photographs there is none."""
        if not self.frames:
            return
        with replacing(path) as temporary:
            first, *others = self.frames
            more: dict = {"save_all": True, "append_images": others, "duration": MILLISECONDS, "loop": 0}
            first.save(temporary, "GIF", comment=COMMENT, **more)


def is_ours(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path) as found:
            return found.info.get("comment") == COMMENT
    except (OSError, ValueError):
        return False


def scenes(judged: Judgement) -> Iterator[tuple]:
    """Titles and pictures, H W 3."""
    found = panels.shown(judged, SIDE)
    yield f"{judged.sample.defect}", found.image
    yield f"{judged.verdict} {judged.score:.4g}", overlay(found.image, found.values, scale=judged.scales.pixel)
    if found.mask is not None and found.mask.any():
        yield "truth", np.repeat(found.mask[..., None] * np.uint8(255), 3, axis=2)


def framed(picture: np.ndarray, title: str) -> Any:
    """An image of Pillow. All frames are of one size, whatever the photographs are."""
    from PIL import Image  # here, since few need it

    head = lettering.height(lettering.SMALLEST)
    frame = np.full((SIDE + head, SIDE, 3), 255, np.uint8)
    lettering.write(frame, lettering.fitting(title, lettering.SMALLEST, room=SIDE), place=(2, round(head * 0.7)))
    height, width = picture.shape[:2]
    top, left = head + (SIDE - height) // 2, (SIDE - width) // 2
    frame[top : top + height, left : left + width] = picture
    return Image.fromarray(frame).quantize(128, dither=Image.Dither.NONE)
