"""Scores the test images of a category and says how good the scores are."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Optional, Protocol

import numpy as np

from anomaly.data.layouts import Category
from anomaly.measure import metrics
from anomaly.measure.calibration import ANOMALOUS, Calibration
from anomaly.networks.weights import Backbone
from anomaly.run.files import replacing_folder, write_json
from anomaly.run.options import Config
from anomaly.run.progress import bar, log
from anomaly.show import pictures as drawing
from anomaly.show import tables as report


class Detector(Protocol):
    """What a method or an exported model has to offer."""

    method: str
    weights: Backbone
    remark: str  # what a reader of its figures has to know, if anything
    calibration: Calibration

    def score(self, images: np.ndarray) -> tuple:
        """B H W 3 uint8 -> maps, B H W, and image scores, B."""


def evaluate(
    detector: Detector,
    category: Category,
    batches: Iterable,
    folder: Path,
    config: Config,
    recorded: Optional[Callable] = None,
) -> dict:
    """Figures of the test set; writes results.json and sample/ into `folder`.

    `recorded`: gives the maps and scores of a batch that something else has judged.
    """
    image_scale = detector.calibration.image_scale(config.false_alarm_rate)
    pixel_scale = detector.calibration.pixel_scale(config.false_alarm_rate)
    pixels, images, seconds = metrics.PixelScores(), [], 0.0
    with replacing_folder(folder / "sample") as samples, bar(len(category.test), "evaluation", "image") as progress:
        for batch in batches:
            start = time.perf_counter()
            maps, scores = recorded(batch) if recorded else detector.score(batch.images)
            seconds += time.perf_counter() - start
            for sample, image, mask, values, score in zip(batch.samples, batch.images, batch.masks, maps, scores):
                verdict = image_scale.verdict(score)
                if len(images) < config.pictures:
                    caption = f"{sample.name}  score {score:.3f}  {verdict}"
                    caption += "  RANDOM BACKBONE" if detector.weights.is_random else ""
                    path = samples / sample.defect / drawing.file_name(sample.path)
                    drawing.save(path, drawing.side_by_side(image, values, mask, pixel_scale, caption))
                if category.has_masks and mask is not None:
                    pixels.add(values, mask)
                images.append(
                    {"name": sample.name, "anomalous": sample.anomalous, "score": float(score), "verdict": verdict}
                )
            progress.update(batch.size)
    results = _results(detector, category, images, pixels, image_scale.threshold, config.false_alarm_rate)
    results["seconds_per_image"] = None if recorded else seconds / max(len(images), 1)
    write_json(folder / "results.json", results)
    log.info("%s", report.figures(results) if images else "no test images: no figures")
    return results


def _results(
    detector: Detector,
    category: Category,
    images: list,
    pixels: metrics.PixelScores,
    threshold: float,
    false_alarm_rate: float,
) -> dict:
    labels = np.array([image["anomalous"] for image in images], bool)
    called = np.array([image["verdict"] == ANOMALOUS for image in images], bool)
    by_image = metrics.curve(np.array([image["score"] for image in images]), labels)
    by_pixel = pixels.curve()
    img_f1, img_f1_threshold = metrics.best_f1(by_image)
    pixel_f1, pixel_f1_threshold = metrics.best_f1(by_pixel)
    return {
        "method": detector.method,
        "category": category.name,
        "backbone": detector.weights.label,
        "random_backbone": detector.weights.is_random,
        "remark": detector.remark,
        "img_auc": metrics.auroc(by_image),
        "pixel_auc": metrics.auroc(by_pixel),
        "aupro": metrics.aupro(by_pixel),
        "img_f1": img_f1,
        "img_f1_threshold": img_f1_threshold,
        "pixel_f1": pixel_f1,
        "pixel_f1_threshold": pixel_f1_threshold,
        "img_ap": metrics.average_precision(by_image),
        "pixel_ap": metrics.average_precision(by_pixel),
        "threshold": None if np.isnan(threshold) else threshold,
        "false_alarm_rate": false_alarm_rate,
        "train_images": len(category.train) or None,  # not known of what was recorded
        "test_images": len(images),
        "verdicts": {
            "good": int((~labels).sum()),
            "false_alarms": int((called & ~labels).sum()),
            "anomalous": int(labels.sum()),
            "missed": int((~called & labels).sum()),
        },
        "images": images,
    }
