"""Judges photographs that nobody has labelled."""

import csv
import io
import sys
from pathlib import Path
from typing import Optional

import cv2
import numpy as np

from anomaly.data.images import Transform, read_image
from anomaly.data.layouts import Sample, images_in
from anomaly.data.loader import batches
from anomaly.measure.calibration import ANOMALOUS, Scale
from anomaly.measure.evaluation import Detector
from anomaly.run.errors import DataError
from anomaly.run.files import write_json, write_text
from anomaly.show import pictures as drawing
from anomaly.show.tables import RANDOM_MARK


def find_images(path: Path) -> list:
    """The file itself, or every image in the folder and those below it."""
    path = Path(path)
    if path.is_dir():
        found = [
            image
            for folder in sorted([path, *(p for p in path.rglob("*") if p.is_dir())])
            for image in images_in(folder)
        ]
        if not found:
            raise DataError(f"{path}: holds no image")
        return found
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder")
    return [path]


def predict(detector: Detector, paths: list, config, args, folder: Path) -> int:
    """Prints one line an image, draws overlays into `folder`, and returns the command's exit code."""
    scale = detector.calibration.image_scale(config.false_alarm_rate)
    pixel_scale = detector.calibration.pixel_scale(config.false_alarm_rate)
    root = args.image_path if args.image_path.is_dir() else args.image_path.parent
    unreadable, rows = [], []

    def report(error):
        unreadable.append(error)
        print(f"error: {error}", file=sys.stderr)

    size = min(config.batch_size, len(paths))
    for batch in batches([Sample(path) for path in paths], config.transform, size, config.workers, on_error=report):
        maps, scores = detector.score(batch.images)
        for sample, values, score in zip(batch.samples, maps, scores):
            row = judge(sample.path, float(score), scale, detector)
            rows.append(row)
            print(
                f"{row['verdict']:9}  {row['normalised']:.4f}  {sample.path}"
                if row["normalised"] is not None
                else f"{row['verdict']:9}  {row['score']:.4f}  {sample.path}",
                flush=True,
            )
            if not args.no_pictures:
                picture = on_photograph(read_image(sample.path), values, config.transform, pixel_scale)
                if detector.weights.is_random:
                    drawing.write(picture, "RANDOM BACKBONE", (6, 18), drawing.RED)
                below = sample.path.relative_to(root).parent
                drawing.save(folder / below / drawing.file_name(sample.path), picture)
    if detector.weights.is_random:
        print(RANDOM_MARK)
    if not args.no_pictures and rows:
        print(f"pictures: {folder}")
    save(rows, args.save_csv, args.save_json)
    if unreadable:
        return DataError.exit_code
    return 3 if args.fail_on_anomaly and any(row["verdict"] == ANOMALOUS for row in rows) else 0


def judge(path: Path, score: float, scale: Scale, detector: Detector) -> dict:
    known = not np.isnan(scale.threshold)
    return {
        "path": str(path),
        "verdict": scale.verdict(score),
        "score": score,
        "normalised": float(scale.normalise(score)) if known else None,
        "threshold": scale.threshold if known else None,
        "method": detector.method,
        "backbone": detector.weights.label,
    }


def on_photograph(image: np.ndarray, values: np.ndarray, transform: Transform, scale: Scale) -> np.ndarray:
    """The photograph at its own size, with the map over the part of it that was looked at."""
    scaled, (rows, columns) = transform.back(values, *image.shape[:2])
    picture = image.copy()
    picture[rows, columns] = drawing.overlay(np.ascontiguousarray(image[rows, columns]), scaled, scale)
    if scaled.shape != image.shape[:2]:  # what lies outside the crop was not judged: a white line says so
        cv2.rectangle(picture, (columns.start, rows.start), (columns.stop - 1, rows.stop - 1), (255, 255, 255), 1)
    return picture


def save(rows: list, csv_path: Optional[Path], json_path: Optional[Path]):
    if csv_path:
        text = io.StringIO()
        fields = ("path", "verdict", "score", "normalised", "threshold", "method", "backbone")
        writer = csv.DictWriter(text, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(csv_path, text.getvalue())
    if json_path:
        write_json(json_path, rows)
