"""Turns scores into verdicts, with good images alone: each was scored as if it had not been part of training.

The threshold follows from those scores and the false alarms that one accepts, so it can be chosen again at any time
after training. Normalised scores are 0.5 at the threshold and 0.25 at the middle of the good images.
"""

from dataclasses import dataclass
from numbers import Real

import numpy as np

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
    from scipy.special import stdtrit  # here, since what has enough scores need not wait for it

    quantile = -stdtrit(n - 1, false_alarm_rate)  # Student's t, from the side on which small rates keep their digits
    bound = good.mean() + quantile * good.std(ddof=1) * np.sqrt(1 + 1 / n)
    return float(max(bound, good[-1]))


@dataclass(frozen=True)
class Scale:
    """A threshold with the distance from the middle of the good scores to it as the unit."""

    threshold: float
    unit: float

    def normalise(self, scores):
        """Monotone, between 0 and 1, 0.5 at the threshold; it never saturates, so no order is lost."""
        u = (np.asarray(scores, np.float64) - self.threshold) / self.unit
        return 0.5 + 0.5 * u / (1 + np.abs(u))

    def verdict(self, score: float) -> str:
        if np.isnan(self.threshold):
            return UNKNOWN
        return ANOMALOUS if score > self.threshold else NORMAL


@dataclass(frozen=True)
class Scales:
    """What scores of images and values of maps are held against, for one rate of false alarms."""

    image: Scale
    pixel: Scale  # for pictures: a place is marked where its value exceeds what a good image reaches anywhere
    false_alarm_rate: float

    @property
    def known(self) -> bool:
        """Whether there is a threshold."""
        return not np.isnan(self.image.threshold)


UNSCALED = Scale(float("nan"), 1.0)


def scale(good: np.ndarray, false_alarm_rate: float) -> Scale:
    limit = threshold(good, false_alarm_rate)
    if np.isnan(limit):
        return UNSCALED
    return Scale(limit, max(limit - float(np.median(good)), 1e-6 * abs(limit), 1e-12))


@dataclass(frozen=True)
class Calibration:
    """What each good image got when it was left out: its score, and the largest value of its map."""

    scores: np.ndarray
    peaks: np.ndarray

    def __post_init__(self) -> None:
        for name in ("scores", "peaks"):  # in double precision, as they are read back from a state
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.float64))
            if not np.isfinite(getattr(self, name)).all():
                raise DataError("the scores of good photographs are no numbers; the network's weights may be damaged")

    def at(self, false_alarm_rate: float) -> Scales:
        if not isinstance(false_alarm_rate, Real) or not 0 < false_alarm_rate < 1:
            raise UsageError(f"false_alarm_rate: {false_alarm_rate!r} is not allowed (a number between 0 and 1)")
        return Scales(scale(self.scores, false_alarm_rate), scale(self.peaks, false_alarm_rate), false_alarm_rate)


NONE = Calibration(np.zeros(0), np.zeros(0))  # before there is one
