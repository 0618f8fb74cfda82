"""Whether the last photographs still score like the good ones of training, and like the first ones at this line.

What is compared are the scores that are not above the threshold. Defects lie above it, so a line with many of them has
the same scores below it as ever; where light, focus or the parts themselves change, all scores move.

The statistic is that of Mann and Whitney: the probability that a score of now is larger than one of the reference, 0.5
where both are alike. It counts as moved where it is farther from 0.5 than TOLERANCE, by more than chance explains
(CHANCE, two-sided). A small reference is part of the chance, so it makes the answer slower, and not louder.

There are two references. Good photographs of training, each scored as if it had not been trained on: scores above
theirs are a change, lower ones are none, because a photograph that was left out misses what it alone would have taught
(with PatchCore's coreset that is worth two standard deviations). And the first photographs that were seen here, which
were judged as the last ones are: moves to either side are a change.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Optional

import numpy as np

from anomaly.measure.calibration import Calibration, Scales

WINDOW = 100  # photographs
FEWEST = 8  # scores of a reference
ENOUGH = 20  # scores of now that are not above the threshold
CHANCE = 0.001  # at which something is said, and at which it is taken back
OVER = 0.05
TOLERANCE = 0.05  # a fifth of a standard deviation: defects that are missed, what is not worth a word
MOSTLY = 0.5  # part of the photographs above the threshold, from which on that is said
TRAINING, START = "the good ones of training", "the first ones here"

UNKNOWN, USUAL, HIGHER, LOWER, MANY = "unknown", "usual", "higher", "lower", "mostly anomalous"
WORDS = {
    USUAL: " score as they should",
    HIGHER: " score higher than {}: light, focus, position or the parts have changed",
    LOWER: " score lower than {}: the camera may be out of focus, or see something else",
    MANY: " are mostly anomalous: either there are many defects, or light, focus or the parts have changed",
}


class Reference:
    """Scores that those of now are held against."""

    def __init__(self, name: str, scores: Iterable[float]) -> None:
        self.name, self.scores = name, np.sort(np.fromiter(scores, np.float64))

    def larger(self, scores: np.ndarray) -> float:
        """The probability that one of the scores is larger than one of these; equal ones count half."""
        left, right = (np.searchsorted(self.scores, scores, side=side) for side in ("left", "right"))
        return float((left + right).mean() / (2 * len(self.scores)))

    def chance(self, larger: float, number: int) -> float:
        """Of a probability so much farther than TOLERANCE from 0.5, with so many scores of now; two-sided."""
        known = len(self.scores)
        error = math.sqrt((known + number + 1) / (12 * known * number))
        return min(1.0, math.erfc(max(0.0, abs(larger - 0.5) - TOLERANCE) / error / math.sqrt(2)))


class Finding(NamedTuple):
    """What a comparison says."""

    against: str
    larger: float  # the probability that a score of now is the larger one
    chance: float  # of such a difference where nothing has changed


class Picture(NamedTuple):
    """Of the last photographs."""

    state: str = UNKNOWN
    number: int = 0  # of photographs
    median: Optional[float] = None  # of their scores, on the scale on which the threshold is 0.5, good ones 0.25
    above: Optional[float] = None  # part of them that is above the threshold
    finding: Optional[Finding] = None  # the comparison that says most

    @property
    def drifted(self) -> bool:
        return self.state in (HIGHER, LOWER)

    def __str__(self) -> str:
        figures = "" if self.median is None else f" (median {self.median:.2f}, {self.above:.0%} above the threshold)"
        if self.state == UNKNOWN:
            return f"too few photographs, {self.number}, to tell whether they look like those of training{figures}"
        words = WORDS[self.state].format(self.finding.against if self.finding else "")
        return f"the last {self.number} photographs{words}{figures}"


class Drift:
    """A running picture of the scores of the last photographs."""

    def __init__(self, calibration: Calibration, scales: Scales, *, window: int = WINDOW) -> None:
        self.scales, self.window = scales, window
        self.limit = scales.image.threshold
        self.last = deque[float](maxlen=window)
        self.first: list[float] = []  # of this line, not above the threshold, up to twice as many
        self.since = 0  # photographs after those
        self.training = Reference(TRAINING, (score for score in calibration.scores if score <= self.limit))
        self.start: Optional[Reference] = None
        self.picture = Picture()

    def see(self, scores: Iterable[float]) -> Optional[str]:
        """Takes scores in; a line to be said where the state is another than before."""
        before = self.picture.state
        for score in scores:
            self._take(float(score))
        self.picture = self._looked_at()
        now = self.picture.state
        if now == before or {now, before} == {UNKNOWN, USUAL}:
            return None
        return f"drift over: {self.picture}" if now in (UNKNOWN, USUAL) else f"drift: {self.picture}"

    def _take(self, score: float) -> None:
        self.last.append(score)
        if self.start is not None:
            self.since += 1
        elif score <= self.limit:
            self.first.append(score)
            if len(self.first) == 2 * self.window:
                self.start = Reference(START, self.first)

    def _looked_at(self) -> Picture:
        scores, scale = np.array(self.last), self.scales.image
        if not len(scores) or not self.scales.known:
            return Picture(number=len(scores))
        median, above = float(scale.normalise(np.median(scores))), float((scores > self.limit).mean())
        found = [*self._compared(self.training, scores, lower=False)]
        if self.start is not None and self.since:
            found += self._compared(self.start, scores[-self.since :], lower=True)
        finding = min(found, key=lambda each: each.chance, default=None)
        many = len(scores) >= ENOUGH and above > MOSTLY
        return Picture(self._state(finding, many), len(scores), median, above, finding)

    def _compared(self, reference: Reference, scores: np.ndarray, *, lower: bool) -> Sequence[Finding]:
        below = scores[scores <= self.limit]
        if len(below) < ENOUGH or len(reference.scores) < FEWEST:
            return ()
        larger = reference.larger(below)
        chance = reference.chance(larger, len(below)) if lower or larger > 0.5 else 1.0
        return (Finding(reference.name, larger, chance),)

    def _state(self, finding: Optional[Finding], many: bool) -> str:
        if finding is not None:
            side = HIGHER if finding.larger > 0.5 else LOWER
            if finding.chance < (OVER if self.picture.state == side else CHANCE):
                return side
        if many:
            return MANY
        return UNKNOWN if finding is None else USUAL
