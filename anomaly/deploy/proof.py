"""What an exported model has to say of a known picture, kept in its description.

A converter, a device or a library can change what a model computes. The detector itself says at export what it finds in
a drawn picture; whoever runs the model compares before anything is judged.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np

from anomaly.data.images import decoded, encode
from anomaly.engines.choice import BFLOAT16, FLOAT32, INT8
from anomaly.run.errors import DataError

# By how much a map and a score may differ, as a part of the range of the map; docs/export.md says what was measured.
ALLOWED = {FLOAT32: 0.002, BFLOAT16: 0.15, INT8: 0.1}
MOST = 32  # rows and columns of the map that are compared


@dataclass(frozen=True)
class Proof:
    picture: np.ndarray  # H W 3, as the model takes it
    score: float
    rows: list  # of the map, and
    columns: list  # those that `map` has
    map: np.ndarray


def drawn(size: tuple) -> np.ndarray:
    """Fields of colour with discs on them: edges, corners and curves, in little space."""
    height, width = size
    rng = np.random.default_rng(0)
    fields = rng.integers(40, 216, (6, 6, 3), dtype=np.uint8)
    picture = cv2.resize(fields, (width, height), interpolation=cv2.INTER_NEAREST)
    for _ in range(12):
        place = int(rng.integers(width)), int(rng.integers(height))
        colour = [int(value) for value in rng.integers(0, 256, 3)]
        cv2.circle(picture, place, max(1, int(rng.integers(2, 12) * min(size) // 100)), colour, -1)
    return picture


def _spread(length: int) -> list:
    """Places along a side, the first and the last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, MOST)).round().astype(int)).tolist()


def made(size: tuple, score: Callable) -> dict:
    """What goes into a description. `score`: images -> maps and scores, of what is to be exported."""
    picture = drawn(size)
    maps, scores = score(picture[None])
    rows, columns = (_spread(side) for side in maps.shape[1:])
    return {
        "picture": base64.b64encode(encode(picture, ".png")).decode(),
        "score": float(scores[0]),
        "rows": rows,
        "columns": columns,
        "map": [float(f"{value:.9g}") for value in maps[0][np.ix_(rows, columns)].ravel()],
    }


def parse(info: Any, size: tuple) -> Optional[Proof]:
    """ValueError or TypeError where it is none; None of a model that was exported before there was one."""
    if info is None:
        return None
    rows, columns = ([int(place) for place in info[name]] for name in ("rows", "columns"))
    if not rows or not columns or not set(rows) <= {*range(size[0])} or not set(columns) <= {*range(size[1])}:
        raise ValueError("no places of a map")
    values = np.array(info["map"], np.float64).reshape(len(rows), len(columns))
    score = float(info["score"])
    if not np.isfinite(values).all() or not np.isfinite(score):
        raise ValueError("no numbers")
    try:
        picture = decoded(base64.b64decode(info["picture"], validate=True), Path("picture.png"))
    except DataError as error:
        raise ValueError(str(error)) from None
    if picture.shape[:2] != tuple(size):
        raise ValueError("a picture of another size")
    return Proof(picture, score, rows, columns, values)


def require(proof: Proof, found: tuple, *, precision: str, name: str) -> None:
    """`found`: maps and scores of the picture, as they come out here."""
    values = np.asarray(found[0][0], np.float64)[np.ix_(proof.rows, proof.columns)]
    score, extent = float(found[1][0]), float(np.ptp(proof.map)) or max(abs(proof.score), 1e-12)
    off, score_off = float(np.abs(values - proof.map).max()) / extent, abs(score - proof.score) / extent
    limit = ALLOWED[precision]
    if not (off <= limit and score_off <= limit):
        raise DataError(
            f"{name}: gives other numbers here than the detector that it was exported from: its map is off by "
            f"{off:.2g} of its range, its score is {score:.6g} instead of {proof.score:.6g} ({precision} allows "
            f"{limit:g}); a converter or a device has changed the model, export it again"
        )
