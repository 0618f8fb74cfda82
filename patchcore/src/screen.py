"""What products.py does, by code of our own (screen.cc) where there is a C++ compiler: in one pass, and with the
instructions for small integers that the processor has."""

import ctypes
import functools
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.ctypeslib import ndpointer

from anomaly.engines import compiled
from anomaly.run.errors import DataError
from patchcore.src.rounding import ZERO, few, rounded, squares, step_of

SOURCE = Path(__file__).with_suffix(".cc")
WIDTH = 192  # of a shadow
POINTS = 512  # at once
SPARE = 8  # rows that may be as near as the last of the nearest, beside it


class Bank(ctypes.Structure):
    """As screen.cc has it too."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("rows", "width", "dimensions")),
        *((name, ctypes.c_void_p) for name in ("vectors", "codes", "halves", "starts")),
        *((name, ctypes.c_float) for name in ("step", "error", "longest")),
    )


class Asked(ctypes.Structure):
    """Likewise."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("values", "shadows", "slack")),
        *((name, ctypes.c_int64) for name in ("count", "first", "last")),
    )

    def __init__(self, points: np.ndarray, shadows: np.ndarray, *, slack: np.ndarray, skip: tuple = (0, 0)) -> None:
        self.arrays = [np.ascontiguousarray(each, np.float32) for each in (points, shadows, slack)]
        super().__init__(*(each.ctypes.data for each in self.arrays), len(points), *skip)


class Screen:
    """Room for rows: `put` says which shadows they have."""

    at_once = POINTS

    def __init__(self, vectors: np.ndarray, *, width: int, step: np.float32, library: ctypes.CDLL) -> None:
        self.library, self.step = library, step
        rows = len(vectors)
        self.vectors = np.ascontiguousarray(vectors, np.float32)
        self.codes = np.zeros((rows + library.Rows(), width), np.int8)
        self.halves, self.starts = np.zeros(rows, np.float32), np.zeros(len(self.codes), np.int32)
        self.error = self.longest = 0.0

    @staticmethod
    def of(vectors: np.ndarray, shadows: np.ndarray, *, library: ctypes.CDLL) -> "Screen":
        """`shadows` is overwritten."""
        found = Screen(vectors, width=shadows.shape[1], step=step_of(shadows, library.Largest()), library=library)
        found.put(slice(0, len(vectors)), shadows)
        return found

    def put(self, rows: slice, shadows: np.ndarray) -> None:
        """`shadows` is overwritten."""
        codes, norms, moved = rounded(shadows, self.step)
        self.codes[rows], self.halves[rows] = codes, norms / 2
        self.starts[rows] = -ZERO * codes.sum(axis=1)
        self.error = max(self.error, float(moved.max()))
        self.longest = max(self.longest, float(np.sqrt(norms.max())))

    def near(self, points: np.ndarray, shadows: np.ndarray, *, skip: slice) -> np.ndarray:
        bounds = np.empty(len(points), np.float32)
        asked = Asked(points, shadows, slack=np.zeros(len(points)), skip=skip.indices(len(self.vectors))[:2])
        self.library.Near(self._bank(slice(0, len(self.vectors))), asked, bounds)
        return np.sqrt(bounds)

    def possible(self, points: np.ndarray, shadows: np.ndarray, *, slack: np.ndarray, k: int, skip: slice) -> tuple:
        rows, counts = np.empty((len(points), k + SPARE), np.int32), np.empty(len(points), np.int32)
        bank = self._bank(slice(0, len(self.vectors)))
        asked = Asked(points, shadows, slack=slack, skip=skip.indices(bank.rows)[:2])
        self.library.Nearest(bank, asked, k, few(k, bank.rows), k + SPARE, None, rows, counts)
        place = np.arange(k + SPARE) < counts[:, None]
        return np.nonzero(place)[0], rows[place]

    def nearer(
        self, points: np.ndarray, shadows: np.ndarray, *, slack: np.ndarray, among: slice, known: np.ndarray
    ) -> tuple:
        """Pairs of a point and a row, of those in `among`, that could be its nearest and nearer than these squared
        distances."""
        rows, counts = np.empty((len(points), 1 + SPARE), np.int32), np.empty(len(points), np.int32)
        bank, limit = self._bank(among), (known * (1 + 1e-6)).astype(np.float32)
        asked = Asked(points, shadows, slack=slack)
        self.library.Nearest(bank, asked, 1, bank.rows, 1 + SPARE, limit.ctypes.data, rows, counts)
        place = np.arange(1 + SPARE) < counts[:, None]
        many = np.flatnonzero(counts < 0)  # where more are as near as that, it could be any
        row = np.concatenate([np.nonzero(place)[0], np.repeat(many, bank.rows)])
        return row, among.start + np.concatenate([rows[place], np.tile(np.arange(bank.rows), len(many))])

    def _bank(self, rows: slice) -> Bank:
        arrays = (each[rows.start :] for each in (self.vectors, self.codes, self.halves, self.starts))
        places = (each.ctypes.data for each in arrays)
        sizes = rows.stop - rows.start, self.codes.shape[1], self.vectors.shape[1]
        return Bank(*sizes, *places, self.step, self.error, self.longest)


@functools.lru_cache
def library() -> Optional[ctypes.CDLL]:
    otherwise = "the search for neighbours is left to ONNX Runtime, which takes longer"
    return compiled.loaded(SOURCE, declared, check=require_right, otherwise=otherwise)


def declared(found: Any) -> ctypes.CDLL:
    floats, integers, number = ndpointer(np.float32, flags="C"), ndpointer(np.int32, flags="C"), ctypes.c_int64
    asked = ctypes.POINTER(Bank), ctypes.POINTER(Asked)
    found.Near.argtypes, found.Near.restype = (*asked, floats), None
    found.Nearest.argtypes = (*asked, number, number, number, ctypes.c_void_p, integers, integers)
    found.Nearest.restype = None
    return found


def require_right(found: ctypes.CDLL) -> None:
    """A compiler may be wrong, and a file damaged."""
    rng = np.random.default_rng(0)
    vectors, points = rng.normal(size=(300, 64)).astype(np.float32), rng.normal(size=(50, 64)).astype(np.float32)
    every = np.sqrt(squares(points[:, None] - vectors))
    screen, none = Screen.of(vectors, vectors.copy(), library=found), slice(0)
    row, column = screen.possible(points, points, slack=np.full(len(points), 1e-3), k=1, skip=none)
    nearest = np.full(len(points), -1)
    nearest[row] = column
    near = screen.near(points, points, skip=none)
    if (nearest != every.argmin(axis=1)).any() or not (near > 0.999 * every.min(axis=1)).all():
        raise DataError("what was compiled finds other neighbours")
