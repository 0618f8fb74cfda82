"""Judges photographs with a trained {title}: one line for each, and a picture of what it sees.

python {method}/predict.py --category bottle --image_path photo.png [--model_path bottle.onnx]
"""

import argparse
import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from anomaly.commands import common
from anomaly.commands.common import MODEL, Chosen
from anomaly.config import Config
from anomaly.data.images import write_image
from anomaly.data.samples import samples
from anomaly.deploy import state
from anomaly.detector import Detector, Fitted, Judging
from anomaly.measure.calibration import ANOMALOUS
from anomaly.measure.judgement import Judgement
from anomaly.methods import Method
from anomaly.run import device
from anomaly.run.errors import DataError
from anomaly.run.files import write_json, write_text
from anomaly.run.options import PREDICT
from anomaly.show import pictures
from anomaly.show.tables import RANDOM_MARK

ANOMALY = 3  # exit code


def flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--image_path", type=Path, required=True, help="a photograph, or a folder of them")
    group.add_argument(MODEL[0], type=Path, help=MODEL[1])
    common.add_checkpoint(group, PREDICT)
    group.add_argument("--save_csv", type=Path, help="write the verdicts to this file too")
    group.add_argument("--save_json", type=Path, help="write the verdicts to this file too")
    group.add_argument("--no_pictures", action="store_true", help="draw nothing")
    group.add_argument("--fail_on_anomaly", action="store_true", help=f"exit code {ANOMALY} if anything is anomalous")


def run(method: Method, argv: Optional[Sequence[str]] = None) -> int:
    chosen = common.parse(method, PREDICT, text=str(__doc__), argv=argv, own=flags)
    folder = chosen.output / chosen.one_category()
    found = None if chosen.args.model_path else state.read(folder)
    paths = samples(chosen.args.image_path)
    device.end_in_order()
    detector: Detector = common.open_model(chosen) if found is None else method.load(found, chosen.given)
    config = detector.config if isinstance(detector, Fitted) else chosen.open
    return predict(chosen, detector, paths=paths, config=config, folder=folder / "predict")


def predict(chosen: Chosen, detector: Detector, *, paths: tuple, config: Config, folder: Path) -> int:
    """Prints one line an image, draws overlays into `folder`, and returns the command's exit code."""
    args, unreadable, rows = chosen.args, [], []

    def report(error: DataError) -> None:
        unreadable.append(error)
        print(f"error: {error}", file=sys.stderr)

    drawing = not args.no_pictures
    judging = Judging(detector, paths, config.batch_size, config.workers, with_photographs=drawing, on_error=report)
    for judgement in judging:
        rows.append(row(judgement, detector))
        print(line(judgement), flush=True)
        if drawing:
            draw(judgement, detector, asked=args.image_path, folder=folder)
    if detector.backbone.is_random:
        print(RANDOM_MARK)
    if drawing and rows:
        print(f"pictures: {folder}")
    save(rows, args.save_csv, json_path=args.save_json)
    if unreadable:
        return DataError.exit_code
    return ANOMALY if args.fail_on_anomaly and any(each["verdict"] == ANOMALOUS for each in rows) else 0


def line(judgement: Judgement) -> str:
    """The normalised score, or without a threshold the raw one."""
    value = judgement.score if judgement.normalised is None else judgement.normalised
    return f"{judgement.verdict:9}  {value:.4f}  {judgement.sample.path}"


def row(judgement: Judgement, detector: Detector) -> dict:
    return {
        "path": str(judgement.sample.path),
        "verdict": judgement.verdict,
        "score": judgement.score,
        "normalised": judgement.normalised,
        "threshold": judgement.threshold,
        "method": detector.method,
        "backbone": detector.backbone.label,
    }


def draw(judgement: Judgement, detector: Detector, *, asked: Path, folder: Path) -> None:
    """Below `folder` as the photograph is below the folder asked for."""
    path, root = judgement.sample.path, asked if asked.is_dir() else asked.parent
    mark = "RANDOM BACKBONE" if detector.backbone.is_random else ""
    picture = pictures.on_photograph(judgement, detector.transform, mark=mark)
    write_image(folder / path.relative_to(root).parent / pictures.file_name(path), picture)


def save(rows: list, csv_path: Optional[Path], *, json_path: Optional[Path]) -> None:
    if csv_path:
        text = io.StringIO()
        fields = ("path", "verdict", "score", "normalised", "threshold", "method", "backbone")
        writer = csv.DictWriter(text, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(csv_path, text.getvalue())
    if json_path:
        write_json(json_path, rows)
