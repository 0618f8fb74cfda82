"""Quantiles of Student's t distribution, without the tenth of a second that a library for them takes to load."""

import functools
import math

TERMS = 10_000  # of a continued fraction, at most
CLOSE = 1e-16
LEAST = 1e-300  # instead of 0, in a denominator
LARGEST = 200.0  # logarithm of a quantile


@functools.lru_cache(maxsize=256)
def upper(rate: float, freedom: int) -> float:
    """What a number of this distribution exceeds with this probability, less than a half."""
    low, high = -LARGEST, LARGEST  # logarithms
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _above(math.exp(middle), freedom) > rate else (low, middle)
    return math.exp(low)


def _above(t: float, freedom: int) -> float:
    """The probability of more than t: half the regularised incomplete beta function of freedom / (freedom + t²)."""
    a, squared = freedom / 2, t * t
    x, rest = freedom / (freedom + squared), squared / (freedom + squared)
    scale = math.lgamma(a + 0.5) - math.lgamma(a) - math.lgamma(0.5)
    factor = math.exp(scale + a * math.log(x) + 0.5 * math.log(rest)) if rest > 0 else 0.0
    if x < (a + 1) / (a + 2.5):  # where the fraction converges fast
        return 0.5 * factor * _fraction(a, 0.5, x) / a
    return 0.5 - factor * _fraction(0.5, a, rest)


def _fraction(a: float, b: float, x: float) -> float:
    """1 / (1 + d1 / (1 + d2 / ...)) of the incomplete beta function, from its head on (Lentz)."""
    value, c, d = 1.0, 1.0, 0.0
    for i in range(TERMS):
        m = i // 2
        if i == 0:
            step = 1.0
        elif i % 2:
            step = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            step = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / (1 + step * d or LEAST)
        c = 1 + step / c or LEAST
        value *= c * d
        if i and abs(c * d - 1) < CLOSE:
            break
    return value - 1
