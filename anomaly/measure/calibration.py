"""Turns scores into verdicts, with good images alone: each was scored as if it had not been part of training.

The threshold follows from those scores and the false alarms that one accepts, so it can be chosen again at any time
after training. Normalised scores are 0.5 at the threshold and 0.25 at the middle of the good images.
"""

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Optional, Union

import numpy as np

from anomaly.measure import student
from anomaly.run.errors import DataError, UsageError

NORMAL, ANOMALOUS, UNKNOWN = "NORMAL", "ANOMALOUS", "UNKNOWN"


def threshold(good: np.ndarray, false_alarm_rate: float) -> float:
    """A score that one further good image exceeds with this probability; NaN where fewer than two are known.

    Where enough images are there the rate is a rank: of N + 1 exchangeable scores the new one is as likely as any to be
    among the largest, so no assumption is made. Rates below 1 / (N + 1) need one: the prediction bound of a normal
    distribution, but never less than the largest score seen.
    """
    good = np.sort(np.asarray(good, np.float64))
    n = good.size
    if n < 2:
        return float("nan")
    rank = int(np.ceil((1 - false_alarm_rate) * (n + 1) - 1e-9))
    if rank <= n:
        return float(good[max(rank, 1) - 1])
    bound = good.mean() + student.upper(false_alarm_rate, n - 1) * good.std(ddof=1) * np.sqrt(1 + 1 / n)
    return float(max(bound, good[-1]))


@dataclass(frozen=True)
class Scale:
    """A threshold with the distance from the middle of the good scores to it as the unit."""

    threshold: float
    unit: float

    def normalise(self, scores):
        """Monotone, between 0 and 1, 0.5 at the threshold; it never saturates, so no order is lost."""
        above = np.asarray(scores, np.float64) - self.threshold
        return 0.5 + 0.5 * above / (self.unit + np.abs(above))

    def verdict(self, score: float) -> str:
        if np.isnan(self.threshold):
            return UNKNOWN
        return ANOMALOUS if score > self.threshold else NORMAL


TEST_LABELS = "test labels"
RAREST, MOST = 1e-30, 1e30  # rates and scores beyond these have no meaning, and no digits left to compute with


@dataclass(frozen=True)
class Choice:
    """How a threshold is chosen: as a value, or by the part of good photographs that may be called anomalous."""

    false_alarm_rate: float = 0.01
    value: Optional[float] = None  # goes before the rate
    robust: bool = False  # without the photographs that dominate it
    source: str = ""  # of the value, where it is not simply what somebody wanted

    def __post_init__(self) -> None:
        rate = self.false_alarm_rate
        if not isinstance(rate, Real) or not RAREST <= rate < 1:
            raise UsageError(
                f"false_alarm_rate: {rate!r} is not allowed (a number between 0 and 1, from {RAREST:g} on)"
            )
        if self.value is not None and not (isinstance(self.value, Real) and abs(self.value) <= MOST):
            raise UsageError(f"threshold: {self.value!r} is not allowed (a number, up to {MOST:g})")

    @property
    def options(self) -> dict:
        """As the options of a method have it."""
        return {
            "false_alarm_rate": self.false_alarm_rate,
            "threshold": self.value,
            "robust_threshold": self.robust,
            "threshold_source": self.source,
        }

    def __str__(self) -> str:
        if self.value is not None:
            return f"chosen by {self.source}" if self.source else "chosen as a value"
        return f"false alarm rate {self.false_alarm_rate:g}" + (", robust" if self.robust else "")


def changed(choice: Choice, chosen: dict) -> Optional[Choice]:
    """A choice with what options ask for; None where they ask for nothing. A rate, or robust, ends a kept value."""
    value, rate, robust = (chosen.get(name) for name in ("threshold", "false_alarm_rate", "robust_threshold"))
    if value is None and rate is None and robust is None:
        return None
    known = choice.value if rate is None and not robust else None
    return Choice(
        choice.false_alarm_rate if rate is None else rate,
        known if value is None else value,
        choice.robust if robust is None else robust,
        choice.source if value is None and known is not None else "",
    )


@dataclass(frozen=True)
class Scales:
    """What scores of images and values of maps are held against."""

    image: Scale
    pixel: Scale  # for pictures: a place is marked where its value exceeds what a good image reaches anywhere
    choice: Choice

    @property
    def false_alarm_rate(self) -> float:
        return self.choice.false_alarm_rate

    @property
    def known(self) -> bool:
        """Whether there is a threshold."""
        return not np.isnan(self.image.threshold)


UNSCALED = Scale(float("nan"), 1.0)


def scale(good: np.ndarray, false_alarm_rate: float) -> Scale:
    limit = threshold(good, false_alarm_rate)
    return UNSCALED if np.isnan(limit) else _above(limit, float(np.median(good)))


def _above(limit: float, middle: float) -> Scale:
    return Scale(limit, max(limit - middle, 1e-6 * abs(limit), 1e-12))


def _moved(scales: Scales, value: float) -> Scales:
    """With this threshold of images, and that of places as many units away from where it was."""
    image, pixel = scales.image, scales.pixel
    if not scales.known:
        return replace(scales, image=_above(value, value), pixel=_above(value, value))
    steps = (value - image.threshold) / image.unit
    shift = max(1 + steps, 1e-6)  # of the unit, which starts at the middle of the good ones
    return replace(
        scales,
        image=Scale(value, image.unit * shift),
        pixel=Scale(pixel.threshold + steps * pixel.unit, pixel.unit * shift),
    )


DOMINATES = 0.5  # without it the threshold is less than so far from the middle of the good ones, as a part
FEWEST = 8  # scores, of which one may be said to dominate
LARGEST = 0.05  # part of them, at most


def dominating(good: np.ndarray, false_alarm_rate: float) -> list:
    """Which of them decide the threshold alone: without it, it would be less than half as far from the middle."""
    order, found = np.argsort(-np.asarray(good), kind="stable"), 0
    while found < max(1, int(LARGEST * len(good))) and len(good) - found >= FEWEST:
        with_it, without = (good[order[start:]] for start in (found, found + 1))
        distances = [threshold(some, false_alarm_rate) - np.median(some) for some in (with_it, without)]
        if not distances[1] < DOMINATES * distances[0]:
            break
        found += 1
    return order[:found].tolist()


@dataclass(frozen=True)
class Calibration:
    """What each good image got when it was left out: its score, and the largest value of its map."""

    scores: np.ndarray
    peaks: np.ndarray
    names: tuple = ()  # of the photographs, where they are known

    def __post_init__(self) -> None:
        for name in ("scores", "peaks"):  # in double precision, as they are read back from a state
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
            if not (np.abs(getattr(self, name)) <= MOST).all():
                raise DataError("the scores of good photographs are no numbers; the network's weights may be damaged")
        if self.names and len(self.names) != len(self.scores):
            object.__setattr__(self, "names", ())

    def at(self, choice: Union[Choice, float]) -> Scales:
        """The thresholds for a choice, or for a rate of false alarms."""
        choice = choice if isinstance(choice, Choice) else Choice(choice)
        rate = choice.false_alarm_rate
        kept = self.without_dominating(rate) if choice.robust else self
        scales = Scales(scale(kept.scores, rate), scale(kept.peaks, rate), choice)
        return scales if choice.value is None else _moved(scales, choice.value)

    def without_dominating(self, false_alarm_rate: float) -> "Calibration":
        kept = np.ones(len(self.scores), bool)
        kept[dominating(self.scores, false_alarm_rate)] = False
        names = tuple(name for name, stays in zip(self.names, kept) if stays)
        return Calibration(self.scores[kept], self.peaks[kept], names)

    def above(self, value: float) -> int:
        """How many of the good ones a threshold of this value would call anomalous."""
        return int((self.scores > value).sum())

    def name(self, number: int) -> str:
        return self.names[number] if self.names else f"photograph {number + 1}"


def calibration_of(scores: Any, peaks: Any, *, names: Any) -> Calibration:
    """From lists that stood in a file; ValueError where they do not belong together."""
    found = Calibration(scores, peaks, tuple(str(name) for name in names))
    if found.scores.ndim != 1 or found.scores.shape != found.peaks.shape or len(names) not in (0, len(scores)):
        raise ValueError("no scores of photographs")
    return found


def of_photographs(scores: np.ndarray, peaks: np.ndarray, *, photographs: np.ndarray, called: tuple) -> Calibration:
    """From scores of photographs, or of pieces, of which the worst counts. `photographs`: the number of each one's."""
    numbers, place = np.unique(photographs.astype(np.int64), return_inverse=True)
    worst, highest = (np.full(len(numbers), -np.inf) for _ in range(2))
    np.maximum.at(worst, place, scores)
    np.maximum.at(highest, place, peaks)
    return Calibration(worst, highest, tuple(called[number] for number in numbers))


NONE = Calibration(np.zeros(0), np.zeros(0))  # before there is one
