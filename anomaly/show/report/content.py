"""What the scripts of a report compute with, as data: good scores, curves, colours, and thresholds by rate."""

import math
import shlex
from pathlib import Path
from typing import Optional

import numpy as np

from anomaly.measure.calibration import UNSCALED, Calibration, Choice, Scales
from anomaly.measure.evaluation import Evaluation
from anomaly.measure.metrics import FPR_LIMIT, Points, thinned
from anomaly.show import pictures

POINTS = 300  # of a curve: more are not to be told apart in its size
CURVES = ("img_roc", "pixel_roc", "img_pr", "pixel_pr", "pixel_pro")
FOLDER = "FOLDER"  # in a command, where it is not known where the trained state lies


def of(evaluation: Evaluation, records: list, *, good: tuple, folder: Path) -> dict:
    """`records`: those of a Gallery; `good`: a Calibration and the Scales in force."""
    calibration, scales = good
    return {
        "threshold": scales.image.threshold if scales.known else None,
        "unit": scales.image.unit,
        "chosen": str(scales.choice),
        "pixel": [scales.pixel.threshold, scales.pixel.unit] if not np.isnan(scales.pixel.threshold) else None,
        "good": sorted(calibration.scores.tolist()),
        "rates": rates(calibration, scales),
        "command": command(folder),
        "limit": FPR_LIMIT,
        "curves": {name: points(getattr(evaluation, name)) for name in CURVES},
        "colours": colours(),
        "images": records,
    }


def command(folder: Path) -> str:
    place = shlex.quote(str(folder)) if (folder / "state.json").is_file() else FOLDER
    return f"python -m anomaly threshold {place}"


def rates(calibration: Calibration, scales: Scales) -> list:
    """Rates of false alarms and the threshold of each, the lowest threshold first; of rates that lead to the same
    threshold the one with the fewest digits.
    """
    if not scales.known or len(calibration.scores) < 2:
        return []
    found: dict[float, float] = {}
    for rate in sorted(candidates(), key=lambda rate: (len(f"{rate:g}"), rate)):
        limit = calibration.at(Choice(rate, robust=scales.choice.robust)).image.threshold
        found.setdefault(limit, rate)
    return [[rate, limit] for limit, rate in sorted(found.items())]


def candidates() -> set:
    """Rates that a person would type, from one in ten thousand to nearly all."""
    fine = {round(step * 10.0**-power, power + 1) for power in range(2, 5) for step in np.arange(1, 10, 0.5)}
    return fine | {round(step / 200, 3) for step in range(2, 200)}


def points(found: Points) -> dict:
    """Lists; the threshold above all scores is None."""
    few = thinned(found, POINTS)
    return {
        "x": [round(value, 5) for value in few.x.tolist()],
        "y": [round(value, 5) for value in few.y.tolist()],
        "t": [short(value) for value in few.thresholds.tolist()],
    }


def short(value: float) -> Optional[float]:
    return float(f"{value:.6g}") if math.isfinite(value) else None


def colours() -> list:
    """For each of 256 levels the colour of the heat map, and how strongly it covers the photograph, 0 to 1.

    Worked out from what pictures.py makes of black and of white, so that the page cannot differ from the pictures.
    """
    level = np.linspace(0, 1, 256)[None]
    dark, light = (np.full((1, 256, 3), value, np.uint8) for value in (0, 255))
    over_dark, over_light = (pictures.overlay(image, level, scale=UNSCALED).astype(float) for image in (dark, light))
    strength = 1 - (over_light - over_dark).mean(axis=2)[0] / 255
    return [[*colour, round(part, 3)] for colour, part in zip(pictures.heat(level)[0].tolist(), strength.tolist())]
