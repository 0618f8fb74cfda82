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
from anomaly.run.errors import DataError, UsageError
from anomaly.run.files import begins, require_own, write_json, write_text
from anomaly.run.options import PREDICT
from anomaly.run.threads import Background
from anomaly.show import pictures
from anomaly.show.tables import RANDOM_MARK

ANOMALY = 3  # exit code
HEADER = "path,verdict,score,normalised,threshold,method,backbone"  # of the CSV


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
    require_places(chosen.args, paths, pictures_in=folder / "predict")
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
    with Background() as background:
        for judgement in judging:
            rows.append(row(judgement, detector))
            print(line(judgement), flush=True)
            if drawing:
                background(draw, judgement, detector, asked=args.image_path, folder=folder)
    if detector.backbone.is_random:
        print(RANDOM_MARK)
    if drawing and rows:
        print(f"pictures: {folder}")
    save(rows, args.save_csv, json_path=args.save_json)
    if unreadable:
        return DataError.exit_code
    return ANOMALY if args.fail_on_anomaly and any(each["verdict"] == ANOMALOUS for each in rows) else 0


def require_places(args: argparse.Namespace, photographs: tuple, *, pictures_in: Path) -> None:
    """Nothing of the user's is written over: no photograph by its picture, no other file by the verdicts."""
    if args.save_csv and args.save_json and args.save_csv.resolve() == args.save_json.resolve():
        raise UsageError(f"--save_csv and --save_json are one file, {args.save_csv}; choose two")
    for path, ours in ((args.save_csv, (HEADER,)), (args.save_json, ('[\n  {\n    "path"', "[]"))):
        if path:
            require_own(path, is_own=begins(path, ours))
    originals = {sample.path.resolve() for sample in photographs}
    for sample in () if args.no_pictures else photographs:
        place = picture_of(sample.path, args.image_path, folder=pictures_in)
        if place.resolve() in originals:
            raise DataError(f"{sample.path}: its picture would take its place; move it out of {pictures_in}")


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
    mark = "RANDOM BACKBONE" if detector.backbone.is_random else ""
    picture = pictures.on_photograph(judgement, detector.transform, mark=mark)
    write_image(picture_of(judgement.sample.path, asked, folder=folder), picture)


def picture_of(path: Path, asked: Path, *, folder: Path) -> Path:
    """Below `folder` as the photograph is below the folder asked for."""
    root = asked if asked.is_dir() else asked.parent
    return folder / path.relative_to(root).parent / pictures.file_name(path)


def save(rows: list, csv_path: Optional[Path], *, json_path: Optional[Path]) -> None:
    if csv_path:
        text = io.StringIO()
        writer = csv.DictWriter(text, HEADER.split(","), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(csv_path, text.getvalue())
    if json_path:
        write_json(json_path, rows)
