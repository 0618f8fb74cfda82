"""What was found in a photograph, in words below its picture."""

from collections.abc import Sequence

import numpy as np

from anomaly.measure.calibration import ANOMALOUS, NORMAL, UNKNOWN
from anomaly.measure.judgement import Judgement
from anomaly.show import lettering

SEEN = 0.0005  # part of a map, 33 pixels of 256 x 256
GREEN, GREY, RED = (20, 110, 40), (90, 90, 90), (220, 30, 30)
COLOURS = {ANOMALOUS: RED, NORMAL: GREEN, UNKNOWN: GREY}
NARROWEST = 240  # pixels, in which a verdict can be read
BETWEEN = "   "


def found(judged: Judgement, *, wrong: bool = False) -> list:
    """Phrases: the verdict, and what it comes from."""
    phrases = [judged.verdict]
    if wrong:
        phrases.append("MISSED" if judged.verdict == NORMAL else "FALSE ALARM")
    if judged.normalised is None:
        return [*phrases, f"score {judged.score:.4g}"]
    return [
        *phrases,
        f"score {judged.score:.4g}, threshold {judged.threshold:.4g}",
        f"normalised {judged.normalised:.3f}, threshold 0.5",
        outlined(judged),
    ]


def outlined(judged: Judgement) -> str:
    limit = judged.scales.pixel.threshold
    if not judged.map.max() > limit:
        return "ring: the warmest place, no finding"
    return f"outlined{' in the ring' if needs_ring(judged) else ''}: places above {limit:.4g}"


def needs_ring(judged: Judgement) -> bool:
    """Where too little is above the threshold for an outline to be seen."""
    return (judged.map > judged.scales.pixel.threshold).mean() < SEEN


def below(judged: Judgement, width: int, *, size: float, name: str, wrong: bool = False, mark: str = "") -> np.ndarray:
    """Lines as wide as a picture: which photograph, what was found in it, and what else there is to say."""
    phrases = found(judged, wrong=wrong)
    needed = max(lettering.width(text, size) for text in (*phrases, mark)) + round(8 * size)
    size *= min(1.0, width / needed)
    inside = width - round(8 * size)
    lines = wrapped(phrases, size, room=inside)
    line, colour = lettering.height(size), COLOURS[judged.verdict]
    strip = np.full((line * (1 + len(lines)) + round(8 * size), width, 3), 255, np.uint8)
    start = inside - lettering.width(mark, size)  # of what else there is to say, on the right
    lettering.write(strip, mark, place=(start, round(line * 0.75)), colour=RED, size=size)
    shown = lettering.fitting(name, size, room=start - round(16 * size) if mark else inside)
    lettering.write(strip, shown, place=(0, round(line * 0.75)), size=size)
    for number, text in enumerate(lines, start=1):
        lettering.write(strip, text, place=(0, round(line * (number + 0.75))), colour=colour, size=size)
    return strip


def wrapped(phrases: Sequence, size: float, *, room: int) -> list:
    """As many phrases in a line as there is room for."""
    lines: list[str] = []
    for phrase in phrases:
        longer = f"{lines[-1]}{BETWEEN}{phrase}" if lines else ""
        if longer and lettering.width(longer, size) <= room:
            lines[-1] = longer
        else:
            lines.append(phrase)
    return lines


def with_caption(picture: np.ndarray, judged: Judgement, *, name: str, mark: str = "") -> np.ndarray:
    """The picture with its lines below it."""
    height, width, _ = picture.shape
    wide = np.full((height, max(width, NARROWEST), 3), 255, np.uint8)
    wide[:, :width] = picture
    size = lettering.scale(picture.shape[:2])
    return np.vstack([wide, below(judged, wide.shape[1], size=size, name=name, mark=mark)])
