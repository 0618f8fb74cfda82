"""How good the judgements of a set of photographs are."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy as np

from anomaly.measure import metrics
from anomaly.measure.calibration import ANOMALOUS
from anomaly.measure.judgement import Judgement
from anomaly.measure.metrics import Points


class Judged(NamedTuple):
    """What is kept of each photograph."""

    name: str
    anomalous: bool  # what it is
    score: float
    verdict: str  # what it was called
    normalised: Optional[float] = None
    wrong: bool = False  # whether it was called what it is not
    path: str = ""


class Verdicts(NamedTuple):
    """What the threshold does."""

    good: int
    false_alarms: int  # of the good ones
    anomalous: int
    missed: int  # of the anomalous ones


@dataclass(frozen=True)
class Evaluation:
    """Figures between 0 and 1; None where the photographs or masks are missing that they need."""

    img_auc: Optional[float]
    pixel_auc: Optional[float]
    aupro: Optional[float]
    img_f1: Optional[float]
    img_f1_threshold: Optional[float]
    pixel_f1: Optional[float]
    pixel_f1_threshold: Optional[float]
    img_ap: Optional[float]
    pixel_ap: Optional[float]
    threshold: Optional[float]
    false_alarm_rate: Optional[float]
    verdicts: Verdicts
    images: tuple  # of Judged, the wrong ones first, then by score
    img_roc: Points
    img_pr: Points
    pixel_roc: Points
    pixel_pr: Points
    pixel_pro: Points


MOST_POINTS = 2000  # of a curve of pixels


def evaluate(judgements: Iterable[Judgement]) -> Evaluation:
    """Takes them in one at a time and keeps none of their pictures."""
    pixels, images, scales = metrics.PixelScores(), [], None
    for each in judgements:
        scales = each.scales
        if each.mask is not None:
            pixels.add(each.map, each.mask, within=each.seen)
        images.append(judged(each))
    labels = np.array([image.anomalous for image in images], bool)
    by_image = metrics.curve(np.array([image.score for image in images]), labels)
    by_pixel = pixels.curve()
    img_f1, img_f1_threshold = metrics.best_f1(by_image)
    pixel_f1, pixel_f1_threshold = metrics.best_f1(by_pixel)
    return Evaluation(
        img_auc=metrics.auroc(by_image),
        pixel_auc=metrics.auroc(by_pixel),
        aupro=metrics.aupro(by_pixel),
        img_f1=img_f1,
        img_f1_threshold=img_f1_threshold,
        pixel_f1=pixel_f1,
        pixel_f1_threshold=pixel_f1_threshold,
        img_ap=metrics.average_precision(by_image),
        pixel_ap=metrics.average_precision(by_pixel),
        threshold=scales.image.threshold if scales and scales.known else None,
        false_alarm_rate=scales.false_alarm_rate if scales else None,
        verdicts=verdicts(images),
        images=tuple(sorted(images, key=lambda image: (not image.wrong, -image.score, image.name))),
        img_roc=metrics.roc(by_image),
        img_pr=metrics.precision_recall(by_image),
        pixel_roc=metrics.thinned(metrics.roc(by_pixel), MOST_POINTS),
        pixel_pr=metrics.thinned(metrics.precision_recall(by_pixel), MOST_POINTS),
        pixel_pro=metrics.thinned(metrics.pro(by_pixel), MOST_POINTS),
    )


def judged(each: Judgement) -> Judged:
    anomalous, place = each.sample.anomalous, str(each.sample.path)
    return Judged(each.sample.name, anomalous, each.score, each.verdict, each.normalised, each.wrong, place)


def verdicts(images: Iterable[Judged]) -> Verdicts:
    """What the verdicts are worth."""
    good = [image.verdict == ANOMALOUS for image in images if not image.anomalous]
    anomalous = [image.verdict == ANOMALOUS for image in images if image.anomalous]
    return Verdicts(len(good), sum(good), len(anomalous), anomalous.count(False))
