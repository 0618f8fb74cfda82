"""The shadows of a memory bank as small integers, and by how much rounding moved them (search.py says what for)."""

from dataclasses import dataclass

import numpy as np

ZERO = 128  # what is added to the integers of points, for which there are 8 bits without a sign
UNIT = 2.0**-24  # of rounding in single precision
FEW = 16  # rows and this part of the bank: where more could be nearest, products with all of it are faster


@dataclass(frozen=True)
class Rounded:
    codes: np.ndarray  # M K, int8
    step: np.float32
    norms: np.ndarray  # |ŷm|², M
    longest: np.float32  # the largest |ŷm|
    error: np.float32  # the largest |ym - ŷm|

    @staticmethod
    def of(shadows: np.ndarray, largest: int) -> "Rounded":
        """`shadows` is overwritten."""
        step = step_of(shadows, largest)
        codes = np.rint(shadows / step)
        norms = squares(codes) * step**2
        shadows -= codes * step
        return Rounded(codes.astype(np.int8), step, norms, np.sqrt(norms.max()), np.sqrt(squares(shadows).max()))


def step_of(values: np.ndarray, largest: int) -> np.float32:
    return np.float32(np.abs(values).max() / largest or 1)


def squares(rows: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", rows, rows)


def few(k: int, rows: int) -> int:
    return k + FEW + rows // FEW
