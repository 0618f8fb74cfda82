"""What a threshold costs: a table over rates of false alarms, and the photographs that decide it."""

import math
from collections.abc import Sequence
from typing import NamedTuple, Optional

from anomaly.measure.calibration import Calibration, Choice, Scales, dominating

RATES = (0.001, 0.01, 0.05, 0.1, 0.2)
MOST = 3  # photographs that are named


class Rate(NamedTuple):
    """What one threshold does."""

    false_alarm_rate: Optional[float]  # None: the threshold was chosen as a value
    threshold: float
    good_above: int  # of the good photographs that were left out one by one in training
    false_alarms: int  # of the good test images
    missed: int  # of the anomalous ones
    chosen: bool  # whether it is the one in force


class Deciding(NamedTuple):
    """A good photograph with one of the largest scores."""

    name: str
    score: float
    dominates: bool  # whether the threshold is far lower without it


def rates(calibration: Calibration, images: Sequence, *, scales: Scales) -> list:
    """`images`: evaluation.Judged. The threshold in force stands among the others, in order."""
    if not scales.known:
        return []
    chosen = scales.choice
    by_rate = {rate: calibration.at(Choice(rate, robust=chosen.robust)).image for rate in RATES}
    rows: list[tuple] = [(rate, scale.threshold) for rate, scale in by_rate.items()]
    own = (None if chosen.value is not None else chosen.false_alarm_rate, scales.image.threshold)
    rows = [row for row in rows if row[0] != own[0] and not math.isnan(row[1])] + [own]
    return [
        Rate(
            rate,
            limit,
            calibration.above(limit),
            sum(image.score > limit for image in images if not image.anomalous),
            sum(not image.score > limit for image in images if image.anomalous),
            (rate, limit) == own,
        )
        for rate, limit in sorted(rows, key=lambda row: (-row[1], row[0] or 0.0))
    ]


def deciding(calibration: Calibration, choice: Choice) -> list:
    """The good photographs with the largest scores, the largest first; those that dominate are all among them."""
    found = dominating(calibration.scores, choice.false_alarm_rate)
    order = (-calibration.scores).argsort(kind="stable")[: max(MOST, len(found))]
    return [Deciding(calibration.name(i), float(calibration.scores[i]), i in found) for i in order.tolist()]


def advice(calibration: Calibration, choice: Choice) -> str:
    """One sentence where a photograph decides the threshold alone; else nothing."""
    found = [each.name for each in deciding(calibration, choice) if each.dominates]
    if not found or choice.value is not None or choice.robust:
        return ""
    with_them, without = (calibration.at(Choice(choice.false_alarm_rate, robust=r)).image for r in (False, True))
    are, them = ("is", "it") if len(found) == 1 else ("are", "them")
    return (
        f"{', '.join(found)} {are} unlike the other good photographs: without {them} the threshold would be "
        f"{without.threshold:.4f} instead of {with_them.threshold:.4f}; add more photographs like {them}, or remove "
        f"{them}, or choose --robust_threshold true"
    )
