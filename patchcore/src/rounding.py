"""Shadows as small integers, and by how much rounding moved them (search.py says what for)."""

import numpy as np

ZERO = 128  # what is added to the integers of points, for which there are 8 bits without a sign
UNIT = 2.0**-24  # of rounding in single precision
STEP = 64  # what a width is a multiple of
FEW = 16  # rows and this part of the bank: where more could be nearest, products with all of it are faster


def whole(width: int) -> int:
    return -(-width // STEP) * STEP


def rounded(shadows: np.ndarray, step: np.float32) -> tuple:
    """N K -> whole numbers of steps, ŷ / step, and of each row |ŷ|² and |y - ŷ|. `shadows` is overwritten."""
    codes = np.rint(shadows / step)
    shadows -= codes * step
    return codes, squares(codes) * step**2, np.sqrt(squares(shadows))


def step_of(values: np.ndarray, largest: int) -> np.float32:
    return np.float32(np.abs(values).max() / largest or 1)


def squares(rows: np.ndarray) -> np.ndarray:
    return np.einsum("...i,...i->...", rows, rows)


def few(k: int, rows: int) -> int:
    return k + FEW + rows // FEW
