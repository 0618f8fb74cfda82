"""Going on with a trained state: which images it has seen, which are new, and what they scored."""

from pathlib import Path
from typing import Optional

import numpy as np

from anomaly.data.layouts import Sample
from anomaly.measure.calibration import Calibration
from anomaly.run.files import sha256


def describe(samples) -> list:
    """Where each image lies and what is in it."""
    return [{"path": str(sample.path.resolve()), "sha256": sha256(sample.path)} for sample in samples]


def unseen(samples, images: list) -> list:
    """The samples whose content is not among the images of a state."""
    known = {image["sha256"] for image in images}
    return [sample for sample in samples if sha256(sample.path) not in known]


def still_there(images: list) -> list:
    """For each image of a state a sample, or None where its file is gone or has changed."""
    paths = [Path(image["path"]) for image in images]
    return [
        Sample(path) if path.is_file() and sha256(path) == image["sha256"] else None
        for path, image in zip(paths, images)
    ]


def merge(earlier: Optional[Calibration], present: list, fresh: np.ndarray) -> Calibration:
    """Fresh scores, if there are any, where an image could be read again, those of before where not; `present` says
    which it is.
    """
    scores, again = [], iter(fresh.reshape(-1).tolist())
    for number, is_present in enumerate(present):
        if is_present:
            scores += [next(again)] if fresh.size else []
        elif earlier and number < len(earlier.scores):
            scores.append(earlier.scores[number])
    return Calibration(np.array(scores), np.array(scores))  # the score is the map's peak
